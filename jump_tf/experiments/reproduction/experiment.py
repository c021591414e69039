"""The runs of a reproduction: where they stand, and how they are measured.

DIR/data/<dataset>/                 datasets that the plan prepares
DIR/tuning/<model>/                 studies
DIR/<dataset>/data.json             the statistics of a dataset
DIR/<dataset>/<model>/seed-<n>/     run folders
DIR/results.json, DIR/report.html   what came out
"""

import csv
import dataclasses
import json
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jump_tf import schema
from jump_tf.config import run as configs
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.evaluate import comparison
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction import steps as reproduction_steps
from jump_tf.experiments.reproduction.datasets import DataSet
from jump_tf.experiments.reproduction.plan import Plan
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.reporting import files as evaluation_files
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import search_space
from jump_tf.train import trials as train_trials

REPLICATES = 500
# What a run takes from its data, whatever is asked, and where None is.
_FROM_DATA = {
    *("max_dwell_seconds", "num_fields", "recent_entries", "recent_periods"),
}
_IF_NONE = {
    *("initial_log_dwell", "page_is_clicked_again", "dropout", "dwell_dropout"),
    *("epochs", "batch_sessions", "batch_clicks"),
}


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How the runs of a task are measured and reported.

    Attributes:
        check: refuses an experiment that the task does not allow.
        is_measured: whether a run folder is evaluated.
        measure: evaluates a trained run folder on a data folder.
        one_line: a measured run folder in words.
        report: writes `results.json` and the report; returns the latter.
        baselines: counting models, by name, that are measured as runs are.
        measure_baseline: fits one of them, by name, for a run folder, on a data
            folder.
    """

    check: Callable[["Experiment"], None]
    is_measured: Callable[[pathlib.Path], bool]
    measure: Callable[[pathlib.Path, pathlib.Path], Any]
    one_line: Callable[[pathlib.Path], str]
    report: Callable[["Experiment"], pathlib.Path]
    baselines: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    measure_baseline: Callable[[str, pathlib.Path, pathlib.Path], None] = (
        lambda name, run, data: None
    )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A plan and the folder of its results.

    Attributes:
        plan: what shall be trained.
        folder: of the results.
        protocol: how it is measured.
        seeds: how often each model is trained.
        trials: of each model's search; 0 takes the presets as they are.
        only: parts of the whole, of `reproduction_steps.PARTS`.
    """

    plan: Plan
    folder: pathlib.Path
    protocol: Protocol
    seeds: int = 1
    trials: int = 0
    only: Sequence[str] = tuple(reproduction_steps.PARTS)

    def __post_init__(self):
        for name, least in (("seeds", 1), ("trials", 0)):
            if getattr(self, name) < least:
                raise schema.InputError(
                    f"`--{name}` must be at least {least}. "
                    f"Received: {getattr(self, name)}"
                )
        self.protocol.check(self)
        for model in self.plan.models if self.trials else ():
            search_space.load(model.space, self.plan.config(model.name))
        self._check_labels()

    def _check_labels(self):
        """Refuses two runs in one folder."""
        labels: dict[str, Any] = {}
        for step in self.steps():
            run = step.model, step.set, _is_baseline(step)
            if labels.setdefault(step.label, run) != run:
                raise schema.InputError(
                    "Models, ablations, points of sweeps and baselines must "
                    f"have names of their own. Received: {step.label!r} twice"
                )

    def steps(self) -> list[Step]:
        """All runs in their order."""
        return reproduction_steps.steps(
            self.plan, self.seeds, tuple(self.protocol.baselines), self.only
        )

    def data(self, step: Step) -> DataSet:
        """The dataset of a run."""
        return next(one for one in self.plan.data if one.name == step.data)

    def run(self, step: Step) -> pathlib.Path:
        """Returns the run folder; where nothing is changed, the model's."""
        if step.set and self.config(step) == self.config(
            reproduction_steps.base(step)
        ):
            return self.run(reproduction_steps.base(step))
        return self.folder / step.data / step.label / f"seed-{step.seed}"

    def failure(self, step: Step) -> pathlib.Path:
        """The file that says why a run failed."""
        run = self.run(step)
        return run.with_name(f"{run.name}.failed")

    def study(self, model: str) -> pathlib.Path:
        """The folder of a model's search."""
        return self.folder / datasets.STUDIES / model

    def is_tuned(self, model: str) -> bool:
        """Whether the search for a model is over, or none is asked for."""
        states = [trial["state"] for trial in self._trials(model)]
        return len(states) >= self.trials and "unfinished" not in states

    def search_minutes(self, model: str) -> float:
        """What the search for a model has taken so far."""
        return sum(float(t["minutes"] or 0.0) for t in self._trials(model))

    def _trials(self, model):
        table = self.study(model) / train_trials.TABLE_FILE
        if not self.trials or not table.is_file():
            return []
        with table.open(newline="") as lines:
            return list(csv.DictReader(lines))

    def config(self, step: Step) -> Config:
        """The configuration of a run, but for what it takes from its data."""
        best = self.study(step.model) / train_trials.BEST_FILE
        if not self.trials or not best.is_file():
            base = self.untuned(step.model, self.data(step))
        else:
            base = configs.load(best)
            if step.data != self.plan.data[0].name:  # Where it was searched.
                base = base.override(self.data(step).set)
        return base.override(reproduction_steps.changes(step))

    def untuned(self, model: str, data: DataSet) -> Config:
        """The configuration of a model on a dataset before any search."""
        return self.plan.config(model).override(data.set)

    def is_done(self, step: Step) -> bool:
        """Whether a run is evaluated."""
        if not _is_baseline(step) and not self.is_tuned(step.model):
            return False
        return self.protocol.is_measured(self.run(step))

    def check(self, step: Step) -> None:
        """Refuses a run folder of another request.

        Raises:
            InputError: it has another configuration or other data.
        """
        run = self.run(step)
        if _is_baseline(step) or not self.is_tuned(step.model):
            return
        if not (run / run_folder.CONFIG_FILE).is_file():
            return
        data = self.data(step).folder(self.folder)
        if not _same(self.config(step), run_folder.read_config(run)):
            _refuse(run, "another configuration")
        if not _same_data(
            run_folder.read_manifest(run), folders.read_manifest(data)
        ):
            _refuse(run, "other data")


def _is_baseline(step: Step) -> bool:
    return step.purpose == reproduction_steps.BASELINES


def _same(asked: Config, made: Config) -> bool:
    """Returns whether a run has a configuration, filled in from its data."""
    if asked.architecture != made.architecture:
        return False
    return made == dataclasses.replace(
        asked,
        model=_filled(asked.model, made.model),
        training=_filled(asked.training, made.training),
    )


def _filled(asked, made):
    filled = {
        name: getattr(made, name)
        for name, value in dataclasses.asdict(asked).items()
        if name in _FROM_DATA or (value is None and name in _IF_NONE)
    }
    return dataclasses.replace(asked, **filled)


def _same_data(mine, theirs) -> bool:
    """Returns whether two manifests are equal but for versions."""
    return {**mine, "versions": None} == {**theirs, "versions": None}


def _refuse(run, received):
    raise schema.InputError(
        "`--results` must be a new folder or one of the same request. "
        f"Received: {run}, which has {received}"
    )


def path(run: pathlib.Path, moment: str, kind: str = "json") -> pathlib.Path:
    """A file of a run's evaluation on the test split."""
    folder = run / evaluation_files.EVALUATION_FOLDER
    return folder / f"{schema.TEST}.{moment}.{kind}"


def is_measured(run: pathlib.Path) -> bool:
    """Whether the run is evaluated at both moments."""
    return all(
        path(run, moment, kind).is_file()
        for moment in schema.MOMENTS
        for kind in ("json", "clicks.npz")
    )


def read(run: pathlib.Path, moment: str) -> dict[str, Any]:
    """The evaluation of a run."""
    return json.loads(path(run, moment).read_text())


def measure(run: pathlib.Path, data: pathlib.Path) -> None:
    """Evaluates a trained run on the test split, at both moments."""
    session_evaluation.evaluate_moments(model_factory.load_run(run), data, run)


def compared(
    mine: Sequence[pathlib.Path], theirs: Sequence[pathlib.Path], moment: str
) -> dict[str, Any]:
    """Differences of two models, kept until one is evaluated again.

    Args:
        mine: a model's runs, one for each seed.
        theirs: another's on the same data; the first keeps the file.
        moment: of asking.
    """
    files = [
        [path(run, moment, "clicks.npz") for run in runs]
        for runs in (mine, theirs)
    ]
    name = "-".join([*mine[0].parts[-2:], f"{len(mine)}-{len(theirs)}"])
    kept = path(theirs[0], moment, f"against-{name}.json")
    newest = max(file.stat().st_mtime for each in files for file in each)
    if kept.is_file() and kept.stat().st_mtime >= newest:
        return json.loads(kept.read_text())
    first, second = (
        [prediction_table.read(one) for one in each] for each in files
    )
    judged = prediction_table.judge([*first, *second], REPLICATES)
    result = comparison.compare(judged[: len(mine)], judged[len(mine) :])
    evaluation_files.write_json(kept, result)
    return evaluation_files.plain(result)

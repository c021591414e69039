"""Where the runs of a reproduction stand, and which of them are done.

DIR/data/<log>/                     logs that the plan prepares
DIR/tuning/<model>/                 studies
DIR/<log>/data.json                 what is counted of a log
DIR/<log>/<model>/seed-<n>/         run folders
DIR/results.json, DIR/report.html   what came out
"""

import csv
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from jump_tf import schema
from jump_tf.config import run as configs
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.experiments.reproduction import bars
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction import measuring
from jump_tf.experiments.reproduction import steps as reproduction_steps
from jump_tf.experiments.reproduction.datasets import DataSet
from jump_tf.experiments.reproduction.plan import Plan
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.runs import folder as run_folder
from jump_tf.train import search_space
from jump_tf.train import trials as train_trials


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A plan and the folder of its results.

    Attributes:
        plan: what shall be trained.
        folder: of the results.
        seeds: how often each model is trained.
        trials: of each model's search; 0 takes the presets as they are.
        only: parts of the whole, of `reproduction_steps.PARTS`.
    """

    plan: Plan
    folder: pathlib.Path
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
        for model in self.plan.models if self.trials else ():
            search_space.load(model.space, self.plan.config(model.name))
        self._check_labels()

    def _check_labels(self):
        """Refuses two runs in one folder."""
        labels: dict[str, Any] = {}
        for step in self.steps():
            run = step.model, step.set, step.purpose == reproduction_steps.BARS
            if labels.setdefault(step.label, run) != run:
                raise schema.InputError(
                    "Models, ablations, points of sweeps and bars must have "
                    f"names of their own. Received: {step.label!r} twice"
                )

    def steps(self) -> list[Step]:
        """All runs in their order."""
        return reproduction_steps.steps(
            self.plan, self.seeds, tuple(bars.BARS), self.only
        )

    def data(self, step: Step) -> DataSet:
        """The log of a run."""
        return next(one for one in self.plan.data if one.name == step.data)

    def run(self, step: Step) -> pathlib.Path:
        """The run folder; of a point where nothing moved, the model's."""
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
        table = self.study(model) / train_trials.TABLE_FILE
        if not self.trials:
            return True
        if not table.is_file():
            return False
        with table.open(newline="") as lines:
            states = [row["state"] for row in csv.DictReader(lines)]
        return len(states) >= self.trials and "unfinished" not in states

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
        """The configuration of a model on a log before any search."""
        return self.plan.config(model).override(data.set)

    def is_done(self, step: Step) -> bool:
        """Whether a run is evaluated."""
        if step.purpose != reproduction_steps.BARS and not self.is_tuned(
            step.model
        ):
            return False
        return measuring.is_measured(self.run(step))

    def check(self, step: Step) -> None:
        """Refuses a run folder of another request.

        Raises:
            InputError: it has another configuration or other data.
        """
        run = self.run(step)
        if step.purpose == reproduction_steps.BARS or not self.is_tuned(
            step.model
        ):
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


def _same(asked: Config, made: Config) -> bool:
    """Whether a run is what is asked for, which its data filled up."""
    filled: dict[str, Any] = {"max_dwell_seconds": made.model.max_dwell_seconds}
    if asked.model.initial_log_dwell is None:
        filled["initial_log_dwell"] = made.model.initial_log_dwell
    return made == dataclasses.replace(
        asked, model=dataclasses.replace(asked.model, **filled)
    )


def _same_data(mine, theirs) -> bool:
    """Whether two manifests are of the same data, whoever wrote them."""
    return {**mine, "versions": None} == {**theirs, "versions": None}


def _refuse(run, received):
    raise schema.InputError(
        "`--results` must be a new folder or one of the same request. "
        f"Received: {run}, which has {received}"
    )

"""Runs a plan step by step; a second call goes on where the first ended."""

import pathlib
import shutil
import time
from collections.abc import Callable
from collections.abc import Sequence

import keras

from jump_tf import schema
from jump_tf import tasks
from jump_tf.experiments.reproduction import counting_models
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction import experiment as experiments
from jump_tf.experiments.reproduction import list_comparison
from jump_tf.experiments.reproduction import page
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.experiments.reproduction.experiment import Protocol
from jump_tf.experiments.reproduction.plan import Plan
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.reporting import figures as reporting_figures
from jump_tf.runs import folder as run_folder
from jump_tf.train import interruptions
from jump_tf.train import search_space

_HOUR = 3600.0


def _check(experiment: Experiment) -> None:
    """Refuses sessions where their report cannot be drawn."""
    if not reporting_figures.available():
        raise schema.InputError(
            "The report needs matplotlib: `pip install jump-tf[report]`. "
            "Received: an environment without it"
        )


def _one_line(run: pathlib.Path) -> str:
    result = experiments.read(run, schema.PAGE_LEAVE)
    mae = result.get("dwell_mae_seconds")
    dwell = "no dwell" if mae is None else f"dwell MAE {mae:.2f} s"
    return (
        f"recall@20 {_number(result['recall_at_20'])}, "
        f"MRR@20 {_number(result['mrr_at_20'])}, {dwell}"
    )


def _number(value) -> str:
    return "-" if value is None else f"{value:.4f}"


PROTOCOLS = {
    schema.SESSIONS: Protocol(
        check=_check,
        is_measured=experiments.is_measured,
        measure=experiments.measure,
        one_line=_one_line,
        report=page.write,
        baselines=counting_models.MODELS,
        measure_baseline=counting_models.measure,
    ),
    schema.LISTS: Protocol(
        check=list_comparison.check,
        is_measured=list_comparison.is_measured,
        measure=list_comparison.measure,
        one_line=list_comparison.one_line,
        report=list_comparison.write,
    ),
}


def reproduce(
    plan: Plan,
    results: pathlib.Path,
    *,
    seeds: int = 1,
    trials: int = 0,
    hours: float | None = None,
    only: Sequence[str] = tuple(steps.PARTS),
    say: Callable[[str], None] = print,
    verbose: int | str = 0,
) -> pathlib.Path:
    """Trains and evaluates what is not done yet, then writes the report.

    Args:
        plan: what shall be trained.
        results: the folder of everything; one that is there goes on.
        seeds: how often each model is trained.
        trials: of each model's search, on the validation split of the first
            dataset; 0 takes the presets as they are.
        hours: after which no further run is begun.
        only: parts of the whole, of `steps.PARTS`.
        say: called with a line on each run.
        verbose: of Keras `fit`.

    Returns:
        The report, which also says what is missing.

    Raises:
        InputError: the request is wrong, the folder another request's or in
            use.
        TrainingStopped: SIGTERM came; the report is written and the next call
            goes on.
    """
    if hours is not None and not hours >= 0:
        raise schema.InputError(
            f"`--budget` must not be negative. Received: {hours}"
        )
    if results.exists() and not results.is_dir():
        raise schema.InputError(
            f"`--results` must be a folder. Received: {results}"
        )
    task = plan.config(plan.reference).task
    experiment = Experiment(plan, results, PROTOCOLS[task], seeds, trials, only)
    end = None if hours is None else time.monotonic() + hours * _HOUR
    for step in experiment.steps():
        if _is_there(experiment, step):
            experiment.check(step)
    results.mkdir(parents=True, exist_ok=True)
    with run_folder.alone(results / ".lock"):
        try:
            _Runner(experiment, end, say, verbose).run()
        finally:
            report = experiment.protocol.report(experiment)
    return report


def _is_there(experiment, step) -> bool:
    data = experiment.data(step).folder(experiment.folder)
    return (data / schema.MANIFEST_FILE).is_file()


class _Runner:
    """Goes through the steps until the time is over.

    Args:
        experiment: whose steps.
        end: instant of the monotonic clock, or None for no end.
        say: called with a line on each run.
        verbose: of Keras `fit`.
    """

    def __init__(self, experiment: Experiment, end, say, verbose):
        self.experiment = experiment
        self.end = end
        self.say = say
        self.verbose = verbose

    def run(self) -> None:
        """Runs all steps that are not done, until the time is over."""
        experiment = self.experiment
        self._prepare()
        todo = experiment.steps()
        for number, step in enumerate(todo, 1):
            if not _is_there(experiment, step) or experiment.is_done(step):
                continue
            if self._is_late() or not self._tune(step.model, step.purpose):
                break
            if experiment.is_done(step):  # A point that is the model itself.
                continue
            experiment.check(step)
            self._do(step, f"[{number}/{len(todo)}] {step}")
        missing = [step for step in todo if not experiment.is_done(step)]
        if missing:
            self.say(
                f"{len(missing)} of {len(todo)} runs are missing, the next is "
                f"{missing[0]}; call again to go on"
            )

    def _is_late(self) -> bool:
        return self.end is not None and time.monotonic() >= self.end

    def _prepare(self):
        folder = self.experiment.folder
        for data in self.experiment.plan.data:
            if data.prepared is None and not self._is_late():
                datasets.prepare(data, folder)

    def _tune(self, model, purpose) -> bool:
        """Searches for a model's values; returns whether the search is over."""
        experiment = self.experiment
        if purpose == steps.BASELINES or experiment.is_tuned(model):
            return True
        from jump_tf import tasks

        row = experiment.plan.model(model)
        first = experiment.plan.data[0]
        config = experiment.untuned(model, first)
        data = first.folder(experiment.folder)
        left = None
        if self.end is not None:
            left = max(self.end - time.monotonic(), 1.0) / 60.0
        self.say(f"{row.title}: {experiment.trials} trials")
        tasks.tune(
            config,
            data,
            experiment.study(model),
            search_space.load(row.space, config),
            trials=experiment.trials,
            minutes=left,
            say=self.say,
        )
        return experiment.is_tuned(model)

    def _do(self, step: Step, name: str):
        experiment = self.experiment
        run = experiment.run(step)
        protocol = experiment.protocol
        data = experiment.data(step).folder(experiment.folder)
        started = time.monotonic()
        if step.purpose == steps.BASELINES:
            protocol.measure_baseline(step.model, run, data)
        elif not self._train(step, run, data, name):
            return
        seconds = time.monotonic() - started
        self.say(f"{name}: {protocol.one_line(run)} ({seconds / 60:.1f} min)")

    def _train(self, step, run, data, name) -> bool:
        """Trains and evaluates; returns False where the training fails."""
        failure = self.experiment.failure(step)
        keras.backend.clear_session()
        begun = (run / run_folder.CONFIG_FILE).is_file()
        config = self.experiment.config(step)
        if begun:
            config = run_folder.read_config(run)
        elif run.exists():
            shutil.rmtree(run)  # Nothing that a training made.
        try:
            tasks.train(config, data, run, resume=begun, verbose=self.verbose)
        except interruptions.TrainingError as error:
            failure.parent.mkdir(parents=True, exist_ok=True)
            failure.write_text(f"{error}\n")
            self.say(f"{name}: failed: {error}")
            return False
        failure.unlink(missing_ok=True)
        self.experiment.protocol.measure(run, data)
        return True

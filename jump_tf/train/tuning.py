"""Searches for a better configuration, trial by trial, within a budget.

A study folder:

    study.yaml      what is searched: data, base configuration, space
    journal.log     what was tried so far (optuna's journal)
    trials/NNN/     the run folder of each trial
    trials.csv      the trials, the best first
    best.yaml       the configuration of the best, for `--config`

The first trial is the base configuration itself, as far as it lies within the
space, so that a search does not end below where it began.

A trial is pruned after an epoch where its best monitored metric so far is
below the median of the earlier trials at that epoch. What a trial proposes
depends on the seed, its number and the trials before it alone; an unfinished
one goes on after its last finished epoch: a study that was interrupted ends as
one that was not.
"""

import dataclasses
import pathlib
import shutil
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import optuna
import tensorflow as tf
import yaml
from optuna.storages import journal
from optuna.trial import TrialState
from tensorboard.plugins.hparams import api as hparams

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.runs import folder as run_folder
from jump_tf.train import interruptions
from jump_tf.train import search_space
from jump_tf.train import trainer
from jump_tf.train import trials as train_trials
from jump_tf.train.search_space import Dimension
from jump_tf.train.search_space import Range

STUDY_FILE = "study.yaml"
JOURNAL_FILE = "journal.log"
TRIALS_FOLDER = "trials"
STARTUP_TRIALS = 4  # Before there is a median to speak of.


class OutOfTimeError(Exception):
    """The budget ends in a trial, which can go on another time."""


def tune(
    task: Any,
    config: Config,
    data: pathlib.Path,
    folder: pathlib.Path,
    space: Sequence[Dimension],
    *,
    trials: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = print,
    verbose: int | str = 0,
) -> list[dict[str, Any]]:
    """Tries configurations until the budget is spent.

    Args:
        task: one of `jump_tf.tasks`, whose model it is.
        config: what the space does not name.
        data: a data folder.
        folder: the study's; a new one, or one of the same request, which goes
            on.
        space: what to search.
        trials: how many the study shall have in all.
        minutes: after which the present trial stops at its next epoch, to be
            taken up by the next call.
        say: called with a line on each trial.
        verbose: of Keras `fit`.

    Returns:
        The rows of `trials.csv`.

    Raises:
        InputError: the request is wrong, or the folder another study's.
    """
    _check_budget(trials, minutes)
    _open(task, folder, config, data, space)
    end = None if minutes is None else time.monotonic() + 60.0 * minutes
    with run_folder.alone(folder / STUDY_FILE):
        study = _study(folder)
        try:
            start = _within(space, config)
            while trial := _next_trial(study, config, trials, end, start):
                _try(
                    *(study, trial, task, config, data),
                    *(folder, space, end, verbose),
                )
                say(train_trials.line(study.trials[trial.number], task))
        except OutOfTimeError:
            say(f"trial {trial.number} is not finished: out of time")
        return train_trials.write(folder, study.trials, config, task)


def _next_trial(study, config, number, end, start):
    """The trial that was not finished, or a new one; none if it is enough."""
    unfinished = study.get_trials(states=(TrialState.RUNNING,))
    waiting = study.get_trials(states=(TrialState.WAITING,))
    begun = len(study.trials) - len(waiting)
    if end is not None and time.monotonic() >= end:
        return None
    study.sampler = optuna.samplers.TPESampler(
        seed=config.training.seed + begun - len(unfinished),
        n_startup_trials=STARTUP_TRIALS,
    )
    if unfinished:
        return optuna.trial.Trial(study, unfinished[0]._trial_id)
    if number is not None and begun >= number:
        return None
    if not begun and not waiting:
        study.enqueue_trial(start)
    return study.ask()


def _within(space, config):
    """The values of `config` that lie within the space."""
    flat = config.flat()
    return {
        one.name: flat[one.name] for one in space if one.holds(flat[one.name])
    }


def _try(study, trial, task, config, data, folder, space, end, verbose):
    """Trains a trial's run to its end, whatever that is."""
    run = folder / TRIALS_FOLDER / f"{trial.number:03d}"
    watch = _Watch(trial, end, task.monitored)
    keras.backend.clear_session()
    try:
        values = {one.name: one.suggest(trial) for one in space}
        started = (run / run_folder.CONFIG_FILE).is_file()
        if not started:
            shutil.rmtree(run, ignore_errors=True)
        best = trainer.train(
            task,
            search_space.with_values(config, values),
            data,
            run,
            resume=started,
            callbacks=[watch],
            verbose=verbose,
        )
    except interruptions.TrainingError:  # Diverged, which a search may.
        study.tell(trial, state=TrialState.FAIL)
    except schema.InputError:
        study.tell(trial, state=TrialState.FAIL)
        raise
    else:
        if watch.pruned:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, best[task.monitored])


class _Watch(keras.callbacks.Callback):
    """Ends a trial that is not promising, or that there is no time for."""

    def __init__(self, trial, end, monitored):
        super().__init__()
        self.trial = trial
        self.end = end
        self.monitored = monitored
        self.pruned = False

    def on_epoch_end(self, epoch, logs=None):
        self.trial.report(logs[self.monitored], epoch + 1)
        if self.model.stop_training:
            return
        if self.trial.should_prune():
            self.pruned = self.model.stop_training = True
        elif self.end is not None and time.monotonic() >= self.end:
            raise OutOfTimeError


def _check_budget(trials, minutes):
    if trials is None and minutes is None:
        raise schema.InputError(
            "`--trials` or `--minutes` must be given. Received: neither"
        )
    for name, value in (("trials", trials), ("minutes", minutes)):
        if value is not None and not value > 0:
            raise schema.InputError(
                f"`--{name}` must be positive. Received: {name}={value}"
            )


def _open(task, folder, config, data, space):
    """Makes the study's folder, or finds the same study in it."""
    request = {
        "data": str(data.resolve()),
        "config": dataclasses.asdict(config),
        "space": {one.name: repr(one) for one in space},
    }
    text = yaml.safe_dump(request, sort_keys=False)
    path = folder / STUDY_FILE
    if path.is_file():
        if path.read_text() != text:
            raise schema.InputError(
                "A study must go on with its own data, configuration and "
                f"space. Received: another than {path}"
            )
        return
    if not run_folder.is_new(folder):
        raise schema.InputError(
            "`--study` must be a new or empty folder or a study. "
            f"Received: {folder}"
        )
    folders.read_manifest(data)
    folder.mkdir(parents=True, exist_ok=True)
    _declare(task, folder, space)
    path.write_text(text)


def _declare(task, folder, space):
    """Tells TensorBoard's HParams tab what is searched and measured."""
    with tf.summary.create_file_writer(str(folder)).as_default():
        hparams.hparams_config(
            hparams=[hparams.HParam(one.name, _domain(one)) for one in space],
            metrics=[
                hparams.Metric(
                    name.replace("val_", "epoch_", 1),
                    group="validation",
                    display_name=called,
                )
                for name, (called, _) in task.shown.items()
            ],
        )


def _domain(one: Dimension):
    if isinstance(one, Range):
        interval = (
            hparams.IntInterval if one.type == "int" else hparams.RealInterval
        )
        return interval(one.low, one.high)
    alike = len({type(choice) for choice in one.choices}) == 1
    return hparams.Discrete(one.choices) if alike else None


def _study(folder) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = journal.JournalFileBackend(str(folder / JOURNAL_FILE))
    return optuna.create_study(
        study_name="jump-tf",
        storage=optuna.storages.JournalStorage(backend),
        pruner=optuna.pruners.MedianPruner(STARTUP_TRIALS, n_warmup_steps=1),
        direction="maximize",
        load_if_exists=True,
    )

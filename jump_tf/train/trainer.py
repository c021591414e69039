"""Trains a model on a data folder into a run folder."""

import math
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.config.run import TrainingConfig
from jump_tf.data import folders
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.runs.checkpoints import Checkpoints
from jump_tf.runs.checkpoints import Position
from jump_tf.train import distribution
from jump_tf.train import optimizer
from jump_tf.train.callbacks import EpochRecorder
from jump_tf.train.callbacks import StepRecorder
from jump_tf.train.distribution import Devices
from jump_tf.train.interruptions import in_words
from jump_tf.train.interruptions import when_terminated
from jump_tf.train.warm_start import WarmStart
from jump_tf.train.warm_start import check_started
from jump_tf.train.warm_start import origin
from jump_tf.train.warm_start import vocabulary

FINAL_LEARNING_RATE = 0.01  # Of the cosine schedule, as a share.


def train(
    task: Any,
    config: Config,
    data: pathlib.Path,
    run: pathlib.Path,
    *,
    resume: bool = False,
    warm_start: WarmStart | None = None,
    strategy: str = distribution.NONE,
    profile: tuple[int, int] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> dict[str, Any]:
    """Trains until the epochs are over or validation stops improving.

    Args:
        task: one of `jump_tf.tasks`, whose model it is.
        config: model and training.
        data: a data folder.
        run: the run folder to make; with `resume`, the one to go on with.
        resume: goes on after the last checkpoint, with the same result as if
            there had been no interruption.
        warm_start: the run whose weights it starts with, if not from chance.
        strategy: which devices share the work, see `distribution.Devices`; a
            run may be resumed on others.
        profile: the first and last batch to profile, counted from 1.
        callbacks: called after all others; the logs have the validation.
        verbose: of Keras `fit`.

    Returns:
        The metrics of the best epoch, as in `metrics.jsonl`.

    Raises:
        InputError: the data or the run folder is not fit for it.
        TrainingError: the loss is no longer a number, the disk is full or
            another process has failed.
        TrainingStopped: SIGTERM came, and a checkpoint is saved.
    """
    devices = Devices(strategy)
    config = task.with_data(config, data)
    _check_splits(data, task.name)
    if warm_start is not None:
        warm_start.check(config)
    keras.utils.set_random_seed(config.training.seed)
    history = run_folder.reopen_run(run, config, data) if resume else []
    names = (
        run_folder.read_vocabulary(run)
        if resume
        else vocabulary(data, warm_start)
    )
    position = Position()
    with devices.strategy.scope():
        model = task.build_model(config, data, len(names))
        optimizer.compile_model(model, config.training)
        if warm_start is not None:
            warm_start.take_over(model, names, compiled)
        checkpoints = Checkpoints(run, model, position, devices.chief)
    devices.prepare(model)
    sizes = task.sizes_in_words(config, data)
    if sizes and verbose and devices.chief:
        print(sizes)
    if resume:
        check_started(run)
        checkpoints.restore_last()
    elif devices.chief:
        run_folder.open_run(run, config, data, names, origin(warm_start))
    if warm_start is not None:
        checkpoints.save_last()  # A resumed run needs no source.
    validation = task.validation(model, data)
    recorder = EpochRecorder(
        run,
        checkpoints,
        position,
        history[: int(position.epoch)],
        _epochs(config.training),
        config.training.patience,
        validation,
        devices,
        task.monitored,
    )

    def make_callbacks(stop):
        written = task.callbacks(
            run / run_folder.TENSORBOARD_FOLDER if devices.chief else None,
            config,
            names,
            validation,
            recorder.is_best,
            profile,
        )
        return [
            keras.callbacks.LearningRateScheduler(
                lambda epoch: learning_rate(config.training, epoch)
            ),
            recorder,
            *written,
            *callbacks,
            StepRecorder(
                checkpoints,
                position,
                config.training.checkpoint_seconds,
                stop,
                devices,
            ),
        ]

    with (
        when_terminated() as stop,
        in_words(run, devices.several_processes),
        warnings.catch_warnings(),
    ):
        if task.has_unused_heads(config):
            # A model of the click alone has a dwell head without a loss.
            warnings.filterwarnings("ignore", "Gradients do not exist")
        _fit(
            task.batches(model, data, config.training, position.epoch),
            _epochs(config.training),
            recorder,
            model,
            lambda: make_callbacks(stop),
            verbose if devices.chief else 0,
        )
    return recorder.best


def compiled(config, num_items):
    """Returns a fresh model that knows no data, with its optimizer."""
    model = model_factory.empty_model(config, num_items)
    optimizer.compile_model(model, config.training)
    return model


def _fit(batches, epochs, recorder, model, make_callbacks, verbose):
    """Fits what is left of the epoch in progress, then whole epochs."""
    position, devices = recorder.position, recorder.devices
    while not devices.of_chief(recorder.finished):
        first, done = int(position.epoch), int(position.batch)
        model.fit(
            devices.cut(batches.skip(done)),
            shuffle=None,
            initial_epoch=first,
            epochs=first + 1 if done else epochs,
            verbose=verbose,
            callbacks=make_callbacks(),
        )


def learning_rate(training: TrainingConfig, epoch: int) -> float:
    """The rate of an epoch, counted from 0."""
    if training.schedule == "constant":
        return training.learning_rate
    falling = 0.5 * (1.0 + math.cos(math.pi * epoch / _epochs(training)))
    share = FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * falling
    return training.learning_rate * share


def _epochs(training: TrainingConfig) -> int:
    assert training.epochs is not None  # The task has filled it in.
    return training.epochs


def _check_splits(data: pathlib.Path, counted: str) -> None:
    """Training needs sessions, or lists, to learn from and to validate on."""
    splits = folders.read_manifest(data)["splits"]
    for split in (schema.TRAIN, schema.VALIDATION):
        if not splits[split][counted]:
            raise schema.InputError(
                f"The split `{split}` must hold a {counted.removesuffix('s')}. "
                f"Received: {data}, where it holds none"
            )

"""Trains a model on a data folder into a run folder."""

import dataclasses
import math
import pathlib
from typing import Any

import keras

from jump_tf import distribution
from jump_tf import evaluation
from jump_tf import input_pipeline
from jump_tf import runs
from jump_tf import schema
from jump_tf.checkpoints import Checkpoints
from jump_tf.checkpoints import Position
from jump_tf.checkpoints import load_best
from jump_tf.config import Config
from jump_tf.config import TrainingConfig
from jump_tf.distribution import Devices
from jump_tf.interruptions import in_words
from jump_tf.interruptions import when_terminated
from jump_tf.models.jump import JUMP
from jump_tf.recorder import EpochRecorder
from jump_tf.recorder import StepRecorder
from jump_tf.summaries import ImageSummaries

FINAL_LEARNING_RATE = 0.01  # Of the cosine schedule, as a share.


def train(
    config: Config,
    data: pathlib.Path,
    run: pathlib.Path,
    *,
    resume: bool = False,
    strategy: str = distribution.NONE,
    verbose: int | str = "auto",
) -> dict[str, Any]:
    """Trains until the epochs are over or validation stops improving.

    Args:
        config: model and training.
        data: a data folder.
        run: the run folder to make; with `resume`, the one to go on with.
        resume: goes on after the last checkpoint, with the same result as if
            there had been no interruption.
        strategy: which devices share the work, see `distribution.Devices`; a
            run may be resumed on others.
        verbose: of Keras `fit`.

    Returns:
        The metrics of the best epoch, as in `metrics.jsonl`.

    Raises:
        InputError: the data or the run folder is not fit for it.
        TrainingError: the loss is no longer a number, the disk is full or
            another process is gone.
        TrainingStopped: SIGTERM came, and a checkpoint is saved.
    """
    devices = Devices(strategy)
    config = _with_data(config, data)
    _check_splits(data)
    keras.utils.set_random_seed(config.training.seed)
    position = Position()
    with devices.strategy.scope():
        model = build_model(config, data)
        _compile(model, config.training)
        checkpoints = Checkpoints(run, model, position, devices.chief)
    devices.prepare(model)
    history: list[dict[str, Any]] = []
    if resume:
        history = runs.reopen_run(run, config, data)
        checkpoints.restore_last()
    elif devices.chief:
        runs.open_run(run, config, data)
    validation = evaluation.Validation(model, data)
    recorder = EpochRecorder(
        run,
        checkpoints,
        position,
        history[: int(position.epoch)],
        config.training.epochs,
        config.training.patience,
        validation,
        devices,
    )
    with when_terminated() as stop, in_words(run, devices.several_processes):
        _fit(
            model,
            data,
            config.training,
            devices,
            recorder,
            StepRecorder(
                checkpoints,
                position,
                config.training.checkpoint_seconds,
                stop,
                devices,
            ),
            verbose if devices.chief else 0,
        )
    return recorder.best


def _fit(model, data, training, devices, recorder, steps, verbose):
    """Fits what is left of the epoch in progress, then whole epochs."""
    position = recorder.position
    batches = input_pipeline.training_batches(
        data,
        batch_sessions=training.batch_sessions,
        batch_clicks=training.batch_clicks,
        seed=training.seed,
        epoch=position.epoch,
    )
    while not devices.of_chief(recorder.finished):
        first, done = int(position.epoch), int(position.batch)
        model.fit(
            devices.cut(batches.skip(done)),
            shuffle=None,
            initial_epoch=first,
            epochs=first + 1 if done else training.epochs,
            verbose=verbose,
            callbacks=_callbacks(training, recorder, steps),
        )


def build_model(config: Config, data: pathlib.Path) -> JUMP:
    """A fresh model that knows how often each item is clicked in `data`."""
    num_items = input_pipeline.read_manifest(data)["num_items"]
    model = _empty_model(config, num_items)
    model.sampler.set_counts(input_pipeline.item_counts(data, num_items))
    return model


def load_run(run: pathlib.Path) -> JUMP:
    """The model of a run with the weights of its best epoch.

    Raises:
        InputError: it is not the folder of a trained run.
    """
    config = runs.read_config(run)
    model = _empty_model(config, len(runs.read_vocabulary(run)))
    load_best(run, model)
    return model


def _callbacks(training: TrainingConfig, recorder, steps):
    callbacks = [
        keras.callbacks.LearningRateScheduler(
            lambda epoch: learning_rate(training, epoch)
        ),
        recorder,
    ]
    if recorder.devices.chief:
        folder = recorder.run / runs.TENSORBOARD_FOLDER
        callbacks += [
            keras.callbacks.TensorBoard(folder, update_freq="epoch"),
            ImageSummaries(folder / "images", recorder.validate),
        ]
    return [*callbacks, steps]


def learning_rate(training: TrainingConfig, epoch: int) -> float:
    """The rate of an epoch, counted from 0."""
    if training.schedule == "constant":
        return training.learning_rate
    falling = 0.5 * (1.0 + math.cos(math.pi * epoch / training.epochs))
    share = FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * falling
    return training.learning_rate * share


def _empty_model(config: Config, num_items: int) -> JUMP:
    model = JUMP(
        schema.FIRST_ITEM_ID + num_items, **dataclasses.asdict(config.model)
    )
    model.build()
    return model


def _compile(model: JUMP, training: TrainingConfig) -> None:
    optimizer = keras.optimizers.Adam(
        training.learning_rate, global_clipnorm=training.clip_norm
    )
    model.compile(optimizer=optimizer, jit_compile=False)


def _with_data(config: Config, data: pathlib.Path) -> Config:
    """Fills in what the model takes from its data."""
    manifest = input_pipeline.read_manifest(data)
    model = dataclasses.replace(
        config.model, max_dwell_seconds=float(manifest["max_dwell_seconds"])
    )
    if model.initial_log_dwell is None:
        mean = input_pipeline.mean_log_dwell(data)
        model = dataclasses.replace(model, initial_log_dwell=mean)
    return dataclasses.replace(config, model=model)


def _check_splits(data: pathlib.Path) -> None:
    """Training needs sessions to learn from and sessions to validate on."""
    splits = input_pipeline.read_manifest(data)["splits"]
    for split in (schema.TRAIN, schema.VALIDATION):
        if not splits[split]["sessions"]:
            raise schema.InputError(
                f"The split `{split}` must hold a session. "
                f"Received: {data}, where it holds none"
            )


def one_line(record: dict[str, Any]) -> str:
    """An epoch's record in words."""
    return (
        f"epoch {record['epoch']}: loss {record['loss']:.4f}, validation "
        f"recall@20 {record['val_recall_at_20']:.4f}, "
        f"MRR@20 {record['val_mrr_at_20']:.4f}, "
        f"dwell MAE {record['val_dwell_mae_seconds']:.2f} s"
    )

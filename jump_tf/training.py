"""Trains a model on a data folder into a run folder."""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from jump_tf import evaluation
from jump_tf import input_pipeline
from jump_tf import runs
from jump_tf import schema
from jump_tf import summaries
from jump_tf.checkpoints import Checkpoints
from jump_tf.checkpoints import load_best
from jump_tf.config import Config
from jump_tf.config import TrainingConfig
from jump_tf.models.gru4rec import GRU4Rec
from jump_tf.models.joint_model import JointModel
from jump_tf.models.jump import JUMP
from jump_tf.optimizers import LazyAdam
from jump_tf.warm_start import WarmStart
from jump_tf.warm_start import check_started
from jump_tf.warm_start import origin
from jump_tf.warm_start import vocabulary

MODELS: dict[str, type[JointModel]] = {"jump": JUMP, "gru4rec": GRU4Rec}
MONITORED = "val_recall_at_20"
FINAL_LEARNING_RATE = 0.01  # Of the cosine schedule, as a share.


class TrainingError(RuntimeError):
    """Training cannot go on; what was saved before is whole."""


def train(
    config: Config,
    data: pathlib.Path,
    run: pathlib.Path,
    *,
    resume: bool = False,
    warm_start: WarmStart | None = None,
    profile: tuple[int, int] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = "auto",
) -> dict[str, Any]:
    """Trains until the epochs are over or validation stops improving.

    Args:
        config: model and training.
        data: a data folder.
        run: the run folder to make; with `resume`, the one to go on with.
        resume: goes on after the last finished epoch, with the same result as
            if there had been no interruption.
        warm_start: the run whose weights it starts with, if not from chance.
        profile: the first and last batch to profile, counted from 1.
        callbacks: called after all others; the logs have the validation.
        verbose: of Keras `fit`.

    Returns:
        The metrics of the best epoch, as in `metrics.jsonl`.

    Raises:
        InputError: the data or the run folder is not fit for it.
        TrainingError: the loss is no longer a number.
    """
    config = _with_data(config, data)
    _check_splits(data)
    if warm_start is not None:
        warm_start.check(config)
    keras.utils.set_random_seed(config.training.seed)
    if resume:
        history = runs.reopen_run(run, config, data)
        names = runs.read_vocabulary(run)
    else:
        history = []
        names = vocabulary(data, warm_start)
    model = build_model(config, data, len(names))
    _compile(model, config.training)
    if warm_start is not None:
        warm_start.take_over(model, names, _compiled)
    if not resume:
        runs.open_run(run, config, data, names, origin(warm_start))
    epoch = tf.Variable(0, dtype=tf.int64)
    checkpoints = Checkpoints(run, model, epoch)
    if resume:
        check_started(run)
        checkpoints.restore_last()
        history = history[: int(epoch)]
    elif warm_start is not None:
        checkpoints.save_last()  # A resumed run needs no source.
    validation = evaluation.Validation(model, data)
    recorder = EpochRecorder(
        run,
        checkpoints,
        epoch,
        history,
        config.training.patience,
        validation,
    )
    if recorder.finished(config.training.epochs):
        return recorder.best
    batches = input_pipeline.training_batches(
        data,
        batch_sessions=config.training.batch_sessions,
        batch_clicks=config.training.batch_clicks,
        seed=config.training.seed,
        epoch=epoch,
        step_seconds=model.step_seconds,
        fixed_shapes=config.training.jit_compile,
    )
    model.fit(
        batches,
        shuffle=None,
        epochs=config.training.epochs,
        initial_epoch=len(history),
        verbose=verbose,
        callbacks=[
            _scheduler(config.training),
            recorder,
            *summaries.callbacks(
                run / runs.TENSORBOARD_FOLDER,
                config,
                names,
                validation,
                recorder.is_best,
                profile,
            ),
            *callbacks,
        ],
    )
    return recorder.best


def build_model(
    config: Config, data: pathlib.Path, num_items: int | None = None
) -> JointModel:
    """A fresh model that knows how often each item is clicked in `data`.

    Of items beyond those of `data`, it knows that they are not.
    """
    if num_items is None:
        num_items = input_pipeline.read_manifest(data)["num_items"]
    model = _empty_model(config, num_items, config.training.dtype)
    model.sampler.set_counts(input_pipeline.item_counts(data, num_items))
    return model


def load_run(run: pathlib.Path) -> JointModel:
    """The model of a run with the weights of its best epoch.

    Raises:
        InputError: it is not the folder of a trained run.
    """
    config = runs.read_config(run)
    model = _empty_model(config, len(runs.read_vocabulary(run)))
    load_best(run, model)
    return model


class EpochRecorder(keras.callbacks.Callback):
    """After each epoch: validates, records, saves, and stops when it is time.

    All it remembers is the history, so that a resumed run decides as an
    uninterrupted one.

    Args:
        run: the run folder.
        checkpoints: of the run.
        epoch: variable that counts finished epochs.
        history: the lines of `metrics.jsonl` so far.
        patience: epochs to wait for a better `val_recall_at_20`.
        validate: returns the validation metrics of the model as it is.
    """

    def __init__(
        self,
        run: pathlib.Path,
        checkpoints: Checkpoints,
        epoch: tf.Variable,
        history: list[dict[str, Any]],
        patience: int,
        validate: Callable[[], dict[str, float]],
    ):
        super().__init__()
        self.run = run
        self.checkpoints = checkpoints
        self.epoch = epoch
        self.history = list(history)
        self.patience = patience
        self.validate = validate
        self.started = 0.0

    @property
    def best(self) -> dict[str, Any]:
        """The record of the best epoch."""
        return max(self.history, key=_monitored)

    def is_best(self) -> bool:
        """Whether the last epoch is the best so far."""
        return self.best is self.history[-1]

    def finished(self, epochs: int) -> bool:
        """Whether training is over after the history so far."""
        if not self.history:
            return False
        waited = self.history[-1]["epoch"] - self.best["epoch"]
        return waited >= self.patience or len(self.history) >= epochs

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        seconds = time.monotonic() - self.started
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"The loss must be a number. Received: loss={logs['loss']} in "
                f"epoch {epoch + 1}; the epochs before it are saved"
            )
        validation = self.validate()
        logs.update({f"val_{name}": validation[name] for name in validation})
        record = {"epoch": epoch + 1, "training_seconds": seconds}
        record |= {name: float(value) for name, value in logs.items()}
        self.history.append(record)
        self.epoch.assign(epoch + 1)
        if self.is_best():
            self.checkpoints.save_best()
        # The checkpoint last: what it counts as finished is on record.
        runs.write_history(self.run, self.history)
        self.checkpoints.save_last()
        if self.finished(self.params["epochs"]):
            self.model.stop_training = True


def _monitored(record: dict[str, Any]) -> float:
    """What the best epoch has most of; nothing, where it is not a number."""
    value = record[MONITORED]
    return -math.inf if value is None or math.isnan(value) else value


def _scheduler(training: TrainingConfig) -> keras.callbacks.Callback:
    return keras.callbacks.LearningRateScheduler(
        lambda epoch: learning_rate(training, epoch)
    )


def learning_rate(training: TrainingConfig, epoch: int) -> float:
    """The rate of an epoch, counted from 0."""
    if training.schedule == "constant":
        return training.learning_rate
    falling = 0.5 * (1.0 + math.cos(math.pi * epoch / training.epochs))
    share = FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * falling
    return training.learning_rate * share


def _empty_model(config: Config, num_items: int, dtype="float32") -> JointModel:
    model = MODELS[config.architecture](
        schema.FIRST_ITEM_ID + num_items,
        dtype=dtype,
        **dataclasses.asdict(config.model),
    )
    model.build()
    return model


def _compiled(config: Config, num_items: int) -> JointModel:
    model = _empty_model(config, num_items, config.training.dtype)
    _compile(model, config.training)
    return model


def _compile(model: JointModel, training: TrainingConfig) -> None:
    optimizer = LazyAdam(
        training.learning_rate, global_clipnorm=training.clip_norm
    )
    model.compile(optimizer=optimizer, jit_compile=training.jit_compile)


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

"""Keras callbacks that record, save and stop a training."""

import math
import pathlib
import threading
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from jump_tf.runs import folder as run_folder
from jump_tf.runs.checkpoints import Checkpoints
from jump_tf.runs.checkpoints import Position
from jump_tf.train.distribution import Devices
from jump_tf.train.interruptions import TrainingError
from jump_tf.train.interruptions import TrainingStopped

MONITORED = "val_recall_at_20"


class EpochRecorder(keras.callbacks.Callback):
    """After each epoch: validates, records, saves, and stops when it is time.

    All it remembers is the history, so that a resumed run decides as an
    uninterrupted one.

    Args:
        run: the run folder.
        checkpoints: of the run.
        position: of the run.
        history: the lines of `metrics.jsonl` so far.
        epochs: how many to train, at most.
        patience: epochs to wait for a better one.
        validate: returns the validation metrics of the model as it is.
        devices: what is trained on; only their chief writes records.
        monitored: the name of what the best epoch has most of.
    """

    def __init__(
        self,
        run: pathlib.Path,
        checkpoints: Checkpoints,
        position: Position,
        history: list[dict[str, Any]],
        epochs: int,
        patience: int,
        validate: Callable[[], dict[str, float]],
        devices: Devices,
        monitored: str = MONITORED,
    ):
        super().__init__()
        self.run = run
        self.checkpoints = checkpoints
        self.position = position
        self.history = list(history)
        self.epochs = epochs
        self.patience = patience
        self.validate = validate
        self.devices = devices
        self.monitored = monitored
        self.started = 0.0

    @property
    def best(self) -> dict[str, Any]:
        """The record of the best epoch."""
        return max(self.history, key=self._rank)

    def is_best(self) -> bool:
        """Whether the last epoch is the best so far."""
        return self.best is self.history[-1]

    @property
    def finished(self) -> bool:
        """Whether training is over after the history so far."""
        if not self.history:
            return False
        waited = self.history[-1]["epoch"] - self.best["epoch"]
        return waited >= self.patience or len(self.history) >= self.epochs

    def _rank(self, record):
        """The monitored value; minus infinity if it is not a number."""
        value = record[self.monitored]
        return -math.inf if value is None or math.isnan(value) else value

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic() - float(self.position.seconds)

    def on_epoch_end(self, epoch, logs=None):
        logs = {} if logs is None else logs
        seconds = time.monotonic() - self.started
        check_finite(self.model, logs["loss"], epoch)
        validation = self.validate()
        logs.update({f"val_{name}": validation[name] for name in validation})
        record = {"epoch": epoch + 1, "training_seconds": seconds}
        record |= {name: float(value) for name, value in logs.items()}
        self.history.append(record)
        self.position.move(epoch + 1)
        if self.devices.chief:
            if self.is_best():
                self.checkpoints.save_best()
            # The checkpoint last: what it counts as finished is on record.
            run_folder.write_history(self.run, self.history)
        self.checkpoints.save_last()
        if self.devices.of_chief(self.finished):
            self.model.stop_training = True


class StepRecorder(keras.callbacks.Callback):
    """Between the ends of two epochs: saves in time, and stops on request.

    Args:
        checkpoints: of the run.
        position: of the run.
        seconds: between two checkpoints; 0 for one after every step.
        stop: set by whoever wants the training to save and stop.
        devices: what is trained on; they save after the same step.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        position: Position,
        seconds: float,
        stop: threading.Event,
        devices: Devices,
    ):
        super().__init__()
        self.checkpoints = checkpoints
        self.position = position
        self.seconds = seconds
        self.stop = stop
        self.devices = devices

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.first = int(self.position.batch)
        if self.first:
            self.checkpoints.restore_sums()
        self.saved = time.monotonic()
        self.started = self.saved - float(self.position.seconds)

    def on_train_batch_end(self, batch, logs=None):
        logs = {} if logs is None else logs
        if not math.isfinite(logs["loss"]):
            check_finite(self.model, logs["loss"], self.epoch)
        if batch + 1 == self.params["steps"]:
            return  # What comes next is the end of the epoch, which saves.
        now = time.monotonic()
        due = self.devices.chief and now - self.saved >= self.seconds
        stop, due = self.devices.any(self.stop.is_set(), due)
        if not stop and not due:
            return
        check_finite(self.model, logs["loss"], self.epoch)
        self.position.move(
            self.epoch, self.first + batch + 1, now - self.started
        )
        self.checkpoints.save_last()
        self.saved = now
        if stop:
            self._stop()

    def on_epoch_end(self, epoch, logs=None):
        if not self.model.stop_training and self.devices.any(
            self.stop.is_set()
        ) == [True]:
            self._stop()

    def _stop(self):
        raise TrainingStopped(
            "Stopped as asked, and saved after batch "
            f"{int(self.position.batch)} of epoch "
            f"{int(self.position.epoch) + 1}; go on with --resume"
        )


def check_finite(model: keras.Model, loss: float, epoch: int) -> None:
    """Refuses to go on with, and to save, what is no number.

    Raises:
        TrainingError: the loss or a weight is not.
    """
    sums = [tf.reduce_sum(tf.abs(v.value)) for v in model.trainable_variables]
    if not math.isfinite(loss):
        what = f"loss must be a number. Received: loss={loss}"
    elif not math.isfinite(float(tf.add_n(sums))):
        what = "weights must be numbers. Received: others"
    else:
        return
    raise TrainingError(
        f"The {what} in epoch {epoch + 1}; what was saved before it is whole"
    )

"""What TensorBoard shows of a run beside Keras' own scalars of each epoch.

Each callback writes into a folder of its own, which TensorBoard takes for a
run: it may miss what goes into an older event file of a folder with two. The
folder `.` holds the configuration, for the HParams tab; `train` and
`validation` are Keras' own.
"""

import pathlib
import time
from typing import Any

import keras
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api as hparams

from jump_tf.config.run import Config

EVERY_STEPS = 50


def common_callbacks(
    folder: pathlib.Path | None,
    config: Config,
    profile: tuple[int, int] | None,
    speed: str = "clicks_per_second",
) -> list[keras.callbacks.Callback]:
    """Writes what TensorBoard shows of every model.

    That is the configuration, scalars of steps and of epochs, and the profile.

    Args:
        folder: of the event files; None where another worker writes, whom this
            one only helps to sum up the metrics.
        config: of the run.
        profile: the first and last batch to profile, counted from 1.
        speed: what to call the clicks, or items, per second.
    """
    if folder is None:
        return [StepScalars(None)]
    return [
        hparams.KerasCallback(str(folder), flat(config), _trial(folder)),
        StepScalars(folder / "steps", speed=speed),
        # Its own scalars of steps would cost those of most epochs.
        keras.callbacks.TensorBoard(
            folder, update_freq="epoch", profile_batch=profile or 0
        ),
    ]


def flat(config: Config) -> dict[str, Any]:
    """A configuration as the HParams tab takes it: `section.name` to value."""
    return {
        name: "none" if value is None else value
        for name, value in config.flat().items()
    }


class StepScalars(keras.callbacks.Callback):
    """Writes losses, learning rate and speed every few steps.

    A loss is the mean since the point before, not since the epoch began. A
    step is one of the optimizer's, which a checkpoint keeps; what a run wrote
    after the checkpoint from which it resumes is removed.

    Args:
        folder: of the event files; None writes none.
        every: steps between two points; the last of an epoch has one too.
        speed: what to call the clicks, or items, per second.
    """

    def __init__(
        self,
        folder: pathlib.Path | None,
        every: int = EVERY_STEPS,
        speed: str = "clicks_per_second",
    ):
        super().__init__()
        self.folder = folder
        self.every = every
        self.speed = speed
        self.writer: Any = None
        self.step = 0
        self.since = 0.0
        self.before: dict[str, tuple[float, float]] = {}

    def on_train_begin(self, logs=None):
        self.step = int(_number(self.model.optimizer.iterations))
        if self.folder is None:
            self.writer = tf.summary.create_noop_writer()
            return
        _forget_after(self.step, self.folder)
        self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_epoch_begin(self, epoch, logs=None):
        self.before = {}
        self.since = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % self.every and batch + 1 != self.params["steps"]:
            return
        with self.writer.as_default(step=self.step):
            self._write(time.monotonic(), self._sums())
        self.writer.flush()

    def on_train_end(self, logs=None):
        self.writer.close()

    def _write(self, now, sums):
        for name, (total, count) in sums.items():
            total_before, count_before = self.before.get(name, (0.0, 0.0))
            total, count = total - total_before, count - count_before
            if count:
                tf.summary.scalar(name, total / count)
            if name == "click_loss":
                tf.summary.scalar(self.speed, count / (now - self.since))
        rate = _number(self.model.optimizer.learning_rate)
        tf.summary.scalar("learning_rate", rate)
        self.before, self.since = sums, now

    def _sums(self):
        """What the means of the epoch so far are made of."""
        return {
            metric.name: (_number(metric.total), _number(metric.count))
            for metric in self.model.metrics
            if isinstance(metric, keras.metrics.Mean)
        }


def _forget_after(step: int, folder: pathlib.Path) -> None:
    """Removes events of later steps, which not every reader would pass over."""
    for path in folder.glob("events.out.tfevents.*"):
        beside = path.with_name(f"writing-{path.name}")
        # A killed process may have left half a record at the end.
        events = tf.data.TFRecordDataset(str(path)).ignore_errors()
        with tf.io.TFRecordWriter(str(beside)) as out:
            for event in events.as_numpy_iterator():
                if event_pb2.Event.FromString(event).step <= step:
                    out.write(event)
        beside.replace(path)


def _number(variable) -> float:
    """Its value; a variable of several replicas is no number by itself."""
    return float(keras.ops.convert_to_numpy(variable))


def _trial(folder: pathlib.Path) -> str:
    """The name of the run, by which the HParams tab lists it."""
    return folder.resolve().parent.name

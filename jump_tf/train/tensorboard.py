"""What TensorBoard shows of a run beside Keras' own scalars of each epoch.

Each callback writes into a folder of its own, which TensorBoard takes for a
run: it may miss what goes into an older event file of a folder with two. The
folder `.` holds the configuration, for the HParams tab; `train` and
`validation` are Keras' own.
"""

import logging
import pathlib
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api as hparams

from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.evaluate.sessions import attention_examples
from jump_tf.evaluate.sessions import dwell_details
from jump_tf.evaluate.sessions import figures as session_figures
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import projector
from jump_tf.evaluate.sessions import slices as session_slices

EVERY_STEPS = 50
_LOGGER = logging.getLogger(__name__)


def callbacks(
    folder: pathlib.Path | None,
    config: Config,
    names: Sequence[str],
    validation: Any,
    is_best: Callable[[], bool],
    profile: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """All that writes for TensorBoard, to be called after each validation.

    Args:
        folder: of the event files; None where another worker writes, whom this
            one only helps to sum up the metrics.
        config: of the run.
        names: raw ids of the model's items, in the order of ids.
        validation: an `list_evaluation.Validation`.
        is_best: whether the epoch that just ended is the best so far.
        profile: the first and last batch to profile, counted from 1.
    """
    common = common_callbacks(folder, config, profile)
    if folder is None:
        return common
    return [
        *common,
        SliceScalars(folder / "slices", validation),
        ImageSummaries(folder / "images", validation),
        ItemVectors(folder / "projector", names, validation.data, is_best),
    ]


def common_callbacks(
    folder: pathlib.Path | None,
    config: Config,
    profile: tuple[int, int] | None,
    speed: str = "clicks_per_second",
) -> list[keras.callbacks.Callback]:
    """What every kind of model has: configuration, steps, epochs, profile."""
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


class _EpochSummaries(keras.callbacks.Callback):
    """Writes to a folder of its own, one step an epoch."""

    def __init__(self, folder: pathlib.Path, validation):
        super().__init__()
        self.folder = folder
        self.validation = validation
        self.writer = None

    def on_train_begin(self, logs=None):
        self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_epoch_end(self, epoch, logs=None):
        if self.writer is None:
            return
        with self.writer.as_default(step=epoch):
            self.write()
        self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()

    def details(self):
        """Calibration of the dwells of the last validation."""
        manifest = folders.read_manifest(self.validation.data)
        return dwell_details.dwell_details(
            self.validation.clicks,
            self.validation.answers.law,
            manifest["max_dwell_seconds"],
        )


class SliceScalars(_EpochSummaries):
    """Writes recall by session length and the calibration error.

    Args:
        folder: of the event files.
        validation: an `list_evaluation.Validation`, which has been asked before
            this is called.
    """

    def write(self):
        clicks, answers = self.validation.clicks, self.validation.answers
        recall = session_metrics.click_measures(clicks, answers.rank)[
            "recall_at_20"
        ]
        for label, part in session_slices.session_length_masks(clicks).items():
            mine = recall.within(part)
            if mine.counted.any():
                tag = f"recall_at_20_by_session_length/{label}"
                tf.summary.scalar(tag, mine.mean())
        details = self.details()
        tf.summary.scalar(
            "dwell_calibration_error", details["dwell_calibration_error"]
        )


class ImageSummaries(_EpochSummaries):
    """Draws dwell calibration and attention on validation after each epoch.

    No attention where the model has none.

    Needs the `report` extra; without it, says so once and draws nothing.

    Args:
        folder: of the event files.
        validation: an `list_evaluation.Validation`, which has been asked before
            this is called.
    """

    def on_train_begin(self, logs=None):
        if session_figures.available():
            super().on_train_begin(logs)
            return
        _LOGGER.warning(
            "TensorBoard will show no images: matplotlib is missing "
            "(pip install 'jump-tf[report]')"
        )

    def write(self):
        examples = attention_examples.attention_examples(
            self.validation.model, self.validation.data, schema.VALIDATION
        )
        calibration = self.details()["dwell_calibration"]
        images = {
            "dwell_calibration": session_figures.dwell_calibration(calibration)
        }
        if examples:
            images["attention"] = session_figures.attention(examples)
        for name, png in images.items():
            pixels = tf.io.decode_png(png, channels=3)[tf.newaxis]
            tf.summary.image(name, pixels)


class ItemVectors(keras.callbacks.Callback):
    """Shows the item vectors of the best epoch in the projector.

    Args:
        folder: for the projector.
        names: raw ids of the model's items, in the order of ids.
        data: the data folder, for the clicks of each item.
        is_best: whether the epoch that just ended is the best so far.
    """

    def __init__(self, folder, names, data, is_best):
        super().__init__()
        self.folder = folder
        self.names = names
        self.data = data
        self.is_best = is_best

    def on_train_begin(self, logs=None):
        counts = session_batches.item_counts(self.data, len(self.names))
        self.clicks = counts[schema.FIRST_ITEM_ID :]

    def on_epoch_end(self, epoch, logs=None):
        if self.is_best():
            vectors = keras.ops.convert_to_numpy(self.model.item_vectors())
            vectors = vectors[schema.FIRST_ITEM_ID :]
            projector.write(self.folder, vectors, self.names, self.clicks)


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

"""What TensorBoard shows of a training on sessions after each validation.

Each callback writes into a folder of its own, which TensorBoard takes for a
run: it may miss what goes into an older event file of a folder with two.
"""

import logging
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.evaluate.sessions import evaluation
from jump_tf.evaluate.sessions import figures
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import slices
from jump_tf.reporting import figures as reporting_figures
from jump_tf.reporting import files

MOST_ITEMS = 10_000  # What a browser still turns and projects.
VECTORS_FILE = "items.tsv"
METADATA_FILE = "metadata.tsv"
PROJECTOR_NAME = "items"
_LOGGER = logging.getLogger(__name__)


def callbacks(
    folder: pathlib.Path,
    names: Sequence[str],
    validation: Any,
    is_best: Callable[[], bool],
) -> list[keras.callbacks.Callback]:
    """Returns what is to be called after each validation.

    Args:
        folder: of the event files.
        names: raw ids of the model's items, in the order of ids.
        validation: an `evaluation.Validation`.
        is_best: whether the epoch that just ended is the best so far.
    """
    return [
        SliceScalars(folder / "slices", validation),
        ImageSummaries(folder / "images", validation),
        ItemVectors(folder / "projector", names, validation.data, is_best),
    ]


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
        return metrics.dwell_details(
            self.validation.clicks,
            self.validation.answers.dwell,
            manifest["max_dwell_seconds"],
        )


class SliceScalars(_EpochSummaries):
    """Writes recall by session length and the calibration error.

    Args:
        folder: of the event files.
        validation: an `evaluation.Validation`, which has been asked before
            this is called.
    """

    def write(self):
        clicks, answers = self.validation.clicks, self.validation.answers
        recall = metrics.click_measures(clicks, answers.rank)["recall_at_20"]
        for label, part in slices.session_length_masks(clicks).items():
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
        validation: an `evaluation.Validation`, which has been asked before
            this is called.
    """

    def on_train_begin(self, logs=None):
        if reporting_figures.available():
            super().on_train_begin(logs)
            return
        _LOGGER.warning(
            "TensorBoard will show no images: matplotlib is missing "
            "(pip install 'jump-tf[report]')"
        )

    def write(self):
        examples = evaluation.attention_examples(
            self.validation.model, self.validation.data, schema.VALIDATION
        )
        calibration = self.details()["dwell_calibration"]
        images = {"dwell_calibration": figures.dwell_calibration(calibration)}
        if examples:
            images["attention"] = figures.attention(examples)
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
            write_vectors(self.folder, vectors, self.names, self.clicks)


def write_vectors(
    folder: pathlib.Path,
    vectors: np.ndarray,
    names: Sequence[str],
    clicks: np.ndarray,
) -> None:
    """Writes the most popular items as a run that the projector shows.

    The projector reads none of Keras' own files, and looks only into folders
    with an event file.

    Args:
        folder: of this run alone.
        vectors: `[N, d]`, a row for each item.
        names: `[N]` raw ids.
        clicks: `[N]` clicks in training.
    """
    top = np.argsort(-clicks, kind="stable")[:MOST_ITEMS]
    with files.whole(folder / VECTORS_FILE) as out:
        for item in top:
            values = "\t".join(f"{value:.5g}" for value in vectors[item])
            out.write(f"{values}\n")
    with files.whole(folder / METADATA_FILE) as out:
        out.write("item\tclicks\n")
        for item in top:
            out.write(f"{_cell(names[item])}\t{clicks[item]}\n")
    config = projector.ProjectorConfig()
    config.embeddings.add(
        tensor_name=PROJECTOR_NAME,
        tensor_path=VECTORS_FILE,
        metadata_path=METADATA_FILE,
    )
    projector.visualize_embeddings(str(folder), config)
    if not any(folder.glob("events.*")):
        tf.summary.create_file_writer(str(folder)).close()


def _cell(name: str) -> str:
    return " ".join(name.split()) or "?"

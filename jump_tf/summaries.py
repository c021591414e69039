"""Images for TensorBoard: what scalars cannot show."""

import logging
import pathlib

import keras
import tensorflow as tf

from jump_tf import input_pipeline
from jump_tf import plots
from jump_tf import predictions
from jump_tf import schema
from jump_tf import scorecard

_LOGGER = logging.getLogger(__name__)


class ImageSummaries(keras.callbacks.Callback):
    """Draws dwell calibration and attention on validation after each epoch.

    No attention where the model has none.

    Needs the `report` extra; without it, says so once and draws nothing.

    Args:
        folder: of the event files.
        validation: an `evaluation.Validation`, which has been asked before
            this is called.
    """

    def __init__(self, folder: pathlib.Path, validation):
        super().__init__()
        self.folder = folder
        self.validation = validation
        self.writer = None

    def on_train_begin(self, logs=None):
        if not plots.available():
            _LOGGER.warning(
                "TensorBoard will show no images: matplotlib is missing "
                "(pip install 'jump-tf[report]')"
            )
            return
        self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_epoch_end(self, epoch, logs=None):
        if self.writer is None:
            return
        images = {
            "dwell_calibration": plots.dwell_calibration(self._calibration())
        }
        examples = predictions.attention_examples(
            self.validation.model, self.validation.data, schema.VALIDATION
        )
        if examples:
            images["attention"] = plots.attention(examples)
        with self.writer.as_default():
            for name, png in images.items():
                pixels = tf.io.decode_png(png, channels=3)[tf.newaxis]
                tf.summary.image(name, pixels, step=epoch)
        self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()

    def _calibration(self):
        manifest = input_pipeline.read_manifest(self.validation.data)
        return scorecard.dwell_details(
            self.validation.clicks,
            self.validation.answers.law,
            manifest["max_dwell_seconds"],
        )["dwell_calibration"]

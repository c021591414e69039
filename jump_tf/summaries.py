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

    Needs the `report` extra; without it, says so once and draws nothing.

    Args:
        folder: of the event files.
        model: the session model in training.
        data: its data folder.
    """

    def __init__(self, folder: pathlib.Path, model, data: pathlib.Path):
        super().__init__()
        self.folder = folder
        self.session_model = model
        self.data = data
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
            "dwell_calibration": plots.dwell_calibration(self._calibration()),
            "attention": plots.attention(
                predictions.attention_examples(
                    self.session_model, self.data, schema.VALIDATION
                )
            ),
        }
        with self.writer.as_default():
            for name, png in images.items():
                pixels = tf.io.decode_png(png, channels=3)[tf.newaxis]
                tf.summary.image(name, pixels, step=epoch)
        self.writer.flush()

    def on_train_end(self, logs=None):
        if self.writer is not None:
            self.writer.close()

    def _calibration(self):
        batches = input_pipeline.evaluation_batches(
            self.data, schema.VALIDATION
        )
        clicks, answers = predictions.predictor(self.session_model)(batches)
        upper = input_pipeline.read_manifest(self.data)["max_dwell_seconds"]
        return scorecard.dwell_details(clicks, answers.law, upper)[
            "dwell_calibration"
        ]

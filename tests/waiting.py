"""Fits a model, and prints how long each epoch waits for its first batch.

    python -m tests.waiting DATA EPOCHS

A line an epoch: seconds of its first step, and of all others together.
"""

import pathlib
import sys
import time

import keras
import tensorflow as tf

from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.train import optimizer

_SETTINGS = (
    "model.units=4",
    "training.batch_sessions=1",
    "training.batch_clicks=16",
)


class _Clock(keras.callbacks.Callback):
    """Prints how long each epoch took to its first step, and after it."""

    def on_epoch_begin(self, epoch, logs=None):
        self.begun, self.first = time.monotonic(), None

    def on_train_batch_end(self, batch, logs=None):
        self.ended = time.monotonic()
        if self.first is None:
            self.first = self.ended

    def on_epoch_end(self, epoch, logs=None):
        print(self.first - self.begun, self.ended - self.first, flush=True)


if __name__ == "__main__":
    data, epochs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    config = tasks.with_data(
        configs.preset("gru4rec").override(_SETTINGS), data
    )
    model = tasks.build_model(config, data)
    optimizer.compile_model(model, config.training)
    batches = tasks.task_of(config).batches(
        model, data, config.training, tf.Variable(0, dtype=tf.int64)
    )
    model.fit(
        batches, epochs=epochs, shuffle=None, verbose=0, callbacks=[_Clock()]
    )

"""Embeds a click as the sum of an item row and a dwell row."""

import math

import keras
from keras import ops

from jump_tf.config.model_config import ROW_SPACINGS
from jump_tf.layers.configured_layer import ConfiguredLayer

LOG_ROWS_PER_E = 8  # Rows per factor e of dwell when spaced by the log.


def dwell_row(dwell_seconds, max_dwell_seconds, spacing):
    """Index of the dwell row of a click; row 0 is an unknown dwell.

    Args:
        dwell_seconds: any shape; negative or NaN where unknown. Dwells beyond
            `max_dwell_seconds` share its row.
        max_dwell_seconds: c1.
        spacing: "seconds": a row for each whole second, as printed; "log":
            rows evenly spaced in log(1 + seconds).

    Returns:
        int32, the shape of `dwell_seconds`, below `num_dwell_rows`.
    """
    known = dwell_seconds >= 0.0
    seconds = ops.minimum(
        ops.where(known, dwell_seconds, 0.0), max_dwell_seconds
    )
    if spacing == "log":
        seconds = LOG_ROWS_PER_E * ops.log1p(seconds)
    return ops.where(known, ops.cast(ops.floor(seconds), "int32") + 1, 0)


def num_dwell_rows(max_dwell_seconds, spacing):
    """How many rows `dwell_row` can name."""
    if spacing == "log":
        return math.floor(LOG_ROWS_PER_E * math.log1p(max_dwell_seconds)) + 2
    return math.floor(max_dwell_seconds) + 2


@keras.saving.register_keras_serializable(package="jump_tf")
class ClickEmbedding(ConfiguredLayer):
    """`x_j = BatchNorm(V[i_j] + T[row(tau_j)])`  (JUMP, IJCAI 2018, eq. 16).

    Args:
        units: size d.
        max_dwell_seconds: c1.
        row_spacing: how dwells share rows of T, see `dwell_row`.

    Call arguments:
        item_vectors: `[B, T, d]`, rows of the item table, which the click
            head owns too.
        dwell_seconds: `[B, T]`; negative or NaN where unknown.
        real: `[B, T]` bool, False on padding.

    Returns:
        `[B, T, d]`.

    Masking: `real` keeps padding out of the batch statistics.
    """

    def __init__(
        self, units, max_dwell_seconds, row_spacing="seconds", **kwargs
    ):
        super().__init__(**kwargs)
        if row_spacing not in ROW_SPACINGS:
            raise ValueError(
                f"`row_spacing` must be one of {ROW_SPACINGS}. "
                f"Received: row_spacing={row_spacing}"
            )
        self.units = units
        self.max_dwell_seconds = max_dwell_seconds
        self.row_spacing = row_spacing
        self.dwell_rows = keras.layers.Embedding(
            num_dwell_rows(max_dwell_seconds, row_spacing), units, name="dwell"
        )
        self.normalization = keras.layers.BatchNormalization(
            name="normalization"
        )

    def build(self, item_vectors_shape):
        self.dwell_rows.build()
        self.normalization.build((None, None, self.units))

    def call(self, item_vectors, dwell_seconds, real, training=None):
        row = dwell_row(dwell_seconds, self.max_dwell_seconds, self.row_spacing)
        clicks = self.normalization(
            item_vectors + self.dwell_rows(row), training=training, mask=real
        )
        # Also ends Keras' implicit mask here: padding is the weights' matter.
        return ops.where(real[..., None], clicks, 0.0)

"""Embeds a click as the sum of an item row and a dwell row."""

import math

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.model_config import ROW_SPACINGS

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


def elapsed_weights(dwell_seconds, max_dwell_seconds):
    """How much of each row of E a dwell reads that is at least so long.

    Row k stands for log(1 + e) = k, from 1; between two of them e reads a part
    of both. Few rows that share what they learn, as e tells little.

    Args:
        dwell_seconds: any shape, as `schema.at_least` writes them; NaN where
            unknown. More than `max_dwell_seconds` count as that.
        max_dwell_seconds: c1.

    Returns:
        `[..., num_elapsed_rows]`; zeros for known dwells, and for e = 0.
    """
    elapsed = schema.at_least(dwell_seconds)  # It is its own inverse.
    elapsed = ops.where(elapsed > 0.0, elapsed, 0.0)
    place = ops.log1p(ops.minimum(elapsed, max_dwell_seconds))[..., None]
    row = ops.arange(
        1, num_elapsed_rows(max_dwell_seconds) + 1, dtype="float32"
    )
    return ops.maximum(1.0 - ops.abs(place - row), 0.0)


def num_elapsed_rows(max_dwell_seconds):
    """How many rows `elapsed_weights` are of."""
    return math.ceil(math.log1p(max_dwell_seconds))


@keras.saving.register_keras_serializable(package="jump_tf")
class ClickEmbedding(keras.layers.Layer):
    """`x_j = BatchNorm(V[i_j] + T[row(tau_j)])`  (JUMP, IJCAI 2018, eq. 16).

    A dwell that is only known to be at least e reads `T[unknown] + E(e)`, see
    `elapsed_weights`; E starts at zero: seconds tell nothing but what was
    learned of them.

    Args:
        units: size d.
        max_dwell_seconds: c1.
        row_spacing: how dwells share rows of T, see `dwell_row`.
        learns_elapsed: whether there is E; otherwise a dwell that is at least
            so long is just unknown.

    Call arguments:
        item_vectors: `[B, T, d]`, rows of the item table, which the click
            head owns too.
        dwell_seconds: `[B, T]`; negative or NaN where unknown, see
            `schema.at_least`.
        real: `[B, T]` bool, False on padding.

    Returns:
        `[B, T, d]`.

    Masking: `real` keeps padding out of the batch statistics.
    """

    def __init__(
        self,
        units,
        max_dwell_seconds,
        row_spacing="seconds",
        learns_elapsed=False,
        **kwargs,
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
        self.learns_elapsed = learns_elapsed
        self.dwell_rows = keras.layers.Embedding(
            num_dwell_rows(max_dwell_seconds, row_spacing), units, name="dwell"
        )
        self.normalization = keras.layers.BatchNormalization(
            name="normalization"
        )

    def build(self, item_vectors_shape):
        self.dwell_rows.build()
        if self.learns_elapsed:
            self.elapsed = self.add_weight(
                name="elapsed",
                shape=(num_elapsed_rows(self.max_dwell_seconds), self.units),
                initializer="zeros",
            )
        self.normalization.build((None, None, self.units))

    def call(self, item_vectors, dwell_seconds, real, training=None):
        clicks = self.normalization(
            item_vectors + self._rows(dwell_seconds),
            training=training,
            mask=real,
        )
        # Also ends Keras' implicit mask here: padding is the weights' matter.
        return ops.where(real[..., None], clicks, 0.0)

    def _rows(self, dwell_seconds):
        row = dwell_row(dwell_seconds, self.max_dwell_seconds, self.row_spacing)
        rows = self.dwell_rows(row)
        if not self.learns_elapsed:
            return rows
        weights = elapsed_weights(dwell_seconds, self.max_dwell_seconds)
        return rows + ops.matmul(weights, self.elapsed)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "max_dwell_seconds": self.max_dwell_seconds,
            "row_spacing": self.row_spacing,
            "learns_elapsed": self.learns_elapsed,
        }

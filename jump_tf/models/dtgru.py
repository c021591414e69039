"""DTGRU: a gated recurrent unit with the dwell of each click as input."""

import math

import keras
from keras import ops

from jump_tf.config.model_config import DTGRUConfig
from jump_tf.layers.click_embedding import dwell_row
from jump_tf.layers.click_embedding import num_dwell_rows
from jump_tf.models.pointing_model import PointingModel

SPACING = "log"


@keras.saving.register_keras_serializable(package="jump_tf")
class DTGRU(PointingModel):
    """A GRU over the clicked items and their dwells.

        x_k = [e(i_k); t(b(tau_k))]
        h_k = GRU(h_{k-1}, x_k)

    b is a bucket, of those evenly spaced in log(1 + seconds) or the one of
    unknown dwells. The dwell is read, not forecast. What is published of the
    input is that the dwell widens it; buckets and the other choices of
    `dwell_join` are ours.

    `dtype` is the policy of the GRU alone. Options are the fields of
    `DTGRUConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Dallmann et al., 2017 (arXiv 1706.10231).
    """

    config: DTGRUConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        if config.dwell_join != "scalar":
            self.dwell_rows = keras.layers.Embedding(
                num_dwell_rows(config.max_dwell_seconds, SPACING),
                config.units,
                name="dwell_rows",
            )
        self.gru = self.make_gru()

    def build(self, input_shape=None):
        units = self.config.units
        if self.config.dwell_join != "scalar":
            self.dwell_rows.build()
        more = {"concat": units, "sum": 0, "scalar": 2}
        self.gru.build((None, None, units + more[self.config.dwell_join]))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        clicks = self._joined(rows, dwell_seconds)
        clicks = self.click_dropout(clicks, training=training)
        return self.summarized(
            items, dwell_seconds, rows, rows, self.gru(clicks), training
        )

    def _joined(self, rows, dwell_seconds):
        longest = self.config.max_dwell_seconds
        if self.config.dwell_join == "scalar":
            scalars = _scalars(dwell_seconds, longest)
            return ops.concatenate([rows, scalars], axis=-1)
        dwell = self.dwell_rows(dwell_row(dwell_seconds, longest, SPACING))
        if self.config.dwell_join == "sum":
            return rows + dwell
        return ops.concatenate([rows, dwell], axis=-1)


def _scalars(dwell_seconds, max_dwell_seconds):
    """`[B, T, 2]`: log(1 + tau), 1 for the longest; whether tau is known."""
    known = dwell_seconds >= 0.0
    seconds = ops.where(known, dwell_seconds, 0.0)
    log_dwell = ops.log1p(ops.minimum(seconds, max_dwell_seconds))
    return ops.stack(
        [
            log_dwell / math.log1p(max_dwell_seconds),
            ops.cast(known, log_dwell.dtype),
        ],
        axis=-1,
    )

"""GRU4Rec: a gated recurrent unit along the session."""

import keras

from jump_tf.config.model_config import GRU4RecConfig
from jump_tf.models.pointing_model import PointingModel


@keras.saving.register_keras_serializable(package="jump_tf")
class GRU4Rec(PointingModel):
    """A GRU over the rows of the clicked items.

        r, z = sigmoid(W x + U h);  g = tanh(W x + U (r * h))
        h'   = (1 - z) * h + z * g

    As in its authors' later work the item table is both read and scored, and
    the loss is a choice of `GRU4RecConfig`: sampled softmax with shared
    negatives, BPR-max and others. Unlike theirs, it learns from whole sessions,
    with gradients through all their clicks. It sees no dwell.

    `dtype` is the policy of the GRU alone. Options are the fields of
    `GRU4RecConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Hidasi et al., ICLR 2016 (arXiv 1511.06939); Hidasi &
    Karatzoglou, CIKM 2018 (arXiv 1706.03847).
    """

    config: GRU4RecConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        self.gru = self.make_gru()

    def build(self, input_shape=None):
        self.gru.build((None, None, self.config.units))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        clicks = self.click_dropout(rows, training=training)
        return self.summarized(
            items, dwell_seconds, rows, clicks, self.gru(clicks), training
        )

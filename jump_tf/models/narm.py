"""NARM: a gated recurrent unit whose states the last one attends to."""

import keras
from keras import ops

from jump_tf.config.model_config import NARMConfig
from jump_tf.layers.additive_attention import AdditiveAttention
from jump_tf.models.pointing_model import PointingModel


@keras.saving.register_keras_serializable(package="jump_tf")
class NARM(PointingModel):
    """A session's last state and its attended states under one decoder.

        h_k = GRU(h_{k-1}, e(i_k))
        c_k = [sum_{j <= k} a_kj h_j; h_k]          (`AdditiveAttention`)
        score of item i = e(i) . B c_k

    It learns from every prefix of a session at once, each attended to
    causally. In place of its authors' hard sigmoids, whose slope is another
    one in Keras than in Theano, it has the sigmoids of the paper; and it reads
    the whole session, where their loader keeps the first 19 clicks. It sees no
    dwell.

    `dtype` is the policy of GRU, attention and decoder alone. Options are the
    fields of `NARMConfig`. Arguments, returns and masking: see `SessionModel`.

    Reference: Li et al., CIKM 2017 (arXiv 1711.04725).
    """

    config: NARMConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.feature_dropout.rate = 0.0  # The decoder has its own.
        self.decoder_dropout = keras.layers.Dropout(config.decoder_dropout)
        self.gru = self.make_gru()
        self.attention = AdditiveAttention(
            config.units, name="attention", dtype=self.dtype_policy
        )
        self.decoder = keras.layers.Dense(
            config.units,
            use_bias=False,
            name="decoder",
            dtype=self.dtype_policy,
        )

    def build(self, input_shape=None):
        units = self.config.units
        self.gru.build((None, None, units))
        self.attention.build((None, None, units))
        self.decoder.build((None, None, 2 * units))
        super().build(input_shape)

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        states = self._states(rows, training)
        context = ops.concatenate([self.attention(states), states], axis=-1)
        context = self.decoder_dropout(context, training=training)
        return self.summarized(
            items, dwell_seconds, rows, rows, self.decoder(context), training
        )

    def _states(self, rows, training=False):
        """`[B, T, d]` states of the GRU."""
        return self.gru(self.click_dropout(rows, training=training))

    def attention_weights(self, items, dwell_seconds, real):
        return self.attention.attention_weights(self._states(self.rows(items)))

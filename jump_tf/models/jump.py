"""JUMP: a joint predictor for user click and dwell time (IJCAI 2018)."""

import keras

from jump_tf.config.model_config import JumpConfig
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.layers.session_attention import attention_weights
from jump_tf.models.pointing_model import PointingModel


@keras.saving.register_keras_serializable(package="jump_tf")
class JUMP(PointingModel):
    """Embedding, fast-slow layer and attention under two heads.

        x_j = BatchNorm(V[i_j] + T[row(tau_j)])                        (16)
        h_j = FastSlow(h_{j-1}, x_j, ceil(tau_j / z) steps)        (14, 15)
        v_k = sum_{i <= k} a(i, k) h_i                             (12, 13)
        P(next click) = softmax(V v_k)                                  (9)
        log tau ~ Normal(mu(v_k, item), sigma)                     (6, 11)

    The defaults are the paper's; what differs in the `production` preset is
    an option each. With `residual`, v_k has one more term, h_k. For
    `click_residual` and `pointer_clicks` see `PointingModel`.

    `dtype` is the policy of the encoder and the attention; all else, the item
    table and the heads above all, is float32. Options are the fields of
    `JumpConfig`. Arguments, returns and masking: see `SessionModel`.
    """

    config: JumpConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.click_embedding = ClickEmbedding(
            config.units,
            config.max_dwell_seconds,
            config.row_spacing,
            name="click_embedding",
        )
        if config.fast_slow:
            self.fast_slow = FastSlow(
                config.units,
                config.micro_step_seconds,
                config.max_dwell_seconds,
                config.use_bias,
                config.tie_inputs,
                config.multiplicative,
                name="fast_slow",
                dtype=self.dtype_policy,
            )
        else:
            self.gru = self.make_gru()
        self.attention = SessionAttention(
            config.residual, name="attention", dtype=self.dtype_policy
        )

    def build(self, input_shape=None):
        clicks = (None, None, self.config.units)
        self.click_embedding.build(clicks)
        if self.config.fast_slow:
            self.fast_slow.build(clicks, clicks[:-1])
        else:
            self.gru.build(clicks)
        super().build(input_shape)

    @property
    def step_seconds(self):
        if not self.config.fast_slow:
            return super().step_seconds
        return self.config.micro_step_seconds

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        clicks = self._clicks(rows, dwell_seconds, real, training)
        states = self._states(clicks, dwell_seconds, real, training)[0]
        if self.config.attention:
            states = self.attention(states)
        return self.summarized(
            items, dwell_seconds, rows, clicks, states, training
        )

    def attention_weights(self, items, dwell_seconds, real):
        if not self.config.attention:
            return None
        dwell_seconds = self.seen(dwell_seconds)
        return attention_weights(self.states(items, dwell_seconds, real))

    def states(self, items, dwell_seconds, real, training=False):
        """`[B, T, d]` outputs of the encoder."""
        return self.trajectory(items, dwell_seconds, real, training)[0]

    def trajectory(self, items, dwell_seconds, real, training=False):
        """The encoder's states after each click, `[B, T, d]` each.

        Its output first, then what else it remembers.
        """
        rows = self.rows(items)
        clicks = self._clicks(rows, dwell_seconds, real, training)
        return self._states(clicks, dwell_seconds, real, training)

    def _clicks(self, rows, dwell_seconds, real, training):
        """`[B, T, d]` embedded clicks."""
        clicks = self.click_embedding(
            rows, dwell_seconds, real, training=training
        )
        return self.click_dropout(clicks, training=training)

    def _states(self, clicks, dwell_seconds, real, training):
        """The encoder's states after each click, `[B, T, d]` each."""
        if not self.config.fast_slow:
            return (self.gru(clicks),)
        return self.fast_slow(
            clicks,
            dwell_seconds,
            real,
            fixed_shapes=self.fixed_shapes,
            training=training,
        )

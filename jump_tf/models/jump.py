"""JUMP: a joint predictor for user click and dwell time (IJCAI 2018)."""

import keras
from keras import ops

from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.layers.session_attention import attention_weights
from jump_tf.model_config import JumpConfig
from jump_tf.models.joint_model import JointModel


@keras.saving.register_keras_serializable(package="jump_tf")
class JUMP(JointModel):
    """Embedding, fast-slow layer and attention under two heads.

        x_j = BatchNorm(V[i_j] + T[row(tau_j)])                        (16)
        h_j = FastSlow(h_{j-1}, x_j, ceil(tau_j / z) steps)        (14, 15)
        v_k = sum_{i <= k} a(i, k) h_i                             (12, 13)
        P(next click) = softmax(V v_k)                                  (9)
        log tau ~ Normal(mu(v_k, item), sigma)                     (6, 11)

    The defaults are the paper's; what differs in the `production` preset is
    an option each. With `residual` and `click_residual`, v_k has two more
    terms: h_k, and c * V[i_k] with a learned vector c.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        name: of the model.
        trainable: whether `fit` may change the weights.
        dtype: Keras dtype policy of the fast-slow layer and the attention;
            all else, the item table and the heads above all, is float32.
        **options: fields of `JumpConfig`.

    Call arguments, returns and masking: see `SessionModel`.
    """

    config: JumpConfig

    def __init__(
        self,
        vocabulary_size,
        *,
        name="jump",
        trainable=True,
        dtype=None,
        **options,
    ):
        config = JumpConfig(**options)
        super().__init__(
            vocabulary_size, config, name=name, trainable=trainable, dtype=dtype
        )
        self.click_embedding = ClickEmbedding(
            config.units,
            config.max_dwell_seconds,
            config.row_spacing,
            name="click_embedding",
        )
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
        self.attention = SessionAttention(
            config.residual, name="attention", dtype=self.dtype_policy
        )

    def build(self, input_shape=None):
        clicks = (None, None, self.config.units)
        self.click_embedding.build(clicks)
        self.fast_slow.build(clicks, clicks[:-1])
        if self.config.click_residual:
            self.click_weight = self.add_weight(
                name="click_weight",
                shape=(self.config.units,),
                initializer="ones",
                autocast=False,
            )
        super().build(input_shape)

    @property
    def step_seconds(self):
        return self.config.micro_step_seconds

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        states = self._states(rows, dwell_seconds, real, training)
        if self.config.attention:
            states = self.attention(states)
        features = ops.cast(states, "float32")
        if not self.config.click_residual:
            return features
        rows = self.click_dropout(rows, training=training)
        return features + self.click_weight * rows

    def attention_weights(self, items, dwell_seconds, real):
        if not self.config.attention:
            return None
        dwell_seconds = self.seen(dwell_seconds)
        return attention_weights(self.states(items, dwell_seconds, real))

    def states(self, items, dwell_seconds, real, training=False):
        """`[B, T, d]` outputs of the fast-slow layer."""
        return self._states(self.rows(items), dwell_seconds, real, training)

    def _states(self, rows, dwell_seconds, real, training):
        clicks = self.click_embedding(
            rows, dwell_seconds, real, training=training
        )
        clicks = self.click_dropout(clicks, training=training)
        return self.fast_slow(
            clicks, dwell_seconds, real, fixed_shapes=self.fixed_shapes
        )

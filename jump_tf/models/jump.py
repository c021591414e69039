"""JUMP: a joint predictor for user click and dwell time (IJCAI 2018)."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.model_config import JumpConfig
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.layers.session_attention import attention_weights
from jump_tf.layers.session_pointer import LARGEST_VOCABULARY
from jump_tf.layers.session_pointer import Pointers
from jump_tf.layers.session_pointer import SessionPointer
from jump_tf.layers.session_pointer import pointed_cross_entropy
from jump_tf.layers.session_pointer import pointed_scores
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
    terms: h_k, and c * V[i_k] with a learned vector c. With `pointer_clicks`
    the next click may also be pointed at among the last ones, see
    `SessionPointer`.

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
        if config.pointer_clicks:
            if vocabulary_size > LARGEST_VOCABULARY:
                raise schema.InputError(
                    "`pointer_clicks` must be 0 for a catalogue of more than "
                    f"{LARGEST_VOCABULARY} ids. Received: {vocabulary_size}"
                )
            self.pointer = SessionPointer(
                config.units, config.pointer_clicks, name="pointer"
            )

    def build(self, input_shape=None):
        clicks = (None, None, self.config.units)
        self.click_embedding.build(clicks)
        if self.config.fast_slow:
            self.fast_slow.build(clicks, clicks[:-1])
        else:
            self.gru.build(clicks)
        if self.config.click_residual:
            self.click_weight = self.add_weight(
                name="click_weight",
                shape=(self.config.units,),
                initializer="ones",
                autocast=False,
            )
        if self.config.pointer_clicks:
            self.pointer.build()
        super().build(input_shape)

    @property
    def step_seconds(self):
        if not self.config.fast_slow:
            return super().step_seconds
        return self.config.micro_step_seconds

    @property
    def encoded_width(self):
        return self.config.units + self._pointer_width

    @property
    def dwell_width(self):
        return super().dwell_width - self._pointer_width

    @property
    def _pointer_width(self):
        return self.pointer.width if self.config.pointer_clicks else 0

    def encode(self, items, dwell_seconds, real, training=False):
        rows = self.rows(items)
        clicks = self._clicks(rows, dwell_seconds, real, training)
        states = self._states(clicks, dwell_seconds, real, training)[0]
        summaries = self._summaries(rows, states, training)
        if not self.config.pointer_clicks:
            return summaries
        pointers = self.pointer(items, summaries, clicks)
        return ops.concatenate([summaries, pointers], axis=-1)

    def pointers(self, features):
        if not self.config.pointer_clicks:
            return None
        return Pointers.of(self._split(features)[1])

    def click_scores(self, features):
        scores = super().click_scores(features)
        if not self.config.pointer_clicks:
            return scores
        return pointed_scores(scores, self._split(features)[1])

    def click_losses(self, features, items, rows, training):
        losses = super().click_losses(features, items, rows, training)
        if not self.config.pointer_clicks:
            return losses
        # The softmax goes on to learn from clicks that the pointer explains:
        # what it learns of items there, it needs for all others.
        fixed = ops.stop_gradient(losses)
        pointers = self._split(features)[1]
        return pointed_cross_entropy(fixed, pointers, items) + losses - fixed

    def dwell_and_end(self, features, items, rows=None, training=False):
        summary, _, history = self._split(features)
        features = ops.concatenate([summary, history], axis=-1)
        return super().dwell_and_end(features, items, rows, training)

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

    def _summaries(self, rows, states, training):
        if self.config.attention:
            states = self.attention(states)
        summaries = ops.cast(states, "float32")
        if not self.config.click_residual:
            return summaries
        rows = self.click_dropout(rows, training=training)
        return summaries + self.click_weight * rows

    def _split(self, features):
        """Summaries, pointers, and the history for the dwell head."""
        units = self.config.units
        return ops.split(features, [units, units + self._pointer_width], -1)

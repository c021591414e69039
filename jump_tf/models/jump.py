"""JUMP: a joint predictor for user click and dwell time (IJCAI 2018)."""

import keras
from keras import ops

from jump_tf import schema
from jump_tf.config.model_config import JumpConfig
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.page_load_draws import page_load_draws
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

    While the visitor is on the page of click k, tau_k is unknown: row k is then
    one step of R = 1 from the states after click k - 1, with the dwell row of
    "unknown" or of "at least e". All rows take that step at once, and training
    with a `page_load_rate` teaches each click by one way or the other.

    `dtype` is the policy of the encoder and the attention; all else, the item
    table and the heads above all, is float32. Options are the fields of
    `JumpConfig`. Arguments, returns and masking: see `SessionModel`.
    """

    config_class = JumpConfig
    config: JumpConfig
    page_load_at_once = True

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        config = self.config
        self.click_embedding = ClickEmbedding(
            config.units,
            config.max_dwell_seconds,
            config.row_spacing,
            self.learns_page_load,
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

    def encode(
        self, items, dwell_seconds, real, training=False, newest_dwell=None
    ):
        rows = self.rows(items)
        clicks, *newest = self._clicks(
            rows, dwell_seconds, real, training, newest_dwell
        )
        states = self._states(clicks, dwell_seconds, real, training)
        outputs = [states[0]]
        if newest:
            left = newest_dwell[..., None] >= 0.0
            arrived = self._step(newest[0], _shifted(states))
            outputs.append(ops.where(left, outputs[0], arrived))
            newest = [ops.where(left, clicks, newest[0])]
        summaries = self._summaries(rows, training, *outputs)
        if not self.config.pointer_clicks:
            return summaries
        pointers = self.pointer(items, summaries, clicks, *newest)
        return ops.concatenate([summaries, pointers], axis=-1)

    def pointers(self, features):
        if not self.config.pointer_clicks:
            return None
        return Pointers.of(self._split(features)[1])

    @property
    def learns_page_load(self):
        return self.config.page_load_rate > 0.0 and self.config.dwell_input

    def page_load(self, inputs, elapsed_seconds=0.0):
        dwell_seconds = self.seen(inputs[schema.DWELL_SECONDS])
        newest_dwell = schema.at_least(elapsed_seconds)
        newest_dwell += ops.zeros_like(dwell_seconds)
        return self.features(
            inputs[schema.ITEMS], dwell_seconds, self.seen(newest_dwell)
        )

    def drawn_dwell(self, dwell_seconds):
        if not self.learns_page_load:
            return None
        return page_load_draws(
            dwell_seconds,
            self.config.page_load_rate,
            self.config.max_dwell_seconds,
            self.input_masking,
        )

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
        (clicks,) = self._clicks(
            self.rows(items), dwell_seconds, real, training
        )
        return self._states(clicks, dwell_seconds, real, training)

    def _clicks(self, rows, dwell_seconds, real, training, newest_dwell=None):
        """`[B, T, d]` embedded clicks, then those with the newest dwells.

        The latter are of use where that dwell is not known.
        """
        ways = 1
        if newest_dwell is not None:
            ways = 2  # In one batch, which is normalised as one.
            arrived = real & ~(newest_dwell >= 0.0)
            rows, dwell_seconds, real = (
                ops.concatenate(pair)
                for pair in (
                    (rows, rows),
                    (dwell_seconds, newest_dwell),
                    (real, arrived),
                )
            )
        clicks = self.click_embedding(
            rows, dwell_seconds, real, training=training
        )
        return ops.split(self.click_dropout(clicks, training=training), ways)

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

    def _step(self, clicks, states):
        """`[B, T, d]`, its output after a click of unknown dwell more."""
        shape = ops.shape(clicks)
        clicks, *states = (
            ops.reshape(each, (-1, clicks.shape[-1]))
            for each in (clicks, *states)
        )
        if self.config.fast_slow:
            after = self.fast_slow.step(clicks, states)
        else:
            after = self.gru.cell(clicks, states)
        return ops.reshape(after[0], shape)

    def _summaries(self, rows, training, states, newest=None):
        if self.config.attention:
            states = self.attention(states, newest)
        elif newest is not None:
            states = newest
        summaries = ops.cast(states, "float32")
        if not self.config.click_residual:
            return summaries
        rows = self.click_dropout(rows, training=training)
        return summaries + self.click_weight * rows

    def _split(self, features):
        """Summaries, pointers, and the history for the dwell head."""
        units = self.config.units
        return ops.split(features, [units, units + self._pointer_width], -1)


def _shifted(states):
    """`[B, T, d]` each: before a click, what they were after the last one."""
    return [ops.pad(each[:, :-1], [[0, 0], [1, 0], [0, 0]]) for each in states]

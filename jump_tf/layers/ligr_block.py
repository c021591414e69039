"""A transformer's block whose layers open gates to be heard."""

import keras
from keras import ops

from jump_tf.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable(package="jump_tf")
class LiGRBlock(TransformerBlock):
    """A `TransformerBlock` with gated sums and a SwiGLU.

        y = x + sigmoid(G_a x + g_a) * Attention(LayerNorm(x))
        z = y + sigmoid(G_f y + g_f) * W_2 (swish(W_1 u) * W_3 u)

    with u = LayerNorm(y); the feed-forward layer has no biases.

    Args, call arguments, returns and masking: see `TransformerBlock`.

    Reference: Borisyuk et al., LiGR, 2025 (arXiv 2502.03417), as Tikhonovich
    et al., eSASRec, RecSys 2025 (arXiv 2508.06450) have it; SwiGLU by Shazeer,
    2020 (arXiv 2002.05202).
    """

    hidden_activation = "swish"
    feed_forward_bias = False

    def build(self, states_shape):
        super().build(states_shape)
        size, own = states_shape[-1], {"dtype": self.dtype_policy}
        self.linear_hidden = keras.layers.Dense(
            self.hidden_units, use_bias=False, name="linear_hidden", **own
        )
        self.linear_hidden.build(states_shape)
        self.attention_gate, self.feed_forward_gate = (
            keras.layers.Dense(size, "sigmoid", name=name, **own)
            for name in ("attention_gate", "feed_forward_gate")
        )
        self.attention_gate.build(states_shape)
        self.feed_forward_gate.build(states_shape)

    def feed_forward_units(self, normed):
        return ops.multiply(self.hidden(normed), self.linear_hidden(normed))

    def after_attention(self, states, added):
        return states + self.attention_gate(states) * added

    def after_feed_forward(self, states, added):
        return states + self.feed_forward_gate(states) * added

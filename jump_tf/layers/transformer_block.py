"""A block of a causal transformer."""

import keras

from jump_tf.layers.configured_layer import ConfiguredLayer


@keras.saving.register_keras_serializable(package="jump_tf")
class TransformerBlock(ConfiguredLayer):
    """Attention to the past, then a feed-forward layer, each around a sum.

        y = x + Attention(LayerNorm(x))
        z = y + W_2 gelu(W_1 LayerNorm(y) + b_1) + b_2

    Norms come before the layers, so that x itself passes through unchanged. A
    subclass may have another feed-forward layer and other sums.

    Args:
        heads: of the attention; they share the size of x evenly.
        hidden_units: size of the feed-forward layer.
        dropout: rate, in training, on the weights of the attention, on the
            hidden units and on what either layer adds.

    Call arguments:
        states: `[B, T, d]`.

    Returns:
        `[B, T, d]`.

    Masking: causal, so padding on the right changes nothing before it.

    Reference: Vaswani et al., NeurIPS 2017 (arXiv 1706.03762); norms as in
    Xiong et al., ICML 2020 (arXiv 2002.04745).
    """

    hidden_activation = "gelu"
    feed_forward_bias = True

    def __init__(self, heads, hidden_units, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.hidden_units = hidden_units
        self.dropout = dropout
        own = {"dtype": self.dtype_policy}
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="attention_norm", **own
        )
        self.hidden_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="hidden_norm", **own
        )
        self.hidden = keras.layers.Dense(
            hidden_units,
            self.hidden_activation,
            use_bias=self.feed_forward_bias,
            name="hidden",
            **own,
        )
        self.attention_dropout = keras.layers.Dropout(dropout, **own)
        self.hidden_dropout = keras.layers.Dropout(dropout, **own)
        self.output_dropout = keras.layers.Dropout(dropout, **own)

    def build(self, states_shape):
        size = states_shape[-1]
        if size % self.heads:
            raise ValueError(
                "`heads` must divide the size of the states. "
                f"Received: heads={self.heads} with size {size}"
            )
        self.attention = keras.layers.MultiHeadAttention(
            self.heads,
            size // self.heads,
            dropout=self.dropout,
            use_bias=False,  # Of keys no softmax would see it.
            name="attention",
            dtype=self.dtype_policy,
        )
        self.outputs = keras.layers.Dense(
            size,
            use_bias=self.feed_forward_bias,
            name="outputs",
            dtype=self.dtype_policy,
        )
        self.attention_norm.build(states_shape)
        self.attention.build(states_shape, states_shape)
        self.hidden_norm.build(states_shape)
        self.hidden.build(states_shape)
        self.outputs.build((*states_shape[:-1], self.hidden_units))

    def call(self, states, training=None):
        normed = self.attention_norm(states)
        added = self.attention(
            normed, normed, use_causal_mask=True, training=training
        )
        added = self.attention_dropout(added, training=training)
        states = self.after_attention(states, added)
        hidden = self.feed_forward_units(self.hidden_norm(states))
        added = self.outputs(self.hidden_dropout(hidden, training=training))
        added = self.output_dropout(added, training=training)
        return self.after_feed_forward(states, added)

    def feed_forward_units(self, normed):
        """`[B, T, hidden_units]` of normed states."""
        return self.hidden(normed)

    def after_attention(self, states, added):
        """The states with what the attention adds to them."""
        return states + added

    def after_feed_forward(self, states, added):
        """The states with what the feed-forward layer adds to them."""
        return states + added

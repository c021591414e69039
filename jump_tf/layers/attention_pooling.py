"""Causal attention pooling: attention without a query."""

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer

_LARGEST_SCORE = 30.0  # Its exponential and sums of that are float32.


@keras.saving.register_keras_serializable(package="jump_tf")
class CausalAttentionPooling(ConfiguredLayer):
    """A weighted mean of the states up to each, at the cost of one sum.

        s_j = v . tanh(W h_j + b)
        c_k = sum_{j <= k} exp(s_j) h_j / sum_{j <= k} exp(s_j)

    A state's score does not depend on k, so that all the c_k are two running
    sums: no `[T, T]` matrix. Scores are clipped at 30, not taken relative to
    the largest, which a later state might have.

    Args:
        units: size of the hidden layer of the score.

    Call arguments:
        states: `[B, T, d]`.

    Returns:
        `[B, T, d]`.

    Masking: causal, so padding on the right changes nothing before it.

    Reference: additive attention, Bahdanau et al., ICLR 2015, without its
    decoder.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, "tanh", name="hidden")
        self.score = keras.layers.Dense(1, use_bias=False, name="score")

    def build(self, states_shape):
        self.hidden.build(states_shape)
        self.score.build((*states_shape[:-1], self.units))

    def call(self, states):
        score = self.score(self.hidden(states))
        weight = ops.exp(ops.clip(score, -_LARGEST_SCORE, _LARGEST_SCORE))
        return ops.cumsum(weight * states, axis=1) / ops.cumsum(weight, axis=1)

"""Causal dot-product attention of a session's clicks to those before them."""

import math

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer


def causal_softmax(scores):
    """Softmax of each row over itself and the clicks before it.

    Args:
        scores: `[B, T, T]` float32, row k of click k.

    Returns:
        `[B, T, T]`: row k sums to 1 over i <= k and is zero for i > k.
    """
    step = ops.arange(ops.shape(scores)[1])
    past = step[None, :] <= step[:, None]
    scores = ops.where(past[None], scores, -1e9)
    # Not `ops.softmax`, which warns of sessions of one click.
    return ops.exp(scores - ops.logsumexp(scores, axis=-1, keepdims=True))


def attention_weights(states):
    """Weights of click i for the summary after click k.

    Args:
        states: `[B, T, d]`.

    Returns:
        `[B, T, T]`: row k holds `softmax_i(h_i . h_k / sqrt(d))` over i <= k,
        zero for i > k; float32 whatever the states are.

    Reference: JUMP, IJCAI 2018, eq. 13; it normalises over the past alone.
    """
    size = ops.shape(states)[-1]
    scores = ops.matmul(states, ops.transpose(states, (0, 2, 1)))
    return causal_softmax(ops.cast(scores, "float32") / math.sqrt(size))


@keras.saving.register_keras_serializable(package="jump_tf")
class SessionAttention(ConfiguredLayer):
    """Sums a session's states, weighted by likeness to the newest.

        v_k = sum_{i <= k} a(i, k) h_i        (JUMP, IJCAI 2018, eq. 12, 13)

    It has no weights of its own.

    Args:
        residual: whether to add h_k itself to v_k.

    Call arguments:
        states: `[B, T, d]`.

    Returns:
        `[B, T, d]`.

    Masking: causal, so padding on the right changes nothing before it.
    """

    def __init__(self, residual=False, **kwargs):
        super().__init__(**kwargs)
        self.residual = residual

    def call(self, states):
        weights = ops.cast(attention_weights(states), states.dtype)
        summary = ops.matmul(weights, states)
        return states + summary if self.residual else summary

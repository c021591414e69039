"""Causal additive attention of a session's clicks to those before them."""

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.session_attention import causal_softmax


def additive_scores(keys, queries, vector):
    """`v . sigmoid(K_j + Q_k)` for all pairs, in the memory of one query.

    All the sigmoids at once would be `[B, T, T, d]`. A scan over k holds
    `[B, T, d]`, and its gradient does them again.

    Args:
        keys: `[B, T, d]` float32, K.
        queries: `[B, T, d]` float32, Q.
        vector: `[d]` float32, v.

    Returns:
        `[B, T, T]`: row k holds the scores over j.
    """

    @ops.custom_gradient
    def forward(keys, queries, vector):
        by_step = _swap(queries)  # [T, B, d]
        steps = ops.arange(ops.shape(by_step)[0])

        def gates(step):
            return ops.sigmoid(keys + by_step[step][:, None])

        def score(nothing, step):
            return nothing, ops.sum(gates(step) * vector, axis=-1)

        def backward(upstream):
            rates = _swap(upstream)[..., None]  # [T, B, T, 1]

            def add(step, sums):
                by_keys, by_queries, by_vector = sums
                gate = gates(step)
                weighted = rates[step] * gate
                slopes = weighted * (1.0 - gate)
                of_query = ops.sum(slopes, axis=1, keepdims=True)
                here = ops.equal(steps, step)[:, None]
                return (
                    by_keys + slopes,
                    by_queries + ops.where(here, of_query, 0.0),
                    by_vector + ops.sum(weighted, axis=(0, 1)),
                )

            by_keys, by_queries, by_vector = ops.fori_loop(
                0,
                ops.shape(by_step)[0],
                add,
                tuple(map(ops.zeros_like, (keys, queries, vector))),
            )
            return by_keys * vector, by_queries * vector, by_vector

        _, scores = ops.scan(score, ops.zeros_like(keys[..., 0]), steps)
        return _swap(scores), backward

    return forward(keys, queries, vector)


@keras.saving.register_keras_serializable(package="jump_tf")
class AdditiveAttention(ConfiguredLayer):
    """Sums a session's states, weighted by what fits the newest.

        c_k  = sum_{j <= k} a_kj h_j
        a_kj = softmax_j(v . sigmoid(A_1 h_k + A_2 h_j))

    NARM's paper prints a without the softmax; its authors' code has it.

    Args:
        units: size of v.

    Call arguments:
        states: `[B, T, d]`.

    Returns:
        `[B, T, d]`.

    Masking: causal, so padding on the right changes nothing before it.

    Reference: Li et al., CIKM 2017 (arXiv 1711.04725), eq. 7 and 8.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.queries = keras.layers.Dense(
            units, use_bias=False, name="queries", dtype=self.dtype_policy
        )
        self.keys = keras.layers.Dense(
            units, use_bias=False, name="keys", dtype=self.dtype_policy
        )

    def build(self, states_shape):
        self.queries.build(states_shape)
        self.keys.build(states_shape)
        self.vector = self.add_weight(
            name="vector",
            shape=(self.units, 1),  # A matrix to the initializer.
            initializer="glorot_uniform",
            autocast=False,
        )

    def call(self, states):
        weights = ops.cast(self.attention_weights(states), states.dtype)
        return ops.matmul(weights, states)

    def attention_weights(self, states):
        """`[B, T, T]` float32: row k holds a_kj over j, zero for j > k."""
        scores = additive_scores(
            ops.cast(self.keys(states), "float32"),
            ops.cast(self.queries(states), "float32"),
            ops.cast(self.vector[:, 0], "float32"),
        )
        return causal_softmax(scores)


def _swap(columns):
    """Swaps the first and the second axis."""
    return ops.transpose(columns, (1, 0, 2))

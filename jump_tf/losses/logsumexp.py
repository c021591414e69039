"""`log sum_j exp(q . v_j)`, quick or small: softmax denominators over many j.

Plain differentiation passes over all `[N, V]` logits several times, forward
and backward; memory's speed, not arithmetic, then sets the time. The gradients
written out here leave the three products of matrices that must be, and next to
nothing else.
"""

import numpy as np
from keras import ops

from jump_tf import schema

NEVER = -1e9  # A logit of something that cannot be clicked.
BLOCK_SIZE = 4096


def logsumexp_of_products(queries, vectors, adjust):
    """`log sum_j exp(adjust(q . v_j))`, with no backward pass over logits.

    With E = exp(logits - max) kept from the forward pass, s its row sums and g
    the upstream gradient, dq = g / s * (E v) and dv = E^T (g / s * q): the
    division is on `[N, d]`, never on `[N, V]`.

    Args:
        queries: `[N, d]`.
        vectors: `[V, d]`.
        adjust: function of the `[N, V]` logits that adds constants to them or
            sets them to `NEVER`; there is no gradient to what it adds.

    Returns:
        `[N]` float32, whatever the dtype of the queries.
    """

    @ops.custom_gradient
    def forward(queries, vectors):
        logits = adjust(products(queries, vectors))
        highest = ops.max(logits, axis=-1, keepdims=True)
        exponentials = ops.exp(logits - highest)
        sums = ops.sum(exponentials, axis=-1, keepdims=True)

        def backward(upstream):
            rates = upstream[:, None] / sums
            to_queries = rates * ops.matmul(exponentials, vectors)
            to_vectors = ops.matmul(
                ops.transpose(exponentials), ops.multiply(rates, queries)
            )
            return (
                ops.cast(to_queries, queries.dtype),
                ops.cast(to_vectors, vectors.dtype),
            )

        return (highest + ops.log(sums))[:, 0], backward

    return forward(_read(queries), _read(vectors))


def chunked_logsumexp(queries, item_vectors, block_size=BLOCK_SIZE):
    """`log sum_j exp(q . v_j)` over the items, a block of them at a time.

    The logits of a block are forgotten once summed and computed again for the
    gradient: one product of matrices more than `logsumexp_of_products`, and
    memory that does not grow with N V.

    Args:
        queries: `[N, d]`.
        item_vectors: `[V, d]`, V known; padding and unknown are left out.
        block_size: how many items at a time.

    Returns:
        `[N]` float32, whatever the dtype of the queries.

    Reference: Milakov & Gimelshein, arXiv 1805.02867; Wijmans et al., Cut Your
    Losses in Large-Vocabulary Language Models, ICLR 2025.
    """
    num_ids, width = item_vectors.shape
    size = min(block_size, num_ids - schema.FIRST_ITEM_ID)
    starts = np.arange(schema.FIRST_ITEM_ID, num_ids - size + 1, size)
    end = int(starts[-1]) + size  # Of the whole blocks; then comes the rest.

    @ops.custom_gradient
    def forward(queries, item_vectors):
        def over_all_blocks(function):
            """Results for whole blocks, stacked, and for the rest, if any."""
            whole = ops.map(
                lambda start: function(
                    ops.slice(item_vectors, (start, 0), (size, width))
                ),
                ops.convert_to_tensor(starts, "int32"),
            )
            if end == num_ids:
                return whole, None
            return whole, function(item_vectors[end:])

        def logsumexp(block):
            return ops.logsumexp(products(queries, block), axis=-1)

        parts, rest = over_all_blocks(logsumexp)
        if rest is not None:
            parts = ops.concatenate([parts, rest[None]])
        total = ops.logsumexp(parts, axis=0)

        def backward(upstream):
            weighted = ops.multiply(upstream[:, None], queries)

            def gradients(block):
                chances = ops.exp(products(queries, block) - total[:, None])
                return (
                    ops.matmul(chances, block),
                    ops.matmul(ops.transpose(chances), weighted),
                )

            (to_queries, to_items), rest = over_all_blocks(gradients)
            to_queries = ops.sum(to_queries, axis=0)
            to_items = [
                ops.zeros((schema.FIRST_ITEM_ID, width), to_items.dtype),
                ops.reshape(to_items, (-1, width)),
            ]
            if rest is not None:
                to_queries += rest[0]
                to_items.append(rest[1])
            return (
                ops.cast(upstream[:, None] * to_queries, queries.dtype),
                ops.cast(ops.concatenate(to_items), item_vectors.dtype),
            )

        return total, backward

    return forward(_read(queries), _read(item_vectors))


def products(queries, vectors):
    """`[N, V]`, in float32: a bfloat16 sum of many terms stops growing."""
    return ops.cast(ops.matmul(queries, ops.transpose(vectors)), "float32")


def put(scores, ids, values):
    """`[N, V]` scores with `values` `[N, K]` at `ids` `[N, K]`."""
    rows = ops.broadcast_to(
        ops.arange(ops.shape(ids)[0], dtype=ids.dtype)[:, None], ops.shape(ids)
    )
    where = ops.reshape(ops.stack([rows, ids], axis=-1), (-1, 2))
    return ops.scatter_update(scores, where, ops.reshape(values, (-1,)))


def _read(tensor):
    """A tensor, free of charge: a custom gradient cannot take a variable."""
    return ops.reshape(tensor, ops.shape(tensor))

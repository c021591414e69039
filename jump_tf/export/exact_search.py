"""Exact search for the best items, in a graph that is served."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.losses.logsumexp import NEVER

BLOCK_ITEMS = 2**16  # Their scores for a few sessions stay in the cache.
_GROUP = 64  # Items whose maximum is compared first.


class ExactSearch:
    """Scores all items, block by block.

    Of each block only its best items and the sum of its exponentials are kept,
    so there is no tensor of all scores. The vectors are stored transposed,
    which a matrix product of few rows reads fastest.

    Args:
        vectors: `[n, d]`, of items from `FIRST_ITEM_ID` on, normalised as the
            model normalises them.
        block_items: at most so many items a block.
    """

    def __init__(self, vectors: np.ndarray, block_items: int = BLOCK_ITEMS):
        self.size = len(vectors)
        blocks = math.ceil(self.size / block_items)
        self._blocks = [
            tf.Variable(np.ascontiguousarray(block.T), trainable=False)
            for block in np.array_split(np.float32(vectors), blocks)
        ]

    def best(self, queries, k, excluded=None):
        """Finds the items of the largest scores.

        Args:
            queries: `[B, d]`.
            k: number of items, an int or a scalar tensor; at most all.
            excluded: `[B, E]` ids that count for nothing, see `without_items`.

        Returns:
            `[B, k]` ids and `[B, k]` scores, best first, of equals the lower
            id first, of excluded ones `NEVER`; and `[B]` the log of the sum of
            the exponentials of all scores.
        """
        first, found = schema.FIRST_ITEM_ID, []
        for vectors in self._blocks:
            scores = tf.matmul(queries, vectors)
            size = vectors.shape[1]
            if excluded is not None:
                scores = without_items(scores, excluded - first)
            best, columns = _largest(scores, size, tf.minimum(k, size))
            # The largest score is there already: no search for the maximum.
            largest = best[:, :1]
            total = tf.reduce_sum(tf.exp(scores - largest), -1)
            found.append((columns + first, best, largest[:, 0], total))
            first += size
        ids, scores, largest, total = zip(*found, strict=True)
        return *_merged(ids, scores, k), _log_total(largest, total)


def without_items(scores, columns):
    """Returns `[B, n]` scores with `NEVER` in some columns of each row.

    Taking their exponentials out of a sum would leave but rounding where they
    are nearly all of it.

    Args:
        scores: `[B, n]`.
        columns: `[B, E]`; those outside [0, n) are none.
    """
    where = tf.where((columns >= 0) & (columns < tf.shape(scores)[1]))
    found = tf.cast(tf.gather_nd(columns, where), tf.int64)
    return tf.tensor_scatter_nd_update(
        scores,
        tf.stack([where[:, 0], found], 1),
        tf.fill(tf.shape(found), NEVER),
    )


def _largest(scores, size, k):
    """Returns what `top_k` of `[B, size]` does, faster where k is small.

    The k best items are in the k groups with the largest maxima, and maxima
    are much cheaper than a selection. Of equals, lower columns come first, as
    in `top_k`.
    """
    groups = size // _GROUP
    if groups < 2:
        return tf.math.top_k(scores, k)
    grouped = groups * _GROUP
    parts = tf.reshape(scores[:, :grouped], [-1, groups, _GROUP])
    number = tf.minimum(k, groups)
    _, chosen = tf.math.top_k(tf.reduce_max(parts, 2), number)
    chosen = tf.sort(chosen, 1)  # Equals keep the order of their columns.
    inside = tf.gather(parts, chosen, axis=1, batch_dims=1)
    inside = tf.reshape(inside, [-1, number * _GROUP])
    candidates = tf.concat([inside, scores[:, grouped:]], 1)
    best, at = tf.math.top_k(candidates, k)
    group = tf.gather(
        chosen, tf.minimum(at // _GROUP, number - 1), axis=1, batch_dims=1
    )
    columns = group * _GROUP + at % _GROUP
    beyond = at - number * _GROUP + grouped
    return best, tf.where(at < number * _GROUP, columns, beyond)


def _merged(ids: Sequence, scores: Sequence, k):
    """Returns the best of the best items of each block."""
    if len(ids) == 1:
        return ids[0], scores[0]
    ids, scores = tf.concat(ids, 1), tf.concat(scores, 1)
    best, columns = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
    return tf.gather(ids, columns, axis=1, batch_dims=1), best


def _log_total(largest: Sequence, total: Sequence):
    """Returns the log of the sum over blocks of `total * exp(largest)`."""
    if len(largest) == 1:
        return largest[0] + tf.math.log(total[0])
    logs = tf.stack(largest, 1) + tf.math.log(tf.stack(total, 1))
    return tf.reduce_logsumexp(logs, 1)

"""A pointer at earlier clicks of a session, to which visitors return."""

import math
import typing
from typing import Any

import keras
from keras import ops

from jump_tf import schema
from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.losses.logsumexp import NEVER

LARGEST_VOCABULARY = 2**24  # float32, in which ids travel, holds these exactly.
_RARELY = -3.0  # Where logits start: about one click in twenty is pointed at.


@keras.saving.register_keras_serializable(package="jump_tf")
class SessionPointer(ConfiguredLayer):
    """How likely each of the last clicks is clicked again, and none of them.

        s(k, i) = (A v_k + a) . x_i / sqrt(d) + (B v_k + b)[k - i]
        [log g_k; log c(k, .)] = log softmax([0; s(k, k), ..., s(k, k - C + 1)])

    v_k is the summary of k clicks, x_i the embedding of click i and its dwell:
    a visitor comes back to what was looked at for long. g_k is the chance that
    the softmax over the catalogue chooses, see `pointed_scores`.

    Args:
        units: size d.
        clicks: C, how far back it points.

    Call arguments:
        items: `[B, T]` ids; padding and unknown items are not pointed at.
        summaries: `[B, T, d]`.
        clicks: `[B, T, d]`.

    Returns:
        `[B, T, 2 C + 1]` float32: log g, log c of the newest click, of the one
        before and so on, and the ids of these, `PAD_ID` where there is none.
        Zeros point nowhere.

    Masking: causal, so padding on the right changes nothing before it.

    Reference: pointer sentinels, Merity et al., ICLR 2017; RepeatNet, Ren et
    al., AAAI 2019, for sessions.
    """

    def __init__(self, units, clicks, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.clicks = clicks
        self.content = keras.layers.Dense(units, name="content")
        self.age = keras.layers.Dense(
            clicks,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(_RARELY),
            name="age",
        )

    @property
    def width(self):
        """Number of columns of the output."""
        return 2 * self.clicks + 1

    def build(self, items_shape=None):
        self.content.build((None, None, self.units))
        self.age.build((None, None, self.units))

    def call(self, items, summaries, clicks):
        shape = (*ops.shape(items), ops.shape(items)[1])
        ids = self._last(ops.broadcast_to(items[:, None, :], shape))
        alike = ops.matmul(
            self.content(summaries), ops.transpose(clicks, (0, 2, 1))
        )
        return self._weighed(ids, self._last(alike), summaries)

    def at(self, items, clicks, summaries):
        """`[N, 2 C + 1]` after the clicks of N sessions.

        Args:
            items: `[N, C]` ids of the last clicks, newest first.
            clicks: `[N, C, d]`.
            summaries: `[N, d]`.
        """
        alike = ops.sum(self.content(summaries)[:, None] * clicks, axis=-1)
        return self._weighed(items, alike, summaries)

    def _weighed(self, ids, alike, summaries):
        """`[..., 2 C + 1]` from ids and products `[..., C]`."""
        ids = ops.where(ids < schema.FIRST_ITEM_ID, schema.PAD_ID, ids)
        logits = alike / math.sqrt(self.units) + self.age(summaries)
        logits = ops.where(ids == schema.PAD_ID, NEVER, logits)
        none = ops.zeros_like(logits[..., :1])
        logits = ops.concatenate([none, logits], axis=-1)
        log_weights = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        return ops.concatenate(
            [log_weights, ops.cast(ids, log_weights.dtype)], axis=-1
        )

    def _last(self, columns):
        """`[B, T, C]`: of row k columns k, k - 1, ...; zero before the first.

        Cut anew one column shorter, every row moves one place to the left of
        the row before it: no gather, whose gradient is a slow scatter.
        """
        steps = ops.shape(columns)[1]
        width = steps + self.clicks - 1
        newest_first = ops.flip(columns, axis=2)
        padded = ops.pad(newest_first, [[0, 0], [0, 0], [0, self.clicks]])
        flat = ops.reshape(padded, (-1, steps * (width + 1)))
        flat = flat[:, steps - 1 : steps - 1 + steps * width]
        moved = ops.reshape(flat, (-1, steps, width))[:, :, : self.clicks]
        return ops.reshape(moved, (-1, steps, self.clicks))  # A known size.


class Pointers(typing.NamedTuple):
    """What `SessionPointer` returns, by its columns.

    Attributes:
        log_chosen: `[N, 1]`, log g.
        log_weights: `[N, C]`, log c.
        ids: `[N, C]` int32, `PAD_ID` where there is no click.
    """

    log_chosen: Any
    log_weights: Any
    ids: Any

    @classmethod
    def of(cls, columns):
        """From `[N, 2 C + 1]`."""
        clicks = columns.shape[-1] // 2
        chosen, weights, ids = ops.split(columns, [1, clicks + 1], axis=-1)
        return cls(chosen, weights, ops.cast(ids, "int32"))

    def mixed(self, items, log_softmax):
        """`[N, K]` log-probabilities of `items` `[N, K]` by both together.

        Args:
            items: ids; nobody points at `PAD_ID`.
            log_softmax: of them, over the whole catalogue.
        """
        hits = ops.equal(items[:, :, None], self.ids[:, None, :])
        hits = ops.logical_and(hits, items[:, :, None] != schema.PAD_ID)
        log_pointed = ops.logsumexp(
            ops.where(hits, self.log_weights[:, None, :], NEVER), axis=-1
        )
        return ops.logaddexp(log_softmax + self.log_chosen, log_pointed)


def pointed_scores(logits, pointers):
    """Log-probabilities of the softmax and the pointer together.

        P(j) = g softmax(logits)_j + sum of c(i) over clicks i on item j

    Args:
        logits: `[N, V]`.
        pointers: `[N, 2 C + 1]`, as `SessionPointer` returns them.

    Returns:
        `[N, V]`, whose softmax they are, too.
    """
    pointers = Pointers.of(pointers)
    ids = pointers.ids
    log_softmax = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
    # An item that is pointed at twice is written twice, with the same number.
    after = pointers.mixed(ids, ops.take_along_axis(log_softmax, ids, axis=1))
    scores = log_softmax + pointers.log_chosen
    rows = ops.broadcast_to(
        ops.arange(ops.shape(ids)[0], dtype=ids.dtype)[:, None], ops.shape(ids)
    )
    where = ops.reshape(ops.stack([rows, ids], axis=-1), (-1, 2))
    return ops.scatter_update(scores, where, ops.reshape(after, (-1,)))


def pointed_cross_entropy(loss, pointers, targets):
    """`-log P(target)` of `pointed_scores`.

    Args:
        loss: `[N]`, `-log softmax(logits)_target`, or an estimate of it.
        pointers: `[N, 2 C + 1]`, as `SessionPointer` returns them.
        targets: `[N]` ids.

    Returns:
        `[N]`, unreduced.
    """
    log_chosen, log_weights, ids = Pointers.of(pointers)
    hits = ops.equal(ids, ops.cast(targets, ids.dtype)[:, None])
    log_pointed = ops.where(hits, log_weights, NEVER)
    chosen = log_chosen - loss[:, None]
    return -ops.logsumexp(ops.concatenate([chosen, log_pointed], 1), axis=1)

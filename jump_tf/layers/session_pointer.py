"""A pointer at earlier clicks of a session, to which visitors return."""

import math
import typing
from typing import Any

import keras
from keras import ops

from jump_tf import schema
from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.return_features import RETURN_FEATURES
from jump_tf.layers.return_features import return_features
from jump_tf.losses.logsumexp import NEVER
from jump_tf.losses.logsumexp import put
from jump_tf.survival.distribution import log1mexp

LARGEST_VOCABULARY = 2**24  # float32, in which ids travel, holds these exactly.
_NEARLY_NONE = -1e-6  # log g where nothing is pointed at, but for rounding.
_RARELY = -3.0  # Where logits start: about one click in twenty is pointed at.


@keras.saving.register_keras_serializable(package="jump_tf")
class SessionPointer(ConfiguredLayer):
    """How likely each of the last clicks is clicked again, and none of them.

        s(k, i) = (A v_k + a) . x_i / sqrt(d) + (B v_k + b)[k - i]
                  + w . relu(F f(k, i) + c)
        [log g_k; log c(k, .)] = log softmax([0; s(k, k), ..., s(k, k - C + 1)])

    v_k is the summary of k clicks, x_i the embedding of click i and its dwell:
    a visitor comes back to what was looked at for long. f(k, i) says how the
    visitor came to click i and away from it, see `return_features`. g_k is the
    chance that the next click is on an item that is not among the last C
    clicks, see `pointed_scores`.

    Args:
        units: size d.
        clicks: C, how far back it points.
        hidden_units: rows of F.
        max_dwell_seconds: c1, beyond which dwells are alike.
        page: whether visitors click again on the page that they are on; if
            not, the newest click is never pointed at.

    Call arguments:
        items: `[B, T]` ids; padding and unknown items are not pointed at.
        summaries: `[B, T, d]`.
        clicks: `[B, T, d]`.
        dwell_seconds: `[B, T]`; negative where unknown.

    Returns:
        `[B, T, 3 C + 1]` float32: log g, log c of the newest click, of the one
        before and so on, the ids of these, `PAD_ID` where there is none, and
        their dwells. Zeros point nowhere.

    Masking: causal, so padding on the right changes nothing before it.

    Reference: pointer sentinels, Merity et al., ICLR 2017; RepeatNet, Ren et
    al., AAAI 2019, for sessions, whose two modes share no item either.

    Example:
    >>> pointer = SessionPointer(units=4, clicks=3)
    >>> pointer.build()
    >>> vectors = np.zeros([1, 2, 4])
    >>> pointer(np.array([[7, 9]]), vectors, vectors, np.ones([1, 2])).shape
    TensorShape([1, 2, 10])
    """

    def __init__(
        self,
        units,
        clicks,
        hidden_units=16,
        max_dwell_seconds=schema.MAX_DWELL_SECONDS,
        page=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.clicks = clicks
        self.hidden_units = hidden_units
        self.max_dwell_seconds = max_dwell_seconds
        self.page = page
        self.content = keras.layers.Dense(units, name="content")
        self.age = keras.layers.Dense(
            clicks,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(_RARELY),
            name="age",
        )
        self.hidden = keras.layers.Dense(
            hidden_units, activation="relu", name="hidden"
        )
        self.returns = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", name="returns"
        )

    @property
    def width(self):
        """Number of columns of the output."""
        return 3 * self.clicks + 1

    def build(self, items_shape=None):
        self.content.build((None, None, self.units))
        self.age.build((None, None, self.units))
        self.hidden.build((None, self.clicks, RETURN_FEATURES))
        self.returns.build((None, self.clicks, self.hidden_units))

    def call(self, items, summaries, clicks, dwell_seconds):
        shape = (*ops.shape(items), ops.shape(items)[1])
        ids, dwell_seconds = (
            self._last(ops.broadcast_to(column[:, None, :], shape))
            for column in (items, dwell_seconds)
        )
        alike = ops.matmul(
            self.content(summaries), ops.transpose(clicks, (0, 2, 1))
        )
        return self._weighed(ids, self._last(alike), summaries, dwell_seconds)

    def at(self, items, clicks, summaries, dwell_seconds):
        """`[N, 3 C + 1]` after the clicks of N sessions.

        Args:
            items: `[N, C]` ids of the last clicks, newest first.
            clicks: `[N, C, d]`.
            summaries: `[N, d]`.
            dwell_seconds: `[N, C]`.
        """
        alike = ops.sum(self.content(summaries)[:, None] * clicks, axis=-1)
        return self._weighed(items, alike, summaries, dwell_seconds)

    def _weighed(self, ids, alike, summaries, dwell_seconds):
        """`[..., 3 C + 1]` from ids, products and dwells `[..., C]`."""
        ids = ops.where(ids < schema.FIRST_ITEM_ID, schema.PAD_ID, ids)
        dwell_seconds = ops.where(
            dwell_seconds >= 0.0,
            ops.minimum(dwell_seconds, self.max_dwell_seconds),
            schema.UNKNOWN_DWELL,
        )
        features = return_features(ids, dwell_seconds)
        logits = alike / math.sqrt(self.units) + self.age(summaries)
        logits = logits + self.returns(self.hidden(features))[..., 0]
        never = ids == schema.PAD_ID
        if not self.page:
            never = ops.logical_or(never, ids == ids[..., :1])
        logits = ops.where(never, NEVER, logits)
        none = ops.zeros_like(logits[..., :1])
        logits = ops.concatenate([none, logits], axis=-1)
        log_weights = logits - ops.logsumexp(logits, axis=-1, keepdims=True)
        columns = log_weights, ids, dwell_seconds
        return ops.concatenate(
            [ops.cast(column, log_weights.dtype) for column in columns], axis=-1
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
        dwell_seconds: `[N, C]`; negative where unknown.
    """

    log_chosen: Any
    log_weights: Any
    ids: Any
    dwell_seconds: Any

    @classmethod
    def of(cls, columns):
        """From `[N, 3 C + 1]`."""
        clicks = columns.shape[-1] // 3
        chosen, weights, ids, dwell_seconds = ops.split(
            columns, [1, clicks + 1, 2 * clicks + 1], axis=-1
        )
        return cls(chosen, weights, ops.cast(ids, "int32"), dwell_seconds)

    def calibrated(self, scale, shift):
        """With g changed: logit g becomes `scale` logit g + `shift`.

        Of what is pointed at all shares stay as they are. Where there is
        nothing to point at, g is 1 and stays so.
        """
        log_own = log1mexp(ops.minimum(self.log_chosen, _NEARLY_NONE))
        logit = scale * (self.log_chosen - log_own) + shift
        some = self.log_chosen < _NEARLY_NONE
        return self._replace(
            log_chosen=ops.where(some, ops.log_sigmoid(logit), self.log_chosen),
            log_weights=ops.where(
                some,
                self.log_weights + ops.log_sigmoid(-logit) - log_own,
                self.log_weights,
            ),
        )

    @property
    def firsts(self):
        """`[N, C]` bool: an item that no newer click is on."""
        newer = ops.arange(self.ids.shape[1])
        newer = newer[None, :] < newer[:, None]
        again = ops.logical_and(self._hits(self.ids), newer)
        return ops.logical_and(
            self.ids != schema.PAD_ID, ops.logical_not(ops.any(again, axis=-1))
        )

    def held(self, items):
        """`[N, K]` bool: whether `items` `[N, K]` are among the clicks."""
        return ops.any(self._hits(items), axis=-1)

    def log_pointed(self, items):
        """`[N, K]` log of the sum of c over the clicks on `items` `[N, K]`."""
        return ops.logsumexp(
            ops.where(self._hits(items), self.log_weights[:, None, :], NEVER),
            axis=-1,
        )

    def mixed(self, items, scores, log_total):
        """`[N, K]` log-probabilities of `items` `[N, K]`, see `pointed_scores`.

        Args:
            items: ids; nobody points at `PAD_ID`.
            scores: `[N, K]`, of the catalogue's softmax.
            log_total: `[N]` its log denominator, over the items that are not
                among the clicks.
        """
        others = scores - log_total[:, None] + self.log_chosen
        return ops.where(self.held(items), self.log_pointed(items), others)

    def _hits(self, items):
        """`[N, K, C]` bool: which click is on which of `items`."""
        hits = ops.equal(items[:, :, None], self.ids[:, None, :])
        return ops.logical_and(hits, items[:, :, None] != schema.PAD_ID)


def pointed_scores(logits, pointers):
    """Log-probabilities of the softmax and the pointer together.

        P(j) = sum of c(i) over clicks i on item j,  if there are any
        P(j) = g softmax(logits)_j over the items without one,  else

    A softmax over all items would give an own item some chance whatever the
    pointer says, mostly too much to the page on screen, whose row is in the
    summary.

    Args:
        logits: `[N, V]`.
        pointers: of the N sessions.

    Returns:
        `[N, V]`, whose softmax they are, too.
    """
    ids = pointers.ids
    others = put(logits, ids, ops.full(ops.shape(ids), NEVER, logits.dtype))
    scores = others - ops.logsumexp(others, axis=-1, keepdims=True)
    pointed = ops.where(ids == schema.PAD_ID, NEVER, pointers.log_pointed(ids))
    # An item that is pointed at twice is written twice, with the same number.
    return put(scores + pointers.log_chosen, ids, pointed)


def pointed_cross_entropy(loss, pointers, targets):
    """`-log P(target)` of `pointed_scores`.

    Args:
        loss: `[N]`, `-log softmax(logits)_target` over the items that are not
            among the clicks; nothing where the target is.
        pointers: of the N sessions.
        targets: `[N]` ids.

    Returns:
        `[N]`, unreduced.
    """
    targets = ops.cast(targets, pointers.ids.dtype)[:, None]
    return -ops.where(
        pointers.held(targets),
        pointers.log_pointed(targets),
        pointers.log_chosen - loss[:, None],
    )[:, 0]

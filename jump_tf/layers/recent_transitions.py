"""Where other visitors lately went from an item, and what they clicked."""

import math
import typing
from typing import Any

import keras
from keras import ops

from jump_tf import schema
from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.popularity_sampler import id_dtype
from jump_tf.losses.logsumexp import put

# Time constants of the decay: an hour, four, a day, a week and four weeks.
DECAY_MINUTES = (60.0, 240.0, 1440.0, 10080.0, 40320.0)
FEATURES = 7 + len(DECAY_MINUTES)
_LAST_MINUTE = 2**24 - 1
_RARE = -10.0  # Log share of an item that is not among the popular ones.


class Places(typing.NamedTuple):
    """Where in the table a session's last click reads, see `RecentTransitions`.

    Attributes:
        items: ids of last clicks.
        ends: the number of the first entry that is too late.
        minutes: of the session's start, since the table's first click.
    """

    items: Any
    ends: Any
    minutes: Any


class Recent(typing.NamedTuple):
    """Items that lately followed another, or were clicked by many.

    Attributes:
        ids: `[N, K]` int32, none twice; `PAD_ID` for none.
        shifts: `[N, K]`, added to their logits; 0 for none.
    """

    ids: Any
    shifts: Any

    def of(self, items):
        """`[N, L]` shifts of `items` `[N, L]`; 0 for all that are not here."""
        hits = ops.equal(items[:, :, None], self.ids[:, None, :])
        hits = ops.logical_and(hits, items[:, :, None] != schema.PAD_ID)
        return ops.sum(ops.where(hits, self.shifts[:, None, :], 0.0), axis=-1)


def shifted_scores(scores, recent):
    """`[N, V]` scores, those of recent items shifted."""
    own = ops.take_along_axis(scores, recent.ids, axis=1)
    return put(scores, recent.ids, own + recent.shifts)


@keras.saving.register_keras_serializable(package="jump_tf")
class RecentTransitions(ConfiguredLayer):
    """Shifts the logits of items by what other visitors did before.

    Of item i the last R transitions i -> j before the session began, of all
    sessions of training, and the P most popular items of the hour before are
    looked up in a table. Each item j among them gets the shift

        w . relu(F f(j) + c)

    where f(j) are log(1 + n), log(0.001 + sum of exp(-age / tau)) for the n
    transitions to j and `DECAY_MINUTES` tau, the log of j's share of the last
    hour's clicks and of the sampler's rate, and how many transitions there
    are, ever and in a day. Only what happened before the session began is
    read, so that training sees no more of a click than serving does.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        transitions: R.
        popular: P, 0 for none.
        entries: E, how many transitions the table holds, below 2^24.
        periods: of the log, of each of which it holds the popular items.
        hidden_units: rows of F.

    Call arguments:
        places: `Places` of `[N]` each.
        log_rates: `[V]`, how often an item is clicked at all.

    Returns:
        `Recent` of K = R + P items.

    Reference: counts with exponential decay are the strongest simple rule on
    news, Jugovac, Jannach & Karimi, RecSys 2018 (StreamingRec).

    Example:
    >>> layer = RecentTransitions(9, transitions=3, popular=0, entries=4)
    >>> layer.build()
    >>> places = layer.places(np.array([[2, 5]]), None)
    >>> layer(Places(*(column[0] for column in places)), np.zeros(9)).ids.shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        vocabulary_size,
        transitions,
        popular=0,
        entries=1,
        periods=1,
        hidden_units=16,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.transitions = transitions
        self.popular = popular
        self.entries = entries
        self.periods = periods
        self.hidden_units = hidden_units
        self.hidden = keras.layers.Dense(
            hidden_units, activation="relu", name="hidden"
        )
        self.shift = keras.layers.Dense(
            1, use_bias=False, kernel_initializer="zeros", name="shift"
        )

    def build(self, input_shape=None):
        def column(name, *shape, dtype=None):
            return self.add_weight(
                name=name,
                shape=shape,
                initializer="zeros",
                trainable=False,
                autocast=False,
                dtype=dtype or id_dtype(),
            )

        self.starts = column("starts", self.vocabulary_size + 1)
        self.followers = column("followers", self.entries)
        self.minutes = column("minutes", self.entries)
        self.origin_minute = column("origin_minute")
        self.end_minute = column("end_minute")
        self.period_minutes = column("period_minutes")
        if self.popular:
            shape = (self.periods, self.popular)
            self.popular_ids = column("popular_ids", *shape)
            self.log_shares = column("log_shares", *shape, dtype="float32")
        number = self.transitions + self.popular
        self.hidden.build((None, number, FEATURES))
        self.shift.build((None, number, self.hidden_units))

    @property
    def table(self):
        """The weights that hold the log."""
        return [weight for weight in self.weights if not weight.trainable]

    def set_log(self, log):
        """Fills the table from a `RecentClicks` of as many entries."""
        for name in ("starts", "followers", "minutes", "origin_minute"):
            getattr(self, name).assign(getattr(log, name))
        self.end_minute.assign(log.end_minute)
        self.period_minutes.assign(log.period_minutes)
        if self.popular:
            self.popular_ids.assign(log.popular_ids[:, : self.popular])
            self.log_shares.assign(log.log_shares[:, : self.popular])

    def places(self, items, start_ms):
        """`Places` of `[B, T]` each, float32.

        Args:
            items: `[B, T]` ids.
            start_ms: `[B]` instants at which the sessions began; negative, or
                None for all, for now, the end of the table.
        """
        items = ops.cast(items, "int32")
        last = _read(self.starts, items + 1)
        if start_ms is None:
            minutes = ops.broadcast_to(
                ops.cast(self.end_minute, "int32"), ops.shape(items)
            )
            return Places(
                *(ops.cast(c, "float32") for c in (items, last, minutes))
            )
        minutes = start_ms // 60_000 - ops.cast(
            self.origin_minute, start_ms.dtype
        )
        # Whatever is asked, float32 holds it; of what is years later all ages.
        minutes = ops.cast(ops.clip(minutes, -1, _LAST_MINUTE), "int32")
        now = ops.cast(self.end_minute, "int32")
        minutes = ops.where(start_ms < 0, now, minutes)
        minutes = ops.broadcast_to(minutes[:, None], ops.shape(items))
        low, high = _read(self.starts, items), last
        for _ in range(math.ceil(math.log2(self.entries + 1))):
            middle = (low + high) // 2
            time = _read(self.minutes, ops.minimum(middle, self.entries - 1))
            early = ops.logical_and(low < high, time < minutes)
            high = ops.where(ops.logical_or(early, low >= high), high, middle)
            low = ops.where(early, middle + 1, low)
        return Places(*(ops.cast(c, "float32") for c in (items, low, minutes)))

    def call(self, places, log_rates):
        items, ends, minutes = (ops.cast(c, "int32") for c in places)
        at = ends[:, None] - 1 - ops.arange(self.transitions)[None]
        there = at >= _read(self.starts, items)[:, None]
        there = ops.logical_and(there, items[:, None] >= schema.FIRST_ITEM_ID)
        at = ops.clip(at, 0, self.entries - 1)
        ids = ops.where(there, _read(self.followers, at), schema.PAD_ID)
        ages = minutes[:, None] - _read(self.minutes, at)
        # What is not there may be of years later: its weight is beyond floats.
        ages = ops.cast(ops.where(there, ages, 0), "float32")
        there = ops.cast(there, "float32")
        weights = ops.stack(
            [there] + [there * ops.exp(-ages / tau) for tau in DECAY_MINUTES],
            axis=-1,
        )
        same = ops.equal(ids[:, :, None], ids[:, None, :])
        sums = ops.matmul(ops.cast(same, "float32"), weights)
        newer = ops.arange(self.transitions)
        newer = newer[None, :] < newer[:, None]
        again = ops.any(ops.logical_and(same, newer), axis=-1)
        ids = ops.where(again, schema.PAD_ID, ids)
        log_shares = ops.full(ops.shape(ages), _RARE)
        if self.popular:
            popular, shares = self._popular(items, minutes)
            same = ops.equal(ids[:, :, None], popular[:, None, :])
            log_shares = ops.max(
                ops.where(same, shares[:, None, :], _RARE), axis=-1
            )
            again = ops.any(same, axis=1)
            ids = ops.concatenate(
                [ids, ops.where(again, schema.PAD_ID, popular)], 1
            )
            sums = ops.pad(sums, [[0, 0], [0, self.popular], [0, 0]])
            log_shares = ops.concatenate([log_shares, shares], 1)
        features = self._features(ids, sums, weights, log_shares, log_rates)
        shifts = self.shift(self.hidden(features))[..., 0]
        return Recent(ids, ops.where(ids == schema.PAD_ID, 0.0, shifts))

    def _popular(self, items, minutes):
        """Ids and log shares `[N, P]` of what was popular at `minutes`."""
        length = ops.maximum(ops.cast(self.period_minutes, "int32"), 1)
        period = ops.clip(minutes // length, 0, self.periods - 1)
        known = (items >= schema.FIRST_ITEM_ID)[:, None]
        ids = ops.where(known, _read(self.popular_ids, period), schema.PAD_ID)
        return ids, ops.take(self.log_shares, period, axis=0)

    def _features(self, ids, sums, weights, log_shares, log_rates):
        totals = ops.sum(weights, axis=1, keepdims=True)
        everywhere = ops.ones_like(log_shares)
        return ops.stack(
            [
                ops.log1p(sums[..., 0]),
                ops.minimum(sums[..., 0], 1.0),
                *ops.unstack(ops.log(sums[..., 1:] + 1e-3) / 3.0, axis=-1),
                everywhere * ops.log1p(totals[..., 0]),
                everywhere * ops.log1p(totals[..., 3]),  # In a day.
                log_shares / 5.0,
                ops.take(log_rates, ids, axis=0) / 5.0,
                everywhere * ops.log(totals[..., 1] + 1e-3) / 3.0,  # An hour.
            ],
            axis=-1,
        )


def _read(column, index):
    return ops.cast(ops.take(column, index, axis=0), "int32")

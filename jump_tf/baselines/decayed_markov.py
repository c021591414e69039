"""Markov chain with a clock: what follows an item now, and what is popular now.

On news an item lives for hours; a chain over all of training then knows what
was read, not what is.
"""

import math
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines import base
from jump_tf.baselines import grouping
from jump_tf.baselines.base import Log
from jump_tf.baselines.base import Prefixes
from jump_tf.baselines.decayed_counts import DecayedCounts

# From shops, where nothing fades, to news: what validation chooses from.
GRID: tuple[dict[str, Any], ...] = tuple(
    {
        "half_life_hours": half_life,
        "popularity_half_life_hours": popularity_half_life,
        "popularity_weight": weight,
    }
    for half_life in (math.inf, 14 * 24.0, 24.0, 4.0)
    for popularity_half_life, weight in ((24.0, 0.1), (1.0, 0.3), (0.25, 1.0))
)


class DecayedMarkov(base.Scorer):
    """Mixes decayed transitions with decayed popularity.

        score(i | a, t) = C(a, i, t) / sum over j of C(a, j, t)
                          + w P(i, t) / sum over j of P(j, t)

    C counts the transitions a -> i from one click to the next that were made
    before t, when the click is asked for, and P the clicks on i; half of every
    count is left after a half-life. The first term is 0 after a click on an
    unknown item. With infinite half-lives and a small weight it is the Markov
    chain of what was before t.

    A click is counted from its own time on. That is not known after a dwell
    that was cut: such clicks of training are not counted.

    Args:
        log, vocabulary_size: see `base.Scorer`.
        half_life_hours: of transitions; may be infinite.
        popularity_half_life_hours: of clicks; may be infinite.
        popularity_weight: w.
        refreshed: whether sessions of the log that is ranked are counted too,
            each from its end on, so that none is for its own clicks. That is
            what a service knows which learns every session when it ends;
            without it, what one knows whose training is over.
    """

    def __init__(
        self,
        log: Log,
        vocabulary_size: int,
        *,
        half_life_hours: float = 24.0,
        popularity_half_life_hours: float = 1.0,
        popularity_weight: float = 0.3,
        refreshed: bool = False,
    ):
        _check_positive(
            half_life_hours=half_life_hours,
            popularity_half_life_hours=popularity_half_life_hours,
            popularity_weight=popularity_weight,
        )
        self.half_life_hours = half_life_hours
        self.popularity_half_life_hours = popularity_half_life_hours
        self.popularity_weight = popularity_weight
        self.refreshed = refreshed
        super().__init__(log, vocabulary_size)

    def _fit(self, log):
        if self.refreshed:
            self._log = log
        else:
            self._past = self._counted(log)

    def ranks(self, log: Log, asked: np.ndarray) -> np.ndarray:
        past = self._past_of(log)
        rank = np.empty(len(asked), np.int64)
        level = np.empty(len(asked))
        for part, prefixes in base.chunks(log, asked):
            targets = log.item[asked[part]].astype(np.int64)
            rank[part], level[part] = self._among(past, prefixes, targets)
        as_popular = past.popularity.at_least(level, log.asked_ms[asked])
        # All items are as popular as one that nobody has clicked on yet.
        every = self.vocabulary_size - schema.FIRST_ITEM_ID
        return rank + np.where(np.isneginf(level), every, as_popular)

    def _past_of(self, log):
        if not self.refreshed:
            return self._past
        ranked = _from_its_end_on(base.known_clicks(log))
        return self._counted(_one_after_the_other(self._log, ranked))

    def _counted(self, log):
        return _Past(
            log,
            self.vocabulary_size,
            self.half_life_hours * base.HOUR_MS,
            self.popularity_half_life_hours * base.HOUR_MS,
        )

    def _among(self, past, prefixes: Prefixes, targets):
        """What a rank has to do with transitions, and the level of the rest.

        Returns:
            `[A]`: followers of the last item that do not come below the
            target, less those that popularity counts; and `[A]`: the level of
            popularity above which it counts.
        """
        time_ms, size = prefixes.asked_ms, prefixes.size
        row, item, share = past.followers(prefixes)
        # The second term is 2 ^ (level + offset).
        clicks = past.clicks.levels(np.zeros(size, np.int64), time_ms)
        offset = math.log2(self.popularity_weight) - np.where(
            np.isneginf(clicks), 0.0, clicks
        )
        level = past.popularity.levels(item, time_ms[row])
        own_level = past.popularity.levels(targets, time_ms)
        hit = item == targets[row]
        own_share = np.zeros(size)
        own_share[row[hit]] = share[hit]
        own = own_share + np.exp2(own_level + offset)
        # Not through the score where it can be avoided: equals stay equal.
        least = np.where(
            own_share > 0, np.log2(np.maximum(own, 1e-300)) - offset, own_level
        )
        score = share + np.exp2(level + offset[row])
        above = np.bincount(row[score >= own[row]], minlength=size)
        counted = np.bincount(row[level >= least[row]], minlength=size)
        return above - counted, least


class _Past:
    """The decayed counts of a log."""

    def __init__(self, log, size, half_life_ms, popularity_half_life_ms):
        follows = log.session[1:] == log.session[:-1]
        pairs, pair = grouping.numbered(
            (log.item[:-1] * size + log.item[1:])[follows]
        )
        self._follower = pairs % size
        self._starts = np.searchsorted(pairs, np.arange(size + 1) * size)
        self._transitions = DecayedCounts(
            pair, log.done_ms[1:][follows], half_life_ms
        )
        self.popularity = DecayedCounts(
            log.item, log.done_ms, popularity_half_life_ms
        )
        self.clicks = DecayedCounts(
            np.zeros_like(log.item), log.done_ms, popularity_half_life_ms
        )

    def followers(self, prefixes):
        """Row, item and share of what has followed the last item so far."""
        row, last = prefixes.last()
        fresh = prefixes.fresh[row]
        row, last = row[fresh], last[fresh]
        starts = self._starts[last]
        which, pair = grouping.expand(starts, self._starts[last + 1] - starts)
        row = row[which]
        level = self._transitions.levels(pair, prefixes.asked_ms[row])
        (seen,) = np.nonzero(np.isfinite(level))
        row, level = row[seen], level[seen]
        # Relative to the largest: all may be too small for a float.
        first = grouping.run_starts(row)
        highest = np.full(prefixes.size, -np.inf)
        highest[row[first]] = grouping.run_maxima(level, first)
        count = np.exp2(level - highest[row])
        total = np.bincount(row, count, prefixes.size)
        return row, self._follower[pair[seen]], count / total[row]


def _from_its_end_on(log: Log) -> Log:
    """The log, each click counted when its session has ended."""
    ends = grouping.run_ends(log.session)
    return log._replace(done_ms=log.done_ms[ends][log.session])


def _one_after_the_other(one: Log, other: Log) -> Log:
    """Both, the sessions of the second numbered after those of the first."""
    shift = int(one.session.max(initial=-1)) + 1
    other = other._replace(session=other.session + shift)
    return Log(*map(np.concatenate, zip(one, other, strict=True)))


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"`{name}` must be positive. Received: {value}")

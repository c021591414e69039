"""Counts that fade: of every event half is left after each half-life.

    count(k, t) = sum over events of k at t_e < t of 2 ^ ((t_e - t) / half-life)

All counts fade alike, so that their order changes by events alone: the level

    level(k, t) = log2 count(k, t) + t / half-life

stays as it is between two events of k, and levels order as counts do, even
where these are too small for a float.
"""

import numpy as np

from jump_tf.baselines import grouping

_NONE = -np.inf  # The level of what has no event yet.


class DecayedCounts:
    """Decayed counts of keys, at any time.

    Args:
        key: `[E]` of each event, integers from 0.
        time_ms: `[E]` of each event.
        half_life_ms: may be infinite: plain counts.
    """

    def __init__(
        self, key: np.ndarray, time_ms: np.ndarray, half_life_ms: float
    ):
        order = np.lexsort((time_ms, key))
        self._key, time_ms = key[order], time_ms[order]
        self._half_life_ms = half_life_ms
        # Small numbers in place of instants, and 0 is before all.
        self._instants, instant = grouping.numbered(time_ms)
        self._codes = self._code(self._key, instant)
        self._start_ms = self._instants[0] if len(time_ms) else 0
        self._level = self._levels_after(self._periods(time_ms))
        by_time = np.argsort(instant, kind="stable")
        self._instant = instant[by_time]
        self._raised = self._level[by_time]
        self._left = self._previous(self._level)[by_time]

    def levels(self, key: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
        """`[N]` levels of keys just before some times, -inf without events."""
        if not len(self._key):
            return np.full(len(key), _NONE)
        code = self._code(key, np.searchsorted(self._instants, time_ms))
        event = np.searchsorted(self._codes, code) - 1
        # Before the first event there is none: -1 is the last one's.
        found = (event >= 0) & (self._key[event] == key)
        return np.where(found, self._level[event], _NONE)

    def at_least(self, levels: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
        """`[N]` how many keys with events have such a level or a higher one.

        A key passes a level at the one event that raises it from below to
        there: counted are the events that raise a key so high, less those
        before which it was there.
        """
        known = np.searchsorted(self._instants, time_ms)
        events = np.searchsorted(self._instant, known)
        raised = count_at_least(self._raised, events, levels)
        return raised - count_at_least(self._left, events, levels)

    def _code(self, key, instant):
        return key * (len(self._instants) + 1) + instant

    def _periods(self, time_ms):
        """Half-lives since the first event: levels stay small."""
        return (time_ms - self._start_ms) / self._half_life_ms

    def _levels_after(self, periods):
        """`[E]` level of each event's key just after it.

        After n rounds a count is over its last 2 ^ n events.
        """
        count, place, step = (
            np.ones(len(periods)),
            grouping.places(self._key),
            1,
        )
        while step <= place.max(initial=0):
            (later,) = np.nonzero(place >= step)
            fading = periods[later] - periods[later - step]
            # All read before any is written.
            count[later] += count[later - step] * np.exp2(-fading)
            step *= 2
        return np.log2(count) + periods

    def _previous(self, level):
        """`[E]` level of each event's key just before it."""
        before = np.concatenate([[_NONE], level[:-1]])[: len(level)]
        before[grouping.run_starts(self._key)] = _NONE
        return before


def count_at_least(
    values: np.ndarray, before: np.ndarray, least: np.ndarray
) -> np.ndarray:
    """How many of the first values are at least as large as something.

    Args:
        values: `[E]`.
        before: `[N]`, how many of the first values are looked at.
        least: `[N]`.

    Returns:
        `[N]` int64, in O((E + N) log^2 E).
    """
    order, rank = grouping.numbered(values)
    lowest = np.searchsorted(order, least)
    count = np.zeros(len(before), np.int64)
    for bit in range(len(values).bit_length()):
        # The first n are one block of each power of 2 in n, the largest first.
        (some,) = np.nonzero((before >> bit) & 1)
        block = (before[some] >> bit) - 1
        codes = np.sort((np.arange(len(values)) >> bit) * len(order) + rank)
        code = block * len(order) + lowest[some]
        ends = (block + 1) << bit
        count[some] += ends - np.searchsorted(codes, code)
    return count

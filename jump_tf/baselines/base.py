"""What the counting models of the next click share.

A log is three flat columns in canonical order: session index ascending, then
position in the session from 1 without gaps. Clicks on unknown items are ignored
in training and in the prefixes to predict from, as if nobody had clicked there.

A model scores a few items; all others come below these, by popularity, so that
no rank is lost to a lack of coverage. Equal scores are ordered by popularity
too. What is then still equal is a tie, and ties are lost: an item's rank is the
number of items that do not come below it.
"""

import abc
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jump_tf import schema

CLICKS_AT_ONCE = 2048  # Of all prefixes together: bounds memory, not results.


class Prefixes(NamedTuple):
    """The known clicks before each of A asked clicks, P together.

    Attributes:
        size: A.
        row: `[P]` ascending, which of the asked clicks; a row may be empty.
        item: `[P]` ids in the order of clicks.
        fresh: `[A]` bool, whether the very last click is among them.
    """

    size: int
    row: np.ndarray
    item: np.ndarray
    fresh: np.ndarray

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that are not empty, and the last item of each."""
        ends = run_ends(self.row)
        return self.row[ends], self.item[ends]


class Scores(NamedTuple):
    """The scored items of each of A rows, `[E]` each; no (row, item) twice."""

    row: np.ndarray
    item: np.ndarray
    score: np.ndarray


class Scorer(abc.ABC):
    """Ranks all items after the clicks of a session so far.

    Args:
        session: `[C]` index of the session of each training click.
        position: `[C]` of the click in its session, from 1.
        item: `[C]` ids.
        vocabulary_size: number of ids V, padding and unknown included.
    """

    def __init__(
        self,
        session: np.ndarray,
        position: np.ndarray,
        item: np.ndarray,
        vocabulary_size: int,
    ):
        check_order(session, position)
        self.vocabulary_size = vocabulary_size
        self.level = levels(np.bincount(item, minlength=vocabulary_size))
        self.level[: schema.FIRST_ITEM_ID] = -1
        self._sorted = np.sort(self.level[schema.FIRST_ITEM_ID :])
        self._fit(*known_clicks(session, item))

    def _fit(self, session, item) -> None:
        """Learns more than popularity from the known clicks."""
        del session, item

    def ranks(
        self,
        session: np.ndarray,
        position: np.ndarray,
        item: np.ndarray,
        asked: np.ndarray,
    ) -> np.ndarray:
        """Conservative ranks from 1 of some clicks.

        Args:
            session: `[N]`, as in training.
            position: `[N]`, as in training.
            item: `[N]`, as in training.
            asked: `[A]` indices of the clicks to predict, each from those
                before it in its session; their items must be known.

        Returns:
            `[A]` int64.
        """
        ranks = np.empty(len(asked), np.int64)
        for part, prefixes in _chunks(session, position, item, asked):
            ranks[part] = self._ranks(self._scores(prefixes), item[asked[part]])
        return ranks

    @abc.abstractmethod
    def _scores(self, prefixes: Prefixes) -> Scores:
        """What the model says; must not depend on which rows are together."""

    def _ranks(self, scores, targets):
        row, item, score = scores
        level, size = self.level[targets], len(targets)
        own = np.full(size, np.nan)
        hit = item == targets[row]
        own[row[hit]] = score[hit]
        # Nothing is above or equal to NaN, the score of an unscored target.
        above = (score > own[row]) | (
            (score == own[row]) & (self.level[item] >= level[row])
        )
        among_scored = np.bincount(row[above], minlength=size)
        # Below all that are scored: of these, count what popularity does not.
        lower = np.bincount(row[self.level[item] < level[row]], minlength=size)
        as_popular = len(self._sorted) - np.searchsorted(self._sorted, level)
        return np.where(np.isnan(own), as_popular + lower, among_scored)


def check_order(session: np.ndarray, position: np.ndarray) -> None:
    """Refuses columns that are not in canonical order."""
    step = np.diff(session, prepend=session[:1] - 1)
    follows = np.concatenate([[0], position[:-1]]) + 1
    if np.any(step < 0) or np.any(position != np.where(step, 1, follows)):
        raise ValueError(
            "`session` must ascend and `position` count from 1 in each. "
            f"Received: session={session}, position={position}"
        )


def known_clicks(
    session: np.ndarray, item: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sessions, numbered anew without gaps, and items of the known clicks."""
    known = item >= schema.FIRST_ITEM_ID
    return levels(session[known]), item[known].astype(np.int64)


def distinct(
    session: np.ndarray, item: np.ndarray, vocabulary_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Session, item and number of clicks of each pair, in that order."""
    keys, clicks = np.unique(
        session * vocabulary_size + item, return_counts=True
    )
    return keys // vocabulary_size, keys % vocabulary_size, clicks


def rounded(scores: np.ndarray) -> np.ndarray:
    """Scores that differ in the last bits alone are made equal: ties."""
    return scores.astype(np.float32).astype(np.float64)


def _known(size, row, item) -> Prefixes:
    known = item >= schema.FIRST_ITEM_ID
    ends = run_ends(row)
    fresh = np.zeros(size, bool)
    fresh[row[ends]] = known[ends]
    return Prefixes(size, row[known], item[known].astype(np.int64), fresh)


def _chunks(session, position, item, asked) -> Iterator[tuple[slice, Prefixes]]:
    """Parts of the asked clicks with what came before each."""
    check_order(session, position)
    clicks = np.cumsum(position[asked])
    cuts = np.flatnonzero(np.diff(clicks // CLICKS_AT_ONCE)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(asked)], strict=True):
        part = slice(start, end)
        before = position[asked[part]] - 1
        row, index = expand(asked[part] - before, before)
        yield part, _known(end - start, row, item[index])


def expand(
    starts: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranges `starts[r], starts[r] + 1, ...`, one after another.

    Args:
        starts: `[R]` of each range.
        counts: `[R]` lengths, 0 allowed.

    Returns:
        Of each element the number r of its range, and its value.
    """
    which = np.repeat(np.arange(len(counts)), counts)
    shift = starts - (np.cumsum(counts) - counts)
    return which, np.arange(len(which)) + shift[which]


def run_starts(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals starts in sorted `keys`."""
    return np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))


def run_ends(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals ends in sorted `keys`: its last element."""
    return np.flatnonzero(np.diff(keys, append=keys[-1:] + 1))


def places(keys: np.ndarray) -> np.ndarray:
    """From 0, the place of each element in its run, in sorted `keys`."""
    return np.arange(len(keys)) - np.searchsorted(keys, keys)


def run_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of each run of `values`, from one start to the next."""
    # `reduceat` refuses to start nowhere.
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def sorted_pairs(
    keys: np.ndarray, low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both by `keys`, of equals by `low`, which must not be negative."""
    # One sort of plain integers is several times faster than an argsort.
    bits = int(low.max(initial=0)).bit_length()
    packed = np.sort((keys << bits) | low)
    return packed >> bits, packed & ((1 << bits) - 1)


def levels(values: np.ndarray) -> np.ndarray:
    """int64, 0 for the lowest value, 1 for the next and so on."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)

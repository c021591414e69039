"""What the counting models of the next click share.

Clicks on unknown items are ignored in training and in the prefixes to predict
from, as if nobody had clicked there. Of equal scores all are ties, and ties are
lost: an item's rank is the number of items that do not come below it.
"""

import abc
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jump_tf import schema
from jump_tf.baselines import grouping

CLICKS_AT_ONCE = 2048  # Of all prefixes together: bounds memory, not results.
HOUR_MS = 3_600_000
NEVER = np.iinfo(np.int64).max  # The instant of what is not known to be over.


class Log(NamedTuple):
    """Clicks as flat columns, `[C]` each.

    They are in canonical order: session ascending, then position from 1
    without gaps. What has a clock counts a click for those alone that are
    asked for after it was surely made: `done_ms < asked_ms`.

    Attributes:
        session: index of the click's session.
        position: of the click in its session.
        item: ids.
        asked_ms: int64, when the click is asked for; not later, if that is not
            known.
        done_ms: int64, when it was made; `NEVER` if that is not known.
    """

    session: np.ndarray
    position: np.ndarray
    item: np.ndarray
    asked_ms: np.ndarray
    done_ms: np.ndarray


class Prefixes(NamedTuple):
    """The known clicks before each of A asked clicks, P together.

    Attributes:
        asked_ms: `[A]` when each is asked for.
        row: `[P]` ascending, which of the asked clicks; a row may be empty.
        item: `[P]` ids in the order of clicks.
        fresh: `[A]` bool, whether the very last click is among them.
    """

    asked_ms: np.ndarray
    row: np.ndarray
    item: np.ndarray
    fresh: np.ndarray

    @property
    def size(self) -> int:
        """A."""
        return len(self.asked_ms)

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that are not empty, and the last item of each."""
        ends = grouping.run_ends(self.row)
        return self.row[ends], self.item[ends]


class Scores(NamedTuple):
    """The scored items of each of A rows, `[E]` each; no (row, item) twice."""

    row: np.ndarray
    item: np.ndarray
    score: np.ndarray


class Scorer(abc.ABC):
    """Ranks all items after the clicks of a session so far.

    Args:
        log: of training.
        vocabulary_size: number of ids V, padding and unknown included.
    """

    def __init__(self, log: Log, vocabulary_size: int):
        check_order(log)
        self.vocabulary_size = vocabulary_size
        self._fit(known_clicks(log))

    @abc.abstractmethod
    def _fit(self, log: Log) -> None:
        """Learns from the known clicks."""

    @abc.abstractmethod
    def ranks(self, log: Log, asked: np.ndarray) -> np.ndarray:
        """Conservative ranks from 1 of some clicks.

        Args:
            log: what they are among, of `[N]` clicks.
            asked: `[A]` indices of the clicks to predict, each from those
                before it in its session; their items must be known.

        Returns:
            `[A]` int64.
        """


class SparseScorer(Scorer):
    """Scores a few items; all others come below these, by popularity.

    So no rank is lost to a lack of coverage. Equal scores are ordered by
    popularity too, which is the number of clicks in training.
    """

    def _fit(self, log: Log) -> None:
        counts = np.bincount(log.item, minlength=self.vocabulary_size)
        self.level = grouping.levels(counts)
        self.level[: schema.FIRST_ITEM_ID] = -1
        self._sorted = np.sort(self.level[schema.FIRST_ITEM_ID :])

    def ranks(self, log: Log, asked: np.ndarray) -> np.ndarray:
        ranks = np.empty(len(asked), np.int64)
        for part, prefixes in chunks(log, asked):
            targets = log.item[asked[part]]
            ranks[part] = self._ranks(self._scores(prefixes), targets)
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


def check_order(log: Log) -> None:
    """Refuses a log that is not in canonical order."""
    session, position = log.session, log.position
    step = np.diff(session, prepend=session[:1] - 1)
    follows = np.concatenate([[0], position[:-1]]) + 1
    if np.any(step < 0) or np.any(position != np.where(step, 1, follows)):
        raise ValueError(
            "`session` must ascend and `position` count from 1 in each. "
            f"Received: session={session}, position={position}"
        )


def known_clicks(log: Log) -> Log:
    """The clicks on known items, sessions numbered anew without gaps."""
    known = log.item >= schema.FIRST_ITEM_ID
    session = grouping.levels(log.session[known])
    return Log(
        session,
        grouping.places(session) + 1,
        log.item[known].astype(np.int64),
        log.asked_ms[known],
        log.done_ms[known],
    )


def rounded(scores: np.ndarray) -> np.ndarray:
    """Scores that differ in the last bits alone are made equal: ties."""
    return scores.astype(np.float32).astype(np.float64)


def chunks(log: Log, asked: np.ndarray) -> Iterator[tuple[slice, Prefixes]]:
    """Parts of the asked clicks with what came before each."""
    check_order(log)
    clicks = np.cumsum(log.position[asked])
    cuts = np.flatnonzero(np.diff(clicks // CLICKS_AT_ONCE)) + 1
    for start, end in zip([0, *cuts], [*cuts, len(asked)], strict=True):
        part = slice(start, end)
        before = log.position[asked[part]] - 1
        row, index = grouping.expand(asked[part] - before, before)
        asked_ms = log.asked_ms[asked[part]]
        yield part, _known_prefixes(asked_ms, row, log.item[index])


def _known_prefixes(asked_ms, row, item) -> Prefixes:
    known = item >= schema.FIRST_ITEM_ID
    ends = grouping.run_ends(row)
    fresh = np.zeros(len(asked_ms), bool)
    fresh[row[ends]] = known[ends]
    return Prefixes(asked_ms, row[known], item[known].astype(np.int64), fresh)

"""Shown items to lists: group, order, cut, drop.

Between the stages a list is a plain tuple, which Beam encodes fast.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import apache_beam as beam
import numpy as np

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs.sources.impression_logs.parsing import Row

# List id, and its rows in their order.
Shown = tuple[str, list[Row]]

NO_CLICK = "conversion without click"
SHORT_LIST = "short list"
REPEATED = "copy of a list"


class GroupLists(beam.PTransform):
    """Turns `(list key, [Row])`s into `Shown`s, by time, then by the log.

    Without a gap a key is a list. With one it is a visitor or a long list,
    cut into lists called `key/start_ms`.

    Args:
        gap_seconds: the pause that cuts, or None.
        once: whether only the first record of a key is kept.
    """

    def __init__(self, gap_seconds: float | None, once: bool):
        super().__init__()
        self.gap_seconds = gap_seconds
        self.once = once

    def expand(self, items):
        return (
            items
            | "GroupByKey" >> beam.GroupByKey()
            | "Cut"
            >> beam.FlatMapTuple(
                _lists, gap_seconds=self.gap_seconds, once=self.once
            )
        )


class JoinFeatures(beam.PTransform):
    """Adds the features of a list to each of its items.

    Takes `{"shown": Shown, "common": (list id, [Row])}`; lists without
    common features stay as they are.
    """

    def expand(self, pcolls):
        return (
            pcolls
            | "GroupById" >> beam.CoGroupByKey()
            | "Join" >> beam.FlatMapTuple(_joined)
        )


class KeepLists(beam.PTransform):
    """Drops conversions without a click, then lists that are short."""

    def __init__(self, min_list_length: int):
        super().__init__()
        self.min_list_length = min_list_length

    def expand(self, shown):
        return shown | "Keep" >> beam.ParDo(_Keep(self.min_list_length))


@dataclasses.dataclass(frozen=True)
class Lists:
    """A batch of lists, which the stages after the filters pass on."""

    shown: list[Shown]

    @property
    def digests(self) -> np.ndarray:
        """`[S, 4]` of their ids, see `columns.digests`."""
        return columns.digests(list_id.encode() for list_id, _ in self.shown)

    def instants(self) -> np.ndarray:
        """`[S]` ms UTC, by which lists are split: their first items."""
        return np.array([rows[0][0] for _, rows in self.shown], np.int64)

    def take(self, rows: np.ndarray) -> "Lists":
        """Returns the lists in `rows`, in that order."""
        return Lists([self.shown[row] for row in rows])


class BatchLists(beam.PTransform):
    """Joins `Shown`s to `Lists`."""

    def expand(self, shown):
        return shown | beam.BatchElements(64, 1024) | beam.Map(Lists)


def feature_texts(lists: Lists) -> list[str]:
    """Returns all features of the lists' items, without the missing ones."""
    return [
        text
        for _, rows in lists.shown
        for row in rows
        for text in row[4]
        if text
    ]


def cut_at_gaps(
    times_ms: Sequence[int], gap_seconds: float
) -> Iterator[tuple[int, int]]:
    """Yields [start, end) of each run with no pause of `gap_seconds` or more.

    Args:
        times_ms: at least one instant, ascending.
        gap_seconds: a pause of exactly this length cuts.
    """
    start = 0
    for index in range(1, len(times_ms)):
        if times_ms[index] - times_ms[index - 1] >= gap_seconds * 1000:
            yield start, index
            start = index
    yield start, len(times_ms)


class _Keep(beam.DoFn):
    def __init__(self, min_list_length):
        self.min_list_length = min_list_length
        self.kept = counting.counter(counting.KEPT)

    def process(self, shown):
        list_id, rows = shown
        sound = [row for row in rows if row[2] or not row[3]]
        counting.count_filtered(NO_CLICK, len(rows) - len(sound))
        if len(sound) < self.min_list_length:
            counting.count_filtered(SHORT_LIST, len(sound))
            return
        self.kept.inc(len(sound))
        yield list_id, sound


def _lists(
    key: str,
    groups: Iterable[Iterable[Row]],
    gap_seconds: float | None = None,
    once: bool = False,
) -> Iterator[Shown]:
    rows = list(itertools.chain.from_iterable(groups))
    if once:
        first = min(row[1] for row in rows)
        mine = [row for row in rows if row[1] == first]
        counting.count_filtered(REPEATED, len(rows) - len(mine))
        rows = mine
    # Stable: the items of a record, which share a position, keep their order.
    rows.sort(key=lambda row: row[:2])
    if gap_seconds is None:
        yield key, rows
        return
    times = [row[0] for row in rows]
    for start, end in cut_at_gaps(times, gap_seconds):
        yield f"{key}/{times[start]}", rows[start:end]


def _joined(list_id, joined) -> Iterator[Shown]:
    common = itertools.chain.from_iterable(joined["common"])
    more: list[str] = []
    more_values: list[float] = []
    for *_, texts, values in common:
        more += texts
        more_values += values or [1.0] * len(texts)
    for rows in joined["shown"]:
        counting.counter(counting.JOINED).inc(bool(more))
        yield (
            list_id,
            [
                (
                    *row,
                    [*texts, *more],
                    [*(values or [1.0] * len(texts)), *more_values],
                )
                for *row, texts, values in rows
            ],
        )

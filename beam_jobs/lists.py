"""Shown items to lists: group, order, cut, drop; and lists as written.

Between the stages a list is a plain tuple, which Beam encodes fast.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import sessions
from beam_jobs.list_sources.items import Row
from jump_tf import schema
from jump_tf.lists import records

# List id, and its rows in their order.
Shown = tuple[str, list[Row]]

NO_CLICK = "conversion without click"
SHORT_LIST = "short list"
REPEATED = "copy of a list"


class GroupLists(beam.PTransform):
    """`(list key, [Row])` to `Shown`s, ordered by time, then by the log.

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

    Takes `{"shown": Shown, "common": (list id, [Row])}`; lists of which
    nothing is told in common stay as they are.
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
class ListShards:
    """Lists as they are written: ids of features, times since the start.

    Attributes:
        has_clock: whether times are instants.
    """

    has_clock: bool

    def to_records(
        self, grouped: Sequence[Shown], ids: Mapping[str, int]
    ) -> list[schema.ShownList]:
        """Features that are not in the vocabulary become `OOV_ID`."""
        return [to_list(shown, ids, self.has_clock) for shown in grouped]

    def write(self, path: str, written: Sequence[schema.ShownList]) -> None:
        """Writes one record file."""
        records.write(path, written)

    def sizes(self, written: Sequence[schema.ShownList]) -> dict[str, int]:
        """Lists, items, clicks and conversions."""
        return {
            counting.LISTS: len(written),
            counting.ITEMS: sum(map(len, written)),
            counting.CLICKS: sum(sum(each.clicked) for each in written),
            counting.CONVERSIONS: sum(sum(each.converted) for each in written),
        }


def to_list(
    shown: Shown, ids: Mapping[str, int], has_clock: bool
) -> schema.ShownList:
    """A list as it is written.

    Args:
        shown: the list.
        ids: of the vocabulary's features.
        has_clock: whether times are instants; else the list starts at 0.
    """
    list_id, rows = shown
    times, _, clicked, converted, features, values = zip(*rows, strict=True)
    start_ms = times[0]
    # An item of which nothing is known has one feature, that nobody knows.
    known = [
        [ids.get(text, schema.OOV_ID) for text in texts] or [schema.OOV_ID]
        for texts in features
    ]
    return schema.ShownList(
        list_id,
        start_ms if has_clock else 0,
        [(time_ms - start_ms) / 1000 for time_ms in times],
        known,
        [
            list(told) or [1.0] * len(mine)
            for told, mine in zip(values, known, strict=True)
        ],
        list(clicked),
        list(converted),
    )


def start_ms(shown: Shown) -> int:
    """The instant of a list's first item, by which it is split."""
    return shown[1][0][0]


def feature_texts(shown: Shown) -> list[str]:
    """All features of a list's items, without the missing ones."""
    texts = itertools.chain.from_iterable(row[4] for row in shown[1])
    return [text for text in texts if text]


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
    for start, end in sessions.cut_at_gaps(times, gap_seconds):
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

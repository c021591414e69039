"""The stages from clicks to sessions, as Beam runs them.

An element is a batch of columns: a block of the log, then all clicks of some
visits. Beam costs too much to move a click on its own.
"""

from collections.abc import Iterator

import apache_beam as beam
import numpy as np

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs.options.sessions import PrepareOptions
from beam_jobs.transforms import k_core
from beam_jobs.transforms import sessions
from beam_jobs.transforms import splits
from beam_jobs.transforms import vocabulary
from beam_jobs.transforms.sessions import Sessions

RARE_ITEM = "rare item"
SHORT_SESSION = "short session"
BACKWARD_CLOCK = "clock runs backward"
TOO_LATE = "after the end"
REPEAT = "merged repeat"
TOO_EARLY = "beyond the longest"
COPY = "copy of a session"


class LogEnd(beam.PTransform):
    """Finds the clicks' last instant, ms UTC; 0 where no gap cuts sessions."""

    def __init__(self, gap_seconds: float | None):
        super().__init__()
        self.gap_seconds = gap_seconds

    def expand(self, clicks):
        if self.gap_seconds is None:
            return clicks.pipeline | beam.Create([0])
        return (
            clicks
            | "Latest"
            >> beam.MapTuple(lambda _, some: some.time_ms.max(initial=0))
            | "Last" >> beam.CombineGlobally(splits.latest)
        )


class Sessionize(beam.PTransform):
    """Turns `(place, Clicks)`s into `Sessions`, in the order of the log.

    Args:
        options: what is asked for.
        log_end_ms: one instant.
        partitions: batches to make; one worker holds one in memory.
    """

    def __init__(self, options: PrepareOptions, log_end_ms, partitions: int):
        super().__init__()
        self.log_end_ms = log_end_ms
        self.partitions = partitions
        self.cut = _Cut(options)

    def expand(self, clicks):
        return (
            clicks
            | "ByVisit" >> beam.FlatMapTuple(_by_visit, number=self.partitions)
            | "GroupByVisit" >> beam.GroupByKey()
            | "Cut"
            >> beam.ParDo(self.cut, beam.pvalue.AsSingleton(self.log_end_ms))
        )


class KeepTrainable(beam.PTransform):
    """Drops rare items, then short sessions, in the paper's order.

    Once, or until none is left, see `k_core`. A longer session than is asked
    for then keeps its last clicks.
    """

    def __init__(self, options: PrepareOptions):
        super().__init__()
        self.options = options

    def expand(self, grouped):
        frequent = (
            grouped
            | "Items" >> beam.Map(sessions.item_counts)
            | "CountItems" >> beam.CombineGlobally(vocabulary.CountTexts())
            | "Frequent"
            >> beam.Map(vocabulary.frequent, self.options.min_item_clicks)
        )
        if self.options.k_core:
            frequent = (grouped, frequent) | "KCore" >> k_core.CoreItems(
                self.options.min_item_clicks, self.options.min_session_clicks
            )
        return grouped | "Keep" >> beam.ParDo(
            _Keep(self.options), beam.pvalue.AsSingleton(frequent)
        )


class _Cut(beam.DoFn):
    def __init__(self, options):
        self.options = options
        self.grouped = counting.counter(counting.GROUPED)
        self.to_count = counting.counter(counting.TO_COUNT)

    def process(self, partition, log_end_ms):
        _, batches = partition
        ordered = [clicks for _, clicks in sorted(batches, key=_place)]
        clicks = columns.concatenate(ordered)
        self.grouped.inc(len(clicks))
        once = columns.first_records(clicks)
        counting.count_filtered(COPY, len(clicks) - len(once))
        found = sessions.cut_sessions(
            once, self.options.gap_seconds, log_end_ms
        )
        if self.options.gap_seconds is not None:
            splits.check_latest("cut", found.time_ms, log_end_ms)
        if self.options.merges_repeats:
            found = _counted(REPEAT, found, sessions.merge_repeats(found))
        if self.options.until_ms is not None:
            in_time = np.flatnonzero(found.last_ms < self.options.until_ms)
            found = _counted(TOO_LATE, found, found.take(in_time))
        self.to_count.inc(found.num_clicks)
        if len(found):
            yield found


class _Keep(beam.DoFn):
    def __init__(self, options):
        self.shortest = options.min_session_clicks
        self.longest = options.max_session_length
        self.kept = counting.counter(counting.KEPT)

    def process(self, grouped, frequent):
        left = _counted(BACKWARD_CLOCK, grouped, sessions.forward(grouped))
        often = sessions.with_items(left, frequent)
        left = _counted(RARE_ITEM, left, often)
        long = sessions.at_least(left, self.shortest)
        left = _counted(SHORT_SESSION, left, long)
        if self.longest is not None:
            last = sessions.last_clicks(left, self.longest)
            left = _counted(TOO_EARLY, left, last)
        self.kept.inc(left.num_clicks)
        if len(left):
            yield left


def _by_visit(place, clicks, number=1) -> Iterator:
    for part, mine in columns.partition(clicks, number):
        yield part, (place, mine)


def _place(batch):
    return batch[0]


def _counted(reason: str, before: Sessions, after: Sessions) -> Sessions:
    counting.count_filtered(reason, before.num_clicks - after.num_clicks)
    return after

"""Clicks to sessions: group, order, cut, filter, and the dwell of each click.

Between the stages a session is a plain tuple, which Beam encodes fast.
"""

import itertools
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import vocabulary

# Session id, raw item ids, instants in ms UTC.
Visit = tuple[str, list[str], list[int]]
# Origin and time in ms, position in the log, raw item id.
LogClick = tuple[int, int, int, str]

RARE_ITEM = "rare item"
SHORT_SESSION = "short session"
BACKWARD_CLOCK = "clock runs backward"
TOO_LATE = "after the end"


def censored_dwell(
    times_ms: Sequence[int],
    max_dwell_seconds: float,
    last_dwell_seconds: float,
) -> tuple[list[float], list[int]]:
    """Dwell of each click and its censoring (JUMP, IJCAI 2018, eq. 4).

    A dwell ends with the next click of the session that is kept. From
    `max_dwell_seconds` on, and on the last click, all that is known is a lower
    bound.

    Args:
        times_ms: `l` instants, ascending.
        max_dwell_seconds: c1; a dwell of exactly c1 is censored.
        last_dwell_seconds: c2, given to the last click.

    Returns:
        `l` dwells tau in seconds, and `l` flags delta (1 = censored).
    """
    raw = [(end - start) / 1000 for start, end in itertools.pairwise(times_ms)]
    dwell = [min(seconds, max_dwell_seconds) for seconds in raw]
    censored = [int(seconds >= max_dwell_seconds) for seconds in raw]
    return [*dwell, last_dwell_seconds], [*censored, 1]


def order_clicks(
    groups: Iterable[Iterable[LogClick]],
) -> tuple[list[str], list[int]]:
    """The items and instants (ms UTC) of a visit's clicks, in their order.

    Clicks of equal time keep the order of the log. Times count from the
    origin of the first click, whatever the others' origins are.
    """
    clicks = sorted(itertools.chain.from_iterable(groups))
    origin_ms = clicks[0][0]
    return (
        [item for _, _, _, item in clicks],
        [origin_ms + time_ms for _, time_ms, _, _ in clicks],
    )


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


class Sessionize(beam.PTransform):
    """Clicks by visit, as `ParseClicks` gives them, to `Visit`s.

    Without a gap a visit is a session. With one it is all that a visitor did,
    and is cut into sessions called `visitor/start_ms`.
    """

    def __init__(self, gap_seconds: float | None):
        super().__init__()
        self.gap_seconds = gap_seconds

    def expand(self, clicks):
        return (
            clicks
            | "GroupByVisit" >> beam.GroupByKey()
            | "Cut"
            >> beam.FlatMapTuple(_sessions, gap_seconds=self.gap_seconds)
        )


class EndBefore(beam.PTransform):
    """Drops the sessions whose last click is not before an instant.

    A log's last days may hold a few strays, all that a split by time would
    then test on.

    Args:
        until_ms: ms UTC; None drops nothing.
    """

    def __init__(self, until_ms: int | None):
        super().__init__()
        self.until_ms = until_ms

    def expand(self, sessions):
        if self.until_ms is None:
            return sessions
        return sessions | "InTime" >> beam.Filter(_ends_before, self.until_ms)


class KeepTrainable(beam.PTransform):
    """Drops rare items, then short sessions; once, in the paper's order."""

    def __init__(self, min_item_clicks: int, min_session_clicks: int):
        super().__init__()
        self.min_item_clicks = min_item_clicks
        self.min_session_clicks = min_session_clicks

    def expand(self, sessions):
        frequent = (
            sessions
            | "Items" >> beam.Map(lambda visit: visit[1])
            | "CountItems" >> beam.CombineGlobally(vocabulary.CountItems())
            | "Frequent" >> beam.Map(_frequent, self.min_item_clicks)
        )
        return sessions | "Keep" >> beam.ParDo(
            _Keep(self.min_session_clicks), beam.pvalue.AsSingleton(frequent)
        )


class _Keep(beam.DoFn):
    def __init__(self, min_session_clicks):
        self.min_session_clicks = min_session_clicks
        self.kept = counting.counter(counting.KEPT)

    def process(self, visit, frequent):
        session_id, items, times_ms = visit
        if any(end < start for start, end in itertools.pairwise(times_ms)):
            counting.count_filtered(BACKWARD_CLOCK, len(items))
            return
        items, times_ms = keep_items(items, times_ms, frequent)
        counting.count_filtered(RARE_ITEM, len(visit[1]) - len(items))
        if len(items) < self.min_session_clicks:
            counting.count_filtered(SHORT_SESSION, len(items))
            return
        self.kept.inc(len(items))
        yield session_id, items, times_ms


def keep_items(
    items: Sequence[str], times_ms: Sequence[int], frequent: Collection[str]
) -> tuple[list[str], list[int]]:
    """Only the clicks on items that are in `frequent`."""
    kept = [item in frequent for item in items]
    return (
        list(itertools.compress(items, kept)),
        list(itertools.compress(times_ms, kept)),
    )


def _ends_before(visit: Visit, until_ms: int) -> bool:
    in_time = visit[2][-1] < until_ms
    if not in_time:
        counting.count_filtered(TOO_LATE, len(visit[1]))
    return in_time


def _frequent(counts: dict[str, int], min_item_clicks: int) -> set[str]:
    return {item for item, count in counts.items() if count >= min_item_clicks}


def _sessions(visit, groups, gap_seconds=None) -> Iterator[Visit]:
    items, times_ms = order_clicks(groups)
    if gap_seconds is None:
        yield visit, items, times_ms
        return
    for start, end in cut_at_gaps(times_ms, gap_seconds):
        session_id = f"{visit}/{times_ms[start]}"
        yield session_id, items[start:end], times_ms[start:end]

"""What `jump-tf prepare` must make of a click log, in plain Python.

Written from what the options promise, one click at a time and with the standard
library alone; nothing is shared with the job.
"""

import collections
import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

DAY_MS = 86_400_000


class Row(NamedTuple):
    """A readable row of a log.

    Attributes:
        visit: id of the session or, where a gap cuts, of the visitor.
        item: its id.
        time_ms: milliseconds since `origin_ms`.
        dwell: seconds that the site measured, if it did.
        origin_ms: milliseconds UTC; times of a visit count from that of its
            first click.
    """

    visit: str
    item: str
    time_ms: int
    dwell: float | None = None
    origin_ms: int = 0


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is asked for; the fields are called as those of `PrepareOptions`.

    Attributes:
        until_ms: `until`, milliseconds UTC.
    """

    session_gap: float | None = None
    merge_repeats: bool = False
    until_ms: int | None = None
    min_item_clicks: int = 3
    min_session_clicks: int = 2
    k_core: bool = False
    max_session_length: int | None = None
    max_dwell_seconds: float = 2000.0
    last_dwell_seconds: float = 30.0
    split: str = "random"
    test_days: float = 1.0
    validation_days: float | None = None


class Click(NamedTuple):
    item: str
    time_ms: int
    dwell: float | None


class Session(NamedTuple):
    """A session as it is written, but for its items, which keep their names."""

    start_ms: int
    items: list[str]
    dwell_seconds: list[float]
    dwell_censored: list[int]
    cut: int


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a data folder must hold.

    Attributes:
        splits: split -> session id -> session.
        vocabulary: item ids in their order.
        filtered: reason -> clicks, without zeros.
    """

    splits: dict[str, dict[str, Session]]
    vocabulary: list[str]
    filtered: dict[str, int]

    @property
    def sessions(self) -> dict[str, Session]:
        """Session id -> session, of all splits."""
        return {
            name: session
            for mine in self.splits.values()
            for name, session in mine.items()
        }


def expected(rows: Sequence[Row], rules: Rules) -> Expected:
    """What `rules` make of a log; rows are in its order."""
    filtered: collections.Counter[str] = collections.Counter()
    log_end_ms = max(row.origin_ms + row.time_ms for row in rows)
    cut: dict[str, bool] = {}
    found: dict[str, list[Click]] = {}
    for name, clicks in _sessions(rows, rules.session_gap):
        cut[name] = rules.session_gap is not None and (
            log_end_ms - clicks[-1].time_ms < 1000 * rules.session_gap
        )
        merged = _merged(clicks) if rules.merge_repeats else clicks
        filtered["merged repeat"] += len(clicks) - len(merged)
        if rules.until_ms is not None and merged[-1].time_ms >= rules.until_ms:
            filtered["after the end"] += len(merged)
        else:
            found[name] = merged
    kept = _kept(found, rules, filtered)
    splits = _splits(kept, rules)
    counts = collections.Counter(
        click.item for name in splits["train"] for click in kept[name]
    )
    return Expected(
        {
            split: {
                name: _written(
                    kept[name], log_end_ms if cut[name] else None, rules
                )
                for name in names
            }
            for split, names in splits.items()
        },
        sorted(counts, key=lambda item: (-counts[item], item)),
        {reason: number for reason, number in filtered.items() if number},
    )


def random_split(session_id: str) -> str:
    """The split of a session by the digest of its id."""
    number = int(hashlib.sha256(session_id.encode()).hexdigest(), 16)
    if number % 100 < 20:
        return "test"
    return "validation" if (number // 100) % 100 < 10 else "train"


def _sessions(rows, gap_seconds) -> Iterator[tuple[str, list[Click]]]:
    visits = collections.defaultdict(list)
    for row in rows:
        visits[row.visit].append(row)
    for visit, mine in visits.items():
        # Stable: rows of one instant stay in the order of the log.
        mine.sort(key=lambda row: (row.origin_ms, row.time_ms))
        clicks = [
            Click(row.item, mine[0].origin_ms + row.time_ms, row.dwell)
            for row in mine
        ]
        if gap_seconds is None:
            yield visit, clicks
            continue
        session = clicks[:1]
        for before, click in itertools.pairwise(clicks):
            if click.time_ms - before.time_ms >= 1000 * gap_seconds:
                yield f"{visit}/{session[0].time_ms}", session
                session = []
            session.append(click)
        yield f"{visit}/{session[0].time_ms}", session


def _merged(clicks):
    merged = []
    for item, run in itertools.groupby(clicks, key=lambda click: click.item):
        same = list(run)
        dwells = [click.dwell for click in same]
        # How long all of them took is not known where one was not measured.
        total = None if None in dwells else sum(dwells)
        merged.append(Click(item, same[0].time_ms, total))
    return merged


def _kept(found, rules, filtered):
    forward = {}
    for name, clicks in found.items():
        times = [click.time_ms for click in clicks]
        if times == sorted(times):
            forward[name] = clicks
        else:
            filtered["clock runs backward"] += len(clicks)
    frequent = _frequent(found.values(), rules)
    if rules.k_core:
        frequent = _k_core(list(forward.values()), rules)
    kept = {}
    for name, clicks in forward.items():
        often = [click for click in clicks if click.item in frequent]
        filtered["rare item"] += len(clicks) - len(often)
        if len(often) < rules.min_session_clicks:
            filtered["short session"] += len(often)
            continue
        longest = rules.max_session_length or len(often)
        kept[name] = often[-longest:]
        filtered["beyond the longest"] += len(often) - len(kept[name])
    return kept


def _frequent(sessions, rules) -> set[str]:
    counts = collections.Counter(
        click.item for clicks in sessions for click in clicks
    )
    return {i for i, n in counts.items() if n >= rules.min_item_clicks}


def _k_core(sessions, rules) -> set[str]:
    """Drops a session, or the clicks on an item, one at a time."""
    while True:
        frequent = _frequent(sessions, rules)
        for number, clicks in enumerate(sessions):
            left = [click for click in clicks if click.item in frequent]
            if len(left) < rules.min_session_clicks:
                del sessions[number]
                break
            if len(left) < len(clicks):
                sessions[number] = left
                break
        else:
            return frequent


def _splits(kept, rules) -> dict[str, list[str]]:
    splits = {"train": [], "validation": [], "test": []}
    end_ms = max((clicks[-1].time_ms for clicks in kept.values()), default=0)
    for name, clicks in kept.items():
        days = (end_ms - clicks[-1].time_ms) / DAY_MS
        if rules.split == "random":
            splits[random_split(name)].append(name)
        elif days <= rules.test_days:
            splits["test"].append(name)
        elif days <= rules.test_days + (
            rules.validation_days or rules.test_days
        ):
            splits["validation"].append(name)
        else:
            splits["train"].append(name)
    return splits


def _written(clicks, log_end_ms, rules) -> Session:
    """A session; `log_end_ms` is given where only the log's end cut it."""
    seconds, censored = [], []
    following = [click.time_ms for click in clicks[1:]]
    for click, end_ms in itertools.zip_longest(clicks, following):
        dwell, is_bound = click.dwell, False
        if dwell is None and end_ms is not None:
            dwell = (end_ms - click.time_ms) / 1000
        elif dwell is None:
            dwell, is_bound = rules.last_dwell_seconds, True
            if log_end_ms is not None:
                dwell = min(dwell, (log_end_ms - click.time_ms) / 1000)
        seconds.append(min(dwell, rules.max_dwell_seconds))
        censored.append(int(is_bound or dwell >= rules.max_dwell_seconds))
    return Session(
        clicks[0].time_ms,
        [click.item for click in clicks],
        seconds,
        censored,
        int(log_end_ms is not None),
    )

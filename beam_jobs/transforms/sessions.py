"""Clicks to sessions: order, cut, filter, and the dwell of each click.

All of it on columns, and without Beam.
"""

import dataclasses
import functools
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs import columns
from beam_jobs.columns import Clicks
from jump_tf import schema


@dataclasses.dataclass(frozen=True)
class Sessions:
    """Columns of `S` sessions that have `C` clicks between them.

    Attributes:
        ids: `S` session ids, texts.
        lengths: `[S]` int32 clicks of each; none is empty.
        items: `C` raw item ids; numbers into a dictionary of texts.
        time_ms: `[C]` int64 milliseconds UTC.
        dwell_seconds: `[C]` float64 as measured, NaN where it was not; None
            where nothing was.
        session_cut: `[S]` bool: whether the session may have gone on when
            the log ended.
        log_end_ms: the log's last instant; 0 where no session is cut.
    """

    ids: pa.Array
    lengths: np.ndarray
    items: pa.DictionaryArray
    time_ms: np.ndarray
    dwell_seconds: np.ndarray | None
    session_cut: np.ndarray
    log_end_ms: int

    def __len__(self) -> int:
        return len(self.lengths)

    def __getstate__(self):
        # Digests take more room than a short session, and less time to make
        # again than to move.
        state = dict(self.__dict__)
        state.pop("digests", None)
        return state

    @functools.cached_property
    def digests(self) -> np.ndarray:
        """`[S, 4]` of the ids, see `columns.digests`."""
        return columns.digests(columns.text_bytes(self.ids))

    @property
    def num_clicks(self) -> int:
        """The number of clicks, C."""
        return len(self.time_ms)

    @property
    def starts(self) -> np.ndarray:
        """`[S]` int64 first click of each session."""
        return np.cumsum(self.lengths) - self.lengths

    def instants(self) -> np.ndarray:
        """`[S]` ms UTC, by which sessions are split: their last clicks."""
        return self.last_ms

    @property
    def last_ms(self) -> np.ndarray:
        """`[S]` int64 instant of each session's last click."""
        return self.time_ms[np.cumsum(self.lengths) - 1]

    def take(self, sessions: np.ndarray) -> "Sessions":
        """Returns some of the sessions, in the order given."""
        lengths = self.lengths[sessions]
        first = np.repeat(self.starts[sessions], lengths)
        inside = np.arange(len(first)) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        clicks = first + inside
        taken = Sessions(
            self.ids.take(pa.array(sessions)),
            lengths,
            columns.take_texts(self.items, clicks),
            self.time_ms[clicks],
            None if self.dwell_seconds is None else self.dwell_seconds[clicks],
            self.session_cut[sessions],
            self.log_end_ms,
        )
        if "digests" in self.__dict__:  # They are, once somebody asked.
            taken.__dict__["digests"] = self.digests[sessions]
        return taken

    def keep(self, clicks: np.ndarray) -> "Sessions":
        """Returns only some clicks, `[C]` bool, and no session without any."""
        session = np.repeat(np.arange(len(self)), self.lengths)
        lengths = np.bincount(session[clicks], minlength=len(self))
        left = lengths > 0
        return Sessions(
            self.ids.filter(pa.array(left)),
            lengths[left].astype(np.int32),
            columns.take_texts(self.items, np.flatnonzero(clicks)),
            self.time_ms[clicks],
            None if self.dwell_seconds is None else self.dwell_seconds[clicks],
            self.session_cut[left],
            self.log_end_ms,
        )


def cut_sessions(
    clicks: Clicks, gap_seconds: float | None, log_end_ms: int
) -> Sessions:
    """Orders the clicks of visits, and cuts them where a visitor paused.

    Clicks of equal time keep the order of the log. Times count from the
    origin of a session's first click, whatever the others' origins are.

    Args:
        clicks: all of some visits, in the order of the log.
        gap_seconds: a pause of exactly this length cuts, into sessions called
            `visitor/start_ms`; None where visits are sessions.
        log_end_ms: the log's last instant. A session may have gone on where
            its last click is less than a gap before.
    """
    clicks = clicks.take(_order(clicks))
    visits = columns.codes(clicks.visits)
    time_ms = clicks.time_ms
    first = np.diff(visits, prepend=-1) != 0
    if gap_seconds is not None:
        gap_ms = gap_seconds * 1000
        first |= np.diff(time_ms, prepend=time_ms[:1]) >= gap_ms
    starts = np.flatnonzero(first)
    lengths = np.diff(starts, append=len(clicks)).astype(np.int32)
    if clicks.origin_ms is not None:
        time_ms = time_ms + np.repeat(clicks.origin_ms[starts], lengths)
    ids = pc.take(clicks.visits.dictionary, pa.array(visits[starts]))
    session_cut = np.zeros(len(starts), bool)
    if gap_seconds is not None:
        start_ms = pa.array(time_ms[starts]).cast(pa.string())
        ids = pc.binary_join_element_wise(ids, start_ms, "/")
        last_ms = time_ms[starts + lengths - 1]
        session_cut = log_end_ms - last_ms < gap_ms
    return Sessions(
        ids,
        lengths,
        clicks.items,
        time_ms,
        clicks.dwell_seconds,
        session_cut,
        log_end_ms,
    )


def merge_repeats(sessions: Sessions) -> Sessions:
    """Merges consecutive clicks on one item into one, with the first's time.

    Its measured dwell is the sum of theirs, unknown where one of them is.
    """
    items = columns.codes(sessions.items)
    first = np.diff(items, prepend=-1) != 0
    first[sessions.starts] = True
    dwell = sessions.dwell_seconds
    merged = sessions.keep(first)
    if dwell is None:
        return merged
    sums = np.add.reduceat(dwell, np.flatnonzero(first))
    return dataclasses.replace(merged, dwell_seconds=sums)


def item_counts(sessions: Sessions) -> dict[str, int]:
    """Returns raw item id -> number of clicks."""
    names = sessions.items.dictionary.to_pylist()
    counts = np.bincount(columns.codes(sessions.items), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def with_items(sessions: Sessions, items: pa.Array) -> Sessions:
    """Returns the clicks on some items, and no session without any."""
    wanted = pc.is_in(sessions.items.dictionary, items).to_numpy(False)
    return sessions.keep(wanted[columns.codes(sessions.items)])


def at_least(sessions: Sessions, fewest: int) -> Sessions:
    """Returns the sessions that have so many clicks or more."""
    return sessions.take(np.flatnonzero(sessions.lengths >= fewest))


def forward(sessions: Sessions) -> Sessions:
    """Returns the sessions whose clock never runs backward."""
    return sessions.take(np.flatnonzero(~runs_backward(sessions)))


def runs_backward(sessions: Sessions) -> np.ndarray:
    """Returns `[S]` bool: whether a click is earlier than its predecessor."""
    back = np.diff(sessions.time_ms, prepend=0) < 0
    back[sessions.starts] = False
    return np.logical_or.reduceat(back, sessions.starts)


def last_clicks(sessions: Sessions, most: int) -> Sessions:
    """Returns the last `most` clicks of each session."""
    ends = np.repeat(np.cumsum(sessions.lengths), sessions.lengths)
    return sessions.keep(ends - np.arange(len(ends)) <= most)


def censored_dwell(
    sessions: Sessions,
    max_dwell_seconds: float,
    last_dwell_seconds: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the dwell of each click and its censoring (JUMP, eq. 4).

    A dwell that the site measured is taken as it is. Else it ends with the
    session's next click that is kept. From `max_dwell_seconds` on, and on a
    last click, it is only a lower bound.

    Args:
        sessions: whose clicks.
        max_dwell_seconds: c1; a dwell of exactly c1 is censored.
        last_dwell_seconds: c2, given to the last click; where the log's end
            came sooner, the time up to that.

    Reference: JUMP, IJCAI 2018, eq. 4.

    Returns:
        `[C]` dwells tau in float32 seconds, and `[C]` int64 flags delta (1 =
        censored).
    """
    last = np.cumsum(sessions.lengths) - 1
    seconds = np.diff(sessions.time_ms, append=0) / 1000
    seconds[last] = last_dwell_seconds
    cut = sessions.session_cut
    seen = (sessions.log_end_ms - sessions.last_ms[cut]) / 1000
    seconds[last[cut]] = np.minimum(seen, last_dwell_seconds)
    dwell_censored = np.zeros(len(seconds), bool)
    dwell_censored[last] = True
    if sessions.dwell_seconds is not None:
        measured = ~np.isnan(sessions.dwell_seconds)
        seconds = np.where(measured, sessions.dwell_seconds, seconds)
        dwell_censored &= ~measured
    dwell_censored |= seconds >= max_dwell_seconds
    seconds = np.minimum(seconds, max_dwell_seconds)
    return seconds.astype(np.float32), dwell_censored.astype(np.int64)


def one_by_one(
    sessions: Sessions, max_dwell_seconds: float, last_dwell_seconds: float
) -> Iterator[schema.Session]:
    """Yields the sessions with raw item ids and the `censored_dwell`s."""
    dwell_seconds, dwell_censored = censored_dwell(
        sessions, max_dwell_seconds, last_dwell_seconds
    )
    items = sessions.items.to_pylist()
    starts = sessions.starts
    for session_id, start, length, start_ms, session_cut in zip(
        sessions.ids.to_pylist(),
        starts.tolist(),
        sessions.lengths.tolist(),
        sessions.time_ms[starts].tolist(),
        sessions.session_cut.tolist(),
        strict=True,
    ):
        mine = slice(start, start + length)
        yield schema.Session(
            session_id,
            start_ms,
            items[mine],
            dwell_seconds[mine].tolist(),
            dwell_censored[mine].tolist(),
            int(session_cut),
        )


def concatenate(parts: Sequence[Sessions]) -> Sessions:
    """Joins batches of sessions, at least one, into one batch."""
    dwell = [part.dwell_seconds for part in parts]
    return Sessions(
        pa.concat_arrays([part.ids for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        columns.join_texts([part.items for part in parts]),
        np.concatenate([part.time_ms for part in parts]),
        columns.join(dwell, np.nan, [part.num_clicks for part in parts]),
        np.concatenate([part.session_cut for part in parts]),
        max(part.log_end_ms for part in parts),
    )


def _order(clicks):
    visits = columns.codes(clicks.visits)
    times = [clicks.time_ms]
    if clicks.origin_ms is not None:
        times.append(clicks.origin_ms)
    if len(times) == 1 and (np.diff(clicks.time_ms) >= 0).all():
        return np.argsort(visits, kind="stable")  # As most logs come.
    return np.lexsort((*times, visits))

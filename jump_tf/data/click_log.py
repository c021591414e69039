"""The sessions of a data folder as flat columns, for dataset statistics."""

import dataclasses
import pathlib
from collections.abc import Iterable

import numpy as np

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import folders
from jump_tf.data import session_records


@dataclasses.dataclass(frozen=True)
class ClickLog:
    """`S` sessions of `N` clicks in all, session by session.

    Attributes:
        length: `[S]` clicks of each session.
        session_cut: `[S]` bool, the log ended, not the visit.
        item: `[N]` ids, `OOV_ID` where training never saw it.
        dwell_seconds: `[N]` float32.
        dwell_censored: `[N]` bool, the dwell is only a lower bound.
        start_ms: `[S]` instant of each session's first click, ms UTC.
    """

    length: np.ndarray
    session_cut: np.ndarray
    item: np.ndarray
    dwell_seconds: np.ndarray
    dwell_censored: np.ndarray
    start_ms: np.ndarray

    def __len__(self) -> int:
        return len(self.item)

    @property
    def session(self) -> np.ndarray:
        """`[N]` the session of each click, from 0."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @property
    def position(self) -> np.ndarray:
        """`[N]` place of each click in its session, from 1."""
        first = np.cumsum(self.length) - self.length
        return np.arange(len(self)) - np.repeat(first, self.length) + 1

    @property
    def time_ms(self) -> np.ndarray:
        """`[N]` int64 instant of each click, ms UTC: its start and the dwells.

        It is later than that where a dwell before it is a lower bound.
        """
        ms = np.rint(self.dwell_seconds.astype(np.float64) * 1000.0)
        return np.repeat(self.start_ms, self.length) + self._before(
            ms.astype(np.int64)
        )

    @property
    def time_known(self) -> np.ndarray:
        """`[N]` bool, no dwell before the click is a lower bound."""
        return self._before(self.dwell_censored.astype(np.int64)) == 0

    def _before(self, values):
        """`[N]` sums over the clicks before each in its session."""
        sums = np.cumsum(values) - values
        first = np.cumsum(self.length) - self.length
        return sums - np.repeat(sums[first], self.length)

    @property
    def last(self) -> np.ndarray:
        """`[N]` bool, the last click of its session."""
        session = self.session
        return np.append(session[1:] != session[:-1], True)[: len(self)]

    def before(self, instant_ms: int) -> "ClickLog":
        """What is known at an instant, ms UTC, of the clicks before it.

        A click whose own instant is not known is not among them. Dwells that
        go on at the instant are cut there, and so are sessions of which later
        clicks are left out.
        """
        time_ms = self.time_ms
        kept = self.time_known & (time_ms < instant_ms)
        length = np.bincount(self.session[kept], minlength=len(self.length))
        some = length > 0
        seen = ((instant_ms - time_ms[kept]) / 1000).astype(np.float32)
        seconds = self.dwell_seconds[kept]
        return ClickLog(
            length[some],
            (self.session_cut | (length < self.length))[some],
            self.item[kept],
            np.minimum(seconds, seen),
            self.dwell_censored[kept] | (seen < seconds),
            self.start_ms[some],
        )


def read(data: str | pathlib.Path, split: str) -> ClickLog:
    """Returns the sessions of a split.

    Raises:
        InputError: its files are not all there, or not whole.
    """
    parts = []
    files = folders.shards(data, split)
    for _, columns in batching.shuffle_pools(files, session_records.decode):
        items, dwell_seconds, dwell_censored = (
            columns[name]
            for name in (
                schema.ITEMS,
                schema.DWELL_SECONDS,
                schema.DWELL_CENSORED,
            )
        )
        parts.append(
            ClickLog(
                items.row_lengths().numpy(),
                columns[schema.SESSION_CUT].numpy() > 0,
                items.values.numpy(),
                dwell_seconds.values.numpy(),
                dwell_censored.values.numpy() > 0,
                columns[schema.START_MS].numpy(),
            )
        )
    log = joined(parts)
    folders.check_complete(data, split, len(log))
    return log


def joined(logs: Iterable[ClickLog]) -> ClickLog:
    """Returns the sessions of all `logs`, end to end."""
    logs = [_NONE, *logs]
    return ClickLog(
        *(
            np.concatenate([getattr(log, field.name) for log in logs])
            for field in dataclasses.fields(ClickLog)
        )
    )


_NONE = ClickLog(
    np.zeros(0, np.int64),
    np.zeros(0, bool),
    np.zeros(0, np.int64),
    np.zeros(0, np.float32),
    np.zeros(0, bool),
    np.zeros(0, np.int64),
)

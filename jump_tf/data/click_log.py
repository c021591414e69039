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
    """

    length: np.ndarray
    session_cut: np.ndarray
    item: np.ndarray
    dwell_seconds: np.ndarray
    dwell_censored: np.ndarray

    def __len__(self) -> int:
        return len(self.item)

    @property
    def session(self) -> np.ndarray:
        """`[N]` the session of each click, from 0."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @property
    def last(self) -> np.ndarray:
        """`[N]` bool, the last click of its session."""
        session = self.session
        return np.append(session[1:] != session[:-1], True)[: len(self)]


def read(data: pathlib.Path, split: str) -> ClickLog:
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
)

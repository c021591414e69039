"""Writes and reads record files of sessions and lists."""

import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import encoding
from jump_tf.data import list_records
from jump_tf.data import session_records


def write_sessions(path: str, sessions: Iterable[schema.Session]) -> None:
    """Writes sessions to the gzipped record file at `path`, in their order."""
    written = list(sessions)

    def of_sessions(name):
        return np.array([getattr(each, name) for each in written], np.int64)

    def of_clicks(name, dtype):
        clicks = [value for each in written for value in getattr(each, name)]
        return np.array(clicks, dtype)

    records = encoding.encode_sessions(
        [each.session_id.encode() for each in written],
        np.array(list(map(len, written)), np.int64),
        {
            name: of_sessions(name)
            for name in (schema.START_MS, schema.SESSION_CUT)
        },
        {
            schema.ITEMS: of_clicks(schema.ITEMS, np.int64),
            schema.DWELL_SECONDS: of_clicks(schema.DWELL_SECONDS, np.float32),
            schema.DWELL_CENSORED: of_clicks(schema.DWELL_CENSORED, np.int64),
        },
    )
    pathlib.Path(path).write_bytes(encoding.to_file(records))


def write_lists(path: str, lists: Iterable[schema.ShownList]) -> None:
    """Writes lists to the gzipped record file at `path`, in their order."""
    records = encoding.encode_lists(lists)
    pathlib.Path(path).write_bytes(encoding.to_file(records))


def read_sessions(paths: Sequence[str]) -> Iterator[schema.Session]:
    """Yields the sessions of record files one by one, in file order."""
    return batching.stored(paths, session_records.decode, schema.Session)


def read_lists(paths: Sequence[str]) -> Iterator[schema.ShownList]:
    """Yields the lists of record files one by one, in file order."""
    return batching.stored(paths, list_records.decode, schema.ShownList)

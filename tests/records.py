"""Writes and reads record files of sessions and lists."""

import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jump_tf import schema
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
    for record in tf.data.TFRecordDataset(list(paths), compression_type="GZIP"):
        columns = session_records.decode(record[tf.newaxis])
        names = [schema.ITEMS, schema.DWELL_SECONDS, schema.DWELL_CENSORED]
        for session_id, *rest in zip(
            columns[schema.SESSION_ID].numpy(),
            columns[schema.START_MS].numpy().tolist(),
            *(columns[name].to_list() for name in names),
            columns[schema.SESSION_CUT].numpy().tolist(),
            strict=True,
        ):
            yield schema.Session(session_id.decode(), *rest)


def read_lists(paths: Sequence[str]) -> Iterator[schema.ShownList]:
    """Yields the lists of record files one by one, in file order."""
    names = (
        schema.OFFSET_SECONDS,
        schema.FEATURES,
        schema.FEATURE_VALUES,
        schema.CLICKED,
        schema.CONVERTED,
    )
    for record in tf.data.TFRecordDataset(list(paths), compression_type="GZIP"):
        columns = list_records.decode(record[tf.newaxis])
        for list_id, start_ms, *items in zip(
            columns[schema.LIST_ID].numpy(),
            columns[schema.START_MS].numpy(),
            *(columns[name].to_list() for name in names),
            strict=True,
        ):
            yield schema.ShownList(list_id.decode(), int(start_ms), *items)

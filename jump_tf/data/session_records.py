"""Reads sessions into tensors from the records of `encoding`."""

import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import encoding

_CLICKS = [tf.io.RaggedFeature.RowLengths(schema.SESSION_LENGTH)]
_FEATURES = {
    schema.SESSION_ID: tf.io.RaggedFeature(tf.string),
    schema.START_MS: tf.io.RaggedFeature(tf.int64),
    schema.ITEMS: tf.io.RaggedFeature(tf.int64, partitions=_CLICKS),
    schema.DWELL_SECONDS: tf.io.RaggedFeature(tf.float32, partitions=_CLICKS),
    schema.DWELL_CENSORED: tf.io.RaggedFeature(tf.int64, partitions=_CLICKS),
    schema.SESSION_CUT: tf.io.RaggedFeature(tf.int64),
}


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Parses `[R]` serialized records into their `S` sessions.

    Returns:
        `session_id` `[S]` string, `start_ms` and `session_cut` `[S]` int64;
        `items` int64, `dwell_seconds` float32 and `dwell_censored` int64, each
        ragged `[S, (l)]`.
    """
    columns = tf.io.parse_example(serialized, _FEATURES)
    columns[schema.SESSION_CUT] = _zeros_where_absent(
        columns[schema.SESSION_CUT], columns[schema.START_MS].row_lengths()
    )
    return {
        name: column.merge_dims(0, 1)
        if column.ragged_rank > 1
        else column.values
        for name, column in columns.items()
    }


def read(paths: Sequence[str]) -> Iterator[schema.Session]:
    """Yields the sessions of record files one by one, in file order."""
    for record in tf.data.TFRecordDataset(list(paths), compression_type="GZIP"):
        columns = decode(record[tf.newaxis])
        names = [schema.ITEMS, schema.DWELL_SECONDS, schema.DWELL_CENSORED]
        for session_id, *rest in zip(
            columns[schema.SESSION_ID].numpy(),
            columns[schema.START_MS].numpy().tolist(),
            *(columns[name].to_list() for name in names),
            columns[schema.SESSION_CUT].numpy().tolist(),
            strict=True,
        ):
            yield schema.Session(session_id.decode(), *rest)


def write(path: str, sessions: Iterable[schema.Session]) -> None:
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


def _zeros_where_absent(column, numbers):
    """A ragged `[R, (s)]` column that a record of `[R]` numbers may lack."""
    real = tf.sequence_mask(numbers)
    dense = column.to_tensor(0, shape=tf.shape(real))
    return tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(dense, real), numbers
    )

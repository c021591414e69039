"""Sessions <-> bytes <-> tensors: the one owner of the file format.

A record is one `tf.train.Example` that holds `n` sessions as columns: the
values of all their clicks end to end, and the length of each session. Packing
many sessions into a record makes files smaller and parsing faster than one
Example a session; `n = 1` is the same format.
"""

import itertools
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf

from jump_tf import schema

SESSIONS_PER_RECORD = 1024
FILE_SUFFIX = ".tfrecord.gz"

_CLICKS = [tf.io.RaggedFeature.RowLengths(schema.SESSION_LENGTH)]
_FEATURES = {
    schema.SESSION_ID: tf.io.RaggedFeature(tf.string),
    schema.START_MS: tf.io.RaggedFeature(tf.int64),
    schema.ITEMS: tf.io.RaggedFeature(tf.int64, partitions=_CLICKS),
    schema.DWELL_SECONDS: tf.io.RaggedFeature(tf.float32, partitions=_CLICKS),
    schema.DWELL_CENSORED: tf.io.RaggedFeature(tf.int64, partitions=_CLICKS),
}


def encode(sessions: Sequence[schema.Session]) -> bytes:
    """Packs sessions into one serialized `tf.train.Example`."""

    def clicks(name):
        return itertools.chain.from_iterable(
            getattr(session, name) for session in sessions
        )

    feature = {
        schema.SESSION_ID: of_bytes(s.session_id.encode() for s in sessions),
        schema.START_MS: of_integers(s.start_ms for s in sessions),
        schema.SESSION_LENGTH: of_integers(len(s) for s in sessions),
        schema.ITEMS: of_integers(clicks(schema.ITEMS)),
        schema.DWELL_SECONDS: of_floats(clicks(schema.DWELL_SECONDS)),
        schema.DWELL_CENSORED: of_integers(clicks(schema.DWELL_CENSORED)),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    # Deterministic, or the same sessions give other bytes in each process.
    return example.SerializeToString(deterministic=True)


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Parses `[R]` serialized records into their `S` sessions.

    Returns:
        `session_id` `[S]` string and `start_ms` `[S]` int64; `items` int64,
        `dwell_seconds` float32 and `dwell_censored` int64, each ragged
        `[S, (l)]`.
    """
    columns = tf.io.parse_example(serialized, _FEATURES)
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
        for session_id, start_ms, *clicks in zip(
            columns[schema.SESSION_ID].numpy(),
            columns[schema.START_MS].numpy(),
            *(columns[name].to_list() for name in names),
            strict=True,
        ):
            yield schema.Session(session_id.decode(), int(start_ms), *clicks)


def write(path: str, sessions: Iterable[schema.Session]) -> None:
    """Writes sessions to one gzipped record file."""
    remaining = iter(sessions)
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        while pack := list(itertools.islice(remaining, SESSIONS_PER_RECORD)):
            writer.write(encode(pack))


def shard_name(split: str, index: int, count: int) -> str:
    """The file name of a shard, e.g. `train-00000-of-00004.tfrecord.gz`."""
    return f"{split}-{index:05d}-of-{count:05d}{FILE_SUFFIX}"


def of_bytes(values: Iterable[bytes]) -> tf.train.Feature:
    """A column of a record."""
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def of_integers(values: Iterable[int]) -> tf.train.Feature:
    """A column of a record."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def of_floats(values: Iterable[float]) -> tf.train.Feature:
    """A column of a record."""
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))

"""Lists of shown items <-> bytes <-> tensors: the one owner of their format.

A record is one `tf.train.Example` that holds `n` lists as columns: the values
of all their items end to end with the length of each list, and the features of
all their items end to end with the number that each item has. Records of any
`n` are the same format. Files are called as those of sessions are.
"""

import itertools
import pathlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import encoding

LISTS_PER_RECORD = 1024
# Items may have hundreds of features; the reader holds many records at once.
FEATURES_PER_RECORD = 1 << 16

_LISTS = tf.io.RaggedFeature.RowLengths(schema.LIST_LENGTH)
_ITEMS = tf.io.RaggedFeature.RowLengths(schema.FEATURES_LENGTH)
_FEATURES = {
    schema.LIST_ID: tf.io.RaggedFeature(tf.string),
    schema.START_MS: tf.io.RaggedFeature(tf.int64),
    schema.OFFSET_SECONDS: tf.io.RaggedFeature(tf.float32, partitions=[_LISTS]),
    schema.FEATURES: tf.io.RaggedFeature(tf.int64, partitions=[_LISTS, _ITEMS]),
    schema.FEATURE_VALUES: tf.io.RaggedFeature(
        tf.float32, partitions=[_LISTS, _ITEMS]
    ),
    schema.CLICKED: tf.io.RaggedFeature(tf.int64, partitions=[_LISTS]),
    schema.CONVERTED: tf.io.RaggedFeature(tf.int64, partitions=[_LISTS]),
}


def encode(lists: Sequence[schema.ShownList]) -> bytes:
    """Packs lists into one serialized `tf.train.Example`."""

    def items(name):
        return list(
            itertools.chain.from_iterable(getattr(each, name) for each in lists)
        )

    features = items(schema.FEATURES)
    values = items(schema.FEATURE_VALUES)
    return encoding.pack(
        {
            schema.LIST_ID: [each.list_id.encode() for each in lists],
            schema.START_MS: _integers(each.start_ms for each in lists),
            schema.LIST_LENGTH: _integers(map(len, lists)),
            schema.OFFSET_SECONDS: _floats(items(schema.OFFSET_SECONDS)),
            schema.FEATURES_LENGTH: _integers(map(len, features)),
            schema.FEATURES: _integers(itertools.chain(*features)),
            schema.FEATURE_VALUES: _floats(itertools.chain(*values)),
            schema.CLICKED: _integers(items(schema.CLICKED)),
            schema.CONVERTED: _integers(items(schema.CONVERTED)),
        }
    )


def encode_all(lists: Iterable[schema.ShownList]) -> Iterator[bytes]:
    """Packs lists into as many records as they fill."""
    return map(encode, _packs(lists))


def decode(serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """Parses `[R]` serialized records into their `S` lists.

    Returns:
        `list_id` `[S]` string and `start_ms` `[S]` int64; `offset_seconds`
        float32, `clicked` and `converted` int64, each ragged `[S, (m)]`;
        `features` int64 and `feature_values` float32, ragged `[S, (m), (k)]`.
    """
    columns = tf.io.parse_example(serialized, _FEATURES)
    return {
        name: column.merge_dims(0, 1)
        if column.ragged_rank > 1
        else column.values
        for name, column in columns.items()
    }


def read(paths: Sequence[str]) -> Iterator[schema.ShownList]:
    """Yields the lists of record files one by one, in file order."""
    names = (
        schema.OFFSET_SECONDS,
        schema.FEATURES,
        schema.FEATURE_VALUES,
        schema.CLICKED,
        schema.CONVERTED,
    )
    for record in tf.data.TFRecordDataset(list(paths), compression_type="GZIP"):
        columns = decode(record[tf.newaxis])
        for list_id, start_ms, *items in zip(
            columns[schema.LIST_ID].numpy(),
            columns[schema.START_MS].numpy(),
            *(columns[name].to_list() for name in names),
            strict=True,
        ):
            yield schema.ShownList(list_id.decode(), int(start_ms), *items)


def write(path: str, lists: Iterable[schema.ShownList]) -> None:
    """Writes lists to one gzipped record file."""
    pathlib.Path(path).write_bytes(encoding.to_file(encode_all(lists)))


def _integers(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), np.int64)


def _floats(values: Iterable[float]) -> np.ndarray:
    return np.array(list(values), np.float32)


def _packs(
    lists: Iterable[schema.ShownList],
) -> Iterator[list[schema.ShownList]]:
    """Consecutive lists that fill a record; one list alone may overfill it."""
    pack: list[schema.ShownList] = []
    room = FEATURES_PER_RECORD
    for each in lists:
        size = sum(map(len, each.features))
        if pack and (len(pack) == LISTS_PER_RECORD or size > room):
            yield pack
            pack, room = [], FEATURES_PER_RECORD
        pack.append(each)
        room -= size
    if pack:
        yield pack

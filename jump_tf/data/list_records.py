"""Reads lists of shown items into tensors from the records of `encoding`."""

from collections.abc import Iterator
from collections.abc import Sequence

import tensorflow as tf

from jump_tf import schema

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

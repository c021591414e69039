"""Reads lists of shown items into tensors from the records of `encoding`."""

import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching

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
    return batching.rows_of(tf.io.parse_example(serialized, _FEATURES))

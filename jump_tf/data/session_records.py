"""Reads sessions into tensors from the records of `encoding`."""

import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching

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
    return batching.rows_of(columns)


def _zeros_where_absent(column, numbers):
    """A ragged `[R, (s)]` column that a record of `[R]` numbers may lack."""
    real = tf.sequence_mask(numbers)
    dense = column.to_tensor(0, shape=tf.shape(real))
    return tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(dense, real), numbers
    )

"""Packed records -> batches of rows of similar cost, in a settled order.

Rows of similar cost share a batch. They are sorted in pools of tens of
thousands, in bulk, which costs little beside the parsing; one by one, as
`bucket_by_sequence_length` does it, the pipeline becomes the bottleneck.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

RECORDS_PER_POOL = 64
_ROWS_OF_A_POOL = 2**32  # At most.
_ANY_ORDER = np.zeros(2, np.int64)
Columns = dict[str, Any]
Decode = Callable[[tf.Tensor], Columns]


def shuffle_pools(
    files: list[str] | tf.data.Dataset,
    decode: Decode,
) -> tf.data.Dataset:
    """Numbered pools of decoded rows, each out of one file.

    Which rows share a pool is settled by the files, where they stand in a
    random order: so every epoch has the same number of batches.

    Args:
        files: record files.
        decode: `[R]` serialized records to columns of their rows.
    """
    if isinstance(files, list):
        files = tf.data.Dataset.from_tensor_slices(files)
    packed = files.flat_map(
        lambda file: tf.data.TFRecordDataset(file, "GZIP").batch(
            RECORDS_PER_POOL
        )
    )
    # The next pool is read while this one is cut into batches.
    return _as_written(packed.map(decode).enumerate().prefetch(1))


def epochs(
    files: list[str],
    decode: Decode,
    bucketing: Callable[[tf.Tensor, Columns, tf.Tensor], tf.data.Dataset],
    seed: int,
    epoch: tf.Variable,
) -> tf.data.Dataset:
    """Shuffled batches of some files; a new order for each epoch.

    Args:
        files: record files.
        decode: `[R]` serialized records to columns of their rows.
        bucketing: a pool's number, columns and seed `[2]` int64 to batches,
            as many for every seed, and known without making them.
        seed: of the order.
        epoch: int64 variable, read when an epoch begins: the same seed and
            epoch give the same batches in the same order, so that a resumed
            run sees what an uninterrupted one would have seen.
    """

    def one_epoch(_):
        order = tf.stack([tf.constant(seed, tf.int64), epoch.read_value()])
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.constant(files), seed=order
        )
        return shuffle_pools(
            tf.data.Dataset.from_tensor_slices(shuffled), decode
        ).flat_map(lambda pool, columns: bucketing(pool, columns, order + pool))

    # Every epoch cuts the same pools; Keras wants to know into how many.
    number = shuffle_pools(files, decode).reduce(
        np.int64(0),
        lambda count, pool: (
            count + bucketing(pool[0], pool[1], _ANY_ORDER).cardinality()
        ),
    )
    dataset = tf.data.Dataset.from_tensors(0).flat_map(one_epoch)
    counted = tf.data.experimental.assert_cardinality(number)
    return _as_written(dataset.apply(counted).prefetch(8))


def _as_written(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Without autotuning, which has nothing to tune here: all sizes are given.

    Where one thread runs the operations (one processor, or two trainings that
    share a machine), its loop sleeps up to a minute in that very thread while
    the first batch of an epoch waits.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def buckets(
    steps: tf.Tensor,
    batch_rows: int,
    batch_steps: int,
    seed: tf.Tensor | None,
    squared: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Which rows of a pool share a batch: those of similarly many steps.

    Args:
        steps: `[S]` int32, of each row.
        batch_rows: at most so many rows a batch.
        batch_steps: at most so many steps a batch, padding included, unless
            one row alone has more.
        seed: `[2]` int64 of the batches' order; None leaves them sorted.
        squared: whether a row of n steps becomes n rows.

    Returns:
        The rows in the order in which batches take them, `[S]`; how many rows
        a batch has that starts at each of them, `[S]`; where batches start.
    """
    order = tf.range(tf.size(steps))
    if seed is not None:
        order = tf.random.experimental.stateless_shuffle(order, seed=seed)
    by_steps = tf.argsort(
        tf.gather(steps, order), direction="DESCENDING", stable=True
    )
    order = tf.gather(order, by_steps)
    cost = tf.gather(steps, order)
    cost = tf.maximum(cost * cost if squared else cost, 1)
    sizes = tf.clip_by_value(batch_steps // cost, 1, batch_rows)
    starts = _starts(sizes)
    if seed is not None:
        places = tf.random.experimental.stateless_shuffle(
            tf.range(tf.size(starts)), seed=seed
        )
        starts = tf.gather(starts, places)
    return order, sizes, starts


def rows_of(columns: Columns) -> Columns:
    """Joins the rows of `[R]` records: ragged `[R, (n), ...]` to `[S, ...]`."""
    return {
        name: column.merge_dims(0, 1)
        if column.ragged_rank > 1
        else column.values
        for name, column in columns.items()
    }


def row_numbers(pool: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Numbers of a pool's rows that grow in the order of the files."""
    return pool * _ROWS_OF_A_POOL + tf.cast(rows, tf.int64)


def _starts(sizes):
    """Where batches start, if one that starts at row i has `sizes[i]` rows."""
    _, starts, _ = tf.while_loop(
        lambda start, starts, index: start < tf.size(sizes),
        lambda start, starts, index: (
            start + sizes[start],
            starts.write(index, start),
            index + 1,
        ),
        (0, tf.TensorArray(tf.int32, 0, dynamic_size=True), 0),
    )
    return starts.stack()


def stored(paths: Sequence[str], decode: Decode, kind: type) -> Iterator[Any]:
    """Yields the rows of record files one by one, in file order.

    Args:
        paths: record files.
        decode: `[R]` serialized records to columns of their rows.
        kind: what a row becomes; its fields are named as the columns.
    """
    names = [field.name for field in dataclasses.fields(kind)]
    for record in tf.data.TFRecordDataset(list(paths), "GZIP"):
        columns = decode(record[tf.newaxis])
        values = [
            columns[name].to_list()
            if isinstance(columns[name], tf.RaggedTensor)
            else columns[name].numpy().tolist()
            for name in names
        ]
        for row_id, *rest in zip(*values, strict=True):
            yield kind(row_id.decode(), *rest)

"""Record files of lists -> batches of `(inputs, targets, weights)`.

A batch holds `B` lists of up to `M` items, each with up to `K` features,
right-padded with zeros:

    inputs   features [B, M, K] int32; feature_values [B, M, K],
             offset_seconds and clicked [B, M] float32. `clicked` is what the
             visitor did; of it a model may see the items before each item.
    targets  clicked and converted [B, M] float32.
    weights  [B, M] float32: 1 on a real item, 0 on padding. They are made here
             and nowhere else.

Longer lists than the model takes keep their last items, whose offsets go on
counting from the list's first. Where the data folder has fields, K is their
number; lists of similar length share a batch, see `batching`.
"""

import functools
import pathlib
from typing import Any

import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import folders
from jump_tf.data import list_records

_OF_ITEM = (schema.OFFSET_SECONDS, schema.CLICKED, schema.CONVERTED)
_OF_FEATURE = (schema.FEATURES, schema.FEATURE_VALUES)


def training_batches(
    data: str | pathlib.Path,
    *,
    batch_lists: int,
    batch_items: int,
    max_list_length: int,
    seed: int,
    epoch: tf.Variable,
) -> tf.data.Dataset:
    """Shuffled batches of the training split; a new order for each epoch.

    Args:
        data: the data folder.
        batch_lists: at most so many lists a batch.
        batch_items: at most so many items a batch, padding included, unless
            one list alone is longer.
        max_list_length: longer lists keep their last items.
        seed: of the order.
        epoch: int64 variable, read when an epoch begins, see
            `batching.epochs`.

    Raises:
        InputError: the folder holds no lists, or not all of its files.
    """
    cut = _bucketing(data, (batch_lists, batch_items), max_list_length)
    files = folders.shards(data, schema.TRAIN)
    return batching.epochs(files, list_records.decode, cut, seed, epoch)


def evaluation_batches(
    data: str | pathlib.Path,
    split: str,
    *,
    max_list_length: int,
    batch_items: int = 8192,
) -> tf.data.Dataset:
    """Every list of a split once, in a fixed order.

    Args:
        data: the data folder.
        split: its split.
        max_list_length: longer lists keep their last items.
        batch_items: at most so many items a batch, roughly.

    Targets have one more column, `list` `[B]` int64: numbers that grow in the
    order of the files, whatever the batches.

    Raises:
        InputError: the folder holds no lists, or not all of its files.
    """
    cut = _bucketing(data, (batch_items, batch_items), max_list_length)
    files = folders.shards(data, split)
    return (
        batching.shuffle_pools(files, list_records.decode)
        .flat_map(cut)
        .prefetch(4)
    )


def check_complete(data: str | pathlib.Path, split: str) -> None:
    """Reads a split, and refuses one of which not every item can be read.

    Raises:
        InputError: the manifest counts more items, or fewer.
    """
    files = folders.shards(data, split)
    items = sum(
        len(columns[schema.CLICKED].flat_values)
        for _, columns in batching.shuffle_pools(files, list_records.decode)
    )
    folders.check_complete(data, split, items, what="items")


def read_manifest(data: str | pathlib.Path) -> dict[str, Any]:
    """The manifest of a data folder of lists.

    Raises:
        InputError: there is none, or the folder holds something else.
    """
    manifest = folders.read_manifest(data)
    if manifest.get("kind") != schema.LISTS:
        raise schema.InputError(
            "The data folder must hold lists of shown items. "
            f"Received: {data}, which holds "
            f"{manifest.get('kind', schema.SESSIONS)}"
        )
    return manifest


def _bucketing(data, limits, max_list_length):
    """How pools of the folder's lists are cut into batches."""
    return functools.partial(
        _cut_pool,
        limits=limits,
        max_list_length=max_list_length,
        # None where items have bags of features.
        num_fields=len(read_manifest(data)["fields"]) or None,
    )


def _cut_pool(
    pool: tf.Tensor,
    columns: batching.Columns,
    seed: tf.Tensor | None = None,
    *,
    limits: tuple[int, int],
    max_list_length: int,
    num_fields: int | None,
) -> tf.data.Dataset:
    """Batches of lists of similar length out of one pool of them."""
    # Before batches are filled: what is cut off takes no room.
    columns = {
        name: columns[name][:, -max_list_length:]
        for name in (*_OF_ITEM, *_OF_FEATURE)
    }
    lengths = tf.cast(columns[schema.CLICKED].row_lengths(), tf.int32)
    order, sizes, starts = batching.buckets(lengths, *limits, seed)

    def batch(start):
        rows = order[start : start + sizes[start]]
        lists = {name: tf.gather(columns[name], rows) for name in columns}
        inputs, targets, weights = _batch(lists, num_fields)
        if seed is None:
            targets[schema.LIST] = batching.row_numbers(pool, rows)
        return inputs, targets, weights

    return tf.data.Dataset.from_tensor_slices(starts).map(batch)


def _batch(lists: batching.Columns, num_fields: int | None):
    """One padded batch from ragged `[B, (m)]` and `[B, (m), (k)]` columns."""
    offsets, clicked, converted = (
        tf.cast(lists[name].to_tensor(), tf.float32) for name in _OF_ITEM
    )
    features, values = (
        lists[name].to_tensor(shape=[None, None, num_fields])
        for name in _OF_FEATURE
    )
    weights = tf.sequence_mask(
        lists[schema.CLICKED].row_lengths(), dtype=tf.float32
    )
    inputs = {
        schema.FEATURES: tf.cast(features, tf.int32),
        schema.FEATURE_VALUES: values,
        schema.OFFSET_SECONDS: offsets,
        schema.CLICKED: clicked,
    }
    targets = {schema.CLICKED: clicked, schema.CONVERTED: converted}
    return inputs, targets, weights

"""Record files -> batches of `(inputs, targets, weights)`.

A batch holds `B` sessions of up to `L` clicks, right-padded with zeros:

    inputs   items [B, L-1] int32, dwell_seconds [B, L-1] float32:
             clicks 1..L-1; the last click of a session is never an input.
    targets  items [B, L] int32, dwell_seconds, dwell_censored and
             session_end [B, L] float32: clicks 1..L, each to be predicted from
             the clicks before it.
    weights  [B, L] float32: 1 on a real click, 0 on padding. They are made
             here and nowhere else.

Sessions of similar length share a batch, or, for a model that makes more steps
where a visitor stayed longer, sessions that take it similarly many, see
`batching`.

With fixed shapes, which XLA compiles one by one, L is one of `LENGTHS` and B
is settled by it: sessions of up to 96 clicks make 12 shapes at most. A batch
that a pool cannot fill ends in sessions without a click, of weight 0.
"""

import json
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import batching
from jump_tf import records
from jump_tf import schema

# 2, 3, 4, 6, 8, 12, 16...: less than a third of a row is padding.
LENGTHS = sorted(size << k for k in range(20) for size in (2, 3))


def read_manifest(data: str | pathlib.Path) -> dict[str, Any]:
    """The manifest of a data folder.

    Raises:
        InputError: the folder holds no manifest, or a broken one.
    """
    path = pathlib.Path(data) / schema.MANIFEST_FILE
    if not path.is_file():
        raise schema.InputError(
            "The data folder must be the output of `jump-tf prepare`. "
            f"Received: {data}, which has no {schema.MANIFEST_FILE}"
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise schema.InputError(
            f"The manifest must be JSON. Received: {path} ({error})"
        ) from error


def read_vocabulary(path: str | pathlib.Path) -> list[str]:
    """Raw item ids in the order of their ids, from `FIRST_ITEM_ID` on."""
    # Not `splitlines`, which also cuts at characters an id may hold.
    with pathlib.Path(path).open(encoding="utf-8", newline="\n") as lines:
        return [line.removesuffix("\n") for line in lines]


def vocabulary_length(data: str | pathlib.Path) -> int:
    """Items, or features of lists, in the vocabulary of a data folder."""
    manifest = read_manifest(data)
    return manifest.get("num_items") or manifest["num_features"]


def shards(data: str | pathlib.Path, split: str) -> list[str]:
    """The record files of a split, in order.

    Raises:
        InputError: there are none, or their number is not the one in their
            names.
    """
    found = sorted(
        str(path)
        for path in pathlib.Path(data).glob(f"{split}-*{records.FILE_SUFFIX}")
    )
    expected = [
        str(pathlib.Path(data) / records.shard_name(split, index, len(found)))
        for index in range(len(found))
    ]
    if not found or found != expected:
        raise schema.InputError(
            f"Split `{split}` must be complete in the data folder. "
            f"Received: {data} with {[pathlib.Path(f).name for f in found]}"
        )
    return found


def item_counts(data: str | pathlib.Path, num_items: int) -> np.ndarray:
    """Clicks of each id in training, `[FIRST_ITEM_ID + num_items]`.

    Raises:
        InputError: not all of the split could be read.
    """
    counts = np.zeros(schema.FIRST_ITEM_ID + num_items, np.int64)
    for _, columns in _pools(shards(data, schema.TRAIN)):
        ids = columns[schema.ITEMS].values.numpy()
        counts += np.bincount(ids, minlength=len(counts))
    check_complete(data, schema.TRAIN, int(counts.sum()))
    return counts


def check_complete(
    data: str | pathlib.Path, split: str, number: int, what: str = "clicks"
) -> None:
    """Refuses a split of which not every click, or item, was read.

    TensorFlow takes a compressed file that breaks off for one that ends.

    Raises:
        InputError: the manifest counts more of them, or fewer.
    """
    expected = read_manifest(data)["splits"][split][what]
    if number != expected:
        raise schema.InputError(
            f"The files of split `{split}` must be whole. Received: {number} "
            f"{what} in {data}, of {expected} in {schema.MANIFEST_FILE}"
        )


def mean_log_dwell(data: str | pathlib.Path) -> float:
    """Mean log of the training split's uncensored dwells, in log seconds."""
    total, number = 0.0, 0
    for _, columns in _pools(shards(data, schema.TRAIN)):
        seen = columns[schema.DWELL_CENSORED].values == 0
        seconds = columns[schema.DWELL_SECONDS].values[seen]
        total += float(tf.reduce_sum(tf.math.log(tf.maximum(seconds, 1.0))))
        number += len(seconds)
    return total / max(number, 1)


def training_batches(
    data: str | pathlib.Path,
    *,
    batch_sessions: int,
    batch_clicks: int,
    seed: int,
    epoch: tf.Variable,
    step_seconds: float = math.inf,
    fixed_shapes: bool = False,
) -> tf.data.Dataset:
    """Shuffled batches of the training split; a new order for each epoch.

    Args:
        data: the data folder.
        batch_sessions: at most so many sessions a batch.
        batch_clicks: at most so many input steps a batch, padding included,
            unless one session alone is longer.
        seed: of the order.
        epoch: int64 variable, read when an epoch begins, see
            `batching.epochs`.
        step_seconds: dwell that a step of the model stands for; a click
            takes at least one.
        fixed_shapes: whether every batch has one of few shapes, see above.
    """

    def cut(order, pool, columns):
        return _cut_pool(
            batch_sessions,
            batch_clicks,
            False,
            step_seconds,
            fixed_shapes,
            order + pool,
            pool,
            columns,
        )

    files = shards(data, schema.TRAIN)
    return batching.epochs(files, records.decode, cut, seed, epoch)


def evaluation_batches(
    data: str | pathlib.Path,
    split: str,
    *,
    moment: str = schema.PAGE_LEAVE,
    batch_clicks: int = 8192,
    step_seconds: float = math.inf,
) -> tf.data.Dataset:
    """Every session of a split once, in a fixed order.

    Args:
        data: the data folder.
        split: its split.
        moment: `page_leave`: one row a session. `page_load`: one row for each
            click to predict, in which the dwell of the click before it is
            unknown; the weights are 1 on that click alone (and on the first
            click of the session in its first row), so that the sums over both
            moments are over the same clicks.
        batch_clicks: at most so many steps a batch, roughly.
        step_seconds: see `training_batches`.

    Targets have one more column, `session` `[B]` int64: numbers that grow in
    the order of the files, whatever the batches.
    """
    squared = moment == schema.PAGE_LOAD

    def cut(pool, columns):
        return _cut_pool(
            batch_clicks,
            batch_clicks,
            squared,
            step_seconds,
            False,
            None,
            pool,
            columns,
        )

    dataset = _pools(shards(data, split)).flat_map(cut)
    if squared:
        dataset = dataset.map(_each_click_on_its_own)
    return dataset.prefetch(4)


def _pools(files: list[str]) -> tf.data.Dataset:
    return batching.pools(files, records.decode)


def _cut_pool(
    batch_sessions: int,
    batch_clicks: int,
    squared: bool,
    step_seconds: float,
    fixed_shapes: bool,
    seed: tf.Tensor | None,
    pool: tf.Tensor,
    columns: batching.Columns,
) -> tf.data.Dataset:
    """Batches of sessions of similarly many steps out of one pool of them."""
    lengths = tf.cast(columns[schema.ITEMS].row_lengths(), tf.int32)
    if fixed_shapes:
        lengths = tf.gather(LENGTHS, tf.searchsorted(LENGTHS, lengths))
        steps = lengths - 1
    else:
        steps = _input_steps(columns[schema.DWELL_SECONDS], step_seconds)
    order, sizes, starts = batching.arrange(
        steps, batch_sessions, batch_clicks, seed, squared
    )

    def batch(start):
        rows = order[start : start + sizes[start]]
        clicks = {
            name: tf.gather(columns[name], rows)
            for name in (
                schema.ITEMS,
                schema.DWELL_SECONDS,
                schema.DWELL_CENSORED,
            )
        }
        if fixed_shapes:
            return _batch(clicks, tf.stack([sizes[start], lengths[rows[0]]]))
        inputs, targets, weights = _batch(clicks)
        if seed is None:
            targets[schema.SESSION] = batching.row_numbers(pool, rows)
        return inputs, targets, weights

    return tf.data.Dataset.from_tensor_slices(starts).map(batch)


def _input_steps(dwell_seconds: tf.RaggedTensor, step_seconds: float):
    """Steps of a model over each session's inputs: all clicks but the last."""
    steps = tf.maximum(tf.math.ceil(dwell_seconds[:, :-1] / step_seconds), 1.0)
    return tf.cast(tf.reduce_sum(steps, 1), tf.int32)


def _batch(clicks: batching.Columns, shape: tf.Tensor | None = None):
    """One padded batch from ragged `[B, (l)]` clicks, of `shape` if given."""
    lengths = tf.cast(clicks[schema.ITEMS].row_lengths(), tf.int32)
    if shape is not None:
        lengths = tf.pad(lengths, [[0, shape[0] - tf.size(lengths)]])
    items = tf.cast(
        clicks[schema.ITEMS].to_tensor(schema.PAD_ID, shape=shape), tf.int32
    )
    dwell = clicks[schema.DWELL_SECONDS].to_tensor(0.0, shape=shape)
    censored = clicks[schema.DWELL_CENSORED].to_tensor(0, shape=shape)
    real = tf.sequence_mask(lengths, tf.shape(items)[1], tf.float32)
    # Of each session all clicks but the last are inputs; the last one's dwell
    # is the constant c2, which would tell the model that the session ends.
    known = tf.sequence_mask(lengths - 1, tf.shape(items)[1] - 1)
    inputs = {
        schema.ITEMS: tf.where(known, items[:, :-1], schema.PAD_ID),
        schema.DWELL_SECONDS: tf.where(known, dwell[:, :-1], 0.0),
    }
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: tf.cast(censored, tf.float32),
        schema.SESSION_END: tf.one_hot(lengths - 1, tf.shape(items)[1]),
    }
    return inputs, targets, real


def _each_click_on_its_own(inputs, targets, weights):
    """One row for each click to predict, the dwell before it unknown."""
    steps = tf.shape(inputs[schema.ITEMS])[1]
    to_predict = tf.cast(tf.reduce_sum(weights, 1), tf.int32) - 1
    rows = tf.repeat(tf.range(tf.size(to_predict)), to_predict)
    known = (tf.ragged.range(to_predict).flat_values + 1)[:, tf.newaxis]
    step = tf.range(steps)[tf.newaxis]
    items = tf.gather(inputs[schema.ITEMS], rows)
    dwell = tf.gather(inputs[schema.DWELL_SECONDS], rows)
    inputs = {
        schema.ITEMS: tf.where(step < known, items, schema.PAD_ID),
        schema.DWELL_SECONDS: tf.where(
            step < known - 1,
            dwell,
            tf.where(step == known - 1, schema.UNKNOWN_DWELL, 0.0),
        ),
    }
    targets = {name: tf.gather(value, rows) for name, value in targets.items()}
    column = tf.range(steps + 1)[tf.newaxis]
    asked = (column == known) | ((column == 0) & (known == 1))
    return inputs, targets, tf.cast(asked, tf.float32)

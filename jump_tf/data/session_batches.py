"""Data folders -> padded batches of sessions, `(inputs, targets, weights)`.

A batch holds `B` sessions of up to `L` clicks, right-padded with zeros:

    inputs   items [B, L-1] int32, dwell_seconds [B, L-1] float32:
             clicks 1..L-1; the last click of a session is never an input.
             start_ms [B] int64, the instant of the first click.
    targets  items [B, L] int32, dwell_seconds, dwell_censored and
             session_end [B, L] float32: clicks 1..L, each to be predicted from
             the clicks before it. `session_end` is `UNKNOWN_END` on the last
             click of a session that the log's end cut.
    weights  [B, L] float32: 1 on a real click, 0 on padding. They are made
             here and nowhere else.

Sessions of similar length share a batch, or, for a model that makes more steps
where a visitor stayed longer, sessions that take it similarly many, see
`batching`.

With fixed shapes, which XLA compiles one by one, L is one of `LENGTHS` and B
is settled by it: sessions of up to 96 clicks make 12 shapes at most. A batch
that a pool cannot fill ends in sessions without a click, of weight 0.
"""

import dataclasses
import math
import pathlib

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import folders
from jump_tf.data import session_records

# 2, 3, 4, 6, 8, 12, 16...: less than a third of a row is padding.
LENGTHS = sorted(size << k for k in range(20) for size in (2, 3))
_FIRST = "first"  # Where a session's clicks begin.
_OF_CLICK = (schema.ITEMS, schema.DWELL_SECONDS, schema.DWELL_CENSORED)
_OF_SESSION = (
    *(schema.SESSION_LENGTH, _FIRST, schema.SESSION_END, schema.START_MS),
)


def item_counts(data: str | pathlib.Path, num_items: int) -> np.ndarray:
    """Clicks of each id in training, `[FIRST_ITEM_ID + num_items]`.

    Raises:
        InputError: not all of the split could be read.
    """
    counts = np.zeros(schema.FIRST_ITEM_ID + num_items, np.int64)
    for _, columns in _pools(folders.shards(data, schema.TRAIN)):
        ids = columns[schema.ITEMS].values.numpy()
        counts += np.bincount(ids, minlength=len(counts))
    folders.check_complete(data, schema.TRAIN, int(counts.sum()))
    return counts


def mean_log_dwell(data: str | pathlib.Path) -> float:
    """Mean log of the training split's uncensored dwells, in log seconds."""
    total, number = 0.0, 0
    for _, columns in _pools(folders.shards(data, schema.TRAIN)):
        seen = columns[schema.DWELL_CENSORED].values == 0
        seconds = columns[schema.DWELL_SECONDS].values[seen]
        total += float(tf.reduce_sum(tf.math.log(tf.maximum(seconds, 1.0))))
        number += len(seconds)
    return total / max(number, 1)


def share_of_repeats(data: str | pathlib.Path) -> float:
    """Share of training's later clicks that are on the item of the one before.

    0 where there are none.
    """
    repeats, number = 0, 0
    for _, columns in _pools(folders.shards(data, schema.TRAIN)):
        items = columns[schema.ITEMS]
        before, after = items[:, :-1].values, items[:, 1:].values
        known = after >= schema.FIRST_ITEM_ID
        repeats += int(tf.math.count_nonzero((before == after) & known))
        number += len(after)
    return repeats / max(number, 1)


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
        epoch: int64 variable, read when an epoch begins, see `batching.epochs`.
        step_seconds: dwell that a step of the model stands for; a click
            takes at least one.
        fixed_shapes: whether every batch has one of few shapes, see
            `Bucketing`.
    """
    cut = Bucketing(
        batch_sessions,
        batch_clicks,
        step_seconds=step_seconds,
        fixed_shapes=fixed_shapes,
    )
    files = folders.shards(data, schema.TRAIN)
    return batching.epochs(files, session_records.decode, cut, seed, epoch)


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
    page_load = moment == schema.PAGE_LOAD
    cut = Bucketing(
        batch_clicks,
        batch_clicks,
        step_seconds=step_seconds,
        squared=page_load,
    )
    dataset = _pools(folders.shards(data, split)).flat_map(cut)
    if page_load:
        dataset = dataset.map(each_click_on_its_own)
    return dataset.prefetch(4)


def _pools(files: list[str]) -> tf.data.Dataset:
    return batching.shuffle_pools(files, session_records.decode)


@dataclasses.dataclass(frozen=True)
class Bucketing:
    """How a pool of sessions is cut into batches.

    Attributes:
        batch_sessions: at most so many sessions a batch.
        batch_clicks: at most so many input steps a batch, padding included,
            unless one session alone is longer.
        step_seconds: dwell that a step of the model stands for; a click
            takes at least one.
        squared: whether a session of n steps will become n rows.
        fixed_shapes: whether every batch has one of few shapes, see above.
    """

    batch_sessions: int
    batch_clicks: int
    step_seconds: float = math.inf
    squared: bool = False
    fixed_shapes: bool = False

    def __call__(
        self,
        pool: tf.Tensor,
        columns: batching.Columns,
        seed: tf.Tensor | None = None,
    ) -> tf.data.Dataset:
        """The batches of one pool.

        Args:
            pool: its number.
            columns: see `records.decode`.
            seed: `[2]` int64 of the order; None leaves the batches sorted, and
                targets get one more column, `session` `[B]` int64: numbers
                that grow in the order of the files.
        """
        clicks = _flat(columns)
        shapes = clicks[schema.SESSION_LENGTH]
        if self.fixed_shapes:
            shapes = tf.gather(LENGTHS, tf.searchsorted(LENGTHS, shapes))
            steps = shapes - 1
        else:
            steps = _input_steps(
                columns[schema.DWELL_SECONDS], self.step_seconds
            )
        order, sizes, starts = batching.buckets(
            steps, self.batch_sessions, self.batch_clicks, seed, self.squared
        )

        def batch(start):
            rows = order[start : start + sizes[start]]
            shape = None
            if self.fixed_shapes:
                shape = sizes[start], shapes[rows[0]]
            inputs, targets, weights = _batch(clicks, rows, shape)
            if seed is None:
                targets[schema.SESSION] = batching.row_numbers(pool, rows)
            return inputs, targets, weights

        return tf.data.Dataset.from_tensor_slices(starts).map(batch)


def _input_steps(dwell_seconds: tf.RaggedTensor, step_seconds: float):
    """Steps of a model over each session's inputs: all clicks but the last."""
    steps = tf.maximum(tf.math.ceil(dwell_seconds[:, :-1] / step_seconds), 1.0)
    return tf.cast(tf.reduce_sum(steps, 1), tf.int32)


def _flat(columns):
    """A pool's clicks end to end, then one of zeros, and its sessions."""
    items, dwell_seconds, dwell_censored = (
        tf.pad(columns[name].values, [[0, 1]]) for name in _OF_CLICK
    )
    lengths = tf.cast(columns[schema.ITEMS].row_lengths(), tf.int32)
    return {
        schema.ITEMS: tf.cast(items, tf.int32),
        schema.DWELL_SECONDS: dwell_seconds,
        schema.DWELL_CENSORED: tf.cast(dwell_censored, tf.float32),
        schema.SESSION_LENGTH: lengths,
        _FIRST: tf.cumsum(lengths, exclusive=True),
        schema.SESSION_END: tf.where(
            columns[schema.SESSION_CUT] > 0, schema.UNKNOWN_END, 1.0
        ),
        schema.START_MS: columns[schema.START_MS],
    }


def _batch(clicks, rows, shape=None):
    """One padded batch of some of a pool's sessions, of `shape` if given."""
    lengths, first, end, start_ms = (
        tf.gather(clicks[name], rows) for name in _OF_SESSION
    )
    if shape is None:
        longest = tf.reduce_max(lengths)
    else:
        size, longest = shape
        empty = [[0, size - tf.size(rows)]]
        lengths, first, end, start_ms = (
            tf.pad(column, empty) for column in (lengths, first, end, start_ms)
        )
    column = tf.range(longest)[tf.newaxis]
    real = column < lengths[:, tf.newaxis]
    # One look-up for all that a click has, as its place is the same in all.
    padding = tf.size(clicks[schema.ITEMS]) - 1
    at = tf.where(real, first[:, tf.newaxis] + column, padding)
    items, dwell_seconds, dwell_censored = (
        tf.gather(clicks[n], at) for n in _OF_CLICK
    )
    # Of each session all clicks but the last are inputs; the last one's dwell
    # is the constant c2, which would tell the model that the session ends.
    known = real[:, 1:]
    inputs = {
        schema.ITEMS: tf.where(known, items[:, :-1], schema.PAD_ID),
        schema.DWELL_SECONDS: tf.where(known, dwell_seconds[:, :-1], 0.0),
        schema.START_MS: start_ms,
    }
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell_seconds,
        schema.DWELL_CENSORED: dwell_censored,
        schema.SESSION_END: tf.one_hot(lengths - 1, longest)
        * end[:, tf.newaxis],
    }
    return inputs, targets, tf.cast(real, tf.float32)


def each_click_on_its_own(inputs, targets, weights):
    """One row for each click to predict, the dwell before it unknown.

    The weights are 1 on that click alone, and on the first click of the
    session in its first row.
    """
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
        schema.START_MS: tf.gather(inputs[schema.START_MS], rows),
    }
    targets = {name: tf.gather(value, rows) for name, value in targets.items()}
    column = tf.range(steps + 1)[tf.newaxis]
    asked = (column == known) | ((column == 0) & (known == 1))
    return inputs, targets, tf.cast(asked, tf.float32)

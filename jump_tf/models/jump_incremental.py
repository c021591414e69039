"""Incremental inference of JUMP: a session's state and one click more.

The encoder makes one step a click, however long the session is; attention and
pointer look back at what is remembered. All of it equals what the model says
of the whole session.
"""

import math
import typing
from typing import Any

from keras import ops

from jump_tf import schema
from jump_tf.models.jump import JUMP


class Past(typing.NamedTuple):
    """What JUMP remembers of the clicks of N sessions, padded on the right.

    Attributes:
        items: `[N, L]` ids.
        dwell_seconds: `[N, L]`; negative where unknown.
        states: `[N, L, d]`, the encoder's output after each click.
        slow: `[N, d]`, its slow state after the last one; no columns where the
            encoder has none.
    """

    items: Any
    dwell_seconds: Any
    states: Any
    slow: Any

    @property
    def lengths(self):
        """`[N]` clicks."""
        return ops.sum(ops.cast(self.items != schema.PAD_ID, "int32"), axis=1)


def past_of(model: JUMP, items, dwell_seconds, lengths) -> Past:
    """The past that the first `lengths` `[N]` clicks of `[N, T]` make."""
    dwell_seconds = model.seen(dwell_seconds)
    real = items != schema.PAD_ID
    states, *slow = model.trajectory(items, dwell_seconds, real)
    kept = ops.arange(ops.shape(items)[1])[None] < lengths[:, None]
    empty = ops.zeros_like(states[:, 0, :0])
    return Past(
        ops.where(kept, items, schema.PAD_ID),
        ops.where(kept, dwell_seconds, 0.0),
        ops.where(kept[..., None], states, 0.0),
        _at(slow[0], lengths - 1) if slow else empty,
    )


def append(model: JUMP, past: Past, items, dwell_seconds) -> Past:
    """The past with one more click a session.

    Args:
        model: it all belongs to.
        past: of N sessions.
        items: `[N]` ids; `PAD_ID` adds nothing.
        dwell_seconds: `[N]`; negative where unknown.
    """
    real, lengths = items != schema.PAD_ID, past.lengths
    dwell_seconds = ops.where(real, model.seen(dwell_seconds), 0.0)
    click = model.click_embedding(
        model.rows(items)[:, None], dwell_seconds[:, None], real[:, None]
    )
    last = _at(past.states, lengths - 1)
    if model.config.fast_slow:
        before = (last, past.slow)
        state, slow = model.fast_slow.step(click[:, 0], before, dwell_seconds)
        slow = ops.where(real[:, None], slow, past.slow)
    else:
        state, _ = model.gru.cell(click[:, 0], [last])
        slow = past.slow
    state = ops.where(real[:, None], state, 0.0)
    return Past(
        _put(past.items, lengths, items),
        _put(past.dwell_seconds, lengths, dwell_seconds),
        _put(past.states, lengths, state),
        slow,
    )


def newest(past: Past, most: int) -> Past:
    """The last `most` clicks of each past, and no padding that all have."""
    lengths = past.lengths
    kept = ops.minimum(lengths, most)
    width = ops.maximum(ops.max(kept), 0)  # The largest of none is below 0.
    columns = ops.arange(width)[None] + (lengths - kept)[:, None]
    return past._replace(
        items=_take(past.items, columns),
        dwell_seconds=_take(past.dwell_seconds, columns),
        states=_take(past.states, columns),
    )


def features(model: JUMP, past: Past):
    """`[N, W]` features after a past, as the model returns them."""
    lengths = past.lengths
    summary = _summary(model, past, lengths)
    parts = [summary]
    if model.config.pointer_clicks:
        parts.append(_pointers(model, past, lengths, summary))
    parts += [
        _at(column, lengths - 1)
        for column in model.plain_features(past.items, past.dwell_seconds)
    ]
    found = ops.concatenate(parts, axis=-1)
    start = model.start_like(found[:, None])[:, 0]
    return ops.where((lengths > 0)[:, None], found, start)


def _summary(model, past, lengths):
    last = _at(past.states, lengths - 1)
    summary = last
    if model.config.attention:
        likeness = ops.sum(past.states * last[:, None], axis=-1)
        likeness = likeness / math.sqrt(last.shape[-1])
        step = ops.arange(ops.shape(likeness)[1])[None]
        likeness = ops.where(step < lengths[:, None], likeness, -1e9)
        # Not `ops.softmax`, which warns of sessions of one click.
        total = ops.logsumexp(likeness, axis=-1, keepdims=True)
        weights = ops.exp(likeness - total)
        summary = ops.sum(weights[..., None] * past.states, axis=1)
        if model.config.residual:
            summary = summary + last
    if not model.config.click_residual:
        return summary
    rows = model.rows(_at(past.items, lengths - 1))
    return summary + model.click_weight * rows


def _pointers(model, past, lengths, summary):
    """`SessionPointer` columns `[N, 3 C + 1]` of each session."""
    back = lengths[:, None] - 1 - ops.arange(model.config.pointer_clicks)[None]
    back = ops.maximum(back, -1)
    items, dwell = (
        _or_zeros(column, back) for column in (past.items, past.dwell_seconds)
    )
    there = items != schema.PAD_ID
    clicks = model.click_embedding(model.rows(items), dwell, there)
    return model.pointer.at(items, clicks, summary, dwell)


def _at(column, index):
    """`[N, ...]`: of `[N, L, ...]` what is at `index` `[N]`, zeros at -1."""
    return _or_zeros(column, index[:, None])[:, 0]


def _or_zeros(column, index):
    """`[N, K, ...]`: as `_take`, and zeros at -1; L may be 0."""
    column = ops.pad(column, [[0, 0], [1, 0]] + [[0, 0]] * (column.ndim - 2))
    return _take(column, index + 1)


def _put(column, index, values):
    """`[N, L + 1, ...]`, with `values` `[N, ...]` at `index` `[N]`."""
    column = ops.pad(column, [[0, 0], [0, 1]] + [[0, 0]] * (column.ndim - 2))
    here = ops.arange(ops.shape(column)[1])[None] == index[:, None]
    here = ops.reshape(here, (*ops.shape(here), *(1,) * (column.ndim - 2)))
    return ops.where(here, values[:, None], column)


def _take(column, index):
    """`[N, K, ...]`: of `[N, L, ...]` what is at `index` `[N, K]`."""
    index = ops.reshape(index, (*ops.shape(index), *(1,) * (column.ndim - 2)))
    return ops.take_along_axis(column, index, axis=1)

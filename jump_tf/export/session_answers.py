"""Computes the outputs of session signatures from a session's features."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from jump_tf import schema
from jump_tf.export.next_items import NextItems
from jump_tf.export.request_reader import MOST_ITEMS
from jump_tf.export.request_reader import MOST_NUMBERS
from jump_tf.export.request_reader import SessionReader
from jump_tf.export.request_reader import after
from jump_tf.export.request_reader import at_most
from jump_tf.models.session_model import SessionModel

_MEDIAN = 0.5


class SessionState(NamedTuple):
    """The state of `B` sessions when a request comes.

    Attributes:
        features: `[B, W]`, after all clicks.
        lengths: `[B]` clicks.
        page: `[B]` id of the last click, `PAD_ID` where there is none.
        page_features: `[B, W]`, before that click.
        elapsed_seconds: `[B]`, spent on that page so far, at least 0.
    """

    features: tf.Tensor
    lengths: tf.Tensor
    page: tf.Tensor
    page_features: tf.Tensor
    elapsed_seconds: tf.Tensor


class RequestOptions(NamedTuple):
    """What a request asks for, a row a session.

    Attributes:
        k: `[B]` items at most.
        excluded: `[B, E]` ids that are not recommended.
        allowed: `[B, A]` the only ids that are recommended; a row of
            `PAD_ID` allows all.
        times_seconds: `[B, S]`, at which survival is computed.
    """

    k: tf.Tensor
    excluded: tf.Tensor
    allowed: tf.Tensor
    times_seconds: tf.Tensor


class SessionAnswers:
    """Computes the outputs that `Signatures` describes.

    Args:
        model: a built model.
        reader: of its vocabulary.
        next_items: search of the same model.
        top_k: items recommended where no `k` is given.
        quantiles: levels of the dwell quantiles.
    """

    def __init__(
        self,
        model: SessionModel,
        reader: SessionReader,
        next_items: NextItems,
        *,
        top_k: int,
        quantiles: Sequence[float],
    ):
        self._model = model
        self._reader = reader
        self._next_items = next_items
        self._top_k = min(top_k, next_items.size)
        self._quantiles = tuple(quantiles)
        # Several signatures share one trace.
        self._traced = tf.function(self._answer, autograph=False)

    def __call__(
        self, state: SessionState, options: RequestOptions | None = None
    ):
        """Returns the outputs of `serving_default`, or of `recommend`."""
        return self._traced(state, options)

    def _answer(self, state, options):
        features, lengths = state.features, state.lengths
        if options is None:
            ids, probabilities = self._next_items(
                features, lengths, self._top_k
            )
        else:
            ids, probabilities = self._next_items(
                features,
                lengths,
                tf.reduce_max(tf.concat([options.k, [1]], 0)),
                options.excluded,
                options.allowed,
            )
            asked = tf.range(tf.shape(ids)[1]) < options.k[:, tf.newaxis]
            ids = _bounded(
                tf.where(asked, ids, schema.PAD_ID), options.times_seconds
            )
        found = ids != schema.PAD_ID
        dwells = self._dwells(state, ids)
        of_items, of_page = dwells.quantiles(
            [_MEDIAN, *self._quantiles], state.elapsed_seconds
        )
        seen = state.page != schema.PAD_ID
        of_items = tf.where(found[..., tf.newaxis], of_items, 0.0)
        of_page = tf.where(seen[:, tf.newaxis], of_page, 0.0)
        spent = tf.where(seen, state.elapsed_seconds, 0.0)
        outputs = {
            schema.ITEMS: self._reader.names(ids),
            schema.PROBABILITIES: tf.where(found, probabilities, 0.0),
            schema.DWELL_MEDIAN_SECONDS: of_items[..., 0],
            schema.DWELL_QUANTILES_SECONDS: of_items[..., 1:],
            schema.QUANTILE_LEVELS: self.levels(lengths),
            schema.PAGE_DWELL_MEDIAN_SECONDS: of_page[:, 0],
            schema.PAGE_REMAINING_QUANTILES_SECONDS: of_page[:, 1:]
            - spent[:, tf.newaxis],
        }
        if self._model.config.end_weight:
            ends = dwells.session_end(state.elapsed_seconds)
            outputs[schema.SESSION_END_PROBABILITY] = tf.where(seen, ends, 0.0)
        if options is not None:
            of_items, of_page = dwells.survival(
                options.times_seconds, state.elapsed_seconds
            )
            outputs[schema.SURVIVAL] = tf.where(
                found[..., tf.newaxis], of_items, 0.0
            )
            outputs[schema.PAGE_REMAINING_SURVIVAL] = tf.where(
                seen[:, tf.newaxis], of_page, 0.0
            )
        return outputs

    def dwell(self, state: SessionState, items, times_seconds):
        """Returns the outputs of `dwell` for candidates `[B, C]`."""
        items = _bounded(items, times_seconds)
        dwells = self._dwells(state, items)
        seconds, _ = dwells.quantiles(
            [_MEDIAN, *self._quantiles], state.elapsed_seconds
        )
        survival, _ = dwells.survival(times_seconds, state.elapsed_seconds)
        return {
            schema.SURVIVAL: survival,
            schema.DWELL_MEDIAN_SECONDS: seconds[..., 0],
            schema.DWELL_QUANTILES_SECONDS: seconds[..., 1:],
            schema.QUANTILE_LEVELS: self.levels(state.lengths),
        }

    def levels(self, lengths):
        """Returns `[B, Q]`, the levels of the quantiles."""
        levels = tf.constant(self._quantiles, tf.float32)
        return tf.tile(levels[tf.newaxis], [tf.shape(lengths)[0], 1])

    def _dwells(self, state, ids):
        """The dwell distributions of `[B, K]` next items and of the page."""
        repeated = tf.repeat(state.features, tf.shape(ids)[1], axis=0)
        dwell, end_logits = self._model.dwell_and_end(
            tf.concat([repeated, state.page_features], 0),
            tf.concat([tf.reshape(ids, [-1]), state.page], 0),
        )
        number = tf.size(ids) + tf.size(state.page)
        dwell = dwell.map(
            lambda parameter: tf.broadcast_to(
                tf.cast(parameter, tf.float32), [number]
            )
        )
        return _DwellDistributions(dwell, end_logits, tf.shape(ids))


def _bounded(items, times_seconds):
    """`[B, K]` items, if the request may ask so much of so many."""
    rows, width = tf.unstack(tf.shape(items))
    moments = tf.shape(times_seconds)[1]
    checks = [
        at_most(MOST_ITEMS, "rows x items", rows, width),
        at_most(MOST_NUMBERS, "rows x items x times", rows, width, moments),
    ]
    return after(tf.group(*checks), items)


class _DwellDistributions:
    """Dwell distributions of `[B, K]` items and `[B]` pages, end to end.

    Their parameters share tensors, as a graph's time depends mostly on its
    number of operations.
    """

    def __init__(self, dwell, end_logits, shape):
        self._dwell = dwell
        self._end_logits = end_logits
        self._shape = shape

    def quantiles(self, levels, elapsed_seconds):
        """Returns quantiles `[B, K, L]` of items and `[B, L]` of pages.

        Those of pages are given that the dwell exceeds the elapsed time.
        """
        elapsed = tf.concat(
            [tf.zeros([tf.reduce_prod(self._shape)]), elapsed_seconds], 0
        )
        dwell = self._dwell.map(lambda parameter: parameter[:, tf.newaxis])
        seconds = dwell.quantile(
            tf.constant(levels, tf.float32), elapsed[:, tf.newaxis]
        )
        of_items, of_page = self._parts(seconds)
        shape = tf.concat([self._shape, [len(levels)]], 0)
        return tf.reshape(of_items, shape), of_page

    def survival(self, times_seconds, elapsed_seconds):
        """Returns survivals `[B, K, S]` of items and `[B, S]` of pages.

        Those of pages are of the remaining time.
        """
        times = times_seconds[:, tf.newaxis, :]
        shape = tf.concat([self._shape, [1]], 0)
        dwell = self._dwell.map(lambda p: tf.reshape(self._parts(p)[0], shape))
        of_items = tf.exp(dwell.log_survival(times))
        dwell = self._page().map(lambda parameter: parameter[:, tf.newaxis])
        of_page = tf.exp(
            dwell.log_survival(times_seconds + elapsed_seconds[:, tf.newaxis])
            - self._staying(elapsed_seconds)[:, tf.newaxis]
        )
        # Survival is 1 at time 0, whatever the shortest dwell is.
        return (
            tf.where(times <= 0.0, 1.0, of_items),
            tf.where(times_seconds <= 0.0, 1.0, of_page),
        )

    def session_end(self, elapsed_seconds):
        """Returns `[B]` probabilities that no click follows.

        By Bayes' rule: where a click follows, no click so far has the
        probability of a dwell beyond the elapsed time; where none follows, 1.
        """
        logits = tf.cast(self._parts(self._end_logits)[1], tf.float32)
        return tf.sigmoid(logits - self._staying(elapsed_seconds))

    def _staying(self, elapsed_seconds):
        """`[B]` log probability of a dwell on the page beyond the elapsed."""
        staying = self._page().log_survival(elapsed_seconds)
        return tf.where(elapsed_seconds > 0.0, staying, 0.0)

    def _page(self):
        return self._dwell.map(lambda parameter: self._parts(parameter)[1])

    def _parts(self, rows):
        """Splits rows into those of items and those of pages."""
        items = tf.reduce_prod(self._shape)
        return rows[:items], rows[items:]

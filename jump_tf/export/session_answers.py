"""From a session's features to what a served model answers."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from jump_tf import schema
from jump_tf.export.next_items import NextItems
from jump_tf.export.request_reader import SessionReader
from jump_tf.models.session_model import SessionModel

_MEDIAN = 0.5


class Moment(NamedTuple):
    """Where B sessions stand when they are asked about.

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


class Wishes(NamedTuple):
    """What a request may ask for, each row for itself.

    Attributes:
        k: `[B]` items at most.
        excluded: `[B, E]` ids that are not recommended.
        allowed: `[B, A]`, see `NextItems`.
        times_seconds: `[B, S]`, at which survival is asked.
    """

    k: tf.Tensor
    excluded: tf.Tensor
    allowed: tf.Tensor
    times_seconds: tf.Tensor


class SessionAnswers:
    """Answers `serving_default` and `recommend`, see `Signatures`.

    Args:
        model: a built model.
        reader: knows the vocabulary.
        next_items: of the model.
        top_k: items without wishes.
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

    def __call__(self, moment: Moment, wishes: Wishes | None = None):
        """The outputs of a signature, by name."""
        return self._traced(moment, wishes)

    def _answer(self, moment, wishes):
        features, lengths = moment.features, moment.lengths
        if wishes is None:
            ids, probabilities = self._next_items(
                features, lengths, self._top_k
            )
        else:
            ids, probabilities = self._next_items(
                features,
                lengths,
                tf.reduce_max(tf.concat([wishes.k, [1]], 0)),
                wishes.excluded,
                wishes.allowed,
            )
            asked = tf.range(tf.shape(ids)[1]) < wishes.k[:, tf.newaxis]
            ids = tf.where(asked, ids, schema.PAD_ID)
        found = ids != schema.PAD_ID
        laws = self._laws(moment, ids)
        of_items, of_page = laws.quantiles(
            [_MEDIAN, *self._quantiles], moment.elapsed_seconds
        )
        seen = moment.page != schema.PAD_ID
        of_items = tf.where(found[..., tf.newaxis], of_items, 0.0)
        of_page = tf.where(seen[:, tf.newaxis], of_page, 0.0)
        spent = tf.where(seen, moment.elapsed_seconds, 0.0)
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
            ends = laws.session_end(moment.elapsed_seconds)
            outputs[schema.SESSION_END_PROBABILITY] = tf.where(seen, ends, 0.0)
        if wishes is not None:
            of_items, of_page = laws.survival(
                wishes.times_seconds, moment.elapsed_seconds
            )
            outputs[schema.SURVIVAL] = tf.where(
                found[..., tf.newaxis], of_items, 0.0
            )
            outputs[schema.PAGE_REMAINING_SURVIVAL] = tf.where(
                seen[:, tf.newaxis], of_page, 0.0
            )
        return outputs

    def dwell(self, moment: Moment, items, times_seconds):
        """The outputs of `dwell`, of candidates `[B, C]`."""
        laws = self._laws(moment, items)
        seconds, _ = laws.quantiles(
            [_MEDIAN, *self._quantiles], moment.elapsed_seconds
        )
        survival, _ = laws.survival(times_seconds, moment.elapsed_seconds)
        return {
            schema.SURVIVAL: survival,
            schema.DWELL_MEDIAN_SECONDS: seconds[..., 0],
            schema.DWELL_QUANTILES_SECONDS: seconds[..., 1:],
            schema.QUANTILE_LEVELS: self.levels(moment.lengths),
        }

    def levels(self, lengths):
        """`[B, Q]` the levels of the quantiles."""
        levels = tf.constant(self._quantiles, tf.float32)
        return tf.tile(levels[tf.newaxis], [tf.shape(lengths)[0], 1])

    def _laws(self, moment, ids):
        """What the model says of `[B, K]` next items and of the page."""
        repeated = tf.repeat(moment.features, tf.shape(ids)[1], axis=0)
        law, end_logits = self._model.dwell_and_end(
            tf.concat([repeated, moment.page_features], 0),
            tf.concat([tf.reshape(ids, [-1]), moment.page], 0),
        )
        number = tf.size(ids) + tf.size(moment.page)
        law = law.map(
            lambda parameter: tf.broadcast_to(
                tf.cast(parameter, tf.float32), [number]
            )
        )
        return _Laws(law, end_logits, tf.shape(ids))


class _Laws:
    """Laws of dwells, of `[B, K]` items and `[B]` pages in one go.

    A graph's time is mostly that of its number of operations.
    """

    def __init__(self, law, end_logits, shape):
        self._law = law
        self._end_logits = end_logits
        self._shape = shape

    def quantiles(self, levels, elapsed_seconds):
        """`[B, K, L]` of items; `[B, L]` of pages, given the elapsed."""
        elapsed = tf.concat(
            [tf.zeros([tf.reduce_prod(self._shape)]), elapsed_seconds], 0
        )
        law = self._law.map(lambda parameter: parameter[:, tf.newaxis])
        seconds = law.quantile(
            tf.constant(levels, tf.float32), elapsed[:, tf.newaxis]
        )
        of_items, of_page = self._parts(seconds)
        shape = tf.concat([self._shape, [len(levels)]], 0)
        return tf.reshape(of_items, shape), of_page

    def survival(self, times_seconds, elapsed_seconds):
        """`[B, K, S]` of items; `[B, S]` of pages, of what is left."""
        times = times_seconds[:, tf.newaxis, :]
        shape = tf.concat([self._shape, [1]], 0)
        law = self._law.map(lambda p: tf.reshape(self._parts(p)[0], shape))
        of_items = tf.exp(law.log_survival(times))
        law = self._page().map(lambda parameter: parameter[:, tf.newaxis])
        of_page = tf.exp(
            law.log_survival(times_seconds + elapsed_seconds[:, tf.newaxis])
            - self._staying(elapsed_seconds)[:, tf.newaxis]
        )
        # Everybody stays longer than nothing, whatever the shortest dwell is.
        return (
            tf.where(times <= 0.0, 1.0, of_items),
            tf.where(times_seconds <= 0.0, 1.0, of_page),
        )

    def session_end(self, elapsed_seconds):
        """`[B]` that no click follows, as none has followed so far.

        By Bayes: those whom another click awaits are fewer and fewer, as their
        dwells end; the law is theirs alone.
        """
        logits = tf.cast(self._parts(self._end_logits)[1], tf.float32)
        return tf.sigmoid(logits - self._staying(elapsed_seconds))

    def _staying(self, elapsed_seconds):
        """`[B]` log probability of a dwell on the page beyond the elapsed."""
        staying = self._page().log_survival(elapsed_seconds)
        return tf.where(elapsed_seconds > 0.0, staying, 0.0)

    def _page(self):
        return self._law.map(lambda parameter: self._parts(parameter)[1])

    def _parts(self, rows):
        """Those of items and those of pages."""
        items = tf.reduce_prod(self._shape)
        return rows[:items], rows[items:]

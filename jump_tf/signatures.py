"""The questions a served model answers, as plain tf.functions.

Raw item ids in and out, a leading batch dimension everywhere, core ops only:
nothing here needs Python, a custom op or XLA when it is served.
"""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from jump_tf import schema
from jump_tf.models.session_model import SessionModel


def _specs(dimensions: int, dtype: tf.DType, *names: str):
    shape = [None] * dimensions
    return {name: tf.TensorSpec(shape, dtype, name) for name in names}


_CLICKS = {
    **_specs(2, tf.string, schema.ITEMS),
    **_specs(2, tf.float32, schema.DWELL_SECONDS),
}
_SPECS = {
    schema.SERVING_DEFAULT: {
        **_CLICKS,
        **_specs(1, tf.float32, schema.ELAPSED_SECONDS),
    },
    schema.DWELL: {
        **_CLICKS,
        **_specs(2, tf.string, schema.CANDIDATES),
        **_specs(2, tf.float32, schema.TIMES_SECONDS),
    },
    schema.EXAMPLES: _specs(1, tf.string, schema.EXAMPLES),
}
_EXAMPLE = {
    schema.ITEMS: tf.io.RaggedFeature(tf.string),
    schema.DWELL_SECONDS: tf.io.RaggedFeature(tf.float32),
    schema.ELAPSED_SECONDS: tf.io.FixedLenFeature([], tf.float32, 0.0),
}


class Signatures(tf.Module):
    """Answers questions about sessions in progress, for export.

    How a session is read, by every signature:

    * `items` `[B, T]` raw ids; "" is no click, wherever it stands. An id that
      is not in the vocabulary is the unknown item.
    * `dwell_seconds` `[B, T]`; negative or NaN is unknown, which is how the
      page on screen is sent.
    * Of a session longer than `max_session_length`, the last clicks count. No
      click at all is a session too.

    `serving_default` also takes `elapsed_seconds` `[B]`, the seconds already
    spent on the page on screen (0, negative or not finite if unknown), and
    returns

    * `items` `[B, k]` and `probabilities` `[B, k]`, the likeliest next clicks
      under the softmax over the whole catalogue,
    * `dwell_median_seconds` `[B, k]`, `dwell_quantiles_seconds` `[B, k, Q]`:
      how long each would be looked at; `quantile_levels` `[B, Q]`,
    * `page_dwell_median_seconds` `[B]`: the median of the total dwell on the
      page on screen, the session's last click, given that it exceeds
      `elapsed_seconds`; 0 without a click.

    `examples` takes `examples` `[B]`, serialized tf.Examples with `items`,
    `dwell_seconds` (may be shorter: the rest is unknown) and, if it is known,
    `elapsed_seconds`, and returns the same.

    `dwell` takes `candidates` `[B, C]` and `times_seconds` `[B, S]` instead
    and returns, for each candidate as the next click, `survival` `[B, C, S]`
    (the probability of staying longer than each time; NaN for NaN), its median
    `[B, C]` and quantiles `[B, C, Q]` as above.

    What a dwell is depends on the model: with `end_weight`, the time until
    the next click, given that one follows; else the time on the page.

    Args:
        model: a built model.
        vocabulary_file: raw ids, one a line, from `FIRST_ITEM_ID` on.
        max_session_length: clicks that are read, the last ones.
        top_k: items to recommend; at most all there are.
        quantiles: levels of the dwell quantiles, inside (0, 1).
    """

    def __init__(
        self,
        model: SessionModel,
        vocabulary_file: str | pathlib.Path,
        *,
        max_session_length: int,
        top_k: int,
        quantiles: Sequence[float],
    ):
        super().__init__()
        self._model = model
        self._max_session_length = max_session_length
        self._top_k = min(top_k, model.vocabulary_size - schema.FIRST_ITEM_ID)
        self._quantiles = tuple(quantiles)
        self._lines_of_items = lookup_table(
            vocabulary_file, items_to_lines=True
        )
        self._items_of_lines = lookup_table(
            vocabulary_file, items_to_lines=False
        )

    def functions(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """The traced signatures by name."""
        answers = {
            schema.SERVING_DEFAULT: self._recommend,
            schema.DWELL: self._dwell,
            schema.EXAMPLES: self._recommend_examples,
        }
        return {
            name: tf.function(answer, autograph=False).get_concrete_function(
                **_SPECS[name]
            )
            for name, answer in answers.items()
        }

    def _recommend_examples(self, examples):
        columns = tf.io.parse_example(examples, _EXAMPLE)
        items = columns[schema.ITEMS]
        dwell = columns[schema.DWELL_SECONDS]
        tf.debugging.assert_less_equal(
            dwell.row_lengths(),
            items.row_lengths(),
            "`dwell_seconds` of an example must not be longer than its `items`",
        )
        items = items.to_tensor("")
        shape = tf.shape(items, tf.int64)
        return self._recommend(
            items,
            dwell.to_tensor(schema.UNKNOWN_DWELL, shape=shape),
            columns[schema.ELAPSED_SECONDS],
        )

    def _recommend(self, items, dwell_seconds, elapsed_seconds):
        elapsed_seconds = _with_rows(
            schema.ELAPSED_SECONDS, elapsed_seconds, items
        )
        features, page_features, page = self._read(items, dwell_seconds)
        scores = tf.cast(self._model.click_scores(features), tf.float32)
        best_scores, best = tf.math.top_k(scores, self._top_k)
        normalizer = tf.reduce_logsumexp(scores, axis=-1, keepdims=True)
        lines = tf.cast(best, tf.int64) - schema.FIRST_ITEM_ID
        return {
            schema.ITEMS: self._items_of_lines.lookup(lines),
            schema.PROBABILITIES: tf.exp(best_scores - normalizer),
            **self._dwell_summary(self._dwell_law(features, best)),
            schema.PAGE_DWELL_MEDIAN_SECONDS: self._page_median(
                page_features, page, elapsed_seconds
            ),
        }

    def _dwell(self, items, dwell_seconds, candidates, times_seconds):
        candidates = _with_rows(schema.CANDIDATES, candidates, items)
        times_seconds = _with_rows(schema.TIMES_SECONDS, times_seconds, items)
        features, _, _ = self._read(items, dwell_seconds)
        law = self._dwell_law(features, self._ids(candidates))
        times = times_seconds[:, tf.newaxis, :]
        survival = tf.exp(_columns_of(law).log_survival(times))
        # Everybody stays longer than nothing, whatever the shortest dwell is.
        return {
            schema.SURVIVAL: tf.where(times <= 0.0, 1.0, survival),
            **self._dwell_summary(law),
        }

    def _read(self, items, dwell_seconds):
        """Features now, features before the last click, and that click."""
        dwell_seconds = after(
            tf.debugging.assert_equal(
                tf.shape(items),
                tf.shape(dwell_seconds),
                "`items` and `dwell_seconds` must have the same shape",
            ),
            dwell_seconds,
        )
        items, dwell_seconds, lengths = self._left_aligned(items, dwell_seconds)
        inputs = {schema.ITEMS: items, schema.DWELL_SECONDS: dwell_seconds}
        features = self._model(inputs, training=False)
        before = tf.maximum(lengths - 1, 0)
        last = tf.gather(items, before, axis=1, batch_dims=1)
        return (
            tf.gather(features, lengths, axis=1, batch_dims=1),
            tf.gather(features, before, axis=1, batch_dims=1),
            last,
        )

    def _left_aligned(self, items, dwell_seconds):
        """Ids, dwells and numbers of the last clicks, without the gaps."""
        clicks = items != ""
        ids = tf.ragged.boolean_mask(self._ids(items), clicks)
        known = tf.where(
            dwell_seconds >= 0.0, dwell_seconds, schema.UNKNOWN_DWELL
        )
        dwell = tf.ragged.boolean_mask(known, clicks)
        ids = ids[:, -self._max_session_length :]
        dwell = dwell[:, -self._max_session_length :]
        lengths = ids.row_lengths()
        # A recurrent layer cannot run over zero steps.
        steps = tf.reduce_max(tf.concat([lengths, [1]], 0))
        shape = tf.stack([ids.nrows(), steps])
        return (
            ids.to_tensor(schema.PAD_ID, shape=shape),
            dwell.to_tensor(0.0, shape=shape),
            tf.cast(lengths, tf.int32),
        )

    def _ids(self, items):
        lines = self._lines_of_items.lookup(items)
        return tf.cast(lines, tf.int32) + schema.FIRST_ITEM_ID

    def _dwell_law(self, features, items):
        """The law, `[B, C]`, of the dwell on each of `items` `[B, C]`."""
        repeated = tf.repeat(features, tf.shape(items)[1], axis=0)
        law = self._model.dwell_distribution(repeated, tf.reshape(items, [-1]))
        return law.map(
            lambda parameter: tf.reshape(
                tf.cast(parameter, tf.float32), tf.shape(items)
            )
        )

    def _dwell_summary(self, law):
        levels = tf.constant(self._quantiles, tf.float32)
        median = law.median()
        shape = [tf.shape(median)[0], len(self._quantiles)]
        return {
            schema.DWELL_MEDIAN_SECONDS: median,
            schema.DWELL_QUANTILES_SECONDS: _columns_of(law).quantile(levels),
            schema.QUANTILE_LEVELS: tf.broadcast_to(levels, shape),
        }

    def _page_median(self, features, page, elapsed_seconds):
        law = self._model.dwell_distribution(features, page)
        law = law.map(lambda parameter: tf.cast(parameter, tf.float32))
        known = (elapsed_seconds > 0.0) & tf.math.is_finite(elapsed_seconds)
        elapsed = tf.where(known, elapsed_seconds, 0.0)
        median = law.quantile(0.5, elapsed)
        return tf.where(page == schema.PAD_ID, 0.0, median)


def lookup_table(vocabulary_file, items_to_lines: bool):
    """A vocabulary's texts to lines, from 0, or its lines to texts."""
    text = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE)
    line = (tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    key, value = (text, line) if items_to_lines else (line, text)
    unknown = schema.OOV_ID - schema.FIRST_ITEM_ID if items_to_lines else ""
    initializer = tf.lookup.TextFileInitializer(
        str(vocabulary_file), *key, *value
    )
    return tf.lookup.StaticHashTable(initializer, unknown)


def _with_rows(name, tensor, items):
    """The tensor, once it is sure to have as many rows as `items`."""
    check = tf.debugging.assert_equal(
        tf.shape(tensor)[0],
        tf.shape(items)[0],
        f"`{name}` must have as many rows as `items`",
    )
    return after(check, tensor)


def after(check, tensor):
    """The tensor; whatever reads it waits for the check.

    Otherwise what is wrong may fail first somewhere else, in worse words.
    """
    with tf.control_dependencies([check]):
        return tf.identity(tensor)


def _columns_of(law):
    """The law with a last axis of size 1, along which times are compared."""
    return law.map(lambda parameter: parameter[..., tf.newaxis])

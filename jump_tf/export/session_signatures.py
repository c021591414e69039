"""The signatures of a served model of sessions, as plain tf.functions.

Inputs and outputs hold raw item ids and have a leading batch dimension. The
graphs consist of core ops and need no Python, custom op or XLA to be served.
"""

import itertools
import pathlib
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from jump_tf import schema
from jump_tf.export.exact_search import ExactSearch
from jump_tf.export.incremental_signatures import IncrementalSignatures
from jump_tf.export.next_items import NextItems
from jump_tf.export.request_reader import SessionReader
from jump_tf.export.request_reader import after
from jump_tf.export.request_reader import at_most
from jump_tf.export.request_reader import seconds_so_far
from jump_tf.export.request_reader import with_rows
from jump_tf.export.session_answers import RequestOptions
from jump_tf.export.session_answers import SessionAnswers
from jump_tf.export.session_answers import SessionState
from jump_tf.models.jump import JUMP
from jump_tf.models.session_model import SessionModel


def _specs(dimensions: int, dtype: tf.DType, *names: str):
    shape = [None] * dimensions
    return {name: tf.TensorSpec(shape, dtype, name) for name in names}


_CLICKS = {
    **_specs(2, tf.string, schema.ITEMS),
    **_specs(2, tf.float32, schema.DWELL_SECONDS),
}
_TIMES = _specs(2, tf.float32, schema.TIMES_SECONDS)
_SESSION = {**_CLICKS, **_specs(1, tf.float32, schema.ELAPSED_SECONDS)}
_RECOMMEND = {
    **_SESSION,
    **_specs(1, tf.int32, schema.K),
    **_specs(1, tf.bool, schema.EXCLUDE_SEEN),
    **_specs(2, tf.string, schema.ALLOW, schema.DENY),
    **_TIMES,
}
_DWELL = {**_CLICKS, **_specs(2, tf.string, schema.CANDIDATES), **_TIMES}
_EXAMPLES = _specs(1, tf.string, schema.EXAMPLES)


class Signatures:
    """The signatures of a model of sessions, for export.

    How a session is read, by every signature:

    * `items` `[B, T]` raw ids; "" is no click, wherever it stands. An id that
      is not in the vocabulary is the unknown item.
    * `dwell_seconds` `[B, T]`; negative or NaN is unknown, which is how the
      page on screen is sent. A last dwell that is known asks at `page_leave`,
      an unknown one at `page_load`.
    * Of a session longer than `max_session_length`, the last clicks count. No
      click at all is a session too.

    `serving_default` also takes `elapsed_seconds` `[B]`, the seconds already
    spent on the page on screen (0, negative or not finite if unknown), on which
    only the answers of that page and of the session's end depend, and returns

    * `items` `[B, k]` and `probabilities` `[B, k]`, the likeliest next clicks
      and their probabilities among the whole catalogue,
    * `dwell_median_seconds` `[B, k]`, `dwell_quantiles_seconds` `[B, k, Q]`:
      how long each would be looked at; `quantile_levels` `[B, Q]`,
    * `page_dwell_median_seconds` `[B]`: the median of the total dwell on the
      page on screen, the session's last click, given that it exceeds
      `elapsed_seconds`; `page_remaining_quantiles_seconds` `[B, Q]`, of what
      is then left of it; both 0 without a click,
    * `session_end_probability` `[B]`, that no click follows the page on
      screen, as none has followed in `elapsed_seconds`; 0 without a click.
      Only of a model with `end_weight`.

    `recommend` takes five more and returns the same, and more:

    * `k` `[B]`: items asked for, 1 to `max_k`. There are as many columns as
      the largest k; beyond a row's own, and where its filters leave less,
      items are "" and numbers 0.
    * `exclude_seen` `[B]`: whether the session's own items are left out;
      `deny` `[B, D]`: items left out; `allow` `[B, A]`: the only items not
      left out, in rows that name any. "" names none. Probabilities stay those
      among the whole catalogue.
    * `times_seconds` `[B, S]`: asks for `survival` `[B, k, S]`, the
      probability that the dwell on an item is longer than each time (NaN for
      NaN), and `page_remaining_survival` `[B, S]`, that what is left of the
      page's is.

    `examples` takes `examples` `[B]`, serialized tf.Examples with the inputs
    of `recommend`, and answers likewise. All but `items` may be left out:
    dwells may be shorter (the rest is unknown), `k` is then `top_k`. There is
    one more, `start_ms`, the instant of the session's first click, for a model
    that reads what others clicked before: left out or negative it is the end
    of the log that the model holds, as it is in all other signatures.

    `dwell` takes `candidates` `[B, C]` and `times_seconds` `[B, S]` instead
    and returns, for each candidate as the next click, `survival` `[B, C, S]`,
    its median `[B, C]` and quantiles `[B, C, Q]` as above.

    Of JUMP there are two more, which answer as `serving_default`, with a state
    besides: tensors named `state_...`, whose shapes nobody needs to know.

    `start` takes what `serving_default` takes. `step` takes a state and one
    click: `item` `[B]`, the one now on screen, "" where the visitor has only
    left; `last_dwell_seconds` `[B]`, the dwell on the page before, known by
    now; `elapsed_seconds` `[B]`. However long the session, the encoder makes
    two steps; up to `max_session_length` clicks the answer is that of the
    whole session. A state of zeros is that of a session without clicks, one of
    another version is refused.

    What a dwell is depends on the model: with `end_weight`, the time until
    the next click, given that one follows; else the time on the page.

    Args:
        model: a built model.
        vocabulary_file: raw ids, one a line, from `FIRST_ITEM_ID` on.
        max_session_length: clicks that are read, the last ones.
        top_k: items to recommend; at most all there are.
        max_k: items that a request may ask for.
        quantiles: levels of the dwell quantiles, rising, inside (0, 1).
        index: returns the search over item vectors, such as `ExactSearch`.

    Raises:
        InputError: a setting is out of its range.
    """

    def __init__(
        self,
        model: SessionModel,
        vocabulary_file: str | pathlib.Path,
        *,
        max_session_length: int = 200,
        top_k: int = 20,
        max_k: int = 100,
        quantiles: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
        index: Callable = ExactSearch,
    ):
        _check_settings(max_session_length, top_k, max_k, quantiles)
        self._model = model
        self._top_k = top_k
        self._max_k = max_k
        self._reader = SessionReader(vocabulary_file, max_session_length)
        self._answers = SessionAnswers(
            model,
            self._reader,
            NextItems(model, index),
            top_k=top_k,
            quantiles=quantiles,
        )
        # Traced once, for `examples` too where these tell no time.
        self._recommending = tf.function(self._recommend, autograph=False)
        self._incremental = None
        if isinstance(model, JUMP):
            self._incremental = IncrementalSignatures(
                model,
                vocabulary_file,
                self._reader,
                self._answers,
                max_session_length,
            )

    @property
    def tables(self) -> list:
        """The lookup tables, which a SavedModel does not find by itself."""
        return self._reader.tables

    def functions(self) -> dict[str, tf.types.experimental.ConcreteFunction]:
        """Returns the traced signatures by name."""
        answers = {
            schema.SERVING_DEFAULT: (self._serving_default, _SESSION),
            schema.RECOMMEND: (self._recommending, _RECOMMEND),
            schema.DWELL: (self._dwell, _DWELL),
            schema.EXAMPLES: (self._examples, _EXAMPLES),
        }
        if self._incremental is not None:
            answers |= {
                schema.START: (self._incremental.start, _SESSION),
                schema.STEP: (
                    self._incremental.step,
                    self._incremental.step_specs(),
                ),
            }
        return {
            name: tf.function(answer, autograph=False).get_concrete_function(
                **specs
            )
            for name, (answer, specs) in answers.items()
        }

    def _serving_default(self, items, dwell_seconds, elapsed_seconds):
        elapsed = with_rows(schema.ELAPSED_SECONDS, elapsed_seconds, items)
        state, _ = self._state(items, dwell_seconds, elapsed)
        return self._answers(state)

    def _recommend(
        self,
        items,
        dwell_seconds,
        elapsed_seconds,
        k,
        exclude_seen,
        allow,
        deny,
        times_seconds,
        start_ms=None,
    ):
        elapsed = with_rows(schema.ELAPSED_SECONDS, elapsed_seconds, items)
        exclude_seen = with_rows(schema.EXCLUDE_SEEN, exclude_seen, items)
        allow = with_rows(schema.ALLOW, allow, items)
        deny = with_rows(schema.DENY, deny, items)
        state, seen = self._state(items, dwell_seconds, elapsed, start_ms)
        seen = tf.where(exclude_seen[:, tf.newaxis], seen, schema.PAD_ID)
        options = RequestOptions(
            k=self._checked_k(with_rows(schema.K, k, items)),
            excluded=tf.concat([self._reader.ids(deny), seen], 1),
            allowed=tf.where(
                allow == "", schema.PAD_ID, self._reader.ids(allow)
            ),
            times_seconds=with_rows(schema.TIMES_SECONDS, times_seconds, items),
        )
        return self._answers(state, options)

    def _examples(self, examples):
        columns = tf.io.parse_example(examples, self._example_features())
        for name, column in columns.items():
            if isinstance(column, tf.RaggedTensor):
                columns[name] = _checked_size(name, column)
        items = columns[schema.ITEMS]
        dwell = columns[schema.DWELL_SECONDS]
        tf.debugging.assert_less_equal(
            dwell.row_lengths(),
            items.row_lengths(),
            "`dwell_seconds` of an example must not be longer than its `items`",
        )
        items = items.to_tensor("")
        return self._recommending(
            items,
            dwell.to_tensor(
                schema.UNKNOWN_DWELL, shape=tf.shape(items, tf.int64)
            ),
            columns[schema.ELAPSED_SECONDS],
            # Beyond int32 is beyond the limit, too.
            tf.cast(
                tf.clip_by_value(columns[schema.K], -1, 2**31 - 1), tf.int32
            ),
            columns[schema.EXCLUDE_SEEN] != 0,
            columns[schema.ALLOW].to_tensor(""),
            columns[schema.DENY].to_tensor(""),
            columns[schema.TIMES_SECONDS].to_tensor(0.0),
            columns[schema.START_MS] if self._model.reads_the_clock else None,
        )

    def _example_features(self):
        texts, numbers = (
            tf.io.RaggedFeature(dtype) for dtype in (tf.string, tf.float32)
        )
        return {
            schema.ITEMS: texts,
            schema.DWELL_SECONDS: numbers,
            schema.ELAPSED_SECONDS: tf.io.FixedLenFeature([], tf.float32, 0.0),
            schema.K: tf.io.FixedLenFeature([], tf.int64, self._top_k),
            schema.EXCLUDE_SEEN: tf.io.FixedLenFeature([], tf.int64, 0),
            schema.ALLOW: texts,
            schema.DENY: texts,
            schema.TIMES_SECONDS: numbers,
            schema.START_MS: tf.io.FixedLenFeature([], tf.int64, -1),
        }

    def _dwell(self, items, dwell_seconds, candidates, times_seconds):
        candidates = with_rows(schema.CANDIDATES, candidates, items)
        times_seconds = with_rows(schema.TIMES_SECONDS, times_seconds, items)
        state, _ = self._state(items, dwell_seconds)
        ids = self._reader.ids(candidates)
        return self._answers.dwell(state, ids, times_seconds)

    def _state(self, items, dwell_seconds, elapsed_seconds=None, start_ms=None):
        """Returns the state of sessions, and ids `[B, T]` of their clicks."""
        if elapsed_seconds is None:
            elapsed_seconds = tf.zeros(tf.shape(items)[:1])
        read = self._reader(items, dwell_seconds)
        inputs = {
            schema.ITEMS: read.items,
            schema.DWELL_SECONDS: read.dwell_seconds,
        }
        if start_ms is not None:
            inputs[schema.START_MS] = start_ms
        features = self._model(inputs, training=False)
        before = tf.maximum(read.lengths - 1, 0)
        state = SessionState(
            features=tf.gather(features, read.lengths, axis=1, batch_dims=1),
            lengths=read.lengths,
            page=tf.gather(read.items, before, axis=1, batch_dims=1),
            page_features=tf.gather(features, before, axis=1, batch_dims=1),
            elapsed_seconds=seconds_so_far(elapsed_seconds),
        )
        return state, read.items

    def _checked_k(self, k):
        inside = tf.reduce_all((k >= 1) & (k <= self._max_k))
        check = tf.debugging.assert_equal(
            inside, True, f"`k` must be 1 to {self._max_k}"
        )
        return after(check, k)


def _checked_size(name, column):
    """The column of examples, if it may be filled up to equal rows."""
    check = at_most(
        schema.MOST_REQUEST_VALUES,
        f"rows x values of the longest `{name}`",
        column.nrows(),
        column.bounding_shape(axis=1),
    )
    return after(check, column)


def _check_settings(max_session_length, top_k, max_k, quantiles) -> None:
    for setting, value in (
        ("max_session_length", max_session_length),
        ("top_k", top_k),
        ("max_k", max_k),
    ):
        if value < 1:
            raise schema.InputError(
                f"`{setting}` must be positive. Received: {setting}={value}"
            )
    rising = all(a < b for a, b in itertools.pairwise(quantiles))
    if not quantiles or not rising or not 0 < quantiles[0] <= quantiles[-1] < 1:
        raise schema.InputError(
            "`quantiles` must rise inside (0, 1). "
            f"Received: quantiles={tuple(quantiles)}"
        )

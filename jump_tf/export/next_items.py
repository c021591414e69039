"""The likeliest next items after a session, filtered."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.export.exact_search import ExactSearch
from jump_tf.losses.logsumexp import NEVER
from jump_tf.models.session_model import SessionModel


class NextItems:
    """The likeliest next clicks after sessions, with their probabilities.

    A session without a click is answered by what the model learned before
    first clicks or, where it learned nothing (`learned_start`), by how often
    items were clicked in training.

    Args:
        model: a built model.
        index: returns the search over the vectors of all items, with `best`
            and `size` as `ExactSearch` has them.
    """

    def __init__(
        self,
        model: SessionModel,
        index: Callable[[np.ndarray], Any] = ExactSearch,
    ):
        self._model = model
        vectors = np.asarray(model.item_vectors())
        self._popularity = None
        if not model.config.learned_start:
            self._popularity = tf.Variable(_log_popularity(model))
            vectors = np.column_stack([vectors, self._popularity])
        self._search = index(vectors[schema.FIRST_ITEM_ID :])
        self.size = self._search.size

    def __call__(self, features, lengths, k, excluded=None, allowed=None):
        """Returns ids `[B, K]`, best first, and their probabilities.

        K is `k`, or less where there are fewer items. Where
        filters leave less, ids are `PAD_ID` and probabilities 0.

        Args:
            features: `[B, W]` of sessions.
            lengths: `[B]` clicks of each.
            k: scalar.
            excluded: `[B, E]` ids that are not recommended.
            allowed: `[B, A]` ids; where a row has any that is not `PAD_ID`,
                nothing else is recommended.
        """
        queries = self._queries(features, lengths)
        pointers = self._model.pointers(features)
        recent = self._model.recent(features)
        if pointers is None and excluded is None and allowed is None:
            ids, scores, total = self._search.best(queries, k)
            return ids, tf.exp(scores - total[:, tf.newaxis])
        extra = [] if pointers is None else [pointers.ids]
        if recent is not None:
            extra.append(recent.ids)
        reserve = sum(
            tf.shape(ids)[1] for ids in [*extra, excluded] if ids is not None
        )
        # What is scored otherwise is not in the softmax of all others.
        apart = tf.concat(extra, 1) if extra else None
        ids, scores, total = self._search.best(queries, k + reserve, apart)
        ids = tf.where(scores > NEVER, ids, schema.PAD_ID)
        if recent is not None:
            total = self._with_recent(queries, total, recent)
        if allowed is not None:
            any_allowed = tf.reduce_any(
                allowed != schema.PAD_ID, 1, keepdims=True
            )
            ids = tf.where(any_allowed, schema.PAD_ID, ids)
            extra = [tf.where(any_allowed, schema.PAD_ID, x) for x in extra]
            extra.append(allowed)
        ids = tf.concat([ids, *extra], 1)
        scores = tf.concat(
            [scores, *(self._scores(queries, x) for x in extra)], 1
        )
        ids, scores = _once(ids, scores)
        if recent is not None:
            scores += recent.of(ids)
        if pointers is None:
            scores -= total[:, tf.newaxis]
        else:
            scores = pointers.mixed(ids, scores, total)
        kept = ids >= schema.FIRST_ITEM_ID
        if excluded is not None:
            out = ids[:, :, tf.newaxis] == excluded[:, tf.newaxis, :]
            kept &= ~tf.reduce_any(out, -1)
        best, columns = tf.math.top_k(
            tf.where(kept, scores, NEVER), tf.minimum(k, tf.shape(ids)[1])
        )
        ids = tf.gather(ids, columns, axis=1, batch_dims=1)
        found = best > NEVER
        return tf.where(found, ids, schema.PAD_ID), tf.exp(best)

    def _with_recent(self, queries, total, recent):
        """Returns `[B]`: the total with the shifted items in it."""
        shifted = self._scores(queries, recent.ids) + recent.shifts
        shifted = tf.where(recent.ids != schema.PAD_ID, shifted, NEVER)
        return tf.reduce_logsumexp(
            tf.concat([total[:, tf.newaxis], shifted], 1), 1
        )

    def _queries(self, features, lengths):
        queries = tf.cast(self._model.queries(features), tf.float32)
        if self._popularity is None:
            return queries
        empty = (lengths == 0)[:, tf.newaxis]
        queries = tf.where(empty, 0.0, queries)
        return tf.concat([queries, tf.cast(empty, tf.float32)], 1)

    def _scores(self, queries, ids):
        """Returns the scores of items `[B, C]`."""
        vectors = tf.cast(self._model.item_vectors(ids), tf.float32)
        if self._popularity is not None:
            popularity = tf.gather(self._popularity, ids)[..., tf.newaxis]
            vectors = tf.concat([vectors, popularity], -1)
        # Not a batch of products, whose set-up takes longer than this.
        return tf.reduce_sum(vectors * queries[:, tf.newaxis, :], -1)


def _once(ids, scores):
    """Sorts columns by id; repeated ids become `PAD_ID`."""
    order = tf.argsort(ids, axis=1, stable=True)
    ids = tf.gather(ids, order, axis=1, batch_dims=1)
    scores = tf.gather(scores, order, axis=1, batch_dims=1)
    before = tf.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=-1)
    return tf.where(ids == before, schema.PAD_ID, ids), scores


def _log_popularity(model: SessionModel) -> np.ndarray:
    """Returns `[V]` up to a constant, from the rates of the sampler."""
    power = model.sampler.power
    rates = np.asarray(model.sampler.log_rates)
    popularity = rates / power if power else np.zeros_like(rates)
    return popularity.astype(np.float32)

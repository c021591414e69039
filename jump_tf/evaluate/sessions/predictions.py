"""A model's answers to every click of a split, as flat NumPy columns."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import session_batches
from jump_tf.evaluate.columns import joined
from jump_tf.metrics import ranking
from jump_tf.survival.distribution import Distribution

SCORES_AT_ONCE = 2**24
PREDICTIONS_AT_ONCE = 2048
LISTED = 20  # As many as are asked for in `recall_at_20`.
_INPUTS = {
    schema.ITEMS: tf.TensorSpec([None, None], tf.int32),
    schema.DWELL_SECONDS: tf.TensorSpec([None, None], tf.float32),
    schema.START_MS: tf.TensorSpec([None], tf.int64),
}


@dataclasses.dataclass(frozen=True)
class LoggedClicks:
    """What the log says of N clicks, by session and position.

    The order is the same for all models, and at both moments of asking.

    Attributes:
        session: index of the click's session, from 0, as the files have them.
        position: of the click in its session, from 1.
        length: clicks of its session.
        item: id, `OOV_ID` where training never saw it.
        last: bool, the last click of its session, which leaves no dwell.
        censored: bool, the dwell is only a lower bound.
        dwell_seconds: the dwell, cut at c1; c2 of a last click.
    """

    session: np.ndarray
    position: np.ndarray
    length: np.ndarray
    item: np.ndarray
    last: np.ndarray
    censored: np.ndarray
    dwell_seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.item)

    @property
    def predicted(self) -> np.ndarray:
        """`[N]` bool: there is an earlier click to predict from."""
        return self.position > 1

    @property
    def known(self) -> np.ndarray:
        """`[N]` bool: training saw the item."""
        return self.item >= schema.FIRST_ITEM_ID

    @property
    def followed(self) -> np.ndarray:
        """`[N]` bool: another click follows, within c1."""
        return ~self.last & ~self.censored

    @property
    def previous(self) -> np.ndarray:
        """`[N]` id of the click before, `PAD_ID` at the first."""
        before = np.roll(self.item, 1)
        return np.where(self.predicted, before, schema.PAD_ID)

    @property
    def repeats_last(self) -> np.ndarray:
        """`[N]` bool: the click before was on this item, which is known.

        Two clicks on unknown items may be on two items.
        """
        return self.known & (self.item == self.previous)

    @property
    def repeated(self) -> np.ndarray:
        """`[N]` bool: the session had this item before, which is known."""
        order = np.lexsort((self.item, self.session))  # Stable: by position.
        session, item = self.session[order], self.item[order]
        again = (session[1:] == session[:-1]) & (item[1:] == item[:-1])
        repeated = np.zeros(len(self), bool)
        repeated[order[1:]] = again
        return repeated & self.known


@dataclasses.dataclass(frozen=True)
class Clicks(LoggedClicks):
    """Clicks, and whether their sessions are all there.

    Attributes:
        session_cut: bool, the last click, but the log ended there: nobody
            knows whether the session did.
    """

    session_cut: np.ndarray


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of N clicks.

    Attributes:
        rank: of the clicked item, `ranking.MISS` at a first click and where
            the item is unknown; ties are lost.
        rank_standard: the same, but ties are won.
        dwell: distribution of the dwell, `[N]` parameters.
        session_end_logits: `[N]`, or None for a model without such a head.
        listed: `[V]` how many of the lists of 20 that were made hold each id;
            None if none were asked for.
    """

    rank: np.ndarray
    rank_standard: np.ndarray
    dwell: Distribution
    session_end_logits: np.ndarray | None = None
    listed: np.ndarray | None = None


class Predictor:
    """Asks a model; traced once for all batches, so keep it between epochs.

    Args:
        model: a built `SessionModel`.
        scores_at_once: bounds the memory of a step: so many scores, though
            never more than `PREDICTIONS_AT_ONCE` predictions.
    """

    def __init__(self, model: Any, scores_at_once: int = SCORES_AT_ONCE):
        self.model = model
        fitting = scores_at_once // model.vocabulary_size
        self.chunk = min(max(fitting, 1), PREDICTIONS_AT_ONCE)
        self._answer = tf.function(
            self._answer_clicks,
            input_signature=(
                _INPUTS,
                tf.TensorSpec([None, 2], tf.int64),
                tf.TensorSpec([None], tf.int32),
            ),
        )
        self._rank = tf.function(self._rank_items, reduce_retracing=True)
        self._score = tf.function(self._score_items, reduce_retracing=True)
        self._dwell: Any = None  # Of which kind it is, tracing tells.

    def __call__(
        self, batches: Iterable, listed_share: float = 0.0
    ) -> tuple[Clicks, Answers]:
        """The clicks of batches (see `evaluation_batches`) and the answers.

        Args:
            batches: of a split.
            listed_share: of the clicks that are ranked, for which the list of
                20 is made, too; that costs as much as some rankings. Which
                ones is the same for all models.
        """
        clicks, ranks, dwells, ends = [], [], [], []
        listed = np.zeros(self.model.vocabulary_size, np.int64)
        for inputs, targets, weights in batches:
            asked = np.argwhere(weights.numpy())
            clicks.append(_clicks(targets, weights))
            features, dwell, end = self._answer(inputs, asked, clicks[-1].item)
            ranks.append(self._ranks(features, clicks[-1]))
            if listed_share:
                some = _sampled(clicks[-1], listed_share)
                self._count_listed(listed, features, some)
            dwells.append(dwell.numpy())
            ends.append(end.numpy())
        every, order = joined(clicks, "session")
        dwell = np.concatenate(dwells)[order].astype(np.float64)
        end = np.concatenate(ends)[order].astype(np.float64)
        rank, rank_standard = np.concatenate(ranks, 1)[:, order]
        return every, Answers(
            rank,
            rank_standard,
            self._dwell.with_parameters(dwell.T),
            end if self.model.config.end_weight else None,
            listed if listed_share else None,
        )

    def _ranks(self, features, clicks):
        ranks = np.full([2, len(clicks)], ranking.MISS)
        (asked,) = np.nonzero(clicks.predicted & clicks.known)
        for start in range(0, len(asked), self.chunk):
            rows = asked[start : start + self.chunk]
            ranks[:, rows] = self._rank(
                tf.gather(features, rows), tf.constant(clicks.item[rows])
            )
        return ranks

    def _count_listed(self, listed, features, rows):
        for start in range(0, len(rows), self.chunk):
            some = tf.gather(features, rows[start : start + self.chunk])
            # NumPy selects in a fraction of the time of `top_k`, which sorts.
            scores = self._score(some).numpy()
            size = scores.shape[1]
            best = np.argpartition(scores, size - min(LISTED, size))
            items = best[:, -LISTED:].ravel() + schema.FIRST_ITEM_ID
            listed += np.bincount(items, minlength=len(listed))

    def _answer_clicks(self, inputs, asked, items):
        """Features `[N, d]`, parameters of the dwell `[N, P]`, end logits."""
        features = tf.gather_nd(self.model(inputs, training=False), asked)
        dwell, end_logits = self.model.dwell_and_end(features, items)
        self._dwell = dwell.map(lambda _: None)
        parameters = [
            tf.broadcast_to(parameter, tf.shape(items))
            for parameter in dwell.parameters()
        ]
        if end_logits is None:
            end_logits = tf.zeros(tf.shape(items))
        return features, tf.stack(parameters, -1), end_logits

    def _rank_items(self, features, items):
        """`[2, N]`: both ranks of `ranking`, where the scores are."""
        scores = self.model.click_scores(features)
        # The target's score comes out of the same product: its equals are
        # equal to the last bit.
        own = tf.gather(scores, items, batch_dims=1)[:, tf.newaxis]
        below = tf.reduce_sum(tf.cast(scores < own, tf.int32), 1)
        not_above = tf.reduce_sum(tf.cast(scores <= own, tf.int32), 1)
        size = tf.shape(scores)[1]
        standard = tf.minimum(size + 1 - not_above, size)
        return tf.stack([size - below, standard])

    def _score_items(self, features):
        return self.model.click_scores(features)[:, schema.FIRST_ITEM_ID :]


@functools.lru_cache(maxsize=1)
def predictor(model: Any) -> Predictor:
    """The model's predictor, kept for the latest model: tracing is slow."""
    return Predictor(model)


def read_clicks(data: str | pathlib.Path, split: str) -> Clicks:
    """All clicks of a split, in the order in which every model answers."""
    batches = session_batches.evaluation_batches(
        data, split, batch_clicks=65_536
    )
    clicks = [_clicks(targets, weights) for _, targets, weights in batches]
    return joined(clicks, "session")[0]


def _sampled(clicks: Clicks, share: float) -> np.ndarray:
    """Which of the clicks that are ranked, by a hash of session and position.

    Reference: the finalizer of SplitMix64, Steele et al., OOPSLA 2014.
    """
    x = clicks.session.astype(np.uint64) << np.uint64(20)
    x += clicks.position.astype(np.uint64)
    for shift, factor in (
        (30, 0xBF58476D1CE4E5B9),
        (27, 0x94D049BB133111EB),
        (31, 1),
    ):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    chosen = x.astype(np.float64) <= share * 2.0**64
    return np.flatnonzero(clicks.predicted & clicks.known & chosen)


def _clicks(targets, weights) -> Clicks:
    """The clicks of weight 1, in the order of rows and steps."""
    weights = weights.numpy()
    columns = {name: value.numpy() for name, value in targets.items()}
    items = columns[schema.ITEMS]
    ended = columns[schema.SESSION_END]
    row, step = np.nonzero(weights)
    return Clicks(
        session=columns[schema.SESSION][row],
        position=step + 1,
        length=np.argmax(ended != 0, 1)[row] + 1,
        item=items[row, step],
        dwell_seconds=columns[schema.DWELL_SECONDS][row, step].astype(float),
        censored=columns[schema.DWELL_CENSORED][row, step] > 0,
        last=ended[row, step] != 0,
        session_cut=ended[row, step] == schema.UNKNOWN_END,
    )

"""A model's answers to every click of a split, as flat NumPy columns."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import input_pipeline
from jump_tf import metrics
from jump_tf import schema
from jump_tf.layers.session_attention import attention_weights
from jump_tf.models.jump import JUMP
from jump_tf.survival import Distribution

SCORES_AT_ONCE = 2**24
EXAMPLE_CLICKS = (4, 8)  # Enough to see, few enough to read.
PREDICTIONS_AT_ONCE = 2048
_INPUTS = {
    schema.ITEMS: tf.TensorSpec([None, None], tf.int32),
    schema.DWELL_SECONDS: tf.TensorSpec([None, None], tf.float32),
}


@dataclasses.dataclass(frozen=True)
class Clicks:
    """What the log says of N clicks, by session and position.

    The order is the same for all models, and at both moments of asking.

    Attributes:
        session: index of the click's session, from 0, as the files have them.
        position: of the click in its session, from 1.
        length: clicks of its session.
        item: id, `OOV_ID` where training never saw it.
        previous: id of the click before, `PAD_ID` at the first.
        repeated: bool, whether the session had this item before.
        dwell_seconds: tau.
        censored: bool, the dwell is only a lower bound.
        last: bool, the last click of its session, which leaves no dwell.
    """

    session: np.ndarray
    position: np.ndarray
    length: np.ndarray
    item: np.ndarray
    previous: np.ndarray
    repeated: np.ndarray
    dwell_seconds: np.ndarray
    censored: np.ndarray
    last: np.ndarray

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


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a model says of N clicks.

    Attributes:
        rank: of the clicked item, `metrics.MISS` at a first click and where
            the item is unknown.
        law: of the dwell, `[N]` parameters.
        session_end_logits: `[N]`, or None for a model without such a head.
    """

    rank: np.ndarray
    law: Distribution
    session_end_logits: np.ndarray | None = None


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
        self._law: Any = None  # Of which kind it is, tracing tells.

    def __call__(self, batches: Iterable) -> tuple[Clicks, Answers]:
        """The clicks of batches (see `evaluation_batches`) and the answers."""
        clicks, ranks, laws, ends = [], [], [], []
        for inputs, targets, weights in batches:
            asked = np.argwhere(weights.numpy())
            clicks.append(_clicks(targets, weights))
            features, law, end = self._answer(inputs, asked, clicks[-1].item)
            ranks.append(self._ranks(features, clicks[-1]))
            laws.append(law.numpy())
            ends.append(end.numpy())
        if not clicks:
            raise schema.InputError("The split must hold at least one session.")
        order = _in_order(clicks)
        law = np.concatenate(laws)[order].astype(np.float64)
        end = np.concatenate(ends)[order].astype(np.float64)
        return _joined(clicks, order), Answers(
            np.concatenate(ranks)[order],
            self._law.with_parameters(law.T),
            end if self.model.config.end_weight else None,
        )

    def _ranks(self, features, clicks):
        ranks = np.full(len(clicks), metrics.MISS)
        (asked,) = np.nonzero(clicks.predicted & clicks.known)
        for start in range(0, len(asked), self.chunk):
            rows = asked[start : start + self.chunk]
            ranks[rows] = self._rank(
                tf.gather(features, rows), tf.constant(clicks.item[rows])
            )
        return ranks

    def _answer_clicks(self, inputs, asked, items):
        """Features `[N, d]`, the law's parameters `[N, P]`, end logits."""
        features = tf.gather_nd(self.model(inputs, training=False), asked)
        law, end_logits = self.model.dwell_and_end(features, items)
        self._law = law.map(lambda _: None)
        parameters = [
            tf.broadcast_to(parameter, tf.shape(items))
            for parameter in law.parameters()
        ]
        if end_logits is None:
            end_logits = tf.zeros(tf.shape(items))
        return features, tf.stack(parameters, -1), end_logits

    def _rank_items(self, features, items):
        """`metrics.conservative_ranks` where the scores are."""
        scores = self.model.click_scores(features)
        # The target's score comes out of the same product: its equals are
        # equal to the last bit.
        own = tf.gather(scores, items, batch_dims=1)[:, tf.newaxis]
        below = tf.reduce_sum(tf.cast(scores < own, tf.int32), 1)
        return tf.shape(scores)[1] - below


@functools.lru_cache(maxsize=1)
def predictor(model: Any) -> Predictor:
    """The model's predictor, kept for the latest model: tracing is slow."""
    return Predictor(model)


def read_clicks(data: str | pathlib.Path, split: str) -> Clicks:
    """All clicks of a split, in the order in which every model answers."""
    batches = input_pipeline.evaluation_batches(
        data, split, batch_clicks=65_536
    )
    clicks = [_clicks(targets, weights) for _, targets, weights in batches]
    return _joined(clicks, _in_order(clicks))


def attention_examples(
    model: Any, data: str | pathlib.Path, split: str, count: int = 3
) -> list[dict[str, Any]]:
    """Which clicks a few sessions' summaries look at; none without attention.

    Returns:
        For each session raw `items` and `dwell_seconds` of T clicks, and
        `weights`, T rows of T: row k is over the clicks up to k.
    """
    if not isinstance(model, JUMP) or not model.config.attention:
        return []
    names = input_pipeline.read_vocabulary(
        pathlib.Path(data) / schema.VOCABULARY_FILE
    )
    for inputs, _, _ in input_pipeline.evaluation_batches(data, split):
        lengths = tf.math.count_nonzero(inputs[schema.ITEMS], 1).numpy()
        some = (lengths >= EXAMPLE_CLICKS[0]) & (lengths <= EXAMPLE_CLICKS[1])
        if not some.any():
            continue
        rows = np.flatnonzero(some)[:count]
        items, seconds = (
            tf.gather(inputs[name], rows)[:, : EXAMPLE_CLICKS[1]]
            for name in (schema.ITEMS, schema.DWELL_SECONDS)
        )
        states = model.states(items, seconds, items != schema.PAD_ID)
        weights = attention_weights(states).numpy()
        return [
            {
                "items": [_raw(names, item) for item in items[row, :size]],
                "dwell_seconds": seconds[row, :size].numpy().tolist(),
                "weights": weights[row, :size, :size].tolist(),
            }
            for row, size in enumerate(lengths[rows])
        ]
    return []


def _raw(names, item) -> str:
    number = int(item) - schema.FIRST_ITEM_ID
    return names[number] if number >= 0 else "unknown"


def _in_order(parts: list[Clicks]) -> np.ndarray:
    """Where the clicks lie that come by session and position, `[N]`."""
    position = np.concatenate([part.position for part in parts])
    session = np.concatenate([part.session for part in parts])
    return np.lexsort((position, session))


def _joined(parts: list[Clicks], order: np.ndarray) -> Clicks:
    columns = {
        field.name: np.concatenate([getattr(p, field.name) for p in parts])
        for field in dataclasses.fields(Clicks)
    }
    columns = {name: column[order] for name, column in columns.items()}
    columns["session"] = np.unique(columns["session"], return_inverse=True)[1]
    return Clicks(**columns)


def _clicks(targets, weights) -> Clicks:
    """The clicks of weight 1, in the order of rows and steps."""
    weights = weights.numpy()
    columns = {name: value.numpy() for name, value in targets.items()}
    items = columns[schema.ITEMS]
    ended = columns[schema.SESSION_END]
    row, step = np.nonzero(weights)
    item = items[row, step]
    earlier = np.arange(items.shape[1]) < step[:, np.newaxis]
    return Clicks(
        session=columns[schema.SESSION][row],
        position=step + 1,
        length=np.argmax(ended, 1)[row] + 1,
        item=item,
        previous=np.where(step > 0, items[row, step - 1], schema.PAD_ID),
        repeated=np.any((items[row] == item[:, np.newaxis]) & earlier, 1),
        dwell_seconds=columns[schema.DWELL_SECONDS][row, step].astype(float),
        censored=columns[schema.DWELL_CENSORED][row, step] > 0,
        last=ended[row, step] > 0,
    )

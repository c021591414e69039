"""A model's answers to every shown item of a split, as flat NumPy columns."""

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.evaluate.columns import joined
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION

# What is predicted, each of its own items, see `target`.
CTR = "ctr"
CVR = "cvr"
CTCVR = "ctcvr"
TARGETS = (CTR, CVR, CTCVR)


# What is known of the clicks on the items before, when an item is asked about.
KNOWN = "known"  # All: the list is scored item by item, as it is looked at.
FREE = "free"  # None: the list is scored before it is shown.
FEEDBACKS = (KNOWN, FREE)
_INPUTS = {
    schema.FEATURES: tf.TensorSpec([None, None, None], tf.int32),
    schema.FEATURE_VALUES: tf.TensorSpec([None, None, None], tf.float32),
    schema.OFFSET_SECONDS: tf.TensorSpec([None, None], tf.float32),
    schema.CLICKED: tf.TensorSpec([None, None], tf.float32),
}


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the log says of N shown items, by list and position.

    Attributes:
        lists: index of the item's list, from 0, as the files have them.
        position: of the item in its list, from 1; of a list that was cut, in
            what is left.
        length: items of its list.
        clicked: bool.
        converted: bool.
        since_click: places since the last click before it in its list, 0 if
            there is none.
        features: `[N, F]` ids, or `[N, 0]` of items with bags of features.
    """

    lists: np.ndarray
    position: np.ndarray
    length: np.ndarray
    clicked: np.ndarray
    converted: np.ndarray
    since_click: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.lists)

    @property
    def num_lists(self) -> int:
        """How many lists there are."""
        return int(self.lists[-1]) + 1 if len(self) else 0


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a predictor says of N shown items.

    Attributes:
        log_click: `[N]`, log of pCTR.
        log_conversion: `[N]`, log of r, the probability that an item is
            converted if it is clicked.
    """

    log_click: np.ndarray
    log_conversion: np.ndarray


class Target(NamedTuple):
    """Labels and what a predictor says of them, for `jump_tf.metrics.lists`.

    Attributes:
        labels: `[M]` bool.
        log_probabilities: `[M]`.
        lists: `[M]` index of each one's list.
        num_lists: L of the split.
    """

    labels: np.ndarray
    log_probabilities: np.ndarray
    lists: np.ndarray
    num_lists: int


def target(
    shown: Shown, answers: Answers, name: str, part: np.ndarray | None = None
) -> Target:
    """A part of the items, as one target sees them.

    Args:
        shown: N items.
        answers: to them.
        name: `ctr`, whether an item is clicked; `cvr`, whether a clicked item
            is converted, by r; `ctcvr`, whether an item is clicked and
            converted, by pCTR * r.
        part: `[N]` bool, which items; all if None.
    """
    counted = np.ones(len(shown), bool) if part is None else part
    if name == CTR:
        labels, logs = shown.clicked, answers.log_click
    elif name == CVR:
        labels, logs = shown.converted, answers.log_conversion
        counted = counted & shown.clicked
    else:
        labels = shown.converted
        logs = answers.log_click + answers.log_conversion
    return Target(
        labels[counted], logs[counted], shown.lists[counted], shown.num_lists
    )


def of_batch(inputs: Any, targets: Any, weights: Any, num_fields: int) -> Shown:
    """The items of one batch, by the raw numbers of their lists.

    Args:
        inputs: of `list_batches`, as are the others.
        targets: with `list`.
        weights: zero on padding.
        num_fields: F, features of an item that are kept.
    """
    weights = np.asarray(weights)
    row, place = np.nonzero(weights)
    clicked = np.asarray(targets[schema.CLICKED]) > 0
    lengths = np.sum(weights > 0, 1)
    at = np.arange(1, weights.shape[1] + 1)
    last = np.maximum.accumulate(np.where(clicked, at, 0), 1)
    before = np.pad(last, [[0, 0], [1, 0]])[row, place]
    features = np.asarray(inputs[schema.FEATURES])
    return Shown(
        lists=np.asarray(targets[schema.LIST])[row],
        position=place + 1,
        length=lengths[row],
        clicked=clicked[row, place],
        converted=np.asarray(targets[schema.CONVERTED])[row, place] > 0,
        since_click=np.where(before, place + 1 - before, 0),
        features=features[row, place, :num_fields],
    )


class Predictor:
    """Asks a model; traced once for all batches, so keep it between epochs.

    Args:
        model: a `ListModel`, or what is called like one.
    """

    def __init__(self, model: Any):
        self.model = model
        self._ask = tf.function(
            self._logits,
            input_signature=(_INPUTS, tf.TensorSpec([None, 2], tf.int64)),
        )

    def __call__(
        self,
        batches: Iterable,
        feedback: Sequence[str] = (KNOWN,),
        num_fields: int = 0,
    ) -> tuple[Shown, dict[str, Answers]]:
        """The items of batches, and the answers by what was known.

        Args:
            batches: of a split, see `list_batches.evaluation_batches`.
            feedback: each of `FEEDBACKS` that is asked for.
            num_fields: F, features of an item that are kept.

        Raises:
            InputError: there is no list, or feedback of another name.
            ValueError: the model says what is no number.
        """
        if not set(feedback) <= set(FEEDBACKS):
            raise schema.InputError(
                f"`feedback` must be of {FEEDBACKS}. Received: {feedback}"
            )
        parts: list[Shown] = []
        logits: dict[str, list[np.ndarray]] = {one: [] for one in feedback}
        for inputs, targets, weights in batches:
            asked = np.argwhere(np.asarray(weights))
            parts.append(of_batch(inputs, targets, weights, num_fields))
            for one in feedback:
                given = inputs if one == KNOWN else _without_feedback(inputs)
                logits[one].append(self._ask(given, asked).numpy())
        shown, order = joined(parts, "lists")
        return shown, {
            one: _answers(np.concatenate(mine)[order])
            for one, mine in logits.items()
        }

    def _logits(self, inputs, asked):
        """`[N, 2]` logits of pCTR and of r."""
        outputs = self.model(inputs, training=False)
        return tf.stack(
            [
                tf.cast(tf.gather_nd(outputs[name], asked), tf.float32)
                for name in (CLICK, CONVERSION)
            ],
            axis=-1,
        )


def _without_feedback(inputs):
    """The same before anybody has seen the list.

    Without times, too: how long it took to the next item tells of a click.
    """
    clicked = tf.convert_to_tensor(inputs[schema.CLICKED])
    return {
        **inputs,
        schema.CLICKED: tf.fill(tf.shape(clicked), schema.UNKNOWN_FEEDBACK),
        schema.OFFSET_SECONDS: tf.zeros(tf.shape(clicked)),
    }


def _answers(logits) -> Answers:
    logits = logits.astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError(
            "`logits` must be numbers. Received: others, for "
            f"{np.sum(~np.isfinite(logits).all(1))} of {len(logits)} items"
        )
    logs = -np.logaddexp(0.0, -logits)
    return Answers(logs[:, 0], logs[:, 1])


@functools.lru_cache(maxsize=1)
def predictor(model: Any) -> Predictor:
    """The model's predictor, kept for the latest model: tracing is slow."""
    return Predictor(model)

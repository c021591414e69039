"""A model's answers to every shown item of a split, as flat NumPy columns."""

import functools
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.evaluate.lists import columns
from jump_tf.evaluate.lists.columns import Answers
from jump_tf.evaluate.lists.columns import Shown
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION

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
            batches: of a split, see `lists.pipeline.evaluation_batches`.
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
        parts: list[tuple[np.ndarray, Shown]] = []
        logits: dict[str, list[np.ndarray]] = {one: [] for one in feedback}
        for inputs, targets, weights in batches:
            asked = np.argwhere(np.asarray(weights))
            parts.append(columns.of_batch(inputs, targets, weights, num_fields))
            for one in feedback:
                given = inputs if one == KNOWN else _without_feedback(inputs)
                logits[one].append(self._ask(given, asked).numpy())
        shown, order = columns.joined(parts)
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

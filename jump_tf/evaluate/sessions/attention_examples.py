"""Sessions in which to see what a model's attention looks at."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import session_batches

EXAMPLE_CLICKS = (4, 8)  # Enough to see, few enough to read.


def attention_examples(
    model: Any, data: str | pathlib.Path, split: str, count: int = 3
) -> list[dict[str, Any]]:
    """Which clicks a few sessions' summaries look at; none without attention.

    Returns:
        For each session raw `items` and `dwell_seconds` of T clicks, and
        `weights`, T rows of T: row k is over the clicks up to k.
    """
    names = folders.read_vocabulary(pathlib.Path(data) / schema.VOCABULARY_FILE)
    for inputs, _, _ in session_batches.evaluation_batches(data, split):
        lengths = tf.math.count_nonzero(inputs[schema.ITEMS], 1).numpy()
        some = (lengths >= EXAMPLE_CLICKS[0]) & (lengths <= EXAMPLE_CLICKS[1])
        if not some.any():
            continue
        rows = np.flatnonzero(some)[:count]
        items, seconds = (
            tf.gather(inputs[name], rows)[:, : EXAMPLE_CLICKS[1]]
            for name in (schema.ITEMS, schema.DWELL_SECONDS)
        )
        weights = model.attention_weights(
            items, seconds, items != schema.PAD_ID
        )
        if weights is None:
            return []
        weights = weights.numpy()
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

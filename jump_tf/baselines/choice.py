"""Settings of a counting model, chosen on validation."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines.base import Log
from jump_tf.baselines.base import Scorer
from jump_tf.metrics import ranking

CLICKS = 3000  # That are ranked for each setting.


def fit_best(
    kind: Callable[..., Scorer],
    grid: Sequence[Mapping[str, Any]],
    training: Log,
    validation: Log,
    vocabulary_size: int,
) -> tuple[Scorer, Mapping[str, Any]]:
    """The model of the settings with the highest NDCG@20 on validation.

    Args:
        kind: of the model; settings are its keyword arguments.
        grid: settings; of equals, the first ones are taken.
        training: what the model is fitted on.
        validation: of whose predicted clicks every so many-th is ranked.
        vocabulary_size: number of ids V.

    Returns:
        The model, fitted, and its settings.
    """
    if len(grid) == 1:
        return kind(training, vocabulary_size, **grid[0]), grid[0]
    (asked,) = np.nonzero(
        (validation.position > 1) & (validation.item >= schema.FIRST_ITEM_ID)
    )
    some = asked[:: max(len(asked) // CLICKS, 1)]
    best: tuple[float, Any, Any] = (-1.0, None, None)
    for settings in grid:
        fitted = kind(training, vocabulary_size, **settings)
        gain = ranking.discounted_gain(fitted.ranks(validation, some)).sum()
        if gain > best[0]:
            best = gain, fitted, settings
    return best[1:]

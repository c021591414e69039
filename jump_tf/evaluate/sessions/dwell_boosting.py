"""Gradient boosting of the dwells of clicks, told the past, or the future too.

The dwells are those on which dwell errors are measured: from the second click
of a session on, ended before c1 by a click that followed.
"""

import numpy as np

from jump_tf import schema
from jump_tf.baselines import dwell_features
from jump_tf.baselines.dwell_booster import BoostedDwell
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.evaluate.sessions.predictions import LoggedClicks


def past(clicks: LoggedClicks, moment: str = schema.PAGE_LEAVE) -> np.ndarray:
    """`[N, F]`, what is known at a moment of asking."""
    hidden = int(moment == schema.PAGE_LOAD)
    return dwell_features.past(*_columns(clicks), hidden=hidden)


def past_and_future(clicks: Clicks) -> np.ndarray:
    """`[N, F]`, what is known once the session is over, but for the dwell."""
    future = dwell_features.future(*_columns(clicks))
    return np.hstack([past(clicks), future])


def fit(
    clicks: Clicks, features: np.ndarray, vocabulary_size: int
) -> BoostedDwell:
    """The booster of a training split.

    Args:
        clicks: of the training split.
        features: `[N, F]`, what is told of each.
        vocabulary_size: number of ids V, padding and unknown included.

    Raises:
        InputError: there are too few dwells to learn from.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    ended = clicks.followed
    return BoostedDwell(
        features[ended],
        clicks.item[ended],
        clicks.session[ended],
        clicks.dwell_seconds[ended],
        clicks.predicted[ended],
        vocabulary_size,
    )


def measures(
    booster: BoostedDwell, clicks: LoggedClicks, moment: str
) -> Measures:
    """Errors of a booster that knows the past; it has no distribution."""
    median = booster.median_seconds(past(clicks, moment), clicks.item)
    table = prediction_table.of(clicks, dwell_median_below_c1_seconds=median)
    return metrics.dwell_measures(table)


def _columns(clicks):
    return clicks.item, clicks.position, clicks.dwell_seconds

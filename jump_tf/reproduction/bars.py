"""Counting models that need no training: bars that a model has to clear.

A bar is made of the training clicks in canonical order and ranks clicks of
another split, see `jump_tf.models`:

    bar = BARS["VS-kNN"](session, position, item, vocabulary_size)
    ranks = bar.ranks(session, position, item, asked)
"""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jump_tf import evaluation
from jump_tf import input_pipeline
from jump_tf import metrics
from jump_tf import predictions
from jump_tf import schema
from jump_tf import scorecard
from jump_tf.click_table import ClickTable

Bar = Callable[[np.ndarray, np.ndarray, np.ndarray, int], Any]
BARS: dict[str, Bar] = {}
REPLICATES = 500


def measure(bar: Bar, data: pathlib.Path) -> tuple[dict[str, Any], ClickTable]:
    """The numbers of a bar on the test split, as an evaluation has them.

    Bars see no dwell, so that both moments are the same.
    """
    size = (
        schema.FIRST_ITEM_ID + input_pipeline.read_manifest(data)["num_items"]
    )
    past = predictions.read_clicks(data, schema.TRAIN)
    fitted = bar(past.session, past.position, past.item, size)
    clicks = predictions.read_clicks(data, schema.TEST)
    asked = np.flatnonzero(clicks.predicted & clicks.known)
    ranks = np.full(len(clicks), metrics.MISS)
    ranks[asked] = fitted.ranks(
        clicks.session, clicks.position, clicks.item, asked
    )
    measures = scorecard.click_measures(clicks, ranks)
    drawn = metrics.resampled_means(measures, clicks.session, REPLICATES)
    counts = np.bincount(past.item, minlength=size)
    result = {
        "split": schema.TEST,
        "ties": "conservative",
        **scorecard.means(measures),
        "intervals": {name: metrics.interval(drawn[name]) for name in drawn},
        "unseen": scorecard.unseen(clicks),
        "slices": scorecard.slices(clicks, counts, measures),
    }
    return evaluation.plain(result), ClickTable(clicks.session, measures)

"""Counting models too slow to stand in every evaluation: bars of their own."""

import pathlib
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines import session_knn
from jump_tf.baselines.base import Scorer
from jump_tf.data import folders
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.evaluate.sessions import slices as session_slices
from jump_tf.evaluate.sessions.prediction_table import PredictionTable
from jump_tf.reporting import files

BARS: dict[str, type[Scorer]] = {
    "S-kNN": session_knn.SKNN,
    "VS-kNN": session_knn.VSKNN,
}
REPLICATES = 500


def measure(
    bar: type[Scorer], data: pathlib.Path
) -> tuple[dict[str, Any], PredictionTable]:
    """The numbers of a bar on the test split, as an evaluation has them.

    Bars see no dwell, so that both moments are the same.
    """
    size = schema.FIRST_ITEM_ID + folders.read_manifest(data)["num_items"]
    past = session_predictions.read_clicks(data, schema.TRAIN)
    fitted = bar(past.session, past.position, past.item, size)
    clicks = session_predictions.read_clicks(data, schema.TEST)
    table = session_baselines.prediction_tables({"": fitted}, clicks)[""]
    measures = prediction_table.measures(table)
    (judged,) = prediction_table.judge([table], REPLICATES)
    counts = np.bincount(past.item, minlength=size)
    result = {
        "split": schema.TEST,
        "ties": "conservative",
        **judged.numbers,
        "intervals": judged.intervals,
        "unseen": session_metrics.unseen(clicks),
        "slices": session_slices.slices(clicks, counts, measures),
    }
    return files.plain(result), table

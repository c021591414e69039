"""Counting models too slow to stand in every evaluation: bars of their own."""

import pathlib
from typing import Any

import numpy as np

from jump_tf import baselines
from jump_tf import click_table
from jump_tf import evaluation
from jump_tf import input_pipeline
from jump_tf import metrics
from jump_tf import predictions
from jump_tf import schema
from jump_tf import scorecard
from jump_tf import slices
from jump_tf.click_table import ClickTable
from jump_tf.models import neighbours
from jump_tf.models.scorers import Scorer

BARS: dict[str, type[Scorer]] = {
    "S-kNN": neighbours.SKNN,
    "VS-kNN": neighbours.VSKNN,
}
REPLICATES = 500


def measure(
    bar: type[Scorer], data: pathlib.Path
) -> tuple[dict[str, Any], ClickTable]:
    """The numbers of a bar on the test split, as an evaluation has them.

    Bars see no dwell, so that both moments are the same.
    """
    size = (
        schema.FIRST_ITEM_ID + input_pipeline.read_manifest(data)["num_items"]
    )
    past = predictions.read_clicks(data, schema.TRAIN)
    fitted = bar(past.session, past.position, past.item, size)
    clicks = predictions.read_clicks(data, schema.TEST)
    table = baselines.click_tables({"": fitted}, clicks)[""]
    measures = click_table.measures(table)
    drawn = metrics.resampled_means(measures, clicks.session, REPLICATES)
    counts = np.bincount(past.item, minlength=size)
    result = {
        "split": schema.TEST,
        "ties": "conservative",
        **scorecard.means(measures),
        "intervals": {name: metrics.interval(drawn[name]) for name in drawn},
        "unseen": scorecard.unseen(clicks),
        "slices": slices.slices(clicks, counts, measures),
    }
    return evaluation.plain(result), table

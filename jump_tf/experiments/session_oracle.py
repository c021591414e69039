"""What the oracle of a simulated log scores, and how near a model comes."""

import pathlib
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.experiments.session_simulator import Simulation
from jump_tf.metrics import ranking
from jump_tf.survival.distribution import LogNormal


def best_possible(
    simulation: Simulation,
    clicks: Clicks,
    vocabulary: list[str],
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS,
) -> dict[str, float]:
    """What the true probabilities score on clicks; no predictor does better.

    Args:
        simulation: the clicks are of its log.
        clicks: as `session_predictions.read_clicks` reads them.
        vocabulary: raw item ids of the data folder, in the order of ids.
        max_dwell_seconds: c1 of the data folder.
    """
    known, previous, item = _numbered(simulation, clicks, vocabulary)
    ranks = np.full(len(clicks), ranking.MISS)
    ranks[known] = simulation.rank_table[previous[known], item[known]]
    parametric = LogNormal(
        simulation.log_dwell[item],
        np.full(len(clicks), simulation.config.dwell_scale),
    )
    measures = {
        **session_metrics.click_measures(clicks, ranks),
        **session_metrics.quick_dwell_measures(
            clicks, parametric, max_dwell_seconds
        ),
    }
    return {name: measures[name].within(known).mean() for name in measures}


def compare_with_oracle(
    simulation: Simulation,
    model: Any,
    vocabulary: list[str],
    data_folder: str | pathlib.Path,
    split: str = schema.TEST,
    min_clicks: int = 20,
) -> dict[str, float]:
    """How near a model that learned from the log comes to its oracle.

    Args:
        simulation: whose log the data folder was prepared from.
        model: a built `SessionModel` over `vocabulary`.
        vocabulary: raw item ids, in the order of ids.
        data_folder: of the split.
        split: on whose clicks both predict.
        min_clicks: items with fewer followed clicks in the split are left out
            of the comparison of medians.

    Returns:
        `recall_at_20` and `dwell_mae_seconds` of the model, those of the
        oracle with `best_` before them, `recall_ratio`; over items, the median
        and the largest `dwell_median_relative_error`, and the share of items
        in which it is at most a tenth.
    """
    upper = folders.read_manifest(data_folder)["max_dwell_seconds"]
    batches = session_batches.evaluation_batches(data_folder, split)
    clicks, answers = session_predictions.predictor(model)(batches)
    known, _, item = _numbered(simulation, clicks, vocabulary)
    measures = {
        **session_metrics.click_measures(clicks, answers.rank),
        **session_metrics.quick_dwell_measures(clicks, answers.dwell, upper),
    }
    best = best_possible(simulation, clicks, vocabulary, upper)
    compared = {}
    for name in ("recall_at_20", "mrr_at_20", "dwell_mae_seconds"):
        compared[name] = measures[name].within(known).mean()
        compared[f"best_{name}"] = best[name]
    errors = _median_errors(
        simulation,
        item,
        np.log(answers.dwell.median()),
        known & clicks.followed,
        min_clicks,
    )
    return {
        **compared,
        "recall_ratio": compared["recall_at_20"]
        / compared["best_recall_at_20"],
        "num_items_compared": len(errors),
        "dwell_median_relative_error": float(np.median(errors)),
        "dwell_median_relative_error_largest": float(np.max(errors)),
        "dwell_median_share_within_tenth": float(np.mean(errors <= 0.1)),
    }


def _numbered(simulation, clicks, vocabulary):
    """Returns the clicks that can be compared, and their simulated items."""
    number = {name: item for item, name in enumerate(simulation.item_ids)}
    # Padding and the unknown item stand for no number of their own.
    numbers = np.array(
        [0] * schema.FIRST_ITEM_ID + [number[name] for name in vocabulary]
    )
    known = clicks.known & (clicks.previous >= schema.FIRST_ITEM_ID)
    return known, numbers[clicks.previous], numbers[clicks.item]


def _median_errors(simulation, item, location, counted, min_clicks):
    """`[J]` relative errors of the items' medians, of J items seen enough."""
    size = len(simulation.log_dwell)
    count = np.bincount(item[counted], minlength=size)
    total = np.bincount(item[counted], location[counted], size)
    enough = count >= min_clicks
    learned = np.exp(total[enough] / count[enough])
    return np.abs(learned / np.exp(simulation.log_dwell[enough]) - 1.0)

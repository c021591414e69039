"""The same measures over parts of the clicks."""

import itertools
from typing import Any

import numpy as np

from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.predictions import LoggedClicks
from jump_tf.metrics.slicing import range_masks

SLICED = (
    "recall_at_20",
    "recall_at_20_markov",
    "mrr_at_20",
    "ndcg_at_20",
    "dwell_mae_seconds",
    "dwell_mae_constant_median_seconds",
    "dwell_nll",
)


def slices(
    clicks: LoggedClicks, training_counts: np.ndarray, measures: Measures
) -> dict[str, dict[str, dict[str, Any]]]:
    """By what, which part -> the `SLICED` of the measures there."""
    sliced = {name: measures[name] for name in SLICED if name in measures}
    return {
        by: {
            label: metrics.means({n: m.within(part) for n, m in sliced.items()})
            for label, part in parts.items()
        }
        for by, parts in slice_masks(clicks, training_counts).items()
    }


def slice_masks(
    clicks: LoggedClicks, training_counts: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Parts of the clicks, `[N]` bool each.

    Every click that is ranked is in one part of each kind, but of deciles. An
    item is new where its session did not have it before.

    Deciles are of the dwells that errors are over; as no predictor knows them,
    they say where errors come from, and not who is good there.

    Args:
        clicks: all of a split, or a prediction table of them.
        training_counts: `[V]` clicks of each id in training.
    """
    support = training_counts[clicks.item]
    repeated = clicks.repeated
    return {
        "session_length": session_length_masks(clicks),
        "item_support": range_masks(support, (1, 5, 20, 100, 500)),
        "position": range_masks(clicks.position, (2, 3, 4, 6, 11, 31)),
        "repeat": {"new": ~repeated, "repeated": repeated},
        "dwell_decile": _dwell_deciles(clicks),
    }


def session_length_masks(clicks: LoggedClicks) -> dict[str, np.ndarray]:
    """Parts of the clicks by the length of their session, `[N]` bool each."""
    return range_masks(clicks.length, (2, 7, 10, 31, 151))


def _dwell_deciles(clicks):
    counted = clicks.predicted & clicks.followed
    if not counted.any():
        return {}
    seconds = clicks.dwell_seconds.astype(np.float64)
    edges = np.quantile(seconds[counted], np.linspace(0.0, 1.0, 11))
    edges = np.unique(edges)  # Dwells of whole seconds may share two.
    if len(edges) == 1:
        return {f"{edges[0]:.3g} s": counted}
    # Right-closed, and the first of them on both sides.
    part = np.maximum(np.searchsorted(edges, seconds), 1)
    return {
        f"{low:.3g}-{high:.3g} s": counted & (part == number)
        for number, (low, high) in enumerate(itertools.pairwise(edges), 1)
    }

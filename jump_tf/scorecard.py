"""From clicks and answers to named measures: what is averaged over which.

Clicks are ranked from the second of a session on, those on items that training
never saw left out; under names that end in `_all` those are misses. Dwell
errors are over clicks, from the second on, that were followed by another
within c1; scores of the law count those cut at c1 too. Names with `_all_clicks`
are over the first clicks as well, of which nothing is known but the item.
"""

import operator
from typing import Any

import numpy as np

from jump_tf import dwell_metrics
from jump_tf import metrics
from jump_tf.metrics import Measure
from jump_tf.predictions import Clicks
from jump_tf.survival import Distribution

Measures = dict[str, Measure]

SLICED = (
    "recall_at_20",
    "recall_at_20_markov",
    "mrr_at_20",
    "ndcg_at_20",
    "dwell_mae_seconds",
    "dwell_mae_constant_median_seconds",
    "dwell_nll",
)
_COUNTED = {
    "num_predictions": "recall_at_20",
    "num_predictions_all": "recall_at_20_all",
    "num_dwells": "dwell_mae_seconds",
    "num_dwells_all_clicks": "dwell_mae_all_clicks_seconds",
}
BRIER_SECONDS = (10, 30, 60, 120, 300, 600)
COVERAGE_SHARES = (0.5, 0.8, 0.95)
CURVE_SECONDS = (2, 5, 10, 20, 30, 60, 120, 240, 480, 960, 1500)
_AT_20 = {
    "recall_at_20": metrics.recall,
    "mrr_at_20": metrics.reciprocal_rank,
    "ndcg_at_20": metrics.discounted_gain,
}


def click_measures(clicks: Clicks, ranks: np.ndarray) -> Measures:
    """Recall, MRR and NDCG at 20, without and with unseen items."""
    counted = clicks.predicted & clicks.known
    measures = {}
    for name, metric in _AT_20.items():
        values = np.where(counted, metric(ranks), 0.0)
        measures[name] = Measure(values, counted)
        measures[f"{name}_all"] = Measure(values, clicks.predicted)
    return measures


def quick_dwell_measures(
    clicks: Clicks, law: Distribution, *, first_too: bool = False
) -> Measures:
    """Absolute error and log score of the dwell."""
    among = ~clicks.last & (clicks.predicted | first_too)
    infix = "_all_clicks" if first_too else ""
    error = dwell_metrics.absolute_error(law, clicks.dwell_seconds)
    log_score = dwell_metrics.negative_log_likelihood(
        law, clicks.dwell_seconds, clicks.censored
    )
    return {
        f"dwell_mae{infix}_seconds": Measure(error, among & ~clicks.censored),
        f"dwell_nll{infix}": Measure(log_score, among),
    }


def dwell_measures(
    clicks: Clicks,
    law: Distribution,
    max_dwell_seconds: float,
    *,
    first_too: bool = False,
) -> Measures:
    """As `quick_dwell_measures`, and the ranked probability score."""
    measures = quick_dwell_measures(clicks, law, first_too=first_too)
    among = ~clicks.last & (clicks.predicted | first_too)
    scores = np.zeros(len(clicks))
    scores[among] = dwell_metrics.crps(
        _of(law, among), clicks.dwell_seconds[among], max_dwell_seconds
    )
    name = f"dwell_crps{'_all_clicks' if first_too else ''}_seconds"
    return {**measures, name: Measure(scores, among)}


def session_end_measures(
    clicks: Clicks, logits: np.ndarray, base_rate: float
) -> Measures:
    """Log loss of the session's end, and that of the training share alone."""
    rate = np.clip(base_rate, 1e-6, 1.0 - 1e-6)
    constant = np.where(clicks.last, -np.log(rate), -np.log1p(-rate))
    loss = np.logaddexp(0.0, np.where(clicks.last, -logits, logits))
    return {
        "session_end_log_loss": Measure(loss, clicks.predicted),
        "session_end_log_loss_constant": Measure(constant, clicks.predicted),
    }


def dwell_details(
    clicks: Clicks, law: Distribution, max_dwell_seconds: float
) -> dict[str, object]:
    """Brier scores, coverage and calibration of the law of the dwell."""
    among = ~clicks.last & clicks.predicted
    seconds, censored = clicks.dwell_seconds[among], clicks.censored[among]
    law = _of(law, among)
    transforms = dwell_metrics.probability_transform(law, seconds)
    histogram = dwell_metrics.transform_histogram(transforms, censored)
    error = dwell_metrics.absolute_error(law, seconds)[~censored]
    return {
        "dwell_median_absolute_error_seconds": _mean(np.median, error),
        "dwell_brier_at": {
            str(at): _mean(np.mean, dwell_metrics.brier(law, seconds, at))
            for at in BRIER_SECONDS
            if at < max_dwell_seconds
        },
        "dwell_coverage_at": {
            f"{share:.0%}".rstrip("%"): _mean(
                np.mean, dwell_metrics.coverage(transforms, censored, share)
            )
            for share in COVERAGE_SHARES
        },
        "dwell_calibration_error": dwell_metrics.calibration_error(histogram),
        "dwell_calibration": {
            "transform_histogram": dwell_metrics.transform_histogram(
                transforms, censored, 20
            ).tolist(),
            **_survival_curves(law, seconds, max_dwell_seconds),
        },
    }


def slice_masks(
    clicks: Clicks, training_counts: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """Parts of the clicks, `[N]` bool each.

    Args:
        clicks: all of them.
        training_counts: `[V]` clicks of each id in training.
    """
    support = training_counts[clicks.item]
    return {
        "session_length": session_length_masks(clicks),
        "item_support": _ranges(support, (1, 5, 20, 100, 500)),
        "position": _ranges(clicks.position, (2, 3, 4, 6, 11, 31)),
        "repeat": {"new": ~clicks.repeated, "repeated": clicks.repeated},
    }


def session_length_masks(clicks: Clicks) -> dict[str, np.ndarray]:
    """Parts of the clicks by the length of their session, `[N]` bool each."""
    return _ranges(clicks.length, (2, 7, 10, 31, 151))


def means(measures: Measures) -> dict[str, Any]:
    """The metric of each measure, and over how many clicks they are."""
    sizes = {
        name: int(measures[of].counted.sum())
        for name, of in _COUNTED.items()
        if of in measures
    }
    return {name: measure.mean() for name, measure in measures.items()} | sizes


def slices(
    clicks: Clicks, training_counts: np.ndarray, measures: Measures
) -> dict[str, dict[str, dict[str, Any]]]:
    """By what, which part -> the `SLICED` of the measures there."""
    sliced = {name: measures[name] for name in SLICED if name in measures}
    return {
        by: {
            label: means({n: m.within(part) for n, m in sliced.items()})
            for label, part in parts.items()
        }
        for by, parts in slice_masks(clicks, training_counts).items()
    }


def unseen(clicks: Clicks) -> dict[str, float]:
    """How many clicks to predict are on items that training never saw."""
    never = clicks.predicted & ~clicks.known
    share = Measure(never.astype(np.float64), clicks.predicted).mean()
    return {"num_clicks": int(never.sum()), "share": share}


def _ranges(values, starts):
    """Masks by label: `2`, `3-5`, `>5`, ends included."""
    masks = {}
    for low, high in zip(
        starts, [*(s - 1 for s in starts[1:]), None], strict=True
    ):
        if high is None:
            masks[f">{low - 1}"] = values >= low
        else:
            label = str(low) if low == high else f"{low}-{high}"
            masks[label] = (values >= low) & (values <= high)
    return masks


def _survival_curves(law, seconds, max_dwell_seconds):
    moments = [at for at in CURVE_SECONDS if at < max_dwell_seconds]
    predicted = [
        _mean(np.mean, np.exp(np.asarray(law.log_survival(np.float64(at)))))
        for at in moments
    ]
    observed = [_mean(np.mean, seconds > at) for at in moments]
    return {
        "seconds": moments,
        "predicted_survival": predicted,
        "observed_survival": observed,
    }


def _of(law, among):
    return law.map(operator.itemgetter(among))


def _mean(statistic, values) -> float:
    return float(statistic(values)) if len(values) else float("nan")

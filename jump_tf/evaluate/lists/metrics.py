"""From shown items and answers to named metrics, for each of three targets.

    ctr     whether an item is clicked, by pCTR, over all items
    cvr     whether a clicked item is converted, by r, over clicked items
    ctcvr   whether an item is clicked and converted, by pCTR * r, over all

With each target's name before them (`ctr_auc`):

    auc                     over the items of all lists
    group_auc               within lists, which count by their items
    group_auc_unweighted    within lists, which count the same
    log_loss                nats an item
    ndcg, ndcg_at_10, ...   of whole lists, and of their first 1, 3, 5, 10
    map, map_at_10, ...     likewise
    calibration_ratio       positives predicted over positives
    calibration_error       mean distance of probability and share in bins
    calibration_noise       the error that a right predictor would have
    accuracy, f1            at the threshold 1/2, for comparison with those who
                            weigh positives; rare ones leave them at 1 and 0
    rate                    share of positives
    num_items, num_lists    items counted; lists with a positive, which NDCG
                            and MAP are over
    num_lists_without       lists without one, which they skip
    num_lists_both          lists that group AUC is over

What is ranked are the probabilities: the order within a list is one that could
have been shown only where no feedback on the list was known.
"""

from typing import Any

import numpy as np

from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.evaluate.lists.predictions import Target
from jump_tf.metrics import lists as list_measures
from jump_tf.metrics.bootstrap import Metric

CUTS = (1, 3, 5, 10)
# Those that baselines are compared in.
HEADLINES = ("auc", "group_auc", "log_loss", "ndcg_at_10", "map_at_10")
Scores = dict[str, Metric]


def scores(shown: Shown, answers: Answers) -> tuple[Scores, dict[str, Any]]:
    """Metrics of all targets that have intervals, and other numbers."""
    found: Scores = {}
    numbers: dict[str, Any] = {}
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name)
        ranking = _ranking(target)
        for metric, score in _of_target(target, ranking).items():
            found[f"{name}_{metric}"] = score
        for number, value in _counts(target, ranking).items():
            numbers[f"{name}_{number}"] = value
    return found, numbers


def quick_scores(shown: Shown, answers: Answers) -> dict[str, float]:
    """The numbers to watch while training, NaN for a 0 / 0."""
    found = {}
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name)
        ranking = _ranking(target)
        for metric, score in {
            "auc": list_measures.auc(*target),
            "group_auc": list_measures.group_auc(ranking),
            "log_loss": list_measures.log_loss(*target),
            "ndcg_at_10": list_measures.ndcg_at(ranking, 10),
            "calibration_ratio": list_measures.calibration_ratio(
                *plain(target)
            ),
        }.items():
            found[f"{name}_{metric}"] = score.value()
    return found


def slice_scores(
    shown: Shown, answers: Answers, part: np.ndarray, *, whole_lists: bool
) -> dict[str, Any]:
    """A few numbers of a part of the items, `[N]` bool.

    Args:
        shown: N items.
        answers: to them.
        part: which of them.
        whole_lists: whether a list is in the part or out of it; else no
            metric that compares the items of a list is made.
    """
    found: dict[str, Any] = {"num_items": int(part.sum())}
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name, part)
        found[f"{name}_rate"] = _mean(target.labels)
        found[f"{name}_log_loss"] = list_measures.log_loss(*target).value()
        found[f"{name}_auc"] = list_measures.auc(*target).value()
        if whole_lists:
            ranking = _ranking(target)
            found[f"{name}_group_auc"] = list_measures.group_auc(
                ranking
            ).value()
            found[f"{name}_ndcg_at_10"] = list_measures.ndcg_at(
                ranking, 10
            ).value()
    return found


def _of_target(target: Target, ranking: list_measures.Ranking) -> Scores:
    probabilities = plain(target)
    return {
        "auc": list_measures.auc(*target),
        "group_auc": list_measures.group_auc(ranking),
        "group_auc_unweighted": list_measures.group_auc(
            ranking, impression_weighted=False
        ),
        "log_loss": list_measures.log_loss(*target),
        "ndcg": list_measures.ndcg_at(ranking),
        **{f"ndcg_at_{k}": list_measures.ndcg_at(ranking, k) for k in CUTS},
        "map": list_measures.map_at(ranking),
        **{f"map_at_{k}": list_measures.map_at(ranking, k) for k in CUTS},
        "calibration_ratio": list_measures.calibration_ratio(*probabilities),
        "accuracy": list_measures.accuracy(*probabilities),
        "f1": list_measures.f1(*probabilities),
    }


def _counts(target: Target, ranking: list_measures.Ranking) -> dict[str, Any]:
    bins = list_measures.calibration(*plain(target))
    some = ranking.positives > 0
    return {
        "calibration_error": bins.error,
        "calibration_noise": bins.noise,
        "rate": _mean(target.labels),
        "num_items": len(target.labels),
        "num_lists": int(some.sum()),
        "num_lists_without": int(np.sum(~some & (ranking.length > 0))),
        "num_lists_both": int(
            np.sum(some & (ranking.positives < ranking.length))
        ),
    }


def _ranking(target: Target) -> list_measures.Ranking:
    return list_measures.rank_within(*target)


def plain(target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """A target with probabilities in the place of their logs."""
    labels, log_probabilities, lists, num_lists = target
    return labels, np.exp(log_probabilities), lists, num_lists


def _mean(labels: np.ndarray) -> float:
    return float(np.mean(labels)) if len(labels) else float("nan")

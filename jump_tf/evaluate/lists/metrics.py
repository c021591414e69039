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

from collections.abc import Callable
from typing import Any

import numpy as np

from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.evaluate.lists.predictions import Target
from jump_tf.metrics import lists
from jump_tf.metrics.bootstrap import Metric
from jump_tf.metrics.lists import Ranking

CUTS = (1, 3, 5, 10)
# Those that baselines are compared in.
HEADLINES = ("auc", "group_auc", "log_loss", "ndcg_at_10", "map_at_10")
QUICK = ("auc", "group_auc", "log_loss", "ndcg_at_10", "calibration_ratio")
_OF_PARTS = ("log_loss", "auc")
_OF_WHOLE_LISTS = (*_OF_PARTS, "group_auc", "ndcg_at_10")


def _at(metric, k):
    return lambda _, ranking: metric(ranking, k)


_METRICS: dict[str, Callable[[Target, Ranking], Metric]] = {
    "auc": lambda target, _: lists.auc(*target),
    "group_auc": lambda _, ranking: lists.group_auc(ranking),
    "group_auc_unweighted": lambda _, ranking: lists.group_auc(
        ranking, impression_weighted=False
    ),
    "log_loss": lambda target, _: lists.log_loss(*target),
    "ndcg": _at(lists.ndcg_at, None),
    **{f"ndcg_at_{k}": _at(lists.ndcg_at, k) for k in CUTS},
    "map": _at(lists.map_at, None),
    **{f"map_at_{k}": _at(lists.map_at, k) for k in CUTS},
    "calibration_ratio": lambda target, _: lists.calibration_ratio(
        *plain(target)
    ),
    "accuracy": lambda target, _: lists.accuracy(*plain(target)),
    "f1": lambda target, _: lists.f1(*plain(target)),
}


def scores(
    shown: Shown, answers: Answers
) -> tuple[dict[str, Metric], dict[str, Any]]:
    """Metrics of all targets that have intervals, and other numbers."""
    found: dict[str, Metric] = {}
    numbers: dict[str, Any] = {}
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name)
        ranking = lists.rank_within(*target)
        for metric, make in _METRICS.items():
            found[f"{name}_{metric}"] = make(target, ranking)
        for number, value in _counts(target, ranking).items():
            numbers[f"{name}_{number}"] = value
    return found, numbers


def quick_scores(shown: Shown, answers: Answers) -> dict[str, float]:
    """The numbers to watch while training, NaN for a 0 / 0."""
    found: dict[str, float] = {}
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name)
        found |= _values(name, target, QUICK)
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
    metrics = _OF_WHOLE_LISTS if whole_lists else _OF_PARTS
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name, part)
        found[f"{name}_rate"] = _mean(target.labels)
        found |= _values(name, target, metrics)
    return found


def _values(name, target, metrics) -> dict[str, float]:
    ranking = lists.rank_within(*target)
    return {
        f"{name}_{metric}": _METRICS[metric](target, ranking).value()
        for metric in metrics
    }


def _counts(target: Target, ranking: Ranking) -> dict[str, Any]:
    bins = lists.calibration(*plain(target))
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


def plain(target: Target) -> Target:
    """A target with probabilities in the place of their logs."""
    return target._replace(log_probabilities=np.exp(target.log_probabilities))


def _mean(labels: np.ndarray) -> float:
    return float(np.mean(labels)) if len(labels) else float("nan")

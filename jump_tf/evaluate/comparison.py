"""Predictors on the same clicks or items: how much better, and is it chance?

Metrics are sums over groups, which are sessions or lists. All who are compared
are averaged over the same resamples of the groups, so that their differences
are paired.
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.metrics import bootstrap
from jump_tf.metrics.bootstrap import Metric
from jump_tf.metrics.bootstrap import interval

REPLICATES = 1000


@dataclasses.dataclass(frozen=True)
class Judged:
    """The metrics of a predictor, and the same in resamples of the groups.

    Attributes:
        numbers: name -> value, and counts.
        draws: name -> `[R]`, of those that have intervals.
    """

    numbers: Mapping[str, Any]
    draws: Mapping[str, np.ndarray]

    @property
    def intervals(self) -> dict[str, list[float]]:
        """The 95 % interval of each metric."""
        return {name: interval(drawn) for name, drawn in self.draws.items()}

    def differences(self, other: "Judged") -> dict[str, list[float]]:
        """Returns intervals of this one's metrics less the other's."""
        return {
            name: interval(self.draws[name] - drawn)
            for name, drawn in other.draws.items()
            if name in self.draws
        }


def judge(
    numbers: Mapping[Any, Mapping[str, Any]],
    metrics: Mapping[Any, Mapping[str, Metric]],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[Any, Judged]:
    """Judges predictors together, over the same draws of groups.

    Args:
        numbers: of each predictor.
        metrics: of each predictor, over the same groups.
        replicates: R draws with replacement.
        seed: of the draws.
    """
    flat = {
        (who, name): metric
        for who, mine in metrics.items()
        for name, metric in mine.items()
    }
    draws = bootstrap.resampled(flat, replicates, seed)
    return {
        who: Judged(numbers[who], {name: draws[who, name] for name in mine})
        for who, mine in metrics.items()
    }


def mean(seeds: Sequence[Judged]) -> Judged:
    """Averages a predictor over the seeds of its training."""
    draws = {
        name: np.mean([one.draws[name] for one in seeds], 0)
        for name in seeds[0].draws
        if all(name in one.draws for one in seeds)
    }
    numbers = {
        name: float(np.mean([one.numbers[name] for one in seeds]))
        for name in draws
    }
    return Judged(numbers, draws)


def deviation(seeds: Sequence[Judged], name: str) -> float:
    """The standard deviation of a metric over seeds; NaN of one seed."""
    if len(seeds) < 2:
        return float("nan")
    return float(np.std([one.numbers[name] for one in seeds], ddof=1))


def compare(
    mine: Sequence[Judged], theirs: Sequence[Judged]
) -> dict[str, dict[str, Any]]:
    """Compares two predictors in every metric that both have.

    What is compared is the mean over seeds. Its interval and p-value are over
    groups alone: they say what other visitors would change. What other seeds
    would change, the deviations say.

    Args:
        mine: a predictor, trained with one seed or several.
        theirs: the other; not as many seeds are needed. All must have been
            judged over the same draws.

    Returns:
        By the name of the metric: `mine`, `theirs`, their `difference`
        (mine - theirs), its 95 % `interval`, and `p_value`: twice the smaller
        share of draws in which the difference is not above, or not below,
        zero, of R + 1 draws with the sample itself counted on that side; never
        above 1. NaN where nothing counts. `mine_deviation` and
        `theirs_deviation` are over seeds.

    Raises:
        InputError: there is no seed of one of them.

    Reference: Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
    sec. 15.4, on p-values from intervals.
    """
    if not mine or not theirs:
        raise schema.InputError(
            "`mine` and `theirs` must hold at least one seed each. "
            f"Received: {len(mine)} and {len(theirs)}"
        )
    ours, others = mean(mine), mean(theirs)
    compared = {}
    for name in ours.draws:
        if name in others.draws:
            drawn = ours.draws[name] - others.draws[name]
            compared[name] = {
                "mine": ours.numbers[name],
                "theirs": others.numbers[name],
                "mine_deviation": deviation(mine, name),
                "theirs_deviation": deviation(theirs, name),
                "difference": ours.numbers[name] - others.numbers[name],
                "interval": interval(drawn),
                "p_value": p_value(drawn),
            }
    return compared


def p_value(differences: np.ndarray) -> float:
    """The two-sided p-value of `[R]` differences in resamples."""
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return float("nan")
    fewer = min(np.sum(differences <= 0.0), np.sum(differences >= 0.0))
    return float(min(2.0 * (fewer + 1) / (len(differences) + 1), 1.0))

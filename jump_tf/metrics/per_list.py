"""Metrics as sums over lists, which can be drawn again together.

Items of one list are not independent, so that intervals come from lists drawn
with replacement: all that a metric has to say of a list is two numbers.
"""

from collections.abc import Mapping
from typing import NamedTuple
from typing import TypeVar

import numpy as np

from jump_tf.metrics.ranking import resampled_totals

Name = TypeVar("Name")


class PerList(NamedTuple):
    """A ratio of two sums over lists.

    Attributes:
        total: `[L]`, what each list adds to the numerator.
        weight: `[L]`, what it adds to the denominator.
    """

    total: np.ndarray
    weight: np.ndarray

    def value(self) -> float:
        """The ratio, NaN for 0 / 0."""
        weight = self.weight.sum()
        return float(self.total.sum() / weight) if weight else float("nan")


class Metric(NamedTuple):
    """A sum of ratios, less a constant.

    Attributes:
        parts: the ratios; most metrics are one.
        shift: the constant.
    """

    parts: tuple[PerList, ...]
    shift: float = 0.0

    def value(self) -> float:
        """The metric, NaN where it is of no item."""
        return sum(part.value() for part in self.parts) - self.shift


def item_mean(values: np.ndarray, lists: np.ndarray, num_lists: int) -> Metric:
    """The mean of `[N]` values, one for each item."""
    count = np.bincount(lists, minlength=num_lists)
    return Metric((PerList(sums(values, lists, num_lists), count),))


def resampled(
    metrics: Mapping[Name, Metric], replicates: int = 500, seed: int = 0
) -> dict[Name, np.ndarray]:
    """Metrics over lists drawn with replacement.

    Args:
        metrics: over the same L lists.
        replicates: how many draws R.
        seed: of the draws: with the same, and as many lists, another call
            draws the same lists, so that differences are paired.

    Returns:
        For each metric `[R]`; NaN where a draw counts nothing.
    """
    if not metrics:
        return {}
    parts = [part for metric in metrics.values() for part in metric.parts]
    if not len(parts[0].total):
        return {name: np.full(replicates, np.nan) for name in metrics}
    columns = [np.asarray(column, float) for part in parts for column in part]
    totals = resampled_totals(np.stack(columns, 1), replicates, seed)
    weights = np.where(totals[:, 1::2] == 0, np.nan, totals[:, 1::2])
    ratios = iter((totals[:, ::2] / weights).T)
    return {
        name: sum(next(ratios) for _ in metric.parts) - metric.shift
        for name, metric in metrics.items()
    }


def sums(values: np.ndarray, lists: np.ndarray, num_lists: int) -> np.ndarray:
    """`[L]` sums over the items of each list."""
    return np.bincount(lists, np.asarray(values, np.float64), num_lists)

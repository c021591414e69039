"""Metrics as sums over groups, and their intervals by the bootstrap.

A group is a session or a list. Clicks of one session are not independent, and
neither are items of one list, so that whole groups are drawn with replacement.
A metric is a ratio of sums over groups: two numbers of each group are all that
a draw needs.
"""

from collections.abc import Mapping
from typing import NamedTuple
from typing import TypeVar

import numpy as np

Name = TypeVar("Name")
_DRAWS_AT_ONCE = 50


class Ratio(NamedTuple):
    """A ratio of two sums over G groups.

    Attributes:
        total: `[G]`, what each group adds to the numerator.
        weight: `[G]`, what it adds to the denominator.
    """

    total: np.ndarray
    weight: np.ndarray

    def value(self) -> float:
        """Returns the ratio, NaN for 0 / 0."""
        weight = self.weight.sum()
        return float(self.total.sum() / weight) if weight else float("nan")


class Metric(NamedTuple):
    """A sum of ratios, less a constant.

    Attributes:
        parts: the ratios; most metrics are one.
        shift: the constant.
    """

    parts: tuple[Ratio, ...]
    shift: float = 0.0

    def value(self) -> float:
        """Returns the metric, NaN where nothing is counted."""
        return sum(part.value() for part in self.parts) - self.shift


class Measure(NamedTuple):
    """A quantity whose mean over some elements is a metric.

    Attributes:
        values: `[N]`, one for each element, such as a click.
        counted: `[N]` bool, the elements that the mean is over.
    """

    values: np.ndarray
    counted: np.ndarray

    def mean(self) -> float:
        """Returns the metric, NaN over no element."""
        if not self.counted.any():
            return float("nan")
        return float(np.mean(self.values[self.counted]))

    def within(self, part: np.ndarray) -> "Measure":
        """Returns the same over a part of the elements, `[N]` bool."""
        return Measure(self.values, self.counted & part)

    def over(self, groups: np.ndarray) -> Metric:
        """Returns the metric as sums over groups, `[N]` ints from 0."""
        size = int(groups.max(initial=-1)) + 1
        masked = np.where(self.counted, self.values, 0.0)
        counted = sums(self.counted, groups, size)
        return Metric((Ratio(sums(masked, groups, size), counted),))


def sums(values: np.ndarray, groups: np.ndarray, num_groups: int) -> np.ndarray:
    """Returns `[G]` sums of `[N]` values over the elements of each group."""
    return np.bincount(groups, np.asarray(values, np.float64), num_groups)


def item_mean(
    values: np.ndarray, groups: np.ndarray, num_groups: int
) -> Metric:
    """Returns the mean of `[N]` values, one for each element of a group."""
    count = np.bincount(groups, minlength=num_groups)
    return Metric((Ratio(sums(values, groups, num_groups), count),))


def resampled(
    metrics: Mapping[Name, Metric], replicates: int = 500, seed: int = 0
) -> dict[Name, np.ndarray]:
    """Returns metrics over groups drawn with replacement.

    All metrics see the same draws: their differences are paired.

    Args:
        metrics: over the same G groups.
        replicates: how many draws R.
        seed: of the draws: with the same, and as many groups, another call
            draws the same groups.

    Returns:
        For each metric `[R]`; NaN where a draw counts nothing.

    Reference: Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
    """
    parts = [part for metric in metrics.values() for part in metric.parts]
    if not parts or not len(parts[0].total):
        return {name: np.full(replicates, np.nan) for name in metrics}
    columns = [np.asarray(column, float) for part in parts for column in part]
    totals = _resampled_totals(np.stack(columns, 1), replicates, seed)
    weights = np.where(totals[:, 1::2] == 0, np.nan, totals[:, 1::2])
    ratios = iter((totals[:, ::2] / weights).T)
    return {
        name: sum(next(ratios) for _ in metric.parts) - metric.shift
        for name, metric in metrics.items()
    }


def interval(replicates: np.ndarray, share: float = 0.95) -> list[float]:
    """Returns `[low, high]` that hold the central `share` of `[R]` draws."""
    finite = replicates[np.isfinite(replicates)]
    if not len(finite):
        return [float("nan"), float("nan")]
    tail = (1.0 - share) / 2.0
    return [float(end) for end in np.quantile(finite, [tail, 1.0 - tail])]


def _resampled_totals(sums, replicates, seed):
    """`[R, M]` totals of `[G, M]` sums of G groups, G drawn each time."""
    generator = np.random.default_rng(seed)
    count = len(sums)
    totals = []
    for start in range(0, replicates, _DRAWS_AT_ONCE):
        draws = min(_DRAWS_AT_ONCE, replicates - start)
        times = np.empty((draws, count))
        for row in times:
            drawn = generator.integers(0, count, count, np.int32)
            row[:] = np.bincount(drawn, minlength=count)
        totals.append(times @ sums)
    return np.concatenate(totals)

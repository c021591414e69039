"""What is averaged over ranks, and intervals from resampled sessions."""

from collections.abc import Mapping
from typing import NamedTuple
from typing import TypeVar

import numpy as np

MISS = np.iinfo(np.int64).max  # The rank of what is not ranked at all.
Name = TypeVar("Name")
_DRAWS_AT_ONCE = 50


class Measure(NamedTuple):
    """A quantity whose mean over some clicks is a metric.

    Attributes:
        values: `[N]`, one for each click.
        counted: `[N]` bool, the clicks that the mean is over.
    """

    values: np.ndarray
    counted: np.ndarray

    def mean(self) -> float:
        """The metric, NaN over no click."""
        if not self.counted.any():
            return float("nan")
        return float(np.mean(self.values[self.counted]))

    def within(self, part: np.ndarray) -> "Measure":
        """The same over a part of the clicks, `[N]` bool."""
        return Measure(self.values, self.counted & part)


def conservative_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ranks from 1 among all ids, ties lost.

    Args:
        scores: `[N, V]`.
        targets: `[N]` ids.

    Returns:
        `[N]` int64, how many ids do not score below the target: the rank is
        V where scores are equal or not numbers.
    """
    own = np.take_along_axis(scores, targets[:, np.newaxis], 1)
    return scores.shape[1] - np.sum(scores < own, 1, dtype=np.int64)


def standard_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ranks from 1 among all ids, ties won, as many papers count.

    Args:
        scores: `[N, V]`.
        targets: `[N]` ids.

    Returns:
        `[N]` int64, 1 and how many ids score above the target. What is not a
        number counts as above: no rank comes of a model that has broken.
    """
    own = np.take_along_axis(scores, targets[:, np.newaxis], 1)
    size = scores.shape[1]
    not_above = np.sum(scores <= own, 1, dtype=np.int64)
    return np.minimum(size + 1 - not_above, size)


def recall(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]` in {0, 1}: whether the item clicked is among the first k."""
    return (ranks <= k).astype(np.float64)


def reciprocal_rank(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]`, `1 / rank`, 0 beyond k; its mean is the MRR at k."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


def discounted_gain(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]`, `1 / log2(1 + rank)`, 0 beyond k: NDCG of one relevant item."""
    gain = 1.0 / np.log2(1.0 + ranks.astype(np.float64))
    return np.where(ranks <= k, gain, 0.0)


def resampled_means(
    measures: Mapping[Name, Measure],
    sessions: np.ndarray,
    replicates: int = 500,
    seed: int = 0,
) -> dict[Name, np.ndarray]:
    """Means of measures over sessions drawn with replacement.

    Clicks of one session are not independent, so that whole sessions are
    drawn. All measures see the same draws: their differences are paired.

    Args:
        measures: of N clicks each.
        sessions: `[N]`, index of each click's session, from 0.
        replicates: how many draws R.
        seed: of the draws.

    Returns:
        For each measure `[R]`; NaN where a draw counts no click.
    """
    if not measures or not len(sessions):
        return {name: np.full(replicates, np.nan) for name in measures}
    count = int(sessions.max()) + 1
    columns = []
    for values, counted in measures.values():
        masked = np.where(counted, values, 0.0)
        columns.append(np.bincount(sessions, masked, count))
        columns.append(np.bincount(sessions, counted, count))
    totals = resampled_totals(np.stack(columns, 1), replicates, seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = totals[:, ::2] / totals[:, 1::2]
    return dict(zip(measures, means.T, strict=True))


def interval(replicates: np.ndarray, share: float = 0.95) -> list[float]:
    """`[low, high]` that hold the central `share` of `[R]` replicates."""
    finite = replicates[np.isfinite(replicates)]
    if not len(finite):
        return [float("nan"), float("nan")]
    tail = (1.0 - share) / 2.0
    return [float(end) for end in np.quantile(finite, [tail, 1.0 - tail])]


def resampled_totals(
    sums: np.ndarray, replicates: int, seed: int
) -> np.ndarray:
    """`[R, M]` totals of `[K, M]` sums of K sessions, K drawn each time."""
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

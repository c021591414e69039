"""How good the predicted law of a dwell time is: pure functions on arrays.

Laws are `distribution.Distribution`s of `[N]` arrays; dwells are `[N]` seconds,
never above c1 (`max_dwell_seconds`), and `censored` where the visitor stayed at
least that long. A session's last click leaves no dwell and never comes here.
"""

import itertools

import numpy as np

from jump_tf.survival import distribution
from jump_tf.survival.distribution import Distribution


def absolute_error(law: Distribution, seconds: np.ndarray) -> np.ndarray:
    """`[N]` seconds between the median, which minimises it, and the dwell."""
    return np.abs(np.asarray(law.median()) - seconds)


def negative_log_likelihood(
    law: Distribution, seconds: np.ndarray, censored: np.ndarray
) -> np.ndarray:
    """`[N]`, minus the log of the density per second; of the survival at c1.

    Reference: JUMP, IJCAI 2018, eq. 10.
    """
    return -np.asarray(
        distribution.censored_log_likelihood(
            law, seconds.astype(np.float64), censored.astype(np.float64)
        )
    )


def log_absolute_error(median: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """`[N]` between the logs of a median and of a dwell, a factor apart."""
    log_seconds = np.log(np.maximum(seconds, distribution.SHORTEST_SECONDS))
    return np.abs(np.log(median) - log_seconds)


def pinball(
    law: Distribution, seconds: np.ndarray, level: float, upper: float
) -> np.ndarray:
    """Loss of the predicted quantile, cut at c1 as the dwells are.

    The quantile of what is cut is the quantile, cut: so dwells censored at c1
    count as they are, and the true law still has the least mean.

    Args:
        law: of `[N]` dwells.
        seconds: `[N]`, at most `upper`.
        level: of the quantile, inside (0, 1).
        upper: c1 in seconds.

    Returns:
        `[N]` seconds; at level 0.5 half the absolute error.
    """
    quantile = np.minimum(np.asarray(law.quantile(level)), upper)
    above = seconds - quantile
    return np.maximum(level * above, (level - 1.0) * above)


def kaplan_meier(
    seconds: np.ndarray, censored: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """The estimated share of dwells that last longer than each of `at`.

    If all that is censored is so at c1, this is the share itself, below c1.

    Args:
        seconds: `[N]`, a lower bound where censored.
        censored: `[N]` bool.
        at: `[K]` seconds.

    Returns:
        `[K]`, NaN of no dwell.

    Reference: Kaplan & Meier, JASA 53(282), 1958.
    """
    if not len(seconds):
        return np.full(len(at), np.nan)
    times, index = np.unique(seconds, return_inverse=True)
    ended = np.bincount(index, ~censored, len(times))
    left = np.bincount(index, minlength=len(times))
    at_risk = np.cumsum(left[::-1])[::-1]
    staying = np.concatenate([[1.0], np.cumprod(1.0 - ended / at_risk)])
    return staying[np.searchsorted(times, at, "right")]


def brier(law: Distribution, seconds: np.ndarray, at: float) -> np.ndarray:
    """`[N]`, `(1{dwell > at} - S(at)) ** 2` for a moment `at` below c1."""
    predicted = np.exp(np.asarray(law.log_survival(np.float64(at))))
    return np.square((seconds > at) - predicted)


def probability_transform(law: Distribution, seconds: np.ndarray) -> np.ndarray:
    """`[N]`, F(dwell): uniform on [0, 1] if the law is the true one."""
    return -np.expm1(np.asarray(law.log_survival(seconds.astype(np.float64))))


def coverage(
    transforms: np.ndarray, censored: np.ndarray, share: float
) -> np.ndarray:
    """Whether the central interval of probability `share` holds the dwell.

    Args:
        transforms: `[N]`, see `probability_transform`.
        censored: `[N]` bool; such a dwell lies anywhere above, and counts by
            the share of what is above that the interval takes.
        share: inside (0, 1).

    Returns:
        `[N]`, of mean `share` if the law is the true one.
    """
    low, high = (1.0 - share) / 2.0, (1.0 + share) / 2.0
    return _mass_between(transforms, censored, low, high)


def transform_histogram(
    transforms: np.ndarray, censored: np.ndarray, bins: int = 10
) -> np.ndarray:
    """Shares of dwells whose F falls in each of equal bins, `[bins]`.

    A censored dwell spreads its mass evenly over what lies above it.

    Reference: Haider et al., JMLR 21(85), 2020 (D-calibration).
    """
    if not len(transforms):
        return np.full(bins, np.nan)
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.array(
        [
            np.mean(_mass_between(transforms, censored, low, high))
            for low, high in itertools.pairwise(edges)
        ]
    )


def calibration_error(histogram: np.ndarray) -> float:
    """The largest departure of a bin's share from `1 / bins`."""
    return float(np.max(np.abs(histogram - 1.0 / len(histogram))))


def _mass_between(transforms, censored, low, high):
    # Half open, so that neighbouring intervals share no dwell, but for F = 1.
    below = (transforms < high) | ((high == 1.0) & (transforms == 1.0))
    inside = (transforms >= low) & below
    above = np.maximum(1.0 - transforms, 1e-12)
    spread = np.maximum(high - np.maximum(low, transforms), 0.0) / above
    return np.where(censored, spread, inside.astype(np.float64))

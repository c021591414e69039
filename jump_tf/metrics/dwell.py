"""How good a predicted distribution of dwell times is.

A prediction is a `Distribution` of `[N]` arrays. Dwells are `[N]` seconds and
never above c1 (`max_dwell_seconds`); they are `censored` where the visitor
stayed at least that long. A session's last click leaves no dwell and never
comes here.
"""

import itertools
import operator

import numpy as np

from jump_tf import schema
from jump_tf.survival import distribution
from jump_tf.survival.distribution import Distribution
from jump_tf.survival.distribution import LogNormal

_ROWS_AT_ONCE = 8192
_GRIDS_AT_ONCE = 256  # Times 400 points and the parameters of a distribution.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)
# Beyond so many sigmas the distribution is 0 or 1 in float32.
_FAR = 8.0
# The integral of F squared is cut off below where x is e ** -32 of its end.
_CUT = 32.0
# The grid on which others are integrated; shorter dwells count as one.
_FIRST, _POINTS = 1.0, 400


def absolute_error(
    dwell: Distribution, seconds: np.ndarray, upper: float
) -> np.ndarray:
    """`[N]` seconds between a dwell below c1 and the median of such dwells.

    Of all predictions that median makes the error least. The median of all
    dwells, those beyond c1 too, is longer.
    """
    return np.abs(np.asarray(dwell.median_below(upper)) - seconds)


def negative_log_likelihood(
    dwell: Distribution, seconds: np.ndarray, censored: np.ndarray
) -> np.ndarray:
    """`[N]`, minus the log of the density per second; of the survival at c1.

    Reference: JUMP, IJCAI 2018, eq. 10.
    """
    return -np.asarray(
        distribution.censored_log_likelihood(
            dwell, seconds.astype(np.float64), censored.astype(np.float64)
        )
    )


def log_absolute_error(median: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """`[N]` between the logs of a median and of a dwell, a factor apart."""
    log_seconds = np.log(np.maximum(seconds, distribution.SHORTEST_SECONDS))
    return np.abs(np.log(median) - log_seconds)


def pinball(
    dwell: Distribution, seconds: np.ndarray, level: float, upper: float
) -> np.ndarray:
    """Loss of the predicted quantile, cut at c1 as the dwells are.

    The quantile of what is cut is the quantile, cut: so dwells censored at c1
    count as they are, and the true distribution still has the least mean.

    Args:
        dwell: distribution of `[N]` dwells.
        seconds: `[N]`, at most `upper`.
        level: of the quantile, inside (0, 1).
        upper: c1 in seconds.

    Returns:
        `[N]` seconds; at level 0.5 half the absolute error.
    """
    quantile = np.minimum(np.asarray(dwell.quantile(level)), upper)
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


def brier(dwell: Distribution, seconds: np.ndarray, at: float) -> np.ndarray:
    """`[N]`, `(1{dwell > at} - S(at)) ** 2` for a moment `at` below c1."""
    predicted = np.exp(np.asarray(dwell.log_survival(np.float64(at))))
    return np.square((seconds > at) - predicted)


def probability_transform(
    dwell: Distribution, seconds: np.ndarray
) -> np.ndarray:
    """`[N]`, F(dwell): uniform on [0, 1] if the distribution is true."""
    return -np.expm1(np.asarray(dwell.log_survival(seconds.astype(np.float64))))


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
        `[N]`, of mean `share` if the distribution is the true one.
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


def crps(
    dwell: Distribution,
    seconds: np.ndarray,
    upper: float = schema.MAX_DWELL_SECONDS,
) -> np.ndarray:
    """Continuous ranked probability score, cut at c1.

        integral over x in [0, c1] of (F(x) - 1{seconds <= x}) ** 2

    Dwells censored at c1 need no care: the integral ends there.

    Args:
        dwell: distribution of `[N]` dwells.
        seconds: `[N]`.
        upper: c1 in seconds.

    Returns:
        `[N]` seconds, 0 for a certain and right prediction.

    Reference: Gneiting & Ranjan, J. Business & Economic Statistics 29(3),
    2011, on scores that weight thresholds.
    """
    score, size = (
        (_log_normal_crps, _ROWS_AT_ONCE)
        if isinstance(dwell, LogNormal)
        else (_crps, _GRIDS_AT_ONCE)
    )
    scores = np.empty(len(seconds))
    for start in range(0, len(scores), size):
        rows = slice(start, start + size)
        some = dwell.map(operator.itemgetter(rows))
        scores[rows] = score(some, seconds[rows], upper)
    return scores


def concordance(
    predicted: np.ndarray, seconds: np.ndarray, censored: np.ndarray
) -> float:
    """The share of comparable pairs of dwells in the right order.

    A pair is comparable where the shorter dwell was seen to its end: one that
    is censored is longer than all up to its bound, and says nothing of others.
    Equal predictions count as half a pair, equal dwells as none. One number
    stands for each distribution, so that the order does not depend on the time.

    Args:
        predicted: `[N]`, such as medians.
        seconds: `[N]`, a lower bound where censored.
        censored: `[N]` bool.

    Returns:
        0.5 for a guess, 1 for the right order, NaN where no pair is
        comparable; in O(N log N).

    Reference: Harrell et al., JAMA 247(18), 1982.
    """
    times = np.unique(seconds, return_inverse=True)[1]
    # A dwell censored at t lasts longer than one that ended at t.
    times = 2 * times + censored
    ranks = np.unique(predicted, return_inverse=True)[1]
    ended = ~np.asarray(censored, bool)
    comparable = _ended_before(times, ended).sum()
    if not comparable:
        return float("nan")
    # Pairs of equal times are put into the order that does not count.
    ascending = np.lexsort((-ranks, times))
    descending = np.lexsort((ranks, times))
    right = _ascents(ranks[ascending], ended[ascending])
    wrong = _ascents(-ranks[descending] + ranks.max(), ended[descending])
    return float(0.5 + 0.5 * (right - wrong) / comparable)


def _mass_between(transforms, censored, low, high):
    # Half open, so that neighbouring intervals share no dwell, but for F = 1.
    below = (transforms < high) | ((high == 1.0) & (transforms == 1.0))
    inside = (transforms >= low) & below
    above = np.maximum(1.0 - transforms, 1e-12)
    spread = np.maximum(high - np.maximum(low, transforms), 0.0) / above
    return np.where(censored, spread, inside.astype(np.float64))


def _crps(dwell, seconds, upper):
    """Of any distribution, its cdf as linear between points of a log grid."""
    grid = np.concatenate([[0.0], np.geomspace(_FIRST, upper, _POINTS)])
    columns = dwell.map(lambda parameter: parameter[:, np.newaxis])
    survival = np.exp(np.asarray(columns.log_survival(grid[np.newaxis])))
    survival[:, 0] = 1.0
    below = np.clip(np.searchsorted(grid, seconds, "right") - 1, 0, _POINTS - 1)
    rows = np.arange(len(seconds))
    left, right = survival[rows, below], survival[rows, below + 1]
    gap = grid[below + 1] - grid[below]
    before = seconds - grid[below]
    at = left + (right - left) * before / gap
    of_cdf = _square_integrals(1.0 - survival, grid)
    of_survival = _square_integrals(survival, grid)
    return (
        of_cdf[rows, below]
        + before * _square_mean(1.0 - left, 1.0 - at)
        + (of_survival[:, -1] - of_survival[rows, below + 1])
        + (gap - before) * _square_mean(at, right)
    )


def _square_integrals(values, grid):
    """`[N, G]`: integrals up to each point of the square of what is linear."""
    parts = np.diff(grid) * _square_mean(values[:, :-1], values[:, 1:])
    return np.pad(np.cumsum(parts, 1), ((0, 0), (1, 0)))


def _square_mean(low, high):
    return (low * low + low * high + high * high) / 3.0


def _log_normal_crps(dwell, seconds, upper):
    location, scale, seconds = np.broadcast_arrays(
        *(
            np.asarray(x, np.float64)
            for x in (dwell.location, dwell.scale, seconds)
        )
    )
    rest = (upper - seconds) - 2.0 * (
        _cdf_integral(location, scale, upper)
        - _cdf_integral(location, scale, seconds)
    )
    # Equal distributions, such as those of one item, are integrated once.
    distinct, which = np.unique(location + 1j * scale, return_inverse=True)
    if 2 * len(distinct) > len(which):
        return _squared_cdf_integral(location, scale, upper) + rest
    squared = _squared_cdf_integral(distinct.real, distinct.imag, upper)
    return squared[which] + rest


def _cdf_integral(location, scale, end):
    """`[N]`, the integral of F over [0, end], in closed form."""
    z = (np.log(np.maximum(end, 1e-6)) - location) / scale
    partial_mean = location + 0.5 * scale**2 + _log_cdf(z - scale)
    return end * _cdf(z) - np.exp(partial_mean)


def _squared_cdf_integral(location, scale, end):
    """`[N]`, the integral of F ** 2 over [0, end], by Gauss and Legendre.

    In units of sigma the integrand is the smooth `Phi(u)^2 e^(sigma u)`; above
    `_FAR` it is taken as `e^(sigma u)`, below it is nothing.
    """
    high = np.minimum((np.log(end) - location) / scale, _FAR)
    low = np.maximum(-_FAR, high - _CUT / scale)
    low = np.minimum(low, high)  # All of [0, end] may lie far below.
    half = 0.5 * (high - low)
    u = (low + half)[:, np.newaxis] + half[:, np.newaxis] * _NODES
    x = np.exp(location[:, np.newaxis] + scale[:, np.newaxis] * u)
    integral = (np.square(_cdf(u)) * x) @ _NODE_WEIGHTS * half * scale
    return integral + np.maximum(end - np.exp(location + scale * high), 0.0)


def _cdf(z):
    return np.exp(_log_cdf(z))


def _log_cdf(z):
    return np.asarray(distribution.log_survival_normal(-z))


def _ended_before(times, ended):
    """`[N]`: of how many others the end was seen at an earlier time."""
    count = np.bincount(times, ended, times.max(initial=0) + 1)
    return (np.cumsum(count) - count)[times]


def _ascents(ranks, ended) -> float:
    """How many pairs i < j have `ended[i]` and `ranks[i] < ranks[j]`.

    Two different ranks part at one bit, at which the smaller one has a 0.
    Before it they agree, and are in one block of a stable sort by these bits.
    """
    total = 0.0
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        order = np.argsort(ranks >> (bit + 1), kind="stable")
        block = ranks[order] >> (bit + 1)
        high = (ranks[order] >> bit) & 1
        low_before = np.cumsum(np.where(high, 0.0, ended[order]))
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        before_block = np.concatenate([[0.0], low_before])[starts]
        sizes = np.diff(np.append(starts, len(block)))
        inside = low_before - np.repeat(before_block, sizes)
        total += inside[high > 0].sum()
    return total

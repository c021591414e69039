"""The continuous ranked probability score of a law of the dwell, cut at c1."""

import operator

import numpy as np

from jump_tf import schema
from jump_tf.survival import distribution
from jump_tf.survival.distribution import Distribution
from jump_tf.survival.distribution import LogNormal

_ROWS_AT_ONCE = 8192
_GRIDS_AT_ONCE = 256  # Times 400 points and the parameters of a law.
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)
# Beyond so many sigmas the law is 0 or 1 in float32.
_FAR = 8.0
# The integral of F squared is cut off below where x is e ** -32 of its end.
_CUT = 32.0
# The grid on which other laws are integrated; shorter dwells count as one.
_FIRST, _POINTS = 1.0, 400


def crps(
    law: Distribution,
    seconds: np.ndarray,
    upper: float = schema.MAX_DWELL_SECONDS,
) -> np.ndarray:
    """Continuous ranked probability score, cut at c1.

        integral over x in [0, c1] of (F(x) - 1{seconds <= x}) ** 2

    Dwells censored at c1 need no care: the integral ends there.

    Args:
        law: of `[N]` dwells.
        seconds: `[N]`.
        upper: c1 in seconds.

    Returns:
        `[N]` seconds, 0 for a certain and right prediction.

    Reference: Gneiting & Ranjan, J. Business & Economic Statistics 29(3),
    2011, on scores that weight thresholds.
    """
    score, size = (
        (_log_normal_crps, _ROWS_AT_ONCE)
        if isinstance(law, LogNormal)
        else (_crps, _GRIDS_AT_ONCE)
    )
    scores = np.empty(len(seconds))
    for start in range(0, len(scores), size):
        rows = slice(start, start + size)
        some = law.map(operator.itemgetter(rows))
        scores[rows] = score(some, seconds[rows], upper)
    return scores


def _crps(law, seconds, upper):
    """Of any law: F is taken as linear between the points of a log grid."""
    grid = np.concatenate([[0.0], np.geomspace(_FIRST, upper, _POINTS)])
    columns = law.map(lambda parameter: parameter[:, np.newaxis])
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


def _log_normal_crps(law, seconds, upper):
    location, scale, seconds = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (law.location, law.scale, seconds))
    )
    rest = (upper - seconds) - 2.0 * (
        _cdf_integral(location, scale, upper)
        - _cdf_integral(location, scale, seconds)
    )
    # Laws of few kinds, such as one for each item, are integrated once each.
    kinds, kind = np.unique(location + 1j * scale, return_inverse=True)
    if 2 * len(kinds) > len(kind):
        return _squared_cdf_integral(location, scale, upper) + rest
    of_kind = _squared_cdf_integral(kinds.real, kinds.imag, upper)
    return of_kind[kind] + rest


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
    low = np.minimum(low, high)  # All of [0, end] may lie far below the law.
    half = 0.5 * (high - low)
    u = (low + half)[:, np.newaxis] + half[:, np.newaxis] * _NODES
    x = np.exp(location[:, np.newaxis] + scale[:, np.newaxis] * u)
    integral = (np.square(_cdf(u)) * x) @ _NODE_WEIGHTS * half * scale
    return integral + np.maximum(end - np.exp(location + scale * high), 0.0)


def _cdf(z):
    return np.exp(_log_cdf(z))


def _log_cdf(z):
    return np.asarray(distribution.log_survival_normal(-z))

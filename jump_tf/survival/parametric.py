"""Parametric distributions of a dwell time beside the log-normal."""

import dataclasses
import math

import numpy as np
from keras import ops

from jump_tf.survival.distribution import SHARED
from jump_tf.survival.distribution import Distribution
from jump_tf.survival.distribution import LogNormal
from jump_tf.survival.distribution import Tensor
from jump_tf.survival.distribution import log1mexp
from jump_tf.survival.distribution import log_density_normal
from jump_tf.survival.distribution import log_seconds
from jump_tf.survival.distribution import log_survival_normal
from jump_tf.survival.distribution import rough_normal_upper_quantile

_TINY = 1e-6
_NEAR_ZERO = 1e-3
_LARGEST_POWER = 50.0
# Of a few units of the log, seven halvings leave a few hundredths, in which two
# steps of Newton's end below 1e-4 at the very worst and mostly below 1e-6.
_HALVINGS = 7
_NEWTON_STEPS = 2


@dataclasses.dataclass(frozen=True)
class LogLaplace(Distribution):
    """A dwell time whose logarithm is Laplace.

    The location that is likeliest under it has the least mean absolute error
    of the log of seconds.

    Attributes:
        location: median of the log of seconds, any shape.
        scale: mean absolute error of the log, > 0, broadcast.
    """

    location: Tensor
    scale: Tensor

    def _log_prob(self, seconds):
        log = log_seconds(seconds)
        return (
            -ops.abs(log - self.location) / self.scale
            - ops.log(2.0 * self.scale)
            - log
        )

    def _log_survival(self, seconds):
        u = (log_seconds(seconds) - self.location) / self.scale
        # Each branch is given what keeps its gradient finite.
        above = -ops.maximum(u, 0.0) - math.log(2.0)
        below = ops.log1p(-0.5 * ops.exp(ops.minimum(u, 0.0)))
        return ops.where(u > 0.0, above, below)

    def _inverse(self, log_survival):
        half = -math.log(2.0)
        above = half - log_survival
        tail = -ops.expm1(ops.maximum(log_survival, half))
        below = ops.log(ops.maximum(2.0 * tail, _TINY))
        u = ops.where(log_survival < half, above, below)
        return ops.exp(self.location + self.scale * u)


@dataclasses.dataclass(frozen=True)
class LogNormalMixture(Distribution):
    """A mixture of K log-normal dwell times.

    A visitor reads or only passes by, or leaves the page open over lunch: the
    log of such dwells is neither symmetric nor has it one peak.

    Attributes:
        logits: K tensors, of the components' weights, any shape.
        locations: K tensors, mu of each.
        scales: K tensors, sigma > 0 of each.
    """

    logits: tuple[Tensor, ...]
    locations: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]

    def _log_prob(self, seconds):
        return self._mean(self._components().log_prob(seconds))

    def _log_survival(self, seconds):
        return self._mean(self._components().log_survival(seconds))

    def _inverse(self, log_survival):
        """Halves a bracket, then takes Newton's steps inside it.

        Few operations on few numbers are most of a served answer's time: a
        Newton step is worth many halvings, once the survival is smooth between
        the bracket's ends.
        """
        locations, scales = ops.stack(self.locations), ops.stack(self.scales)
        rates, offsets = 1.0 / scales, locations / scales
        # Weights relative to the survival asked for: no log is needed to
        # see which is larger, and nothing underflows.
        weights = self._log_weights() - log_survival
        # The mixture's quantile lies among those of its components.
        least, most = rough_normal_upper_quantile(log_survival)
        low = ops.min(locations + scales * least, axis=0)
        high = ops.max(locations + scales * most, axis=0)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            tails = log_survival_normal(rates * middle - offsets)
            stays = ops.sum(ops.exp(weights + tails), axis=0) > 1.0
            low = ops.where(stays, middle, low)
            high = ops.where(stays, high, middle)
        log = 0.5 * (low + high)
        asked = log_survival - log1mexp(log_survival)
        for _ in range(_NEWTON_STEPS):
            u = rates * log - offsets
            tails = ops.exp(weights + log_survival_normal(u))
            densities = ops.exp(weights + log_density_normal(u)) * rates
            stays, leaves = ops.sum(tails, axis=0), ops.sum(densities, axis=0)
            staying = ops.minimum(ops.log(stays) + log_survival, -_TINY)
            # On the logit of the survival, which is nearly straight.
            gone = -ops.expm1(staying)
            above = staying - ops.log(gone) - asked
            log = ops.clip(log + above * gone * stays / leaves, low, high)
        return ops.exp(log)

    def _components(self):
        """All components at once, along a new first axis."""
        return LogNormal(ops.stack(self.locations), ops.stack(self.scales))

    def _mean(self, logs):
        """Log of the mean by the components' weights."""
        return ops.logsumexp(self._log_weights() + logs, axis=0)

    def _log_weights(self):
        logits = ops.stack(self.logits)
        return logits - ops.logsumexp(logits, axis=0, keepdims=True)


@dataclasses.dataclass(frozen=True)
class Gompertz(Distribution):
    """A hazard that is exponential in time: `exp(log_rate + slope t)`.

        log S(t) = -exp(log_rate) (exp(slope t) - 1) / slope

    With a negative slope the distribution is defective: a share of visitors
    never leaves. A quantile that is never reached is a large number.

    Attributes:
        log_rate: log of the hazard per second at t = 0, any shape.
        slope: per second, of either sign, broadcast against `log_rate`.

    Reference: RMTPP, Du et al., KDD 2016, eq. 11 and 12.
    """

    log_rate: Tensor
    slope: Tensor

    def _log_prob(self, seconds):
        log_hazard = self.log_rate + self.slope * seconds
        return log_hazard + self._log_survival(seconds)

    def _log_survival(self, seconds):
        growth = ops.minimum(self.slope * seconds, _LARGEST_POWER)
        return -ops.exp(self.log_rate) * seconds * _expm1_ratio(growth)

    def _inverse(self, log_survival):
        # In units of the dwell that the first hazard alone would make.
        first = -log_survival * ops.exp(-self.log_rate)
        growth = ops.maximum(self.slope * first, _TINY - 1.0)
        return first * _log1p_ratio(growth)


@dataclasses.dataclass(frozen=True)
class PiecewiseHazard(Distribution):
    """A hazard that is constant within each of K bins.

        log S(t) = -sum_k hazard_k * (seconds of bin k before t)

    The last bin's hazard goes on for ever.

    Attributes:
        log_hazards: K tensors, log of the hazard per second, any shape.
        edges: shared; where the bins begin, K increasing seconds from 0.

    Reference: Neural Survival Recommender, Jing & Smola, WSDM 2017.
    """

    log_hazards: tuple[Tensor, ...]
    edges: tuple[float, ...] = dataclasses.field(metadata={SHARED: True})

    def _log_prob(self, seconds):
        reached = seconds[..., None] >= self._edges()
        bin_of = ops.sum(ops.cast(reached, "int32"), axis=-1) - 1
        inside = ops.one_hot(bin_of, len(self.edges), dtype=seconds.dtype)
        log_hazard = ops.sum(inside * self._log_hazards(), axis=-1)
        return log_hazard + self._log_survival(seconds)

    def _log_survival(self, seconds):
        seconds = seconds[..., None]
        spent = ops.clip(seconds - self._edges(), 0.0, self._widths())
        return -ops.sum(ops.exp(self._log_hazards()) * spent, axis=-1)

    def _inverse(self, log_survival):
        hazards = ops.exp(self._log_hazards())
        inner = hazards[..., :-1] * self._widths()[:-1]
        before = ops.cumsum(inner, axis=-1)
        before = ops.pad(before, [[0, 0]] * (len(before.shape) - 1) + [[1, 0]])
        left = ops.expand_dims(-log_survival, -1) - before
        spent = ops.clip(left / hazards, 0.0, self._widths())
        return ops.sum(spent, axis=-1)

    def _log_hazards(self):
        return ops.stack(self.log_hazards, axis=-1)

    def _edges(self):
        return np.array(self.edges, np.float32)

    def _widths(self):
        return np.float32(np.diff([*self.edges, np.inf]))


def _expm1_ratio(x: Tensor) -> Tensor:
    """`(exp(x) - 1) / x`, 1 at 0."""
    near = ops.abs(x) < _NEAR_ZERO
    safe = ops.where(near, 1.0, x)
    return ops.where(near, 1.0 + 0.5 * x, ops.expm1(safe) / safe)


def _log1p_ratio(x: Tensor) -> Tensor:
    """`log(1 + x) / x`, 1 at 0."""
    near = ops.abs(x) < _NEAR_ZERO
    safe = ops.where(near, 1.0, x)
    return ops.where(near, 1.0 - 0.5 * x, ops.log1p(safe) / safe)

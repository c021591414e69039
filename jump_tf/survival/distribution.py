"""Distributions of a duration: pure maths on tensors of any shape."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Self

from keras import ops
from keras import tree
from keras.backend import standardize_dtype

Tensor = Any

# Coefficients of log(erfc(x) / t) + x^2 in powers of t = 1 / (1 + x / 2),
# x >= 0; the relative error of erfc is below 1.2e-7 everywhere (Press et al.,
# Numerical Recipes, 2nd ed., sec. 6.2, `erfcc`).
_LOG_ERFC = (
    0.17087277,
    -0.82215223,
    1.48851587,
    -1.13520398,
    0.27886807,
    -0.18628806,
    0.09678418,
    0.37409196,
    1.00002368,
    -1.26551223,
)
_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
_ERFINV_LOG_TAIL = -8.0  # Beyond, 1 - 2 exp(log_tail) loses its digits.
_NEWTON_LOG_TAIL = -0.2
_NEWTON_STEPS = 4
SHORTEST_SECONDS = 1.0  # Logs resolve seconds; shorter dwells count as one.
SHARED = "shared"  # Marks a field that is no tensor.


def log_survival_normal(z: Tensor) -> Tensor:
    """`log(1 - Phi(z))` of the standard normal, finite for every finite z.

    Args:
        z: standardised values, any shape. Float32 `log(erfc(z))` is already
            minus infinity at z = 15; this is not.

    Returns:
        The same shape; its gradient is minus the normal's hazard.
    """
    # Not `abs`, whose gradient at zero is zero.
    x = ops.where(z > 0, z, -z) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * x)
    polynomial = ops.zeros_like(t)
    for coefficient in _LOG_ERFC:
        polynomial = polynomial * t + coefficient
    log_tail = polynomial + ops.log(t) - x * x - math.log(2.0)
    return ops.where(z > 0, log_tail, ops.log1p(-ops.exp(log_tail)))


def log_density_normal(z: Tensor) -> Tensor:
    """Log of the standard normal's density."""
    return -0.5 * z * z - _HALF_LOG_TWO_PI


def log1mexp(x: Tensor) -> Tensor:
    """`log(1 - exp(x))` for negative x, exact near 0 and far below it.

    Args:
        x: negative, any shape; a log probability, say.

    Returns:
        The same shape.

    Reference: Maechler, Accurately Computing log(1 - exp(-|a|)), vignette of
    the R package Rmpfr, 2012.
    """
    near = x > -math.log(2.0)
    # Each branch on what suits it: a gradient passes through both.
    of_near = ops.log(-ops.expm1(ops.where(near, x, -1.0)))
    of_far = ops.log1p(-ops.exp(ops.where(near, -1.0, x)))
    return ops.where(near, of_near, of_far)


def normal_upper_quantile(log_tail: Tensor) -> Tensor:
    """The z with `log(1 - Phi(z)) = log_tail`, however far in the tail.

    Args:
        log_tail: negative, any shape.

    Returns:
        The same shape.
    """
    # Right of the root, from where Newton's steps on the concave log survival
    # come down to it; on the left side `erfinv` is exact and the slope is flat.
    _, z = rough_normal_upper_quantile(log_tail, 0.0)
    for _ in range(_NEWTON_STEPS):
        log_survival = log_survival_normal(z)
        hazard = ops.exp(log_density_normal(z) - log_survival)
        step = (log_survival - log_tail) / hazard
        z = ops.where(log_tail < _NEWTON_LOG_TAIL, z + step, z)
    return z


def rough_normal_upper_quantile(
    log_tail: Tensor, margin: float = 0.01
) -> tuple[Tensor, Tensor]:
    """A z below and one above `normal_upper_quantile`, at little cost.

    Args:
        log_tail: negative, any shape.
        margin: for the rounding of `erfinv`.

    Returns:
        Two of the same shape.
    """
    near = ops.maximum(log_tail, _ERFINV_LOG_TAIL)
    z = math.sqrt(2.0) * ops.erfinv(1.0 - 2.0 * ops.exp(near))
    far = ops.sqrt(-2.0 * log_tail)
    is_far = log_tail < _ERFINV_LOG_TAIL
    return z - margin, ops.where(is_far, far, z + margin)


def log_seconds(seconds: Tensor) -> Tensor:
    """The log of a dwell; one under a second counts as a second."""
    return ops.log(ops.maximum(seconds, SHORTEST_SECONDS))


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The distribution of a dwell time.

    A field is a tensor or a tuple of tensors, all of one batch shape; a field
    of plain numbers, the same for the whole batch, is marked as `SHARED`.
    Dwells under a second count as one.
    """

    def log_prob(self, seconds: Tensor) -> Tensor:
        """Log density per second."""
        return self._log_prob(self._counted(seconds))

    def log_survival(self, seconds: Tensor) -> Tensor:
        """Log probability of staying longer than `seconds`."""
        return self._log_survival(self._counted(seconds))

    def inverse_log_survival(self, log_survival: Tensor) -> Tensor:
        """The seconds at which the log survival, negative, is reached."""
        return self._inverse(ops.cast(log_survival, self._dtype))

    def quantile(self, probability: Tensor, elapsed: Tensor = 0.0) -> Tensor:
        """The seconds that a share `probability` of visitors does not exceed.

        Args:
            probability: inside (0, 1), broadcast against the parameters.
            elapsed: seconds already spent: the quantile is of the total
                dwell given that it exceeds `elapsed`.

        Returns:
            Total seconds, never below `elapsed`.
        """
        probability = ops.cast(probability, self._dtype)
        elapsed = ops.cast(elapsed, self._dtype)
        staying = ops.where(elapsed > 0.0, self.log_survival(elapsed), 0.0)
        seconds = self._inverse(ops.log1p(-probability) + staying)
        return ops.maximum(seconds, elapsed)

    def median(self) -> Tensor:
        """The decoding that minimises the absolute error."""
        return self.inverse_log_survival(-math.log(2.0))

    def median_below(self, seconds: Tensor) -> Tensor:
        """The median of the dwells that end within `seconds`."""
        # Half of 1 - S is before it, so that (1 + S) / 2 are beyond.
        beyond = ops.log1p(ops.exp(self.log_survival(seconds)))
        return self.inverse_log_survival(beyond - math.log(2.0))

    def parameters(self) -> list[Tensor]:
        """The tensors of all fields, flat."""
        return tree.flatten(self._own())

    def with_parameters(self, parameters: Sequence[Tensor]) -> Self:
        """A distribution of this class with other `parameters`, in order."""
        return dataclasses.replace(
            self, **tree.pack_sequence_as(self._own(), list(parameters))
        )

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """The distribution with a function of each of its parameters."""
        return self.with_parameters([function(p) for p in self.parameters()])

    def _log_prob(self, seconds: Tensor) -> Tensor:
        """`log_prob` of seconds of at least one, of the parameters' type."""
        raise NotImplementedError

    def _log_survival(self, seconds: Tensor) -> Tensor:
        """`log_survival` of seconds of at least one, likewise typed."""
        raise NotImplementedError

    def _inverse(self, log_survival: Tensor) -> Tensor:
        """`inverse_log_survival` of a tensor of the parameters' type."""
        raise NotImplementedError

    @property
    def _dtype(self):
        return standardize_dtype(self.parameters()[0].dtype)

    def _counted(self, seconds):
        seconds = ops.cast(seconds, self._dtype)
        return ops.maximum(seconds, SHORTEST_SECONDS)

    def _own(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if not field.metadata.get(SHARED)
        }


@dataclasses.dataclass(frozen=True)
class LogNormal(Distribution):
    """A dwell time whose logarithm is normal (JUMP, eq. 5 and 6).

    Attributes:
        location: mu, the mean of the log of seconds, any shape.
        scale: sigma > 0, broadcast against `location`.
    """

    location: Tensor
    scale: Tensor

    def standardize(self, seconds: Tensor) -> Tensor:
        """`u = (log t - mu) / sigma`."""
        return (log_seconds(seconds) - self.location) / self.scale

    def _log_prob(self, seconds):
        u = self.standardize(seconds)
        return (
            log_density_normal(u) - ops.log(self.scale) - log_seconds(seconds)
        )

    def _log_survival(self, seconds):
        return log_survival_normal(self.standardize(seconds))

    def _inverse(self, log_survival):
        z = normal_upper_quantile(log_survival)
        return ops.exp(self.location + self.scale * z)

    def median(self) -> Tensor:
        return ops.exp(self.location)


def censored_log_likelihood(
    distribution: Distribution, seconds: Tensor, censored: Tensor
) -> Tensor:
    """Log likelihood of dwells of which some are only lower bounds.

    Args:
        distribution: of the true dwell, parameters broadcast to `seconds`.
        seconds: the dwell seen; a lower bound where censored.
        censored: 1 where censored, else 0 (the paper's delta).

    Returns:
        Unreduced, the shape of `seconds`.

    Reference: JUMP, IJCAI 2018, eq. 10, with the normalising constant that a
    learned scale needs.
    """
    return ops.where(
        censored > 0,
        distribution.log_survival(seconds),
        distribution.log_prob(seconds),
    )

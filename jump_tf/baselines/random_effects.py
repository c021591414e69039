"""Groups that differ in the mean of what is measured, some of it cut off."""

import dataclasses
import math

import numpy as np

_LEAST = 1e-3  # Of standard deviations.
_FAR = 30.0  # Beyond so many of them the tail is 0 in double precision.


@dataclasses.dataclass(frozen=True)
class RandomEffects:
    """A normal distribution whose mean differs from group to group.

        y = mean + effect_g + noise,  effect_g ~ N(0, between^2),
        noise ~ N(0, within^2)

    Attributes:
        mean: of all groups.
        within: standard deviation of the noise.
        between: standard deviation of the effects.
        effect: `[G]`, the likeliest of each group after what it showed; 0 of a
            group that showed nothing.
        deviation: `[G]`, what is not known of the effect.
    """

    mean: float
    within: float
    between: float
    effect: np.ndarray
    deviation: np.ndarray

    @property
    def shrinkage(self) -> float:
        """How many values of a group the mean of all is worth."""
        return (self.within / self.between) ** 2


def fit(
    groups: np.ndarray,
    values: np.ndarray,
    censored: np.ndarray,
    num_groups: int,
    *,
    most_steps: int = 500,
    tolerance: float = 1e-5,
) -> RandomEffects:
    """The effects, shrunk as far as the values themselves say: empirical Bayes.

    Mean and deviations are the likeliest with the effects integrated out, by
    expectation maximization. Without censored values the steps are exact.
    With them the distribution of an effect, given its group, is approximated
    by the normal one of the same mode and curvature (Laplace): a censored value
    then counts as `w` of one that was seen, w < 1.

    Args:
        groups: `[N]` from 0.
        values: `[N]`, a lower bound where censored.
        censored: `[N]` bool.
        num_groups: G.
        most_steps: of expectation and maximization.
        tolerance: change of all three numbers below which to stop.

    Reference: Laird & Ware, Biometrics 38(4), 1982.
    """
    if not len(values):
        nothing = np.zeros(num_groups)
        return RandomEffects(0.0, 1.0, _LEAST, nothing, nothing + _LEAST)
    cut, bound = groups[censored], values[censored]
    groups, values = groups[~censored], values[~censored]
    seen = np.bincount(groups, minlength=num_groups)
    total = np.bincount(groups, values, num_groups)
    squares = float(np.sum(np.square(values)))
    sizes = seen + np.bincount(cut, minlength=num_groups)
    everything = np.concatenate([values, bound])
    mean = float(everything.mean())
    within = max(float(everything.std()), _LEAST)
    between = 0.5 * within
    effect = np.zeros(num_groups)
    for _ in range(most_steps):
        z = (bound - mean - effect[cut]) / within
        hazard = _hazard(z)
        weight = hazard * (hazard - z)
        precision = seen + np.bincount(cut, weight, num_groups)
        variance = 1.0 / (precision / within**2 + 1.0 / between**2)
        # What was cut off is taken for what it is on average.
        missing = mean + effect[cut] + within * hazard
        sums = total + np.bincount(cut, missing, num_groups)
        effect = (sums - sizes * mean) / (sizes + (within / between) ** 2)
        before = mean, within, between
        mean = float(np.sum(sums - sizes * effect) / sizes.sum())
        level = mean + effect
        noise = squares - np.sum(level * (2.0 * total - seen * level))
        noise += np.sum(np.square(missing - level[cut]))
        noise += np.sum(1.0 - weight) * within**2
        noise += np.sum(precision * variance)
        spread = np.mean((np.square(effect) + variance)[sizes > 0])
        within = max(math.sqrt(max(noise, 0.0) / sizes.sum()), _LEAST)
        between = max(math.sqrt(spread), _LEAST)
        change = np.subtract((mean, within, between), before)
        if np.max(np.abs(change)) < tolerance:
            break
    deviation = np.sqrt(np.where(sizes > 0, variance, between**2))
    effect = np.where(sizes > 0, effect, 0.0)
    return RandomEffects(mean, within, between, effect, deviation)


def _hazard(z):
    """Density over survival of the standard normal, for `[C]` z.

    Few values are censored: a function of one number is fast enough.
    """
    z = np.minimum(z, _FAR)
    tail = np.array([0.5 * math.erfc(x) for x in z / math.sqrt(2.0)])
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) / tail

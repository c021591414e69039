"""Baselines of the dwell, which know the item or the session's past dwells.

Each is fitted on the dwells of training. It answers with a log-normal
distribution whose median is what its name says, and whose spread is that of
the training around it. A dwell under a second counts as a second.
"""

import dataclasses

import numpy as np

from jump_tf.baselines import random_effects
from jump_tf.survival.distribution import SHORTEST_SECONDS
from jump_tf.survival.distribution import LogNormal

FOLDS = 5
SHRINKAGES = (0.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
_LEAST_SCALE = 1e-3


@dataclasses.dataclass(frozen=True)
class Asked:
    """Clicks whose dwell is asked for, and what is known of the time before.

    Attributes:
        items: `[N]` ids.
        last: `[N]` log of the latest dwell known, NaN where none is.
        count: `[N]` dwells of the session known.
        total: `[N]` sum of their logs.
    """

    items: np.ndarray
    last: np.ndarray
    count: np.ndarray
    total: np.ndarray

    def __getitem__(self, part: np.ndarray) -> "Asked":
        names = [field.name for field in dataclasses.fields(self)]
        return Asked(*(getattr(self, name)[part] for name in names))


def asked(
    items: np.ndarray,
    positions: np.ndarray,
    seconds: np.ndarray,
    *,
    hidden: int = 0,
) -> Asked:
    """What is known when the dwell of each click is asked for.

    Args:
        items: `[N]` ids of clicks, session by session.
        positions: `[N]` from 1 in each session.
        seconds: `[N]` dwells; one cut at c1 counts as c1.
        hidden: how many clicks before each have a dwell not known yet: 0 at
            page leave; 1 at page load, when the visitor still is on the page
            before. So the latest known is that of position k - 1 or k - 2.
    """
    logs = log_dwells(seconds)
    count = np.maximum(positions - 1 - hidden, 0)
    start = np.arange(len(items)) - (positions - 1)
    total = window_sums(logs, start, count)
    last = np.where(count > 0, logs[start + np.maximum(count - 1, 0)], np.nan)
    return Asked(items, last, count, total)


def log_dwells(seconds: np.ndarray) -> np.ndarray:
    """The logs of dwells, 0 of those under a second."""
    return np.log(np.maximum(seconds, SHORTEST_SECONDS))


def window_sums(
    values: np.ndarray, start: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """`[N]` sums of so many of the `[N]` values each, from `start` on."""
    before = np.concatenate([[0.0], np.cumsum(values)])
    return np.where(count > 0, before[start + count] - before[start], 0.0)


class ConstantDwell:
    """One distribution for all: the training median, and the spread around it.

    Args:
        known: of C dwells in training.
        seconds: `[C]` dwells that were observed to their end.
        vocabulary_size: number of ids V, padding and unknown included.
    """

    of_ended = True  # The law of dwells that end within c1, of no others.

    def __init__(self, known: Asked, seconds: np.ndarray, vocabulary_size: int):
        log_seconds = log_dwells(seconds)
        self.location = np.full(vocabulary_size, self._middle(log_seconds))
        self.scale = _spread(log_seconds - self.location[known.items])

    def _middle(self, log_seconds) -> float:
        return float(np.median(log_seconds)) if len(log_seconds) else 0.0

    def dwell_distribution(self, known: Asked) -> LogNormal:
        """Law of the dwell on items; the session has no influence."""
        location = self.location[known.items]
        return LogNormal(location, np.full_like(location, self.scale))


class ConstantMeanDwell(ConstantDwell):
    """As `ConstantDwell`, with the mean of the seconds for the median."""

    def _middle(self, log_seconds):
        if not len(log_seconds):
            return 0.0
        return float(np.log(np.mean(np.exp(log_seconds))))


class ItemMedianDwell(ConstantDwell):
    """A distribution for each item: its median, drawn toward the median of all.

        log m_i = (n_i log median_i + s log median) / (n_i + s)

    Args:
        known, seconds, vocabulary_size: see `ConstantDwell`.
        shrinkage: s, the dwells that the median of all is worth; None takes
            the one of `SHRINKAGES` whose absolute error is least when each
            fifth of the training is predicted from the others.
    """

    def __init__(
        self,
        known: Asked,
        seconds: np.ndarray,
        vocabulary_size: int,
        shrinkage: float | None = None,
    ):
        super().__init__(known, seconds, vocabulary_size)
        log_seconds = log_dwells(seconds)
        order = np.lexsort((log_seconds, known.items))
        items, logs = known.items[order], log_seconds[order]
        if shrinkage is None:
            # Folds are blocks of the log, so that sessions stay whole.
            fold = order * FOLDS // max(len(order), 1)
            shrinkage = _best_shrinkage(items, logs, fold, vocabulary_size)
        self.shrinkage = shrinkage
        constant = self.location[0]
        count, median = _medians(items, logs, vocabulary_size)
        self.location = _shrunk(count, median, constant, shrinkage)
        self.scale = _spread(logs - self.location[items])


class PreviousDwell:
    """The latest dwell known in the session; where none is, the constant.

    Arguments: see `ConstantDwell`.
    """

    of_ended = True

    def __init__(self, known: Asked, seconds: np.ndarray, vocabulary_size: int):
        self.constant = ConstantDwell(known, seconds, vocabulary_size)
        residual = log_dwells(seconds) - known.last
        self.scale = _spread(residual[known.count > 0])

    def dwell_distribution(self, known: Asked) -> LogNormal:
        """Law of the dwells asked for."""
        constant = self.constant.dwell_distribution(known)
        some = known.count > 0
        return LogNormal(
            np.where(some, known.last, constant.location),
            np.where(some, self.scale, constant.scale),
        )


class _EffectsDwell:
    """A law of `RandomEffects`, whose groups a subclass chooses.

    Args:
        groups: `[C]` number of each dwell's group, from 0.
        seconds: `[C]` dwells, c1 where censored there.
        censored: `[C]` bool.
        num_groups: all of them, if some may have no dwell.
    """

    of_ended = False

    def __init__(
        self,
        groups: np.ndarray,
        seconds: np.ndarray,
        censored: np.ndarray,
        num_groups: int | None = None,
    ):
        size = num_groups or int(groups.max(initial=-1)) + 1
        self.effects = random_effects.fit(
            groups, log_dwells(seconds), censored, size
        )


class SessionMeanDwell(_EffectsDwell):
    """The mean log dwell of the session so far, drawn toward that of all.

    How far, and the spread left, are what sessions of the training show: they
    are the groups.
    """

    def dwell_distribution(self, known: Asked) -> LogNormal:
        """Law of the dwells asked for."""
        shrinkage = self.effects.shrinkage
        weight = known.count + shrinkage
        location = (known.total + shrinkage * self.effects.mean) / weight
        return LogNormal(
            location, self.effects.within * np.sqrt(1.0 + 1.0 / weight)
        )


class ItemEffectDwell(_EffectsDwell):
    """Log-normal accelerated failure time with an effect of the item.

    Items are the groups, V of them.
    """

    def dwell_distribution(self, known: Asked) -> LogNormal:
        """Law of the dwell on items; the session has no influence."""
        effects = self.effects
        return LogNormal(
            effects.mean + effects.effect[known.items],
            np.hypot(effects.within, effects.deviation[known.items]),
        )


def _spread(residual) -> float:
    scale = np.sqrt(np.mean(np.square(residual))) if len(residual) else 1.0
    return float(max(scale, _LEAST_SCALE))


def _best_shrinkage(items, logs, fold, size) -> float:
    """Items and logs are sorted, see `_medians`."""
    errors = np.zeros(len(SHRINKAGES))
    for number in range(FOLDS):
        out = fold == number
        if out.all() or not out.any():
            continue
        constant = float(np.median(logs[~out]))
        count, median = _medians(items[~out], logs[~out], size)
        for n, shrinkage in enumerate(SHRINKAGES):
            location = _shrunk(count, median, constant, shrinkage)
            predicted = np.exp(location[items[out]])
            errors[n] += np.sum(np.abs(predicted - np.exp(logs[out])))
    return SHRINKAGES[int(np.argmin(errors))]


def _shrunk(count, median, constant, shrinkage):
    """`[V]` medians toward the constant; the constant of no dwell."""
    weight = np.where(count > 0, count / np.maximum(count + shrinkage, 1.0), 0)
    return weight * median + (1.0 - weight) * constant


def _medians(items, values, size):
    """`[V]` count and median of each item, 0 where it has none.

    Items come in ascending order, and the values of each do.
    """
    count = np.bincount(items, minlength=size)
    start = np.cumsum(count) - count
    some = count > 0
    low = values[(start + (count - 1) // 2)[some]]
    high = values[(start + count // 2)[some]]
    medians = np.zeros(size)
    medians[some] = 0.5 * (low + high)
    return count, medians

"""What counting alone predicts: the baselines that a model has to beat."""

import numpy as np

from jump_tf.models import rules
from jump_tf.models import scorers
from jump_tf.models.scorers import Prefixes
from jump_tf.models.scorers import Scores
from jump_tf.survival import LogNormal


class MostPopular(scorers.Scorer):
    """Orders items by their clicks in training, whatever came before."""

    def _scores(self, prefixes: Prefixes) -> Scores:
        none = np.zeros(0, np.int64)
        return Scores(none, none, np.zeros(0))


class Markov(rules.ItemRules):
    """Scores an item by how often it followed the last item in training.

    A chain of first order knows the last click alone: where that was on an
    unknown item, it scores nothing.
    """

    def _rules(self, session, item):
        size = self.vocabulary_size
        follows = session[1:] == session[:-1]
        pairs, count = np.unique(
            (item[:-1] * size + item[1:])[follows], return_counts=True
        )
        return pairs // size, pairs % size, count.astype(np.float64)

    def _scores(self, prefixes: Prefixes) -> Scores:
        row, item, score = super()._scores(prefixes)
        fresh = prefixes.fresh[row]
        return Scores(row[fresh], item[fresh], score[fresh])


class ConstantDwell:
    """One law for all: the training median, and the spread around it.

    Args:
        items: `[C]` ids.
        seconds: `[C]` dwells that were observed to their end.
        vocabulary_size: number of ids V, padding and unknown included.
    """

    def __init__(
        self, items: np.ndarray, seconds: np.ndarray, vocabulary_size: int
    ):
        log_seconds = np.log(np.maximum(seconds, 1.0))
        median = np.median(log_seconds) if len(seconds) else 0.0
        self.location = np.full(vocabulary_size, median)
        self._fit_scale(items, log_seconds)

    def dwell_distribution(self, features, items: np.ndarray) -> LogNormal:
        """Law of the dwell on `items` `[N]`; the session has no influence."""
        del features
        location = self.location[items]
        return LogNormal(location, np.full_like(location, self.scale))

    def _fit_scale(self, items, log_seconds):
        residual = log_seconds - self.location[items]
        scale = np.sqrt(np.mean(np.square(residual))) if len(items) else 1.0
        self.scale = float(max(scale, 1e-3))


class ItemMedianDwell(ConstantDwell):
    """A law for each item: its median, drawn toward the median of all.

        log m_i = (n_i log median_i + s log median) / (n_i + s)

    Args:
        items: see `ConstantDwell`.
        seconds: see `ConstantDwell`.
        vocabulary_size: see `ConstantDwell`.
        shrinkage: s, the dwells that the median of all is worth.
    """

    def __init__(
        self,
        items: np.ndarray,
        seconds: np.ndarray,
        vocabulary_size: int,
        shrinkage: float = 20.0,
    ):
        super().__init__(items, seconds, vocabulary_size)
        log_seconds = np.log(np.maximum(seconds, 1.0))
        count = np.bincount(items, minlength=vocabulary_size)
        median = _medians(items, log_seconds, count)
        self.location = (count * median + shrinkage * self.location) / (
            count + shrinkage
        )
        self._fit_scale(items, log_seconds)


def _medians(groups, values, count):
    """`[V]` median of the values of each group, 0 where it has none."""
    ordered = values[np.lexsort((values, groups))]
    start = np.cumsum(count) - count
    some = count > 0
    low = ordered[(start + (count - 1) // 2)[some]]
    high = ordered[(start + count // 2)[some]]
    medians = np.zeros(len(count))
    medians[some] = 0.5 * (low + high)
    return medians

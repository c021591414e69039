"""Baselines of the next click: popularity and item-to-item rules.

Each is written from its published equation. `base.SparseScorer` says how items
are ranked that they leave unscored.
"""

import abc

import numpy as np

from jump_tf.baselines import base
from jump_tf.baselines import grouping
from jump_tf.baselines.base import Log
from jump_tf.baselines.base import Prefixes
from jump_tf.baselines.base import Scores

_PAIRS_AT_ONCE = 2**23


class MostPopular(base.SparseScorer):
    """Orders items by their clicks in training, whatever came before."""

    def _scores(self, prefixes: Prefixes) -> Scores:
        none = np.zeros(0, np.int64)
        return Scores(none, none, np.zeros(0))


class SessionPopular(base.SparseScorer):
    """Scores an item by its clicks in the session so far.

    Reference: S-POP in Hidasi et al., Session-based Recommendations with
    Recurrent Neural Networks, ICLR 2016.
    """

    def _scores(self, prefixes: Prefixes) -> Scores:
        size = self.vocabulary_size
        keys, count = np.unique(
            prefixes.row * size + prefixes.item, return_counts=True
        )
        return Scores(keys // size, keys % size, count.astype(np.float64))


class ItemRules(base.SparseScorer, abc.ABC):
    """Scores items by their weight after the last item of the session."""

    def _fit(self, log):
        super()._fit(log)
        source, self._item, self._weight = self._rules(log.session, log.item)
        bounds = np.arange(self.vocabulary_size + 1)
        self._starts = np.searchsorted(source, bounds)

    @abc.abstractmethod
    def _rules(self, session, item):
        """Of each rule its source, ascending, its item and its weight."""

    def _scores(self, prefixes: Prefixes) -> Scores:
        row, last = prefixes.last()
        starts = self._starts[last]
        which, rule = grouping.expand(starts, self._starts[last + 1] - starts)
        return Scores(row[which], self._item[rule], self._weight[rule])


class Markov(ItemRules):
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


class AssociationRules(ItemRules):
    """Scores an item by how often it shared a session with the last item.

        score(i | last) = sum over sessions p, over places x != y of p, of
                          [p_x = last] [p_y = i]

    in any order and at any distance. The published score is divided by what
    depends on the last item alone, which changes no order.

    Reference: AR in Ludewig & Jannach, Evaluation of Session-based
    Recommendation Algorithms, UMUAI 2018.
    """

    def _rules(self, session, item):
        def pairs(a, b, same):
            return a * (b - same)

        return _together(session, item, self.vocabulary_size, pairs)


class ItemNeighbours(ItemRules):
    """Scores an item by the cosine of its sessions with the last item's.

        score(i | last) = n(i, last) / sqrt((n(i) + s) (n(last) + s))

    n counts the sessions that hold an item, or both; the regularisation s
    keeps pairs of rare items from chance. No item is its own neighbour.

    Args:
        log, vocabulary_size: see `base.Scorer`.
        shrinkage: s, in sessions.

    Reference: Item-KNN in Hidasi et al., Session-based Recommendations with
    Recurrent Neural Networks, ICLR 2016.
    """

    def __init__(
        self, log: Log, vocabulary_size: int, *, shrinkage: float = 20.0
    ):
        self.shrinkage = shrinkage
        super().__init__(log, vocabulary_size)

    def _rules(self, session, item):
        def others(a, b, same):
            return ~same

        size = self.vocabulary_size
        source, target, both = _together(session, item, size, others)
        _, held, _ = grouping.distinct(session, item, size)
        count = np.bincount(held, minlength=size) + self.shrinkage
        cosine = both / np.sqrt(count[source] * count[target])
        return source, target, base.rounded(cosine)


def _together(session, item, size, weigh):
    """Ordered pairs of items that share sessions, and the sum of weights.

    `weigh` takes the clicks of both in a session and whether they are the same
    item; pairs of no weight are left out.
    """
    session, item, clicks = grouping.distinct(session, item, size)
    starts = np.searchsorted(session, session)
    counts = np.searchsorted(session, session, side="right") - starts
    done = np.cumsum(counts)
    cuts = np.flatnonzero(np.diff(done // _PAIRS_AT_ONCE)) + 1
    keys, weights = np.zeros(0, np.int64), np.zeros(0)
    for start, end in zip([0, *cuts], [*cuts, len(item)], strict=True):
        part = slice(start, end)
        which, other = grouping.expand(starts[part], counts[part])
        source, target = item[part][which], item[other]
        weight = weigh(clicks[part][which], clicks[other], source == target)
        some = np.flatnonzero(weight)
        keys, weights = _summed(
            np.concatenate([keys, (source * size + target)[some]]),
            np.concatenate([weights, weight[some]]),
        )
    return keys // size, keys % size, weights


def _summed(keys, weights):
    """Ascending keys without repeats, and the sum of the weights of each."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = grouping.run_starts(keys)
    return keys[starts], grouping.run_sums(weights[order], starts)

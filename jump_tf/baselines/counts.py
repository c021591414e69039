"""What counting alone predicts: the baselines that a model has to beat."""

import numpy as np

from jump_tf.baselines import base
from jump_tf.baselines import item_rules
from jump_tf.baselines.base import Prefixes
from jump_tf.baselines.base import Scores


class MostPopular(base.Scorer):
    """Orders items by their clicks in training, whatever came before."""

    def _scores(self, prefixes: Prefixes) -> Scores:
        none = np.zeros(0, np.int64)
        return Scores(none, none, np.zeros(0))


class Markov(item_rules.ItemRules):
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

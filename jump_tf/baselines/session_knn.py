"""Baselines of the next click: neighbouring sessions.

What the past sessions most like the session so far hold is clicked next.
Written from the published equations. The module `base` says what log they are
fitted on, and how items are ranked that they leave unscored.

The papers compare with the m most recent of the sessions that share an item.
A training split has no clock: here each session has a place in one fixed
pseudo-random order, and the first m in that order are the candidates. An
item's list of sessions then ends after m, since the first m of a union of such
lists are among the first m of each.
"""

import abc
from typing import Any

import numpy as np

from jump_tf.baselines import base
from jump_tf.baselines.base import Prefixes
from jump_tf.baselines.base import Scores


class SessionNeighbours(base.Scorer, abc.ABC):
    """Scores an item by the weights of the neighbours that hold it.

        score(i | s) = v(i) sum over neighbours n of s of w(s, n) [i in n]

    Neighbours are the k candidates n most similar to s; of equals those that
    come first in the order of the sample.

    Args:
        *log: the arguments of `Scorer`.
        neighbours: k.
        sample: m, how many of the sessions that share an item are candidates.
        seed: of the order of the sample.
    """

    def __init__(
        self,
        *log: Any,
        neighbours: int = 100,
        sample: int = 1000,
        seed: int = 0,
    ):
        self.neighbours, self.sample, self.seed = neighbours, sample, seed
        super().__init__(*log)

    def _fit(self, session, item):
        size = self.vocabulary_size
        self.num_sessions = int(session.max(initial=-1)) + 1
        order = np.random.default_rng(self.seed).permutation(self.num_sessions)
        session, held, _ = base.distinct(order[session], item, size)
        # From a session to its items, and from an item to its sessions.
        self._items = held
        self._lengths = np.bincount(session, minlength=self.num_sessions)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._holders = session[np.argsort(held, kind="stable")]
        self.num_holders = np.bincount(held, minlength=size)
        self._holder_starts = np.cumsum(self.num_holders) - self.num_holders
        self._item_weight = np.ones(size)

    @abc.abstractmethod
    def _click_weights(self, place, clicks):
        """Of the clicks of s at places from 1, of so many clicks."""

    @abc.abstractmethod
    def _similarities(self, shared, items, length):
        """Of s and n, of so many items each.

        `shared` is the sum of the weights of the clicks on items of n, of each
        item the latest click.
        """

    @abc.abstractmethod
    def _weights(self, similarity, age):
        """w(s, n); `age` is 1 where the last click of s is on an item of n."""

    def _scores(self, prefixes: Prefixes) -> Scores:
        size = self.vocabulary_size
        row, session, weight = self._neighbours(prefixes)
        which, index = base.expand(
            self._starts[session], self._lengths[session]
        )
        keys, which = base.sorted_pairs(
            row[which] * size + self._items[index], which
        )
        first = base.run_starts(keys)
        row, item = np.divmod(keys[first], size)
        total = base.run_sums(weight[which], first) * self._item_weight[item]
        return Scores(row, item, base.rounded(total))

    def _neighbours(self, prefixes):
        """Row, session and weight of each neighbour, rows ascending."""
        latest = _latest_clicks(prefixes, self.vocabulary_size)
        clicks = np.bincount(prefixes.row, minlength=prefixes.size)
        items = np.bincount(latest[0], minlength=prefixes.size)
        row, session, shared, place = self._candidates(latest, clicks)
        similarity = base.rounded(
            self._similarities(shared, items[row], self._lengths[session])
        )
        order = np.lexsort((-similarity, row))  # Stable: see the class.
        near = order[base.places(row) < self.neighbours]
        age = clicks[row[near]] - place[near] + 1
        weight = self._weights(similarity[near], age)
        return row[near], session[near], weight

    def _candidates(self, latest, clicks):
        """Row, session, `shared` and the latest shared place of each.

        Sessions, numbered in the order of the sample, ascend in each row.
        """
        row, item, place = latest
        which, index = base.expand(
            self._holder_starts[item],
            np.minimum(self.num_holders[item], self.sample),
        )
        keys, place = base.sorted_pairs(
            row[which] * self.num_sessions + self._holders[index],
            place[which],
        )
        weight = self._click_weights(place, clicks[keys // self.num_sessions])
        first, last = base.run_starts(keys), base.run_ends(keys)
        shared, place = base.run_sums(weight, first), place[last]
        row, session = np.divmod(keys[first], self.num_sessions)
        drawn = base.places(row) < self.sample
        return row[drawn], session[drawn], shared[drawn], place[drawn]


class SKNN(SessionNeighbours):
    """S-kNN: the cosine of the sets of items, for similarity and weight.

        w(s, n) = |s and n| / sqrt(|s| |n|),  v(i) = 1

    Reference: Jannach & Ludewig, When Recurrent Neural Networks meet the
    Neighborhood for Session-Based Recommendation, RecSys 2017.
    """

    def _click_weights(self, place, clicks):
        return np.ones(len(place))

    def _similarities(self, shared, items, length):
        return shared / np.sqrt(items * length)

    def _weights(self, similarity, age):
        return similarity


class VSKNN(SessionNeighbours):
    """VS-kNN: late clicks weigh more, and so do rare items.

        similarity(s, n) = sum over clicks x of s on items of n, the latest on
                           each, of (x / |s|) ^ p
        w(s, n) = similarity(s, n) / age ^ q
        v(i) = 1 + idf log(N / N(i))

    The clicks x of s count from 1 to |s|; age is 1 + the clicks of s after the
    last one on an item of n; N(i) of N training sessions hold i.

    Args:
        *log: the arguments of `Scorer`.
        click_power: p; 1 is the linear weight of the paper, 2 the quadratic.
        age_power: q; 2 finds fewer clicks of diginetica's validation split.
        idf: weight of the inverse document frequency.
        neighbours, sample, seed: see `SessionNeighbours`.

    Reference: V-SkNN, S-SkNN in Ludewig & Jannach, Evaluation of Session-based
    Recommendation Algorithms, UMUAI 2018; with all weights Ludewig, Mauro,
    Latifi & Jannach, Empirical Analysis of Session-Based Recommendation
    Algorithms, UMUAI 2021.
    """

    def __init__(
        self,
        *log: Any,
        neighbours: int = 200,
        sample: int = 2000,
        seed: int = 0,
        click_power: float = 1.0,
        age_power: float = 1.0,
        idf: float = 5.0,
    ):
        super().__init__(*log, neighbours=neighbours, sample=sample, seed=seed)
        self.click_power, self.age_power = click_power, age_power
        rarity = np.maximum(self.num_sessions, 1) / np.maximum(
            self.num_holders, 1
        )
        self._item_weight = 1.0 + idf * np.log(rarity)

    def _click_weights(self, place, clicks):
        return (place / clicks) ** self.click_power

    def _similarities(self, shared, items, length):
        return shared

    def _weights(self, similarity, age):
        return similarity / age**self.age_power


def _latest_clicks(prefixes, vocabulary_size):
    """Row, item and place from 1 of the latest click on each item."""
    keys, place = base.sorted_pairs(
        prefixes.row * vocabulary_size + prefixes.item,
        base.places(prefixes.row) + 1,
    )
    latest = base.run_ends(keys)
    row, item = np.divmod(keys[latest], vocabulary_size)
    return row, item, place[latest]

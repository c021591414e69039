"""Baselines of the next click: neighbouring sessions.

What the past sessions most like the session so far hold is clicked next.
Written from the published equations. `base.SparseScorer` says how items are
ranked that they leave unscored.

Of the sessions that share an item the m most recent are candidates: the last
of those that were over when the click is asked for. A random split has later
ones too, the first of which come after. An item's list of sessions in this
order then ends after m: the first m of a union of such lists are among the
first m of each.
"""

import abc

import numpy as np

from jump_tf.baselines import base
from jump_tf.baselines import grouping
from jump_tf.baselines.base import Log
from jump_tf.baselines.base import Prefixes
from jump_tf.baselines.base import Scores


class SessionNeighbours(base.SparseScorer, abc.ABC):
    """Scores an item by the weights of the neighbours that hold it.

        score(i | s) = v(i) sum over neighbours n of s of w(s, n) d(i, n)

    Neighbours are the k candidates n most similar to s, of equals the first in
    the order of candidates; d is 0 for the items that n does not hold. The last
    click of a session dates it.

    Args:
        log, vocabulary_size: see `base.Scorer`.
        neighbours: k.
        sample: m, how many of the sessions that share an item are candidates.
    """

    def __init__(
        self,
        log: Log,
        vocabulary_size: int,
        *,
        neighbours: int = 100,
        sample: int = 1000,
    ):
        self.neighbours, self.sample = neighbours, sample
        super().__init__(log, vocabulary_size)

    def _fit(self, log):
        super()._fit(log)
        size = self.vocabulary_size
        ended_ms = log.asked_ms[grouping.run_ends(log.session)]
        order = np.argsort(-ended_ms, kind="stable")
        self._ended_ms = ended_ms[order]
        self.num_sessions = len(order)
        # Sessions by their places in this order, the most recent is 0.
        session, held, place = _latest_clicks(
            np.argsort(order)[log.session], log.item, log.position, size
        )
        # From a session to its items, and from an item to its sessions.
        self._items, self._places = held, place
        self._lengths = np.bincount(session, minlength=self.num_sessions)
        self._starts = np.cumsum(self._lengths) - self._lengths
        by_item = np.argsort(held, kind="stable")
        self._holders, self._held_at = session[by_item], place[by_item]
        self._holder_keys = held[by_item] * self.num_sessions + self._holders
        self.num_holders = np.bincount(held, minlength=size)
        self._item_weight = np.ones(size)

    @abc.abstractmethod
    def _click_weights(self, place, clicks):
        """Of the clicks of s at places from 1, of so many clicks."""

    @abc.abstractmethod
    def _similarities(self, shared, items, length, gap_ms):
        """Of s and n, of so many items each.

        `shared` is the sum of the weights of the clicks on items of n, of each
        item the latest click; `gap_ms` lies between the end of n and now.
        """

    @abc.abstractmethod
    def _weights(self, similarity, age):
        """w(s, n); `age` is 1 where the last click of s is on an item of n."""

    def _nearness(self, distance):
        """d(i, n), in n so many clicks from the latest item that s shares."""
        return np.ones(len(distance))

    def rarity(self) -> np.ndarray:
        """`[V]` log(N / N(i)): N(i) of N training sessions hold item i."""
        holders = np.maximum(self.num_holders, 1)
        return np.log(np.maximum(self.num_sessions, 1) / holders)

    def _scores(self, prefixes: Prefixes) -> Scores:
        size = self.vocabulary_size
        row, session, weight, match = self._neighbours(prefixes)
        which, index = grouping.expand(
            self._starts[session], self._lengths[session]
        )
        distance = np.abs(self._places[index] - match[which])
        weight = weight[which] * self._nearness(distance)
        keys, order = grouping.sorted_pairs(
            row[which] * size + self._items[index], np.arange(len(which))
        )
        first = grouping.run_starts(keys)
        row, item = np.divmod(keys[first], size)
        total = grouping.run_sums(weight[order], first)
        return Scores(row, item, base.rounded(total * self._item_weight[item]))

    def _neighbours(self, prefixes):
        """Row, session, weight and `match` of each neighbour, rows ascending.

        `match` is the place in n of the latest item that s shares with it.
        """
        latest = _latest_clicks(
            prefixes.row,
            prefixes.item,
            grouping.places(prefixes.row) + 1,
            self.vocabulary_size,
        )
        clicks = np.bincount(prefixes.row, minlength=prefixes.size)
        items = np.bincount(latest[0], minlength=prefixes.size)
        row, session, shared, place, match = self._candidates(
            latest, clicks, prefixes.asked_ms
        )
        gap_ms = np.abs(prefixes.asked_ms[row] - self._ended_ms[session])
        similarity = base.rounded(
            self._similarities(
                shared, items[row], self._lengths[session], gap_ms
            )
        )
        order = np.lexsort((-similarity, row))  # Stable: see the class.
        near = order[grouping.places(row) < self.neighbours]
        age = clicks[row[near]] - place[near] + 1
        weight = self._weights(similarity[near], age)
        return row[near], session[near], weight, match[near]

    def _candidates(self, latest, clicks, asked_ms):
        """Row, session, `shared`, latest shared place in s and in n of each.

        Sessions are in the order of the class in each row.
        """
        row, item, place = latest
        number = self.num_sessions
        # Ends descend: of each row, the first session that is over.
        past = np.searchsorted(-self._ended_ms, -asked_ms, side="right")
        which, index = self._window(item, past[row])
        held_by, of = self._holders[index], row[which]
        later = held_by < past[of]
        order = np.where(later, number - 1 - held_by, held_by - past[of])
        # Of a row and a session by the place in s, since those ascend.
        keys, element = grouping.sorted_pairs(
            of * number + order, np.arange(len(which))
        )
        place, match = place[which[element]], self._held_at[index[element]]
        weight = self._click_weights(place, clicks[keys // number])
        first, last = grouping.run_starts(keys), grouping.run_ends(keys)
        row, session = keys[first] // number, held_by[element[first]]
        shared = grouping.run_sums(weight, first)
        drawn = grouping.places(row) < self.sample
        columns = row, session, shared, place[last], match[last]
        return tuple(column[drawn] for column in columns)

    def _window(self, item, past):
        """The first m sessions with each item, in the order of the class.

        Of an item's sessions, which descend in time, they are neighbours: m
        from the first one on that is over or, where there are fewer, as many
        more before it.
        """
        number = self.num_sessions
        starts, middle, ends = (
            np.searchsorted(self._holder_keys, item * number + offset)
            for offset in (0, past, number)
        )
        over = np.minimum(ends - middle, self.sample)
        not_over = np.minimum(middle - starts, self.sample - over)
        return grouping.expand(middle - not_over, over + not_over)


class SKNN(SessionNeighbours):
    """S-kNN: the cosine of the sets of items, for similarity and weight.

        w(s, n) = |s and n| / sqrt(|s| |n|),  v(i) = d(i, n) = 1

    Reference: Jannach & Ludewig, When Recurrent Neural Networks meet the
    Neighborhood for Session-Based Recommendation, RecSys 2017.
    """

    def _click_weights(self, place, clicks):
        return np.ones(len(place))

    def _similarities(self, shared, items, length, gap_ms):
        return shared / np.sqrt(items * length)

    def _weights(self, similarity, age):
        return similarity


class VSKNN(SessionNeighbours):
    """VS-kNN: late clicks weigh more, and so do rare items.

        similarity(s, n) = sum over clicks x of s on items of n, the latest on
                           each, of (x / |s|) ^ p
        w(s, n) = similarity(s, n) / age ^ q
        v(i) = 1 + idf log(N / N(i)),  d(i, n) = 1

    The clicks x of s count from 1 to |s|; age is 1 + the clicks of s after the
    last one on an item of n; N(i) of N training sessions hold i.

    Args:
        log, vocabulary_size: see `base.Scorer`.
        click_power: p; 1 is the linear weight of the paper, 2 the quadratic.
        age_power: q; 2 finds fewer clicks of diginetica's validation split.
        idf: weight of the inverse document frequency.
        neighbours, sample: see `SessionNeighbours`.

    Reference: V-SkNN, S-SkNN in Ludewig & Jannach, Evaluation of Session-based
    Recommendation Algorithms, UMUAI 2018; with all weights Ludewig, Mauro,
    Latifi & Jannach, Empirical Analysis of Session-Based Recommendation
    Algorithms, UMUAI 2021.
    """

    def __init__(
        self,
        log: Log,
        vocabulary_size: int,
        *,
        neighbours: int = 200,
        sample: int = 2000,
        click_power: float = 1.0,
        age_power: float = 1.0,
        idf: float = 5.0,
    ):
        super().__init__(
            log, vocabulary_size, neighbours=neighbours, sample=sample
        )
        self.click_power, self.age_power = click_power, age_power
        self._item_weight = 1.0 + idf * self.rarity()

    def _click_weights(self, place, clicks):
        return (place / clicks) ** self.click_power

    def _similarities(self, shared, items, length, gap_ms):
        return shared

    def _weights(self, similarity, age):
        return similarity / age**self.age_power


def _latest_clicks(row, item, place, vocabulary_size):
    """Row, item and place of the latest click of each row on each item.

    Rows ascend in what is returned, and so do the places in each.
    """
    keys, place = grouping.sorted_pairs(row * vocabulary_size + item, place)
    latest = grouping.run_ends(keys)
    (row, item), place = np.divmod(keys[latest], vocabulary_size), place[latest]
    longest = int(place.max(initial=0)) + 1
    keys, item = grouping.sorted_pairs(row * longest + place, item)
    row, place = np.divmod(keys, longest)
    return row, item, place

import collections
import itertools
import math

import numpy as np
import pytest

from jump_tf.baselines import base
from jump_tf.baselines import item_rules
from tests import small_logs
from tests.small_logs import VOCABULARY

TRAINING = small_logs.draw(4, 60)
LOG = small_logs.columns(small_logs.draw(5, 40))
KINDS = [
    item_rules.MostPopular,
    item_rules.Markov,
    item_rules.SessionPopular,
    item_rules.AssociationRules,
    item_rules.ItemNeighbours,
]


def fitted(kind, **options):
    return kind(small_logs.columns(TRAINING), VOCABULARY, **options)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_promises(kind, monkeypatch):
    small_logs.check_promises(fitted(kind), LOG, monkeypatch)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_of_sessions_without_a_known_pair(kind):
    log = small_logs.columns([[2], [1, 3], [3, 1]])
    asked = small_logs.columns([[2, 3], [1, 2]])
    ranks = kind(log, 4).ranks(asked, np.array([1, 3]))
    first = 2 if kind is item_rules.SessionPopular else 1
    np.testing.assert_array_equal(ranks, [first, 2])


def test_session_popular_by_definition():
    small_logs.check_definition(
        fitted(item_rules.SessionPopular), TRAINING, LOG, collections.Counter
    )


def test_markov_by_definition():
    log = [session for session in small_logs.draw(5, 40) if session[-1] > 1]
    pairs = collections.Counter(
        pair
        for session in map(small_logs.known, TRAINING)
        for pair in itertools.pairwise(session)
    )

    def by_hand(prefix):
        last = prefix[-1] if prefix else None
        return {b: count for (a, b), count in pairs.items() if a == last}

    # Without unknown clicks, after which it knows nothing: see test_item_rules.
    log = small_logs.columns([session[session > 1] for session in log])
    small_logs.check_definition(
        fitted(item_rules.Markov), TRAINING, log, by_hand
    )


def test_association_rules_by_definition(monkeypatch):
    def by_hand(prefix):
        found = collections.Counter()
        for session in map(small_logs.known, TRAINING):
            for x, y in itertools.permutations(range(len(session)), 2):
                if session[x] == prefix[-1]:
                    found[session[y]] += 1
        return found

    def of_any(prefix):
        return by_hand(prefix) if prefix else {}

    whole = fitted(item_rules.AssociationRules)
    small_logs.check_definition(whole, TRAINING, LOG, of_any)
    monkeypatch.setattr(item_rules, "_PAIRS_AT_ONCE", 5)
    small_logs.check_definition(
        fitted(item_rules.AssociationRules), TRAINING, LOG, of_any
    )


@pytest.mark.parametrize("shrinkage", [0.0, 20.0])
def test_item_neighbours_by_definition(shrinkage):
    sets = [set(small_logs.known(session)) for session in TRAINING]

    def held(*items):
        return sum(set(items) <= one for one in sets)

    def by_hand(prefix):
        if not prefix:
            return {}
        last = prefix[-1]
        return {
            item: held(item, last)
            / math.sqrt((held(item) + shrinkage) * (held(last) + shrinkage))
            for item in range(2, VOCABULARY)
            if item != last and held(item, last)
        }

    small_logs.check_definition(
        fitted(item_rules.ItemNeighbours, shrinkage=shrinkage),
        TRAINING,
        LOG,
        by_hand,
    )


def test_other_orders_are_refused():
    def log(*columns):
        return base.Log(*map(np.array, (*columns, [0] * 3, [0] * 3)))

    one = log([0, 0, 1], [1, 2, 1], [3, 4, 3])
    with pytest.raises(ValueError, match="`session` must ascend"):
        base.check_order(log([1, 0, 1], [1, 1, 1], [3, 4, 3]))
    with pytest.raises(ValueError, match="`position` count from 1"):
        item_rules.MostPopular(log([0, 0, 1], [1, 2, 2], [3, 4, 3]), 5)
    with pytest.raises(ValueError, match="`position` count from 1"):
        item_rules.MostPopular(one, 5).ranks(
            log([0, 0, 1], [2, 1, 1], [3, 4, 3]), np.array([0])
        )


class TestMostPopular:
    def test_by_hand(self):
        log = small_logs.columns([[2, 3, 3, 4], [4, 5, 5, 5]])
        popular = item_rules.MostPopular(log, 7)
        asked = small_logs.columns([[3, 2], [3, 3], [3, 4], [3, 5], [3, 6]])
        ranks = popular.ranks(asked, np.arange(1, 10, 2))
        np.testing.assert_array_equal(ranks, [4, 3, 3, 1, 5])


class TestMarkov:
    # 2 -> 3 twice, 2 -> 4 once; popularity 5 > 2 > 3 > 4.
    LOG = ((2, 3), (2, 4), (2, 3), (5,) * 9)

    def ranks(self, log, sessions):
        asked = small_logs.columns(sessions)
        ends = np.flatnonzero(np.diff(asked.session, append=len(sessions)))
        return item_rules.Markov(small_logs.columns(log), 6).ranks(asked, ends)

    def test_by_hand(self):
        ranks = self.ranks(self.LOG, [[2, 3], [2, 4], [2, 5], [2, 2]])
        np.testing.assert_array_equal(ranks, [1, 2, 3, 4])

    @pytest.mark.parametrize("last", [1, 3])
    def test_it_is_popularity_where_nothing_ever_followed(self, last):
        ranks = self.ranks(self.LOG, [[2, last, item] for item in (2, 3, 4, 5)])
        np.testing.assert_array_equal(ranks, [2, 3, 4, 1])

    def test_of_no_pairs(self):
        ranks = self.ranks([[2], [3], [3]], [[2, 3], [3, 2]])
        np.testing.assert_array_equal(ranks, [1, 2])

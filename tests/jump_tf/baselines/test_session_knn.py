import collections
import math

import numpy as np
import pytest

from jump_tf.baselines import session_knn
from jump_tf.baselines.vstan import VSTAN
from tests import small_logs
from tests.small_logs import VOCABULARY

TRAINING = small_logs.draw(6, 80)
TRAINING_LOG = small_logs.timed(TRAINING, 2)
LOG = small_logs.timed(small_logs.draw(7, 40), 3)
KNOWN = small_logs.known_sessions(TRAINING_LOG)
KINDS = [session_knn.SKNN, session_knn.VSKNN, VSTAN]
SIZES = [(80, 80), (5, 80), (5, 9), (80, 6)]


def fitted(kind, *sizes, **options):
    named = dict(zip(("neighbours", "sample"), sizes, strict=False))
    return kind(TRAINING_LOG, VOCABULARY, **named, **options)


def nearest(prefix, asked_ms, similarity, k, m):
    """Neighbours by the definition, out of the m most recent candidates."""
    recent = small_logs.by_recency(KNOWN, asked_ms)
    sharing = [n.items for n in recent if set(n.items) & set(prefix)][:m]
    return sorted(sharing, key=lambda n: -round(similarity(n), 6))[:k]


@pytest.mark.parametrize("kind", [session_knn.SKNN, session_knn.VSKNN])
@pytest.mark.parametrize("sizes", SIZES)
def test_promises(kind, sizes, monkeypatch):
    small_logs.check_promises(fitted(kind, *sizes), LOG, monkeypatch)


@pytest.mark.parametrize("sizes", SIZES)
def test_sknn_by_definition(sizes):
    def by_hand(prefix, asked_ms):
        def cosine(session):
            mine, theirs = set(prefix), set(session)
            both = len(mine & theirs)
            return both / math.sqrt(len(mine) * len(theirs))

        found = collections.Counter()
        for session in nearest(prefix, asked_ms, cosine, *sizes):
            for item in set(session):
                found[item] += cosine(session)
        return found

    scorer = fitted(session_knn.SKNN, *sizes)
    small_logs.check_definition(scorer, TRAINING, LOG, by_hand, clocked=True)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("powers", [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("idf", [0.0, 5.0])
def test_vsknn_by_definition(sizes, powers, idf):
    holders = collections.Counter(i for n in KNOWN for i in set(n.items))

    def by_hand(prefix, asked_ms):
        latest = {item: x for x, item in enumerate(prefix, 1)}

        def similarity(session):
            return sum(
                (x / len(prefix)) ** powers[0]
                for item, x in latest.items()
                if item in session
            )

        found = collections.Counter()
        for session in nearest(prefix, asked_ms, similarity, *sizes):
            age = 1 + len(prefix) - max(latest.get(i, 0) for i in session)
            for item in set(session):
                found[item] += (
                    similarity(session)
                    / age ** powers[1]
                    * (1 + idf * math.log(len(KNOWN) / holders[item]))
                )
        return found

    scorer = fitted(
        session_knn.VSKNN,
        *sizes,
        click_power=powers[0],
        age_power=powers[1],
        idf=idf,
    )
    small_logs.check_definition(scorer, TRAINING, LOG, by_hand, clocked=True)


@pytest.mark.parametrize("kind", KINDS)
def test_candidates_are_the_most_recent(kind):
    """After item 2 came 3, 4 and 5; these sessions end at 1, 5 and 3."""
    log = small_logs.columns([[2, 3], [2, 4], [2, 5], [4, 3, 5]])
    minutes = np.array([0, 1, 0, 5, 2, 3, 0, 0, 0]) * small_logs.MINUTE_MS
    asked = small_logs.columns([[2, 3], [2, 4], [2, 5]])
    scorer = kind(log._replace(asked_ms=minutes), 6, sample=1)
    for minute, expected in (
        (6, 4),
        (5, 5),  # What ends at that minute is not over.
        (4, 5),
        (3, 3),
        (2, 3),
        (1, 3),  # Nothing is: the first that will be.
    ):
        asked_ms = np.full(6, minute * small_logs.MINUTE_MS)
        ranks = scorer.ranks(
            asked._replace(asked_ms=asked_ms), np.array([1, 3, 5])
        )
        assert np.flatnonzero(ranks <= 2) + 3 == [expected]


@pytest.mark.parametrize("kind", KINDS)
def test_of_nothing_known_it_is_popularity(kind):
    scorer = kind(small_logs.columns([[1, 1]]), 4)
    asked = small_logs.columns([[3, 2]])
    np.testing.assert_array_equal(scorer.ranks(asked, np.array([1])), [2])
    scorer = kind(small_logs.columns([[3, 3, 2]]), 5)
    asked = small_logs.columns([[1, 3], [1, 2], [1, 4]])
    ranks = scorer.ranks(asked, np.array([1, 3, 5]))
    np.testing.assert_array_equal(ranks, [1, 2, 3])

import collections
import math

import numpy as np
import pytest

from jump_tf.baselines import session_knn
from tests import small_logs
from tests.small_logs import VOCABULARY

TRAINING = small_logs.draw(6, 80)
LOG = small_logs.columns(small_logs.draw(7, 40))
KNOWN = [s for s in map(small_logs.known, TRAINING) if s]
SIZES = [(80, 80), (5, 80), (5, 9), (80, 6)]


def fitted(kind, *sizes, **options):
    log = small_logs.columns(TRAINING)
    named = zip(("neighbours", "sample", "seed"), sizes, strict=False)
    return kind(*log, VOCABULARY, **dict(named), **options)


def nearest(prefix, similarity, k, m):
    """Neighbours by the definition, the sample's order given by the seed."""
    order = np.argsort(np.random.default_rng(0).permutation(len(KNOWN)))
    sharing = [KNOWN[n] for n in order if set(KNOWN[n]) & set(prefix)][:m]
    return sorted(sharing, key=lambda n: -round(similarity(n), 6))[:k]


@pytest.mark.parametrize("kind", [session_knn.SKNN, session_knn.VSKNN])
@pytest.mark.parametrize("sizes", SIZES)
def test_promises(kind, sizes, monkeypatch):
    small_logs.check_promises(fitted(kind, *sizes), LOG, monkeypatch)


@pytest.mark.parametrize("sizes", SIZES)
def test_sknn_by_definition(sizes):
    def by_hand(prefix):
        def cosine(session):
            mine, theirs = set(prefix), set(session)
            both = len(mine & theirs)
            return both / math.sqrt(len(mine) * len(theirs))

        found = collections.Counter()
        for session in nearest(prefix, cosine, *sizes):
            for item in set(session):
                found[item] += cosine(session)
        return found

    scorer = fitted(session_knn.SKNN, *sizes)
    small_logs.check_definition(scorer, TRAINING, LOG, by_hand)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("powers", [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
@pytest.mark.parametrize("idf", [0.0, 5.0])
def test_vsknn_by_definition(sizes, powers, idf):
    holders = collections.Counter(i for one in KNOWN for i in set(one))

    def by_hand(prefix):
        latest = {item: x for x, item in enumerate(prefix, 1)}

        def similarity(session):
            return sum(
                (x / len(prefix)) ** powers[0]
                for item, x in latest.items()
                if item in session
            )

        found = collections.Counter()
        for session in nearest(prefix, similarity, *sizes):
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
    small_logs.check_definition(scorer, TRAINING, LOG, by_hand)


def test_only_the_sample_depends_on_the_seed():
    asked = small_logs.all_asked(LOG)

    def ranks(seed, *sizes):
        scorer = fitted(session_knn.VSKNN, *sizes, seed)
        return scorer.ranks(*LOG, asked)

    np.testing.assert_array_equal(ranks(0, 80, 80), ranks(1, 80, 80))
    assert np.any(ranks(0, 3, 5) != ranks(1, 3, 5))


@pytest.mark.parametrize("kind", [session_knn.SKNN, session_knn.VSKNN])
def test_of_nothing_known_it_is_popularity(kind):
    scorer = kind(*small_logs.columns([[1, 1]]), 4)
    asked = small_logs.columns([[3, 2]])
    np.testing.assert_array_equal(scorer.ranks(*asked, np.array([1])), [2])
    scorer = kind(*small_logs.columns([[3, 3, 2]]), 5)
    asked = small_logs.columns([[1, 3], [1, 2], [1, 4]])
    ranks = scorer.ranks(*asked, np.array([1, 3, 5]))
    np.testing.assert_array_equal(ranks, [1, 2, 3])

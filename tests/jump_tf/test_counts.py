import numpy as np
import pytest

from jump_tf import metrics
from jump_tf import schema
from jump_tf.models import counts

VOCABULARY = 17


@pytest.fixture
def log():
    """Pairs of clicks, some of them on the unknown item, with many ties."""
    random = np.random.default_rng(4)
    items = random.zipf(1.6, 301) % (VOCABULARY - 1) + 1
    return items[:-1], items[1:]


def asked(log, count=200):
    random = np.random.default_rng(5)
    previous = random.integers(schema.OOV_ID, VOCABULARY, count)
    items = random.integers(schema.FIRST_ITEM_ID, VOCABULARY, count)
    return previous, items


class TestScorers:
    @pytest.fixture(params=["popular", "markov"])
    def scorer(self, request, log):
        popular = counts.MostPopular(log[1], VOCABULARY)
        if request.param == "popular":
            return popular
        return counts.Markov(*log, popular)

    def test_ranks_are_those_of_the_scores(self, scorer, log):
        previous, items = asked(log)
        scores = scorer.click_scores(previous)
        assert scores.shape == (len(items), VOCABULARY)
        np.testing.assert_array_equal(
            scorer.ranks(previous, items),
            metrics.conservative_ranks(scores, items),
        )

    def test_padding_and_unknown_come_last(self, scorer, log):
        scores = scorer.click_scores(asked(log)[0])
        special = scores[:, : schema.FIRST_ITEM_ID]
        assert special.max() < scores[:, schema.FIRST_ITEM_ID :].min()


class TestMostPopular:
    def test_by_hand(self):
        popular = counts.MostPopular(np.array([2, 3, 3, 4, 4, 5, 5, 5]), 7)
        ranks = popular.ranks(np.zeros(5, int), np.array([2, 3, 4, 5, 6]))
        np.testing.assert_array_equal(ranks, [4, 3, 3, 1, 5])


class TestMarkov:
    def test_by_hand(self):
        # 2 -> 3 twice, 2 -> 4 once; popularity 5 > 3 > 4 > 2.
        popular = counts.MostPopular(np.array([5] * 9 + [3] * 4 + [4] * 2), 6)
        markov = counts.Markov(
            np.array([2, 2, 2]), np.array([3, 4, 3]), popular
        )
        previous = np.full(4, 2)
        ranks = markov.ranks(previous, np.array([3, 4, 5, 2]))
        np.testing.assert_array_equal(ranks, [1, 2, 3, 4])

    def test_after_an_item_without_followers_it_is_popularity(self, log):
        popular = counts.MostPopular(log[1], VOCABULARY + 1)
        markov = counts.Markov(*log, popular)
        items = np.arange(schema.FIRST_ITEM_ID, VOCABULARY)
        previous = np.full(len(items), VOCABULARY)
        np.testing.assert_array_equal(
            markov.ranks(previous, items), popular.ranks(previous, items)
        )

    def test_of_no_pairs(self):
        popular = counts.MostPopular(np.array([2, 3, 3]), 4)
        markov = counts.Markov(np.zeros(0, int), np.zeros(0, int), popular)
        ranks = markov.ranks(np.array([2, 3]), np.array([3, 2]))
        np.testing.assert_array_equal(ranks, [1, 2])

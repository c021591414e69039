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


class TestDwell:
    def test_constant_is_the_median(self):
        dwell = counts.ConstantDwell(
            np.array([2, 2, 3]), np.array([10.0, 20.0, 90.0]), 5
        )
        law = dwell.dwell_distribution(None, np.array([2, 4]))
        np.testing.assert_allclose(law.median(), [20, 20], rtol=1e-6)
        residual = np.log([0.5, 1.0, 4.5])
        expected = np.sqrt(np.mean(residual**2))
        np.testing.assert_allclose(law.scale, expected)

    def test_item_median_by_hand(self):
        items = np.array([2, 2, 2, 2, 3])
        seconds = np.array([1.0, 4.0, 16.0, 64.0, 8.0])
        dwell = counts.ItemMedianDwell(items, seconds, 5, shrinkage=2.0)
        # log2: the median of all is 3, of item 2 it is 3, of item 3 it is 3.
        np.testing.assert_allclose(np.exp(dwell.location[2:]), 8.0)
        dwell = counts.ItemMedianDwell(
            items, seconds * [1, 1, 1, 1, 32], 5, 2.0
        )
        # The median of all is 2 ** 4 now.
        np.testing.assert_allclose(
            np.log2(np.exp(dwell.location[2:])),
            [(4 * 3 + 2 * 4) / 6, (1 * 8 + 2 * 4) / 3, 4],
        )

    def test_shrinkage_goes_from_own_median_to_that_of_all(self):
        random = np.random.default_rng(0)
        items = random.integers(2, 9, 501)
        seconds = np.exp(random.normal(items / 3.0, 1.0))
        none = counts.ItemMedianDwell(items, seconds, 9, 1e-9).location
        for item in range(2, 9):
            own = np.median(np.log(np.maximum(seconds[items == item], 1)))
            assert none[item] == pytest.approx(own)
        full = counts.ItemMedianDwell(items, seconds, 9, 1e12).location
        constant = counts.ConstantDwell(items, seconds, 9).location
        np.testing.assert_allclose(full, constant, rtol=1e-6)

    def test_of_no_dwells(self):
        nothing = np.zeros(0, int), np.zeros(0), 4
        assert counts.ConstantDwell(*nothing).scale == 1.0
        assert np.isfinite(counts.ItemMedianDwell(*nothing).location).all()

import numpy as np
import pytest

from jump_tf.models import counts
from tests import small_logs


class TestMostPopular:
    def test_by_hand(self):
        log = small_logs.columns([[2, 3, 3, 4], [4, 5, 5, 5]])
        popular = counts.MostPopular(*log, 7)
        asked = small_logs.columns([[3, 2], [3, 3], [3, 4], [3, 5], [3, 6]])
        ranks = popular.ranks(*asked, np.arange(1, 10, 2))
        np.testing.assert_array_equal(ranks, [4, 3, 3, 1, 5])


class TestMarkov:
    # 2 -> 3 twice, 2 -> 4 once; popularity 5 > 2 > 3 > 4.
    LOG = ((2, 3), (2, 4), (2, 3), (5,) * 9)

    def ranks(self, log, sessions):
        asked = small_logs.columns(sessions)
        ends = np.flatnonzero(np.diff(asked[0], append=len(sessions)))
        return counts.Markov(*small_logs.columns(log), 6).ranks(*asked, ends)

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

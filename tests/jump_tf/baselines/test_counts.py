import numpy as np
import pytest

from jump_tf.baselines import counts
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

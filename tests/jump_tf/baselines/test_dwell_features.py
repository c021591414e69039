import numpy as np
import pytest

from jump_tf import schema
from jump_tf.baselines import dwell_features

ITEMS = np.array([2, 3, 2, 2, 4, 1, 1, 2, 2])
POSITIONS = np.array([1, 2, 3, 4, 5, 1, 2, 1, 2])
SECONDS = np.array([10.0, 20, 0.5, 40, 30, 50, 30, 60, 30])
LAST = np.array([4, 6, 8])
NONE = dwell_features.UNKNOWN


def past(seconds=SECONDS, **options):
    return dwell_features.past(ITEMS, POSITIONS, seconds, **options)


def future(seconds=SECONDS):
    return dwell_features.future(ITEMS, POSITIONS, seconds)


def logs(*seconds):
    return [NONE if s is None else np.log(s) for s in seconds]


class TestPast:
    def test_at_page_leave_by_hand(self):
        three = np.log([10, 20, 1])
        expected = [
            [1, *logs(None, None, None, None), NONE, NONE, 0, 0, NONE],
            [2, *logs(10, None, None, None), np.log(10), NONE, 10, 0, NONE],
            [3, *logs(20, 10, None, None), *_of(10, 20), 30, 2, np.log(10)],
            [4, *logs(1, 20, 10, None), *_of(10, 20, 1), 31, 1, 0],
            [5, *logs(40, 1, 20, 10), *_of(10, 20, 1, 40), 71, 0, NONE],
        ]
        assert three.mean() == pytest.approx(expected[3][5])
        np.testing.assert_allclose(past()[:5], expected, atol=1e-6)

    def test_at_page_load_the_page_before_is_hidden(self):
        """The item of click 4 was on the page before, and before that."""
        expected = [
            [1, *logs(None, None, None, None), NONE, NONE, 0, 0, NONE],
            [2, *logs(None, None, None, None), NONE, NONE, 0, 0, NONE],
            [
                3,
                *logs(10, None, None, None),
                np.log(10),
                NONE,
                10,
                2,
                *logs(10),
            ],
            [4, *logs(20, 10, None, None), *_of(10, 20), 30, 1, *logs(10)],
            [5, *logs(1, 20, 10, None), *_of(10, 20, 1), 31, 0, NONE],
        ]
        np.testing.assert_allclose(past(hidden=1)[:5], expected, atol=1e-6)

    @pytest.mark.parametrize("hidden", [0, 1])
    def test_what_comes_later_is_never_told(self, hidden):
        before = past(hidden=hidden)
        for n in range(len(ITEMS)):
            changed = SECONDS.copy()
            changed[max(n - hidden, 0) :] *= 3.0
            after = past(changed, hidden=hidden)
            np.testing.assert_array_equal(after[: n + 1], before[: n + 1])

    def test_nobody_returns_to_an_unknown_item(self):
        assert (ITEMS[5:7] == schema.OOV_ID).all()
        assert past()[6, 8] == 0
        assert past()[8, 8] == 1  # And to a known one they do.


class TestFuture:
    def test_by_hand(self):
        expected = [
            [4, *logs(20, 1, 40), *_of(20, 1, 40), 2, 0],
            [3, *logs(1, 40, None), *_of(10, 1, 40), 0, NONE],
            [2, *logs(40, None, None), *_of(10, 20, 40), 1, np.log(40)],
            [1, *logs(None, None, None), *_of(10, 20, 1), 0, NONE],
            [0, *logs(None, None, None), *_of(10, 20, 1, 40), 0, NONE],
            [1, *logs(None, None, None), NONE, NONE, 0, NONE],
            [0, *logs(None, None, None), np.log(50), NONE, 0, NONE],
            [1, *logs(None, None, None), NONE, NONE, 1, NONE],
            [0, *logs(None, None, None), np.log(60), NONE, 0, NONE],
        ]
        np.testing.assert_allclose(future(), expected, atol=1e-6)

    def test_own_dwells_are_not_told_and_all_others_are(self):
        before = future()
        for n in range(5):
            changed = SECONDS.copy()
            changed[n] *= 3.0
            moved = np.abs(future(changed) - before).max(1) > 1e-6
            others = np.arange(9) < 5
            others[n] = False
            # A last click leaves no dwell: what stands for it says nothing.
            np.testing.assert_array_equal(moved, others & (n not in LAST))


def test_of_no_clicks():
    nothing = np.zeros(0, int)
    assert dwell_features.past(nothing, nothing, nothing).shape == (0, 10)
    assert dwell_features.future(nothing, nothing, nothing).shape == (0, 8)


def _of(*seconds):
    return np.mean(np.log(seconds)), np.std(np.log(seconds))

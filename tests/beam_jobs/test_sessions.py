import numpy as np
import pytest

from beam_jobs import sessions


def dwell(*times_ms, c1=2000.0, c2=30.0):
    return sessions.censored_dwell(times_ms, c1, c2)


def test_dwell_around_the_horizon():
    below, at, above = 1_999_999, 2_000_000, 2_000_001
    times = np.cumsum([0, below, at, above]).tolist()
    assert dwell(*times) == ([1999.999, 2000.0, 2000.0, 30.0], [0, 1, 1, 1])


def test_the_last_click_is_censored_at_its_floor():
    assert dwell(5) == ([30.0], [1])
    assert dwell(5, 1005, c2=7.0) == ([1.0, 7.0], [0, 1])


def test_clicks_at_one_instant_dwell_zero_seconds():
    assert dwell(5, 5) == ([0.0, 30.0], [0, 1])


def test_a_fractional_horizon_is_met_exactly():
    assert dwell(0, 100, 199, c1=0.1, c2=0.1)[1] == [1, 0, 1]


def test_dwell_before_the_last_adds_up_to_the_session():
    times = np.random.default_rng(0).integers(0, 1_000_000, 9)
    seconds, _ = dwell(*np.sort(times).tolist())
    assert sum(seconds[:-1]) == pytest.approx(np.ptp(times) / 1000)


def test_gap_cuts_at_exactly_its_length():
    gap_ms = 1_800_000
    times = np.cumsum([0, gap_ms - 1, gap_ms, gap_ms + 1, 0]).tolist()
    cut = list(sessions.cut_at_gaps(times, 1800.0))
    assert cut == [(0, 2), (2, 3), (3, 5)]


def test_cuts_cover_all_clicks_in_order():
    times = np.cumsum(np.random.default_rng(1).integers(0, 90, 200)).tolist()
    cut = list(sessions.cut_at_gaps(times, 0.06))
    assert [start for start, _ in cut] == [0, *(end for _, end in cut[:-1])]
    assert cut[-1][1] == 200
    for start, end in cut:
        assert all(np.diff(times[start:end]) < 60)
    for _, end in cut[:-1]:
        assert times[end] - times[end - 1] >= 60


def test_ties_keep_the_order_of_the_log():
    groups = [[(0, 7, 12, "c"), (0, 5, 13, "a")], [(0, 7, 11, "z")]]
    assert sessions.order_clicks(groups) == (["a", "z", "c"], [5, 7, 7])


def test_times_count_from_the_first_day():
    day = 86_400_000
    crossing = [(day, 9, 1, "second"), (0, 8, 2, "first")]
    assert sessions.order_clicks([crossing]) == (["first", "second"], [8, 9])


def test_keep_items_keeps_pairs_together():
    kept = sessions.keep_items(["a", "b", "a"], [1, 2, 3], {"a"})
    assert kept == (["a", "a"], [1, 3])

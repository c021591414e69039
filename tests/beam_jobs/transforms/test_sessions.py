import itertools

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs import columns
from beam_jobs.columns import Clicks
from beam_jobs.transforms import sessions as session_transforms
from jump_tf import schema

GAP_MS = 1_800_000


def clicks_of(rows, **columns):
    """Clicks from rows (visit, item, time_ms), and other columns."""
    visits, items, times = zip(*rows, strict=True)
    return Clicks(
        pa.array(visits).dictionary_encode(),
        pa.array(items).dictionary_encode(),
        np.array(times, np.int64),
        **{name: np.array(values) for name, values in columns.items()},
    )


def cut(rows, gap=None, end=0, **columns):
    return session_transforms.cut_sessions(clicks_of(rows, **columns), gap, end)


def visit(*times_ms):
    """The clicks of one visit, in the order of their times."""
    return cut([("v", f"i{n}", time) for n, time in enumerate(times_ms)])


def told(found):
    """Session id -> its (item, time in ms)s."""
    items = found.items.to_pylist()
    times = found.time_ms.tolist()
    return {
        session_id: list(zip(items[a : a + n], times[a : a + n], strict=True))
        for session_id, a, n in zip(
            found.ids.to_pylist(), found.starts, found.lengths, strict=True
        )
    }


def dwell(found, c1=2000.0, c2=30.0):
    seconds, censored = session_transforms.censored_dwell(found, c1, c2)
    assert seconds.dtype == np.float32
    return seconds.tolist(), censored.tolist()


def test_dwell_around_the_horizon():
    below, at, above = 1_999_999, 2_000_000, 2_000_001
    found = visit(*np.cumsum([0, below, at, above]).tolist())
    assert dwell(found) == (
        [np.float32(1999.999), 2000.0, 2000.0, 30.0],
        [0, 1, 1, 1],
    )


def test_the_last_click_is_censored_at_its_floor():
    assert dwell(visit(5)) == ([30.0], [1])
    assert dwell(visit(5, 1005), c2=7.0) == ([1.0, 7.0], [0, 1])


def test_clicks_at_one_instant_dwell_zero_seconds():
    assert dwell(visit(5, 5)) == ([0.0, 30.0], [0, 1])


def test_a_fractional_horizon_is_met_exactly():
    assert dwell(visit(0, 100, 199), c1=0.1, c2=0.1)[1] == [1, 0, 1]


def test_dwell_before_the_last_adds_up_to_the_session():
    times = np.random.default_rng(0).integers(0, 1_000_000, 9)
    seconds, _ = dwell(visit(*np.sort(times).tolist()))
    assert sum(seconds[:-1]) == pytest.approx(np.ptp(times) / 1000)


def test_a_measured_dwell_overrides_the_difference():
    rows = [("v", "a", 0), ("v", "b", 5000), ("v", "c", 6000), ("w", "a", 0)]
    found = cut(rows, dwell_seconds=[2.0, np.nan, 2500.0, 4.0])
    assert told(found)["v"] == [("a", 0), ("b", 5000), ("c", 6000)]
    # Also on a last click, which then is no lower bound; but at c1 it is.
    assert dwell(found) == ([2.0, 1.0, 2000.0, 4.0], [0, 0, 1, 0])


def test_sessions_that_the_log_cut():
    rows = [("a", "x", 0), ("b", "x", 10_000), ("c", "x", 39_000)]
    found = cut(rows, gap=35.0, end=40_000)
    assert found.session_cut.tolist() == [False, True, True]
    # All that is known of the last dwell is the time up to the log's end.
    assert dwell(found) == ([30.0, 30.0, 1.0], [1, 1, 1])
    assert not cut(rows, gap=1.0, end=40_000).session_cut.any()
    assert not cut(rows, end=40_000).session_cut.any()


def test_gap_cuts_at_exactly_its_length():
    times = np.cumsum([0, GAP_MS - 1, GAP_MS, GAP_MS + 1, 0]).tolist()
    rows = [("v", "x", time) for time in times]
    assert {
        session_id: len(mine)
        for session_id, mine in told(cut(rows, gap=1800.0)).items()
    } == {"v/0": 2, f"v/{times[2]}": 1, f"v/{times[3]}": 2}


def test_cuts_cover_all_clicks_in_order():
    random = np.random.default_rng(1)
    rows = [
        (f"v{visitor}", f"i{item}", int(time))
        for visitor, item, time in zip(
            random.integers(0, 3, 300),
            random.integers(0, 5, 300),
            random.integers(0, 20_000, 300),
            strict=True,
        )
    ]
    found = told(cut(rows, gap=0.06))
    assert len(found) > 50
    by_visitor: dict = {}
    for session_id, mine in found.items():
        visitor, start_ms = session_id.split("/")
        assert int(start_ms) == mine[0][1]
        assert all(np.diff([time for _, time in mine]) < 60)
        for item, time in mine:
            by_visitor.setdefault(visitor, []).append((time, item))
    for visitor, mine in by_visitor.items():
        # Sorting is stable: clicks of one instant stay in the log's order.
        expected = [(time, item) for who, item, time in rows if who == visitor]
        assert mine == sorted(expected, key=lambda click: click[0])
    spans = sorted(
        (session_id.split("/")[0], mine[0][1], mine[-1][1])
        for session_id, mine in found.items()
    )
    for (who, _, end), (next_who, start, _) in itertools.pairwise(spans):
        assert who != next_who or start - end >= 60


def test_times_count_from_the_first_day():
    day = 86_400_000
    rows = [("v", "second", 9), ("v", "first", 8), ("w", "x", 1)]
    found = told(cut(rows, origin_ms=[day, 0, day]))
    assert found == {"v": [("first", 8), ("second", 9)], "w": [("x", day + 1)]}


def test_a_clock_that_runs_backward_is_seen():
    rows = [("v", "x", 9), ("v", "x", 3), ("w", "x", 3), ("w", "x", 9)]
    found = cut(rows, origin_ms=[0, 86_400_000, 0, 0])
    assert session_transforms.runs_backward(found).tolist() == [True, False]


def test_repeats_become_one_click():
    rows = [("v", item, time) for time, item in enumerate("aabaac")]
    rows += [("w", "c", 7), ("w", "c", 8)]
    seconds = [1.0, 2.0, 3.0, np.nan, 4.0, 5.0, 6.0, 7.0]
    merged = session_transforms.merge_repeats(cut(rows, dwell_seconds=seconds))
    assert told(merged) == {
        "v": [("a", 0), ("b", 2), ("a", 3), ("c", 5)],
        "w": [("c", 7)],
    }
    np.testing.assert_array_equal(
        merged.dwell_seconds, [3.0, 3.0, np.nan, 5.0, 13.0]
    )


def test_the_longest_sessions_keep_their_last_clicks():
    rows = [("v", item, time) for time, item in enumerate("abcde")]
    last = session_transforms.last_clicks(cut([*rows, ("w", "a", 0)]), 2)
    assert told(last) == {"v": [("d", 3), ("e", 4)], "w": [("a", 0)]}


def test_keeping_clicks_and_taking_sessions():
    rows = [("v", "a", 0), ("v", "b", 1), ("w", "c", 2), ("x", "a", 3)]
    found = cut(rows)
    kept = found.keep(np.array([True, False, False, True]))
    assert told(kept) == {"v": [("a", 0)], "x": [("a", 3)]}
    # Texts that no click uses any more are gone as well.
    assert kept.items.dictionary.to_pylist() == ["a"]
    taken = found.take(np.array([2, 0]))
    assert list(told(taken)) == ["x", "v"]
    nothing = found.take(np.zeros(0, np.int64))
    assert len(nothing) == nothing.num_clicks == 0
    assert len(session_transforms.runs_backward(nothing)) == 0
    again = session_transforms.concatenate([taken, found.take(np.array([1]))])
    assert told(again) == told(found)
    for each in (taken, again):
        expected = columns.digests(columns.text_bytes(each.ids))
        np.testing.assert_array_equal(each.digests, expected)


def test_one_by_one_tells_what_the_columns_hold():
    rows = [("v", "a", 5), ("v", "b", 1005), ("w", "c", 7)]
    found = list(session_transforms.one_by_one(cut(rows), 2000.0, 30.0))
    assert found == [
        schema.Session("v", 5, ["a", "b"], [1.0, 30.0], [0, 1], 0),
        schema.Session("w", 7, ["c"], [30.0], [1], 0),
    ]

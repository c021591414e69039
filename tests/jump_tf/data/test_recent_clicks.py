"""Laws of the log by item and time."""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.data import recent_clicks
from tests.records import write_sessions

MINUTE = 60_000
VOCABULARY = 12


def session(start_minute, items, dwell, censored=None):
    return schema.Session(
        session_id=f"{start_minute}",
        start_ms=start_minute * MINUTE,
        items=items,
        dwell_seconds=dwell,
        dwell_censored=censored or [0] * (len(items) - 1) + [1],
        session_cut=0,
    )


@pytest.fixture
def folder(tmp_path):
    def write(*sessions):
        path = tmp_path / "train-00000-of-00001.tfrecord.gz"
        write_sessions(str(path), sessions)
        return tmp_path

    return write


def transitions(log):
    """`{(item, follower, minute)}`, in the order of the table."""
    pages = np.repeat(np.arange(len(log.starts) - 1), np.diff(log.starts))
    return list(zip(pages, log.followers, log.minutes, strict=True))


def test_transitions_are_sorted_by_item_and_time(folder):
    data = folder(
        session(1000, [4, 7, 4, 9], [60.0, 61.0, 30.0, 30.0]),
        session(990, [7, 4, 4], [5.0, 5.0, 30.0]),
        session(991, [7, 1, 4, 5], [5.0, 5.0, 5.0, 30.0]),
    )
    log = recent_clicks.read(data, VOCABULARY)
    assert log.origin_minute == 990
    # 7 -> 4 of the second session comes first; a minute that has begun counts
    # as over; 4 -> 4 is no transition, and 1, the unknown item, has none.
    assert transitions(log) == [
        (4, 5, 2),
        (4, 7, 11),
        (4, 9, 13),
        (7, 4, 1),
        (7, 4, 13),
    ]
    assert log.end_minute == 14


def test_after_a_dwell_that_was_cut_no_time_is_known(folder):
    data = folder(
        session(10, [4, 5, 6, 7], [9.0, 2000.0, 9.0, 30.0], [0, 1, 0, 1])
    )
    log = recent_clicks.read(data, VOCABULARY)
    assert transitions(log) == [(4, 5, 1)]


def test_popular_items_are_those_of_the_hour_before(folder):
    data = folder(
        session(0, [4, 5], [60.0, 30.0]),
        session(2, [4, 6], [60.0, 30.0]),
        session(100, [8, 9], [60.0, 30.0]),
    )
    log = recent_clicks.read(data, VOCABULARY)
    assert log.period_minutes == 15
    assert (log.popular_ids[0] == 0).all()  # Nothing was before.
    assert list(log.popular_ids[1][:4]) == [4, 5, 6, 0]
    np.testing.assert_allclose(
        np.exp(log.log_shares[1][:3]), [0.5, 0.25, 0.25], rtol=1e-6
    )
    # Clicks in minutes 100 and 101 are in period 6, so that 7 knows them.
    assert set(log.popular_ids[6][:3]) == {4, 5, 6}
    assert set(log.popular_ids[7][:2]) == {8, 9}


def test_of_too_many_the_latest_are_kept(folder, monkeypatch):
    monkeypatch.setattr(recent_clicks, "LARGEST", 2)
    data = folder(
        session(30, [4, 5], [60.0, 30.0]),
        session(10, [4, 6], [60.0, 30.0]),
        session(20, [3, 7], [60.0, 30.0]),
    )
    log = recent_clicks.read(data, VOCABULARY)
    assert transitions(log) == [(3, 7, 11), (4, 5, 21)]


def test_a_log_without_transitions_has_a_table(folder):
    log = recent_clicks.read(folder(session(3, [4], [30.0])), VOCABULARY)
    assert len(log.minutes) == len(log.followers) == 1
    assert not log.starts.any()

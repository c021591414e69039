"""The flat columns of a data folder, and what of them is known when."""

import dataclasses

import numpy as np

from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data.click_log import ClickLog
from jump_tf.evaluate.sessions import predictions

# Two sessions; a dwell of the second is only known to be 2000 s or more.
LOG = ClickLog(
    length=np.array([3, 4]),
    session_cut=np.array([False, False]),
    item=np.array([5, 6, 5, 7, 8, 9, 2]),
    dwell_seconds=np.float32([10, 20.5, 30, 1, 2000, 4, 30]),
    dwell_censored=np.array([0, 0, 1, 0, 1, 0, 1]) > 0,
    start_ms=np.array([1_000_000, 1_005_000]),
)


def told(log):
    """The columns as plain lists."""
    return {
        field.name: getattr(log, field.name).tolist()
        for field in dataclasses.fields(log)
    }


def test_instants_by_hand():
    first, second = 1_000_000, 1_005_000
    assert LOG.time_ms.tolist() == [
        *(first, first + 10_000, first + 30_500),
        *(second, second + 1000, second + 2_001_000, second + 2_005_000),
    ]
    assert LOG.time_known.tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert LOG.position.tolist() == [1, 2, 3, 1, 2, 3, 4]


def test_what_is_known_at_an_instant_by_hand():
    assert told(LOG.before(1_000_000)) == told(click_log.joined([]))
    assert told(LOG.before(1_006_000)) == {
        "length": [1, 1],
        "session_cut": [True, True],
        "item": [5, 7],
        "dwell_seconds": [6.0, 1.0],
        "dwell_censored": [True, False],
        "start_ms": [1_000_000, 1_005_000],
    }
    # A minute later the first is over; of the second no later click is sure.
    assert told(LOG.before(1_066_000)) == {
        "length": [3, 2],
        "session_cut": [False, True],
        "item": [5, 6, 5, 7, 8],
        "dwell_seconds": [10.0, 20.5, 30.0, 1.0, 60.0],
        "dwell_censored": [False, False, True, False, True],
        "start_ms": [1_000_000, 1_005_000],
    }


def test_what_is_known_does_not_change_later(data_folder):
    log = click_log.read(data_folder, schema.TRAIN)
    early, late = np.quantile(log.time_ms, [0.3, 0.7]).astype(np.int64)
    at_once, in_two = log.before(early), log.before(late).before(early)
    assert told(at_once) == told(in_two)
    assert 0 < len(at_once) < len(log.before(late)) < len(log)
    assert at_once.time_ms.max() < early
    ends = at_once.time_ms + 1000.0 * at_once.dwell_seconds
    assert ends.max() < early + 1


def test_order_is_that_of_the_evaluation(data_folder):
    log = click_log.read(data_folder, schema.TEST)
    clicks = predictions.read_clicks(data_folder, schema.TEST)
    for name in ("session", "position", "item", "last", "dwell_seconds"):
        np.testing.assert_array_equal(getattr(log, name), getattr(clicks, name))

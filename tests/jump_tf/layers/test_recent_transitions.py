"""Laws of reading what other visitors did before."""

import dataclasses

import keras
import numpy as np
import pytest

from jump_tf import schema
from jump_tf.layers.recent_transitions import DECAY_MINUTES
from jump_tf.layers.recent_transitions import Places
from jump_tf.layers.recent_transitions import Recent
from jump_tf.layers.recent_transitions import RecentTransitions
from jump_tf.layers.recent_transitions import shifted_scores
from tests.small_models import LOG

VOCABULARY = len(LOG.starts) - 1
RATES = np.linspace(-3.0, 0.0, VOCABULARY).astype(np.float32)
MINUTES = [0, 1, 2, 9, 10, 41, 44, 45, 9999]


def make(log=LOG, popular=2):
    keras.utils.set_random_seed(7)
    layer = RecentTransitions(
        VOCABULARY,
        transitions=2,
        popular=popular,
        entries=len(log.minutes),
        periods=len(log.log_shares),
    )
    layer.build()
    random = np.random.default_rng(5)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    layer.set_log(log)
    return layer


def asked(layer, item, minute):
    """`{item: shift}` for a session that begins in a minute of the log."""
    start_ms = None
    if minute is not None:
        start_ms = np.int64([(LOG.origin_minute + minute) * 60_000 + 59_999])
    places = layer.places(np.int32([[item]]), start_ms)
    recent = layer(Places(*(column[:, 0] for column in places)), RATES)
    ids, shifts = (np.asarray(column)[0] for column in recent)
    found = {i: s for i, s in zip(ids, shifts, strict=True) if i}
    assert len(found) == np.count_nonzero(ids), "an item twice"
    assert not shifts[ids == schema.PAD_ID].any()
    return found


def by_hand(layer, log, item, minute, popular=2):
    """The same, by loops over the log."""
    entries = [
        (log.followers[e], minute - log.minutes[e])
        for e in range(log.starts[item], log.starts[item + 1])
        if log.minutes[e] < minute
    ][::-1][:2]
    period = min(minute // log.period_minutes, len(log.log_shares) - 1)
    shares = {
        i: s
        for i, s in zip(
            log.popular_ids[period][:popular],
            log.log_shares[period][:popular],
            strict=True,
        )
        if i
    }
    ages = [age for _, age in entries]
    kernel, bias = layer.hidden.get_weights()
    (out,) = layer.shift.get_weights()
    found = {}
    for j in {*(j for j, _ in entries), *shares}:
        mine = [age for other, age in entries if other == j]

        def decayed(ages, tau):
            return sum(np.exp(-age / tau) for age in ages)

        features = [
            np.log1p(len(mine)),
            min(len(mine), 1),
            *(np.log(decayed(mine, tau) + 1e-3) / 3 for tau in DECAY_MINUTES),
            np.log1p(len(ages)),
            np.log1p(decayed(ages, 1440.0)),
            shares.get(j, -10.0) / 5,
            RATES[j] / 5,
            np.log(decayed(ages, 60.0) + 1e-3) / 3,
        ]
        hidden = np.maximum(np.float64(features) @ kernel + bias, 0.0)
        found[j] = (hidden @ out)[0]
    return found


@pytest.mark.parametrize("item", [2, 3, 4, 7, 9])
@pytest.mark.parametrize("popular", [0, 2])
def test_shifts_are_those_of_a_loop(item, popular):
    layer = make(popular=popular)
    for minute in MINUTES:
        expected = by_hand(layer, LOG, item, minute, popular)
        assert asked(layer, item, minute) == pytest.approx(expected, rel=1e-3)
    # Without a time, the log has just ended.
    expected = by_hand(layer, LOG, item, LOG.end_minute, popular)
    assert asked(layer, item, None) == pytest.approx(expected, rel=1e-3)
    assert asked(layer, item, -LOG.origin_minute - 1) == asked(
        layer, item, None
    )


def test_no_instant_is_too_early_or_too_late():
    layer = make()
    before = asked(layer, 3, -LOG.origin_minute)  # In 1970.
    assert set(before) == set(LOG.popular_ids[0]) - {schema.PAD_ID}
    late = asked(layer, 3, 2**44)
    assert late == asked(layer, 3, 2**24 - 1)
    assert np.isfinite([*late.values()]).all()


def test_the_future_does_not_reach_the_past():
    later = dataclasses.replace(
        LOG,
        followers=np.where(LOG.minutes >= 9, 6, LOG.followers),
        popular_ids=np.array([[0, 0], [7, 9], [7, 9]]),
    )
    now, changed = make(), make(later)
    for item in (2, 3, 9):
        assert asked(now, item, 9) == asked(changed, item, 9)
    assert asked(now, 3, 10) != asked(changed, 3, 10)


@pytest.mark.parametrize("item", [schema.PAD_ID, schema.OOV_ID])
def test_nothing_follows_no_known_item(item):
    assert asked(make(), item, 45) == {}


def test_scores_of_recent_items_are_shifted():
    recent = Recent(np.int32([[4, 0, 6]]), np.float32([[1.5, 0.0, -2.0]]))
    scores = np.zeros([1, 8], np.float32)
    expected = [[0, 0, 0, 0, 1.5, 0, -2.0, 0]]
    np.testing.assert_allclose(shifted_scores(scores, recent), expected)
    items = np.int32([[6, 0, 5]])
    np.testing.assert_allclose(recent.of(items), [[-2.0, 0, 0]])


def test_what_comes_years_later_makes_no_infinity():
    log = dataclasses.replace(LOG, minutes=LOG.minutes + 5_000_000)
    for item in (2, 3, 4, 9):
        shifts = asked(make(log), item, 44).values()
        assert np.isfinite(list(shifts)).all()
        assert asked(make(log), item, 44) == asked(make(log), item, 40)

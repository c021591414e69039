import math

import numpy as np
import pytest

from jump_tf.baselines import decayed_counts
from jump_tf.baselines.decayed_counts import DecayedCounts

HALF_LIVES = [3.0, 40.0, math.inf]


def draw(seed, events=70, keys=5, end=60):
    random = np.random.default_rng(seed)
    return random.integers(keys, size=events), random.integers(end, size=events)


def by_hand(key, time, half_life, asked_key, asked_time):
    """log2 of the count of each key at each time, -inf if there is none."""
    weights = np.array(
        [
            sum(
                2.0 ** ((t - at) / half_life)
                for k, t in zip(key, time, strict=True)
                if k == of and t < at
            )
            for of, at in zip(asked_key, asked_time, strict=True)
        ]
    )
    with np.errstate(divide="ignore"):
        return np.log2(weights)


@pytest.mark.parametrize("half_life", HALF_LIVES)
def test_levels_are_logs_of_counts_but_for_time(half_life):
    key, time = draw(0)
    counts = DecayedCounts(key, time, half_life)
    of, at = np.repeat(np.arange(7), 65), np.tile(np.arange(-2, 63), 7)
    expected = by_hand(key, time, half_life, of, at)
    found = counts.levels(of, at) - (at - time.min()) / half_life
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.isneginf(found).any() and np.isfinite(found).any()


@pytest.mark.parametrize("half_life", HALF_LIVES)
def test_at_least_counts_the_keys_whose_level_is_as_high(half_life):
    counts = DecayedCounts(*draw(1), half_life)
    at = np.tile(np.arange(-2, 63), 5)
    levels = counts.levels(np.repeat(np.arange(5), 65), at)
    of_all = np.stack(
        [counts.levels(np.full(len(at), k), at) for k in range(5)]
    )
    for asked in (levels, levels + 0.1, levels - 0.1):
        some = np.isfinite(asked)
        expected = np.sum(of_all >= asked, 0)[some]
        found = counts.at_least(asked[some], at[some])
        np.testing.assert_array_equal(found, expected)


def test_no_span_is_too_long():
    """A level is a float where 2 ^ (a million half-lives) is none."""
    key, time = np.array([0, 1, 1]), np.array([0, 10**6, 2 * 10**6])
    counts = DecayedCounts(key, time, 1.0)
    at = np.full(2, 3 * 10**6)
    levels = counts.levels(np.array([0, 1]), at)
    np.testing.assert_allclose(levels, [0.0, 2e6])
    np.testing.assert_array_equal(counts.at_least(levels, at), [2, 1])


def test_without_events():
    none = np.zeros(0, np.int64)
    counts = DecayedCounts(none, none, 1.0)
    some = np.arange(3)
    assert np.isneginf(counts.levels(some, some)).all()
    np.testing.assert_array_equal(counts.at_least(np.zeros(3), some), [0, 0, 0])


@pytest.mark.parametrize("size", [0, 1, 7, 64, 65])
def test_count_at_least_by_hand(size):
    random = np.random.default_rng(size)
    values = random.integers(9, size=size).astype(float)
    before = random.integers(size + 1, size=200)
    least = random.integers(-1, 11, size=200) - 0.5 * random.integers(2)
    expected = [
        np.sum(values[:n] >= limit)
        for n, limit in zip(before, least, strict=True)
    ]
    found = decayed_counts.count_at_least(values, before, least)
    np.testing.assert_array_equal(found, expected)

"""Survival analysis of lists, against every way in which they can go."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from jump_tf.survival import discrete_time
from tests.by_hand import sigmoid

LENGTHS = (6, 1, 4, 3)
LONGEST = max(LENGTHS)
WEIGHTS = np.float32(np.arange(LONGEST) < np.array(LENGTHS)[:, None])
EVENTS = np.float32(
    [
        [0, 0, 1, 0, 1, 0],
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)
LOGITS = np.random.default_rng(3).normal(size=WEIGHTS.shape).astype(np.float32)


def waits(events):
    """Each wait of a list: its items, and whether an event ends it."""
    items = []
    for item, event in enumerate(events):
        items.append(item)
        if event:
            yield items, True
            items = []
    if items:
        yield items, False


def nll_by_hand(chances, events, alpha, beta):
    """Of one list, a term for each wait: product by product."""
    terms = []
    for items, ended in waits(events):
        survival = np.cumprod(1.0 - chances[items])
        before = survival[-2] if len(items) > 1 else 1.0
        if ended:
            term = -alpha * np.log(before - survival[-1])
            term -= beta * np.log(1.0 - survival[-1])
        else:
            term = -beta * np.log(survival[-1])
        terms.append((items[-1], term))
    return terms


def test_survival_is_the_product_since_the_last_event():
    log_none = np.log(1.0 - sigmoid(np.float64(LOGITS)))
    found = discrete_time.survival_since_event(np.float32(log_none), EVENTS)
    for row, events in enumerate(EVENTS):
        expected, log_survival = [], 0.0
        for none, event in zip(log_none[row], events, strict=True):
            expected.append(log_survival)
            log_survival = 0.0 if event else log_survival + none
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.2), (0.5, 1.5)])
def test_likelihood_is_that_of_each_wait(alpha, beta):
    found = np.asarray(
        discrete_time.censored_nll(LOGITS, EVENTS, WEIGHTS, alpha, beta)
    )
    expected = np.zeros_like(found)
    chances = sigmoid(np.float64(LOGITS))
    for row, length in enumerate(LENGTHS):
        for item, term in nll_by_hand(
            chances[row, :length], EVENTS[row, :length], alpha, beta
        ):
            expected[row, item] = term
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_chances_of_all_lists_sum_to_one():
    """Point and censored terms sum to 1: no list is left out or twice in."""
    length = 4
    every = np.float32(list(itertools.product([0, 1], repeat=length)))
    logits = np.broadcast_to(LOGITS[:1, :length], every.shape)
    chances = sigmoid(np.float64(logits[0]))
    events = every * np.log(chances) + (1 - every) * np.log(1 - chances)

    def total(alpha, beta):
        return np.asarray(
            discrete_time.censored_nll(
                logits, every, 0 * every + 1, alpha, beta
            )
        )

    # The censored term alone is of waits that no event ends.
    cut_off = total(0.0, 1.0)[:, -1] * (1 - every[:, -1])
    found = total(1.0, 0.0).sum(1) + cut_off
    np.testing.assert_allclose(found, -events.sum(1), rtol=1e-4)
    np.testing.assert_allclose(np.exp(-found).sum(), 1.0, rtol=1e-5)


def test_padding_and_what_is_on_it_count_for_nothing():
    whole = np.asarray(discrete_time.censored_nll(LOGITS, EVENTS, WEIGHTS))
    assert (whole[WEIGHTS == 0] == 0).all()
    other = np.where(WEIGHTS > 0, LOGITS, np.float32(77.0))
    marked = np.where(WEIGHTS > 0, EVENTS, np.float32(1.0))
    np.testing.assert_allclose(
        discrete_time.censored_nll(other, marked, WEIGHTS), whole, rtol=1e-6
    )
    for row, length in enumerate(LENGTHS):
        alone = discrete_time.censored_nll(
            LOGITS[row : row + 1, :length],
            EVENTS[row : row + 1, :length],
            5 * WEIGHTS[row : row + 1, :length],
        )
        np.testing.assert_allclose(alone[0], whole[row, :length], rtol=1e-6)


def test_the_best_hazard_is_events_over_items_at_risk():
    """Of all items alike, and with both parts whole."""
    events = np.float32([[0, 0, 1, 0, 0, 1, 0]])

    def loss(logit):
        logits = np.full_like(events, logit)
        ones = np.ones_like(events)
        terms = discrete_time.censored_nll(logits, events, ones, 1.0, 0.0)
        # Without its last wait, which no event ended.
        rest = -np.log(1 - sigmoid(np.float64(logit)))
        return float(np.sum(terms)) + rest

    best = np.log(2 / 5)
    assert loss(best) < min(loss(best - 0.1), loss(best + 0.1))


@pytest.mark.parametrize("logit", [-120.0, -40.0, 40.0, 120.0])
def test_it_is_finite_at_any_hazard(logit):
    logits = tf.constant(np.full_like(EVENTS, logit))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        terms = discrete_time.censored_nll(logits, EVENTS, WEIGHTS)
    assert np.isfinite(terms).all()
    assert np.isfinite(tape.gradient(terms, logits)).all()

"""Losses over lists: exact where probabilities are not."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf.losses import multitask
from jump_tf.survival.distribution import log1mexp
from tests.by_hand import sigmoid

LOGITS = np.float32([-120, -30, -3, -0.1, 0, 0.5, 4, 30, 120])
PAIRS = [np.ravel(grid) for grid in np.meshgrid(LOGITS, LOGITS)]


def log_sigmoid(x):
    return -np.logaddexp(0.0, -np.float64(x))


def test_joint_logits_are_of_the_product():
    click, conversion = PAIRS
    log_p = log_sigmoid(click) + log_sigmoid(conversion)
    log_rest = np.logaddexp(
        log_sigmoid(-click), log_sigmoid(click) + log_sigmoid(-conversion)
    )
    found = multitask.joint_logits(click, conversion)
    np.testing.assert_allclose(found, log_p - log_rest, rtol=1e-5, atol=1e-6)
    plain = (np.abs(click) < 5) & (np.abs(conversion) < 5)
    np.testing.assert_allclose(
        sigmoid(np.float64(found))[plain],
        (sigmoid(np.float64(click)) * sigmoid(np.float64(conversion)))[plain],
        rtol=1e-5,
    )


def test_mixture_logits_are_of_the_mixture():
    a, u, v = (np.ravel(x) for x in np.meshgrid(*[np.float32([-4, 0, 3])] * 3))
    share, one, other = (sigmoid(np.float64(x)) for x in (a, u, v))
    np.testing.assert_allclose(
        sigmoid(np.float64(multitask.mixture_logits(a, u, v))),
        share * one + (1 - share) * other,
        rtol=1e-5,
    )
    same = multitask.mixture_logits(*PAIRS, PAIRS[1])
    np.testing.assert_allclose(same, PAIRS[1], rtol=1e-5, atol=1e-5)


def test_cross_entropy_is_that_of_probabilities():
    logits, labels = np.float32([-2, 0, 1, 3]), np.float32([0, 1, 0, 1])
    p = sigmoid(np.float64(logits))
    np.testing.assert_allclose(
        multitask.weighted_cross_entropy(logits, labels, 9.0),
        -9.0 * labels * np.log(p) - (1 - labels) * np.log(1 - p),
        rtol=1e-5,
    )


def test_the_best_constant_is_the_rate_that_its_weight_bends():
    """With weight w the minimum is at odds w times those of the events."""
    events, none, weight = 3, 11, 4.0

    def loss(logit):
        values = multitask.weighted_cross_entropy(
            np.float32([logit, logit]), np.float32([1, 0]), weight
        )
        return float(events * values[0] + none * values[1])

    best = math.log(weight * events / none)
    assert loss(best) < min(loss(best - 0.1), loss(best + 0.1))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_losses_and_gradients_are_finite_at_any_logit(label):
    click, conversion = map(tf.constant, PAIRS)
    with tf.GradientTape() as tape:
        tape.watch([click, conversion])
        loss = multitask.weighted_cross_entropy(
            multitask.joint_logits(click, conversion),
            label * tf.ones_like(click),
        )
    assert np.isfinite(loss).all()
    for gradient in tape.gradient(loss, [click, conversion]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() <= 1.0 + 1e-5


def test_a_gradient_is_that_of_differences():
    click, conversion = (tf.constant(x) for x in np.float32([[0.3], [-1.2]]))

    def loss(a, b):
        joint = multitask.joint_logits(a, b)
        return multitask.weighted_cross_entropy(joint, tf.zeros_like(a))

    with tf.GradientTape() as tape:
        tape.watch([click, conversion])
        value = loss(click, conversion)
    found = tape.gradient(value, [click, conversion])
    p, r = sigmoid(0.3), sigmoid(-1.2)
    rate = p * r / (1 - p * r)
    np.testing.assert_allclose(found[0], [rate * (1 - p)], rtol=1e-5)
    np.testing.assert_allclose(found[1], [rate * (1 - r)], rtol=1e-5)


def test_log1mexp_keeps_its_digits():
    x = np.float32([-1e-30, -1e-6, -0.1, -0.6931, -0.6932, -5.0, -80.0])
    expected = [
        math.log(-math.expm1(v)) if v > -1 else math.log1p(-math.exp(v))
        for v in x
    ]
    np.testing.assert_allclose(log1mexp(x), expected, rtol=1e-5)
    with tf.GradientTape() as tape:
        tensor = tf.constant(x)
        tape.watch(tensor)
        value = log1mexp(tensor)
    gradient = tape.gradient(value, tensor)
    np.testing.assert_allclose(
        gradient, -1.0 / np.expm1(-np.float64(x)), rtol=1e-4
    )
    assert keras.backend.standardize_dtype(value.dtype) == "float32"

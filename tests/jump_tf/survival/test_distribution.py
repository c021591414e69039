import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jump_tf.survival.distribution import LogNormal
from jump_tf.survival.distribution import censored_log_likelihood
from jump_tf.survival.distribution import log_survival_normal
from jump_tf.survival.distribution import normal_upper_quantile

MU, SIGMA = 3.7, 1.3
REFERENCE = scipy.stats.lognorm(s=SIGMA, scale=np.exp(MU))
SECONDS = np.float32([1.0, 2.5, 17.0, 40.0, 333.0, 2000.0, 9e4])


def dwell(size=None):
    shape = () if size is None else (size,)
    return LogNormal(
        np.full(shape, MU, np.float32), np.full(shape, SIGMA, np.float32)
    )


def test_log_survival_normal_matches_scipy_far_into_both_tails():
    z = np.linspace(-12, 60, 3001).astype(np.float32)
    expected = scipy.stats.norm.logsf(z.astype(np.float64))
    # Where the survival is almost 1 its log is almost 0: absolute there.
    np.testing.assert_allclose(
        log_survival_normal(z), expected, rtol=2e-6, atol=2e-7
    )


def test_gradient_of_log_survival_is_minus_the_hazard():
    tf = pytest.importorskip("tensorflow")
    z = tf.constant(np.linspace(-8, 40, 301), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = log_survival_normal(z)
    z64 = z.numpy().astype(np.float64)
    hazard = np.exp(scipy.stats.norm.logpdf(z64) - scipy.stats.norm.logsf(z64))
    np.testing.assert_allclose(
        tape.gradient(value, z), -hazard, rtol=1e-4, atol=2e-6
    )


def test_upper_quantile_is_the_inverse_of_log_survival():
    z = np.linspace(-5, 50, 1001).astype(np.float32)
    log_tail = scipy.stats.norm.logsf(z.astype(np.float64)).astype(np.float32)
    inside = z > -3.5  # Left of it float32 cannot tell the tail from 1.
    np.testing.assert_allclose(
        np.asarray(normal_upper_quantile(log_tail))[inside],
        z[inside],
        rtol=1e-4,
        atol=2e-4,
    )


def test_log_normal_matches_scipy():
    np.testing.assert_allclose(
        dwell().log_prob(SECONDS), REFERENCE.logpdf(SECONDS), rtol=1e-5
    )
    np.testing.assert_allclose(
        dwell().log_survival(SECONDS), REFERENCE.logsf(SECONDS), rtol=1e-5
    )
    levels = np.float32([0.01, 0.1, 0.5, 0.8, 0.99])
    np.testing.assert_allclose(
        dwell(5).quantile(levels), REFERENCE.ppf(levels), rtol=1e-4
    )
    assert float(dwell().median()) == pytest.approx(
        REFERENCE.median(), rel=1e-6
    )


@pytest.mark.parametrize("upper", [3.0, 50.0, 2000.0, 1e9])
def test_median_of_what_ends_in_time(upper):
    expected = REFERENCE.ppf(0.5 * REFERENCE.cdf(upper))
    found = float(dwell().median_below(np.float32(upper)))
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("elapsed", [0.0, 5.0, 400.0, 6000.0])
def test_quantile_given_time_elapsed(elapsed):
    levels = np.float32([0.1, 0.5, 0.9])
    staying = REFERENCE.sf(elapsed)
    expected = REFERENCE.isf((1 - levels) * staying)
    answer = np.asarray(dwell(3).quantile(levels, np.float32(elapsed)))
    np.testing.assert_allclose(answer, expected, rtol=1e-4)
    assert (answer >= elapsed).all()


def test_an_hour_on_a_page_of_seconds_still_has_a_quantile():
    hurried = LogNormal(np.float32([0.0]), np.float32([0.2]))
    answer = np.asarray(hurried.quantile(0.5, np.float32([3600.0])))
    reference = scipy.stats.norm
    tail = reference.logsf(np.log(3600.0) / 0.2) + np.log(0.5)
    # SciPy has no inverse of logsf: the answer's own tail must be the one.
    np.testing.assert_allclose(
        reference.logsf(np.log(answer[0]) / 0.2), tail, rtol=1e-5
    )


def test_censored_likelihood_takes_density_or_survival():
    censored = np.float32([0, 1, 0, 1, 0, 1, 1])
    expected = np.where(
        censored == 1, REFERENCE.logsf(SECONDS), REFERENCE.logpdf(SECONDS)
    )
    np.testing.assert_allclose(
        censored_log_likelihood(dwell(7), SECONDS, censored),
        expected,
        rtol=1e-5,
    )


def test_density_and_censored_mass_sum_to_one():
    grid = np.linspace(1.0, 2000.0, 200_001)
    density = np.exp(np.asarray(dwell().log_prob(grid.astype(np.float32))))
    below = scipy.integrate.trapezoid(density, grid) + REFERENCE.cdf(1.0)
    above = float(keras.ops.exp(dwell().log_survival(np.float32(2000.0))))
    assert below + above == pytest.approx(1.0, abs=1e-4)


def test_a_censored_dwell_always_pulls_the_location_up():
    tf = pytest.importorskip("tensorflow")
    location = tf.constant([0.0, 3.0, 7.0, 12.0])
    with tf.GradientTape() as tape:
        tape.watch(location)
        likelihood = censored_log_likelihood(
            LogNormal(location, tf.constant(1.3)),
            tf.fill([4], 30.0),
            tf.ones([4]),
        )
    assert (tape.gradient(likelihood, location).numpy() > 0).all()


def test_no_gradient_is_lost_where_the_other_branch_overflows():
    tf = pytest.importorskip("tensorflow")
    location = tf.constant([-60.0, 60.0])
    with tf.GradientTape() as tape:
        tape.watch(location)
        likelihood = censored_log_likelihood(
            LogNormal(location, tf.constant(0.1)),
            tf.constant([2000.0, 1.0]),
            tf.constant([1.0, 0.0]),
        )
    assert np.isfinite(tape.gradient(likelihood, location).numpy()).all()

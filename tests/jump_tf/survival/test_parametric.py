"""Each distribution against its own definition, in NumPy."""

import numpy as np
import pytest
from keras import ops

from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.survival.distribution import LogNormal
from jump_tf.survival.distribution import censored_log_likelihood
from jump_tf.survival.parametric import Gompertz
from jump_tf.survival.parametric import LogLaplace
from jump_tf.survival.parametric import LogNormalMixture
from jump_tf.survival.parametric import PiecewiseHazard

N = 5
SECONDS = np.float32([1.0, 3.5, 40.0, 700.0, 1999.0])


def distributions():
    random = np.random.default_rng(0)
    location = random.normal(4.0, 1.0, N).astype(np.float32)
    hazards = random.normal(-4.0, 1.0, (7, N)).astype(np.float32)
    return {
        "log-normal": LogNormal(location, np.float32([1.3] * N)),
        "log-Laplace": LogLaplace(location, np.float32([0.9] * N)),
        "mixture": LogNormalMixture(
            (0.5 * location, 0.2 * location - 1.0, np.float32([0.0] * N)),
            (location - 1.0, location + 1.5, 0.3 * location),
            (np.float32([0.7] * N), np.float32([0.4] * N), -0.1 * hazards[0]),
        ),
        "Gompertz": Gompertz(-location, np.float32([1e-3] * N)),
        "exponential": Gompertz(-location, np.float32([0.0] * N)),
        "defective": Gompertz(-location, np.float32([-2e-3] * N)),
        "piecewise": PiecewiseHazard(
            tuple(hazards), (0.0, 2.0, 7.0, 30.0, 120.0, 500.0, 1100.0)
        ),
    }


@pytest.fixture(params=distributions())
def fitted(request):
    return distributions()[request.param]


def test_survival_is_what_the_density_leaves(fitted):
    grid = np.geomspace(1.0, 1999.0, 200_001)
    columns = fitted.map(lambda p: np.float64(p)[:, np.newaxis])
    density = np.exp(np.asarray(columns.log_prob(grid[np.newaxis])))
    total = np.trapezoid(density, grid, axis=1)
    first, last = np.exp(np.asarray(columns.log_survival(grid[[0, -1]]))).T
    np.testing.assert_allclose(total, first - last, rtol=1e-3)


@pytest.mark.parametrize("elapsed", [0.0, 25.0])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.8])
def test_quantile_inverts_the_survival(fitted, probability, elapsed):
    seconds = fitted.quantile(np.float32(probability), np.float32(elapsed))
    seconds = np.asarray(seconds)
    stays = np.exp(np.asarray(fitted.log_survival(seconds)))
    start = np.asarray(fitted.log_survival(np.float32(elapsed)))
    expected = (1 - probability) * np.exp(start if elapsed else 0.0)
    inside = (seconds > 1.0) & (seconds < 1e4)
    assert inside.any()
    np.testing.assert_allclose(
        stays[inside], np.broadcast_to(expected, N)[inside], rtol=1e-3
    )


@pytest.mark.parametrize("kind", [float, np.float32, np.float64])
def test_a_law_answers_in_its_own_precision(fitted, kind):
    """Whatever it is asked in; predictions are kept in float64."""
    precise = fitted.map(np.float64)
    asked = {
        "log_prob": (kind(30.0),),
        "log_survival": (kind(30.0),),
        "inverse_log_survival": (kind(-0.7),),
        "quantile": (kind(0.9), kind(45.0)),
    }
    for name, arguments in asked.items():
        mine, theirs = (
            getattr(one, name)(*arguments) for one in (precise, fitted)
        )
        assert np.asarray(mine).dtype == np.float64
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def test_what_is_never_reached_is_far_away():
    never = Gompertz(np.float32([-9.0]), np.float32([-1e-2]))
    assert np.exp(never.log_survival(np.float32(1e6))) > 0.9
    assert 1e4 < never.median()[0] < np.inf


def test_a_law_is_its_parameters(fitted):
    again = fitted.with_parameters([np.float64(p) for p in fitted.parameters()])
    assert type(again) is type(fitted)
    np.testing.assert_allclose(
        again.log_prob(np.float64(SECONDS)), fitted.log_prob(SECONDS), rtol=1e-4
    )
    some = fitted.map(lambda p: p[1:3]).median()
    np.testing.assert_allclose(some, fitted.median()[1:3])


def test_gradients_are_finite_where_the_density_is_not_smooth(fitted):
    tf = pytest.importorskip("tensorflow")
    tensors = [tf.constant(p) for p in fitted.parameters()]
    for censored in (0.0, 1.0):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = censored_log_likelihood(
                fitted.with_parameters(tensors), SECONDS, np.float32(censored)
            )
        for slope in tape.gradient(ops.sum(value), tensors):
            assert slope is None or np.isfinite(slope).all()


def test_ranked_score_of_any_law_agrees_with_the_closed_form(monkeypatch):
    random = np.random.default_rng(1)
    fitted = LogNormal(random.normal(4, 1, 50), random.uniform(0.4, 2.0, 50))
    seconds = random.lognormal(4, 1.5, 50).clip(1, 2000)
    exact = dwell_metrics.crps(fitted, seconds)
    monkeypatch.setattr(dwell_metrics, "_log_normal_crps", dwell_metrics._crps)
    # Only what lies under a second, which grids do not resolve, differs.
    np.testing.assert_allclose(
        dwell_metrics.crps(fitted, seconds), exact, rtol=2e-3, atol=0.05
    )


def test_ranked_score_is_the_integral(fitted):
    fitted = fitted.map(np.float64)
    seconds = np.float64(SECONDS)
    grid = np.linspace(1e-3, 2000.0, 400_001)
    columns = fitted.map(lambda p: p[:, np.newaxis])
    cdf = 1 - np.exp(np.asarray(columns.log_survival(grid[np.newaxis])))
    gap = cdf - (seconds[:, np.newaxis] <= grid)
    expected = np.trapezoid(gap**2, grid, axis=1)
    scores = dwell_metrics.crps(fitted, seconds, 2000.0)
    np.testing.assert_allclose(scores, expected, rtol=3e-3, atol=0.6)

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.layers.attention_pooling import CausalAttentionPooling
from jump_tf.models.atrp import ATRP
from jump_tf.models.atrp import click_series
from jump_tf.survival.parametric import LogLaplace
from tests import point_processes
from tests.point_processes import INPUTS
from tests.point_processes import LENGTHS

OPTIONS = {
    "printed": {"series_units": 3},
    "all": {**point_processes.HIDING, "series_units": 6, "series_bins": 4},
}


@pytest.fixture(scope="module", params=OPTIONS)
def model(request):
    return point_processes.make(ATRP, **OPTIONS[request.param])


def attention_by_hand(layer, states):
    hidden = np.tanh(point_processes.dense_by_hand(layer.hidden, states))
    score = point_processes.dense_by_hand(layer.score, hidden)
    weight = np.exp(score - score.max())
    return (weight * states).sum(0) / weight.sum(0)


def series_by_hand(seconds, bins):
    """Of one session, after all of its clicks."""
    passed = np.cumsum(np.clip(seconds, 0.0, 2000.0))
    begins = [0.0, *passed[:-1]]
    counts, _ = np.histogram(begins, bins, (0.0, passed[-1]))
    length = np.full(bins, 0.5 * np.log1p(passed[-1] / bins))
    return np.stack([np.log1p(counts), length], axis=-1)


def fused_by_hand(model, items, seconds):
    rows = point_processes.rows_by_hand(model, items)
    gaps = point_processes.gaps_by_hand(seconds)
    states = point_processes.lstm_by_hand(
        model.events, np.concatenate([rows, gaps], axis=1)
    )
    series = series_by_hand(seconds, model.config.series_bins)
    pace = point_processes.lstm_by_hand(model.series, series)[-1]
    summary = attention_by_hand(model.attention, states)
    fused = np.concatenate([states[-1], summary, pace])
    return np.tanh(point_processes.dense_by_hand(model.fuse, fused))


def test_features_fuse_the_twins(model):
    features = np.asarray(model(INPUTS))
    for row, length in enumerate(LENGTHS):
        for k in range(1, length + 1):
            expected = fused_by_hand(
                model, *(column[row, :k] for column in INPUTS.values())
            )
            np.testing.assert_allclose(features[row, k], expected, atol=1e-5)


def test_law_is_laplace_around_a_linear_forecast(model):
    feature = np.asarray(model(INPUTS))[1, 2]
    joint = np.concatenate([feature, point_processes.rows_by_hand(model, 4)])
    location = point_processes.dense_by_hand(model.dwell_head.linear, joint)
    scale = np.exp(float(model.dwell_head.log_scale))
    distribution = point_processes.asked(model, 1, 2, 4)
    np.testing.assert_allclose(distribution.location, location, rtol=1e-5)
    np.testing.assert_allclose(distribution.scale, [scale], rtol=1e-5)
    np.testing.assert_allclose(
        distribution.median(), np.exp(location), rtol=1e-5
    )
    reference = scipy.stats.loglaplace(1 / scale, scale=np.exp(location))
    seconds = np.float32([1.0, 15.0, 900.0])
    np.testing.assert_allclose(
        distribution.log_prob(seconds), reference.logpdf(seconds), rtol=1e-4
    )
    np.testing.assert_allclose(
        distribution.log_survival(seconds), reference.logsf(seconds), rtol=1e-4
    )


def test_the_scale_may_be_fixed():
    model = point_processes.make(ATRP, dwell_scale=0.7)
    distribution = point_processes.asked(model, 0, 1, 3)
    np.testing.assert_allclose(distribution.scale, [0.7])


def test_series_counts_clicks_by_when_they_begin():
    """They begin at 0, 10, 30 and 30, as an unknown dwell takes no time."""
    seconds = np.float32([[10, 20, -1, 70]])
    series = np.asarray(click_series(seconds, 4))[0]
    np.testing.assert_allclose(
        np.expm1(series[..., 0]),
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 1], [2, 2, 0, 0]],
        atol=1e-6,
    )
    length = np.expm1(2 * series[..., 1])
    np.testing.assert_allclose(
        length, np.tile([[2.5], [7.5], [7.5], [25.0]], 4), rtol=1e-5
    )


def test_clicks_without_time_lie_in_the_last_bin():
    series = np.asarray(click_series(np.float32([[-1, 0, np.nan]]), 3))[0]
    np.testing.assert_allclose(
        np.expm1(series[..., 0]), [[0, 0, 1], [0, 0, 2], [0, 0, 3]], atol=1e-6
    )
    np.testing.assert_array_equal(series[..., 1], 0.0)


@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_attention_is_a_mean_however_sure_it_is(spread):
    layer = CausalAttentionPooling(4)
    layer.build((None, None, 3))
    layer.score.kernel.assign(spread * layer.score.kernel)
    states = np.random.default_rng(1).normal(size=(2, 9, 3)).astype("f")
    means = np.asarray(layer(states))
    assert np.isfinite(means).all()
    low = np.minimum.accumulate(states, axis=1) - 1e-5
    high = np.maximum.accumulate(states, axis=1) + 1e-5
    assert ((low <= means) & (means <= high)).all()
    clone = CausalAttentionPooling.from_config(layer.get_config())
    assert clone.units == 4


def test_unknown_dwell(model):
    point_processes.check_unknown_dwell(model)


def test_gradients_are_finite_for_any_weights():
    for extreme in (30.0, -30.0):
        model = point_processes.make(ATRP, dwell_scale=0.5)
        point_processes.check_finite_gradients(model, extreme)


def test_recovers_a_known_law():
    def oracle(items):
        location = np.where(items % 2, 5.0, 3.0).astype(np.float32)
        return LogLaplace(location, np.full_like(location, 0.4))

    model = point_processes.make(
        ATRP,
        spread=0.1,
        series_bins=2,
        learned_start=True,
        initial_log_dwell=4.0,
    )
    mine, constant = point_processes.excess_after_training(model, oracle)
    assert -0.05 < mine < 0.3 * constant


def test_config_refuses_too_few_bins():
    with pytest.raises(schema.InputError, match="`series_bins` must be"):
        ATRP(11, series_bins=0)


def test_preset_learns_from_whole_dwells():
    assert preset("atrp").training == preset("production").training
    assert preset("atrp").model.censoring == "none"

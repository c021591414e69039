import itertools

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.models.rmtpp import RMTPP
from jump_tf.survival.parametric import Gompertz
from tests import point_processes
from tests.point_processes import INPUTS
from tests.point_processes import LENGTHS

OPTIONS = {
    "printed": {},
    "relu": {"activation": "relu", "slope": "positive"},
    "all": {**point_processes.HIDING, "slope": "positive"},
}


@pytest.fixture(scope="module", params=OPTIONS)
def model(request):
    return point_processes.make(RMTPP, **OPTIONS[request.param])


def step_by_hand(model, row, gap, state):
    """`phi(W_y V[y] + W_t g + W_h h + b)`."""
    kernel, recurrent, bias = (np.float64(w) for w in model.rnn.weights)
    w_y, w_t = kernel[: len(row)], kernel[len(row) :]
    total = row @ w_y + gap @ w_t + state @ recurrent + bias
    relu = model.config.activation == "relu"
    return np.maximum(total, 0) if relu else np.tanh(total)


def states_by_hand(model, items, seconds):
    """h_0, ..., h_k, where h_j knows the gap before click j alone."""
    learned = model.config.learned_start
    states = [np.float64(model.start) if learned else np.zeros(5)]
    gaps = [np.zeros(2), *point_processes.gaps_by_hand(seconds)]
    rows = point_processes.rows_by_hand(model, items)
    for row, gap in zip(rows, gaps[:-1], strict=True):
        states.append(step_by_hand(model, row, gap, states[-1]))
    return states, gaps


def test_features_are_states_and_the_newest_gap(model):
    features = np.asarray(model(INPUTS))
    for row, length in enumerate(LENGTHS):
        states, gaps = states_by_hand(
            model, *(column[row, :length] for column in INPUTS.values())
        )
        expected = np.concatenate([states, gaps], axis=1)
        np.testing.assert_allclose(
            features[row, : length + 1], expected, atol=1e-5
        )


@pytest.mark.parametrize("k", [0, 1, 2])
def test_law_is_the_hazard_of_one_more_step(model, k):
    states, gaps = states_by_hand(
        model, *(column[2, :k] for column in INPUTS.values())
    )
    row = point_processes.rows_by_hand(model, 8)
    state = step_by_hand(model, row, gaps[-1], states[-1])
    log_rate = point_processes.dense_by_hand(model.dwell_head.linear, state)
    w = float(model.dwell_head.slope)
    if model.config.slope == "positive":
        w = np.log1p(np.exp(w))
    distribution = point_processes.asked(model, 2, k, 8)
    np.testing.assert_allclose(distribution.log_rate, log_rate, rtol=1e-5)
    np.testing.assert_allclose(distribution.slope, [w / 30.0], rtol=1e-5)
    assert distribution.log_rate.shape == distribution.slope.shape == (1,)
    if w > 0:
        rate, slope = np.exp(log_rate), w / 30.0
        reference = scipy.stats.gompertz(rate / slope, scale=1 / slope)
        seconds = np.float32([1.0, 15.0, 90.0])
        for ours, theirs in (
            (distribution.log_prob(seconds), reference.logpdf(seconds)),
            (distribution.log_survival(seconds), reference.logsf(seconds)),
            (distribution.median(), reference.median()),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_asking_for_a_click_is_the_step_that_reads_it(model):
    """So what the head learns is what the network learns."""
    features = np.asarray(model(INPUTS))
    heard = []
    model.dwell_head.call, call = (
        lambda state, *_: (heard.append(state), call(state, *_))[1],
        model.dwell_head.call,
    )
    model.dwell_and_end(features[:, 1], INPUTS[schema.ITEMS][:, 1])
    model.dwell_head.call = call
    np.testing.assert_allclose(heard[0], features[:, 2, :5], atol=1e-6)


@pytest.mark.parametrize("slope", ["free", "positive"])
@pytest.mark.parametrize("log_dwell", [1.5, 4.2, 6.5])
def test_the_first_median_is_the_mean_log_dwell(slope, log_dwell):
    model = RMTPP(11, units=5, slope=slope, initial_log_dwell=log_dwell)
    model.build()
    distribution = model.dwell_distribution(
        np.ones((2, 7), "f"), np.int32([3, 4])
    )
    np.testing.assert_allclose(
        np.log(distribution.median()), log_dwell, rtol=1e-5
    )


def test_only_a_free_slope_makes_a_law_defective():
    stays = {}
    for slope in ("free", "positive"):
        model = point_processes.make(RMTPP, slope=slope)
        model.dwell_head.slope.assign(-3.0)
        distribution = point_processes.asked(model, 0, 2, 4)
        stays[slope] = float(
            np.exp(distribution.log_survival(np.float32(1e5)))[0]
        )
        assert np.isfinite(distribution.median()).all()
    assert stays["free"] > 1e-3
    assert stays["positive"] < 1e-6


def test_unknown_dwell(model):
    point_processes.check_unknown_dwell(model)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_next_click_is_scored_by_the_state_and_the_newest_gap(model, k):
    items, seconds = (column[2, :k] for column in INPUTS.values())
    states, gaps = states_by_hand(model, items, seconds)
    known = np.concatenate([states[-1], gaps[-1]])
    query = point_processes.dense_by_hand(model.click_layer, known)
    relu = model.config.activation == "relu"
    query = np.maximum(query, 0) if relu else np.tanh(query)
    scale = model.config.click_scale
    if scale is not None:
        query = scale * query / np.linalg.norm(query)
    table = model.items if model.config.tie_items else model.scored
    rows = np.float64(table.embeddings)
    if scale is not None:
        rows = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    expected = rows @ query + np.float64(model.bias.embeddings)[:, 0]
    features = np.asarray(model(INPUTS))[2:, k]
    np.testing.assert_allclose(
        np.asarray(model.click_scores(features))[0, schema.FIRST_ITEM_ID :],
        expected[schema.FIRST_ITEM_ID :],
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_newest_dwell_scores_the_next_click_and_no_earlier_one(model):
    """Nor does that which is asked for, of which nobody knows yet."""

    def scores(seconds):
        dwell = INPUTS[schema.DWELL_SECONDS].copy()
        dwell[:, 1] = seconds
        features = model({**INPUTS, schema.DWELL_SECONDS: dwell})
        return np.asarray(model.click_scores(features[0]))

    answers = [scores(seconds) for seconds in (1.0, 99.0, -1.0)]
    for one, other in itertools.combinations(answers, 2):
        change = np.abs(one - other).max(1)
        assert (change[:2] == 0.0).all()
        assert (change[2:] > 1e-4).all()


def test_dropout_spares_the_gap():
    model = point_processes.make(RMTPP, **point_processes.HIDING)
    gaps = np.asarray(model(INPUTS))[..., 5:]
    hidden = np.asarray(model(INPUTS, training=True))[..., 5:]
    same = (gaps == hidden).all(-1)
    assert (same | (hidden == [0, 1]).all(-1)).all()
    assert not same.all()


@pytest.mark.parametrize("slope", ["free", "positive"])
def test_gradients_are_finite_for_any_weights(slope):
    for extreme in (30.0, -30.0):
        model = point_processes.make(RMTPP, slope=slope)
        point_processes.check_finite_gradients(model, extreme)


def test_recovers_a_known_law():
    def oracle(items):
        log_rate = np.where(items % 2, -5.5, -2.5).astype(np.float32)
        return Gompertz(log_rate, np.full_like(log_rate, 4e-3))

    model = point_processes.make(
        RMTPP, spread=0.1, learned_start=True, initial_log_dwell=3.5
    )
    mine, constant = point_processes.excess_after_training(model, oracle)
    assert -0.05 < mine < 0.3 * constant


def test_config_refuses_what_is_not_there():
    for name, value in (
        ("dwell_head", "shared"),
        ("slope", "rising"),
        ("activation", "sigmoid"),
        ("time_scale_seconds", 0),
    ):
        with pytest.raises(schema.InputError, match=f"`{name}` must be"):
            RMTPP(11, **{name: value})


def test_preset_trains_as_production_does():
    assert preset("rmtpp").architecture == "rmtpp"
    assert preset("rmtpp").training == preset("production").training

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.models.nsr import NSR
from jump_tf.models.nsr import bin_edges
from jump_tf.survival.parametric import PiecewiseHazard
from tests import point_processes
from tests.point_processes import INPUTS
from tests.point_processes import LENGTHS

OPTIONS = {
    "printed": {},
    "all": {**point_processes.HIDING, "bins": 3},
}


@pytest.fixture(scope="module", params=OPTIONS)
def model(request):
    return point_processes.make(NSR, **OPTIONS[request.param])


def test_features_are_the_states_of_an_lstm(model):
    features = np.asarray(model(INPUTS))
    for row, length in enumerate(LENGTHS):
        items, seconds = (column[row, :length] for column in INPUTS.values())
        rows = point_processes.rows_by_hand(model, items)
        gaps = point_processes.gaps_by_hand(seconds)
        events = np.tanh(
            point_processes.dense_by_hand(
                model.dense, np.concatenate([rows, gaps], axis=1)
            )
        )
        expected = point_processes.lstm_by_hand(model.lstm, events)
        np.testing.assert_allclose(
            features[row, 1 : length + 1], expected, atol=1e-5
        )


def test_law_is_the_three_way_unit(model):
    dense = point_processes.dense_by_hand
    head, state = model.dwell_head, np.float64(model(INPUTS))[1, 2]
    joint = dense(head.from_item, point_processes.rows_by_hand(model, 4))
    joint = joint * dense(head.from_state, state)
    log_hazards = dense(head.state_hazards, state)
    log_hazards = log_hazards + dense(head.joint_hazards, joint)
    distribution = point_processes.asked(model, 1, 2, 4)
    np.testing.assert_allclose(
        np.ravel(distribution.log_hazards),
        np.clip(log_hazards, -14, 2),
        rtol=1e-5,
    )
    assert all(hazard.shape == (1,) for hazard in distribution.log_hazards)
    edges = np.array([*distribution.edges, np.inf])
    for seconds in (1.0, 15.0, 1500.0):
        spent = np.clip(seconds - edges[:-1], 0, np.diff(edges))
        total = np.sum(np.exp(np.clip(log_hazards, -14, 2)) * spent)
        np.testing.assert_allclose(
            distribution.log_survival(np.float32([seconds])),
            [-total],
            rtol=1e-4,
        )


def test_hazards_drop_out_in_training_alone():
    """What is left, where all is dropped, is the hazard without a session."""
    model = point_processes.make(NSR, hazard_dropout=0.999999)
    head = model.dwell_head
    features, rows = np.ones((2, 5), "f"), np.ones((2, 5), "f")
    one, _ = head(features, None, rows)
    dropped, _ = head(features, None, rows, training=True)
    bias = np.clip(head.state_hazards.bias, -14, 2)
    np.testing.assert_allclose(np.stack(dropped.log_hazards, 1), [bias] * 2)
    assert np.abs(np.stack(one.log_hazards, 1) - bias).max() > 1e-2


def test_bins_are_even_in_log_from_zero_on():
    edges = bin_edges(4, 1600.0)
    np.testing.assert_allclose(edges, [0.0, 1600**0.25, 40.0, 1600**0.75])


def test_the_first_law_is_exponential():
    model = NSR(11, units=5, initial_log_dwell=4.2)
    model.build()
    distribution = model.dwell_distribution(
        np.ones((3, 5), "f"), np.int32([3, 4, 5])
    )
    reference = scipy.stats.expon(scale=np.exp(4.2) / np.log(2))
    seconds = np.float32([2.0, 50.0, 1999.0])
    np.testing.assert_allclose(
        distribution.median(), np.exp([4.2] * 3), rtol=1e-5
    )
    np.testing.assert_allclose(
        distribution.log_prob(seconds), reference.logpdf(seconds), rtol=1e-5
    )
    np.testing.assert_allclose(
        distribution.log_survival(seconds), reference.logsf(seconds), rtol=1e-5
    )


def test_the_median_is_where_half_have_left(model):
    features = np.asarray(model(INPUTS))[:, 2]
    distribution = model.dwell_distribution(features, np.int32([4, 5, 6]))
    median = np.asarray(distribution.median())
    stays = np.exp(distribution.log_survival(median))
    np.testing.assert_allclose(stays[median > 1.0], 0.5, rtol=1e-4)


def test_unknown_dwell(model):
    point_processes.check_unknown_dwell(model)


def test_gradients_are_finite_for_any_weights():
    for extreme in (30.0, -30.0):
        model = point_processes.make(NSR)
        point_processes.check_finite_gradients(model, extreme)


@pytest.mark.exhaustive
def test_recovers_a_known_law():
    """Most leave at once or late, which no other distribution can express."""

    def oracle(items):
        soon = np.where(items % 2, -3.0, -1.0).astype(np.float32)
        hazards = (soon, np.full_like(soon, -6.5), np.full_like(soon, -3.0))
        return PiecewiseHazard(hazards, (0.0, 10.0, 100.0))

    model = point_processes.make(
        NSR, spread=0.1, bins=16, learned_start=True, initial_log_dwell=3.0
    )
    mine, constant = point_processes.excess_after_training(model, oracle)
    assert -0.05 < mine < 0.3 * constant


def test_config_refuses_too_few_bins_and_no_rate():
    with pytest.raises(schema.InputError, match="`bins` must be at least 2"):
        NSR(11, bins=1)
    with pytest.raises(schema.InputError, match="`hazard_dropout` must be a"):
        NSR(11, hazard_dropout=1.0)


def test_preset_trains_as_production_does():
    assert preset("nsr").architecture == "nsr"
    assert preset("nsr").training == preset("production").training

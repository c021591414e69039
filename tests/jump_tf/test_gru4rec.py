import dataclasses
import json

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.config import preset
from jump_tf.models.gru4rec import GRU4Rec

VOCABULARY_SIZE = 17


@pytest.fixture
def random():
    return np.random.default_rng(2)


@pytest.fixture(scope="module")
def model():
    model = GRU4Rec(VOCABULARY_SIZE, units=5, initial_log_dwell=3.5)
    model.build()
    return model


def sessions(random, size, length):
    return {
        schema.ITEMS: random.integers(2, VOCABULARY_SIZE, (size, length)),
        schema.DWELL_SECONDS: random.exponential(60, (size, length)),
    }


def gru_by_hand(model, items):
    """States after each click of one session, reset gate before U."""
    kernel, recurrent, bias = (np.asarray(w) for w in model.gru.weights)
    w_z, w_r, w_g = np.split(kernel, 3, axis=1)
    u_z, u_r, u_g = np.split(recurrent, 3, axis=1)
    b_z, b_r, b_g = np.split(bias, 3)
    table = np.asarray(model.items.embeddings)
    state, states = np.zeros(5), []
    for x in table[items]:
        z = 1 / (1 + np.exp(-(x @ w_z + state @ u_z + b_z)))
        r = 1 / (1 + np.exp(-(x @ w_r + state @ u_r + b_r)))
        g = np.tanh(x @ w_g + (r * state) @ u_g + b_g)
        # Keras' z keeps; the papers' z changes. It is learned either way.
        state = z * state + (1 - z) * g
        states.append(state)
    return np.stack(states)


def test_features_are_the_states_of_a_gru(model, random):
    for weight in model.gru.weights:
        weight.assign(random.normal(size=weight.shape))
    inputs = sessions(random, 3, 4)
    features = np.asarray(model(inputs))
    assert features.shape == (3, 5, 5)
    np.testing.assert_array_equal(features[:, 0], np.zeros((3, 5)))
    for row in range(3):
        expected = gru_by_hand(model, inputs[schema.ITEMS][row])
        np.testing.assert_allclose(features[row, 1:], expected, atol=1e-5)


def test_dwell_is_not_seen_and_forecast_by_its_mean(model, random):
    inputs = sessions(random, 2, 3)
    other = {**inputs, schema.DWELL_SECONDS: np.zeros((2, 3))}
    np.testing.assert_array_equal(model(inputs), model(other))
    law = model.dwell_distribution(np.ones((2, 5), "f"), np.array([3, 9]))
    np.testing.assert_allclose(law.location, [3.5, 3.5])
    np.testing.assert_allclose(law.scale, [1.0, 1.0])


def test_config_survives_json(model):
    config = json.loads(json.dumps(model.get_config()))
    clone = GRU4Rec.from_config(config)
    assert clone.config == model.config
    assert clone.config.dwell_weight == 0.0


def test_preset_differs_from_production_by_the_model_alone():
    ours, theirs = preset("gru4rec"), preset("production")
    assert ours.architecture == "gru4rec"
    assert ours.training == theirs.training
    ours, theirs = map(dataclasses.asdict, (ours.model, theirs.model))
    different = {name for name in ours if ours[name] != theirs[name]}
    assert different == {
        "unknown_dwell_rate",
        "dwell_history",
        "dwell_dropout",
        "dwell_weight",
        "dwell_scale",
        "censoring",
        "end_weight",
    }

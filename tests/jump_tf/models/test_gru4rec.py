import dataclasses

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.models.gru4rec import GRU4Rec
from tests import by_hand

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


def test_features_are_the_states_of_a_gru(model, random):
    for weight in model.gru.weights:
        weight.assign(random.normal(size=weight.shape))
    inputs = sessions(random, 3, 4)
    table = np.float64(model.items.embeddings)
    features = np.asarray(model(inputs))
    assert features.shape == (3, 5, 5)
    np.testing.assert_array_equal(features[:, 0], np.zeros((3, 5)))
    for row in range(3):
        expected = by_hand.gru(model.gru, table[inputs[schema.ITEMS][row]])
        np.testing.assert_allclose(features[row, 1:], expected, atol=1e-5)


def test_dwell_is_not_seen_and_forecast_by_its_mean(model, random):
    inputs = sessions(random, 2, 3)
    other = {**inputs, schema.DWELL_SECONDS: np.zeros((2, 3))}
    np.testing.assert_array_equal(model(inputs), model(other))
    distribution = model.dwell_distribution(
        np.ones((2, 5), "f"), np.array([3, 9])
    )
    np.testing.assert_allclose(distribution.location, [3.5, 3.5])
    np.testing.assert_allclose(distribution.scale, [1.0, 1.0])


def test_preset_differs_from_production_by_the_model_alone():
    ours, theirs = preset("gru4rec"), preset("production")
    assert ours.architecture == "gru4rec"
    assert ours.training == theirs.training
    ours, theirs = map(dataclasses.asdict, (ours.model, theirs.model))
    different = {name for name in ours if ours[name] != theirs[name]}
    assert different == {
        "unknown_dwell_rate",
        "dwell_history",
        "dwell_components",
        "dwell_dropout",
        "dwell_weight",
        "dwell_scale",
        "censoring",
        "end_weight",
        "click_residual",
        "pointer_clicks",
        "recent_transitions",
        "recent_popular",
    }


def test_two_tables_read_and_score():
    """The first form: what is read is not what is scored."""
    model = GRU4Rec(VOCABULARY_SIZE, units=5, tie_items=False, item_bias=True)
    model.build()
    inputs = {
        schema.ITEMS: np.int32([[3, 5]]),
        schema.DWELL_SECONDS: np.float32([[1, 1]]),
    }
    features = np.asarray(model(inputs))[:, -1]
    bias = np.arange(VOCABULARY_SIZE, dtype=np.float32)
    model.bias.embeddings.assign(bias[:, None])
    expected = features @ np.asarray(model.scored.embeddings).T + bias
    np.testing.assert_allclose(
        np.asarray(model.click_scores(features))[:, schema.FIRST_ITEM_ID :],
        expected[:, schema.FIRST_ITEM_ID :],
        rtol=1e-5,
    )
    model.scored.embeddings.assign(0 * model.scored.embeddings)
    np.testing.assert_array_equal(np.asarray(model(inputs))[:, -1], features)


def test_the_later_form_differs_by_what_its_paper_defines():
    ours, theirs = preset("igru"), preset("gru4rec")
    assert ours.architecture == "gru4rec"
    assert ours.training == theirs.training
    assert ours.model.units == theirs.model.units
    assert ours.model.click_loss == "bpr_max"
    assert ours.model.bpr_elu == 0.5
    assert ours.model.tie_items
    assert ours.model.sampling_power == 0.75
    assert ours.model.negatives == 2048

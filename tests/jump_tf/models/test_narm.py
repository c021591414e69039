"""NARM against its equations, and its attention by itself."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.layers.additive_attention import AdditiveAttention
from jump_tf.layers.additive_attention import additive_scores
from jump_tf.models.narm import NARM
from tests import by_hand

VOCABULARY_SIZE = 17
UNITS = 5


@pytest.fixture
def random():
    return np.random.default_rng(2)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def scores_by_hand(keys, queries, vector):
    gates = by_hand.sigmoid(keys[:, None] + queries[:, :, None])  # [B, k, j, d]
    return gates @ vector


def test_scores_and_gradients_are_those_of_all_pairs_at_once(random):
    keys, queries = normal(random, 2, 4, UNITS), normal(random, 2, 4, UNITS)
    parts = [tf.constant(x) for x in (keys, queries, normal(random, UNITS))]
    upstream = normal(random, 2, 4, 4)

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(parts)
            scores = function(*parts)
        return scores, tape.gradient(scores, parts, upstream)

    def at_once(keys, queries, vector):
        gates = tf.sigmoid(keys[:, None] + queries[:, :, None])
        return tf.reduce_sum(gates * vector, -1)

    ours, by_ours = gradients(additive_scores)
    np.testing.assert_allclose(
        ours, scores_by_hand(*map(np.float64, parts)), rtol=1e-5, atol=1e-6
    )
    for mine, expected in zip(by_ours, gradients(at_once)[1], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-6)


def test_attention_is_its_equation(random):
    states = normal(random, 2, 4, UNITS)
    layer = AdditiveAttention(3)
    layer.build(states.shape)
    for weight in layer.weights:
        weight.assign(normal(random, *weight.shape))
    expected = np.stack([context_by_hand(layer, h) for h in states])
    np.testing.assert_allclose(layer(states), expected, rtol=1e-4, atol=1e-6)
    weights = np.asarray(layer.attention_weights(states))
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)
    assert (weights[:, *np.triu_indices(4, 1)] == 0).all()


def context_by_hand(layer, states):
    """Of one session's states `[l, d]`, click by click."""
    keys, queries = (
        np.float64(dense.kernel) for dense in (layer.keys, layer.queries)
    )
    vector = np.float64(layer.vector)[:, 0]
    summaries = []
    for k in range(len(states)):
        past = states[: k + 1]
        score = by_hand.sigmoid(past @ keys + states[k] @ queries) @ vector
        weights = np.exp(score) / np.exp(score).sum()
        summaries.append(weights @ past)
    return np.stack(summaries)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(4)
    model = NARM(VOCABULARY_SIZE, units=UNITS, initial_log_dwell=3.5)
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(0.5 * normal(random, *weight.shape))
    return model


def features_by_hand(model, items):
    rows = np.float64(model.items.embeddings)[items]
    states = by_hand.gru(model.gru, rows)
    context = context_by_hand(model.attention, states)
    decoder = np.float64(model.decoder.kernel)
    return np.concatenate([context, states], axis=1) @ decoder


SESSIONS = ([3, 5, 2, 9], [7], [2, 2, 16])


def test_features_are_the_decoded_summaries(model):
    by_hand.assert_features(
        model,
        by_hand.padded(SESSIONS),
        SESSIONS,
        lambda row: features_by_hand(model, SESSIONS[row]),
    )


def test_attention_examples_are_the_weights_that_features_are_made_of(model):
    inputs = by_hand.padded(SESSIONS)
    items, dwell = inputs[schema.ITEMS], inputs[schema.DWELL_SECONDS]
    weights = np.asarray(model.attention_weights(items, dwell, items > 0))
    states = by_hand.gru(
        model.gru, np.float64(model.items.embeddings)[SESSIONS[0]]
    )
    np.testing.assert_allclose(
        weights[0] @ states,
        context_by_hand(model.attention, states),
        atol=1e-5,
    )


def test_dropout_is_where_its_authors_have_it():
    """On clicks and summaries, and not on what is scored."""
    model = NARM(VOCABULARY_SIZE, units=20, decoder_dropout=0.0, dropout=0.5)
    inputs = by_hand.padded(SESSIONS)
    model(inputs)
    assert (np.asarray(model(inputs, training=True))[:, 1:] != 0).all()
    for options in (
        {"decoder_dropout": 0.5, "dropout": 0.0},
        {"decoder_dropout": 0.0, "dropout": 0.5},
    ):
        model = NARM(VOCABULARY_SIZE, units=4, **options)
        one, other = model(inputs, training=True), model(inputs, training=True)
        assert np.abs(one - other).max() > 0


def test_preset_differs_from_gru4rec_by_the_model_alone():
    ours, theirs = preset("narm"), preset("gru4rec")
    assert ours.training == theirs.training
    ours, theirs = map(dataclasses.asdict, (ours.model, theirs.model))
    assert {name for name in ours if ours[name] != theirs.get(name)} == {
        "decoder_dropout"
    }

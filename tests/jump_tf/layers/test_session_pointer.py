"""Laws of pointing at earlier clicks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.layers.session_pointer import SessionPointer
from jump_tf.layers.session_pointer import pointed_cross_entropy
from jump_tf.layers.session_pointer import pointed_scores

UNITS, CLICKS, VOCABULARY = 5, 3, 12
ITEMS = np.int32([[4, 7, 4, schema.OOV_ID, 9], [3, 3, 0, 0, 0]])


@pytest.fixture(scope="module")
def layer():
    keras.utils.set_random_seed(4)
    layer = SessionPointer(UNITS, CLICKS)
    layer.build()
    random = np.random.default_rng(1)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return layer


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(2)
    return random.normal(size=(2, 2, 5, UNITS)).astype(np.float32)


@pytest.fixture(scope="module")
def pointers(layer, vectors):
    return np.asarray(layer(ITEMS, *vectors))


def weights_by_hand(layer, items, summaries, clicks, k):
    """{click: chance}, and under None that of the catalogue."""
    content, shift = map(np.asarray, layer.content.get_weights())
    age, bias = map(np.asarray, layer.age.get_weights())
    chances = {None: 1.0}
    for i in range(max(k - CLICKS + 1, 0), k + 1):
        if items[i] >= schema.FIRST_ITEM_ID:
            logit = (summaries[k] @ content + shift) @ clicks[i] / UNITS**0.5
            logit += (summaries[k] @ age + bias)[k - i]
            chances[i] = np.exp(logit)
    total = sum(chances.values())
    return {click: chance / total for click, chance in chances.items()}


@pytest.mark.parametrize(("row", "k"), [(0, 0), (0, 2), (0, 3), (0, 4), (1, 1)])
def test_it_points_as_its_equation_says(layer, vectors, pointers, row, k):
    found = pointers[row, k]
    expected = weights_by_hand(
        layer, ITEMS[row], vectors[0, row], vectors[1, row], k
    )
    assert np.exp(found[0]) == pytest.approx(expected.pop(None), rel=1e-5)
    ids = found[CLICKS + 1 :]
    for age in range(CLICKS):
        click = k - age
        if click not in expected:  # Before the session, or unknown.
            assert ids[age] == schema.PAD_ID
            assert found[1 + age] < -1e8
        else:
            assert ids[age] == ITEMS[row, click]
            chance = np.exp(found[1 + age])
            assert chance == pytest.approx(expected[click], rel=1e-4)


def test_nothing_after_a_click_is_read(layer, vectors, pointers):
    short = np.asarray(layer(ITEMS[:, :2], *vectors[:, :, :2]))
    np.testing.assert_allclose(short, pointers[:, :2], rtol=1e-5)


def scores_by_hand(logits, row):
    chances = np.exp(logits) / np.exp(logits).sum() * np.exp(row[0])
    ids = row[CLICKS + 1 :].astype(int)
    for item, weight in zip(ids, row[1 : CLICKS + 1], strict=True):
        if item != schema.PAD_ID:
            chances[item] += np.exp(weight)
    return chances


def test_scores_are_the_mixture(pointers):
    rows = pointers.reshape(-1, pointers.shape[-1])
    logits = np.random.default_rng(3).normal(size=(len(rows), VOCABULARY))
    scores = np.asarray(pointed_scores(np.float32(logits), rows))
    for one, row, own in zip(logits, rows, scores, strict=True):
        expected = scores_by_hand(one, row)
        np.testing.assert_allclose(np.exp(own), expected, rtol=1e-4)
        assert np.exp(own).sum() == pytest.approx(1.0, rel=1e-5)


def test_the_loss_is_of_the_same_mixture(pointers):
    rows = pointers.reshape(-1, pointers.shape[-1])
    logits = np.random.default_rng(3).normal(size=(len(rows), VOCABULARY))
    logits = np.float32(logits)
    targets = np.int32([4, 7, 9, 4, 11, 3, 3, 4, 5, 3])
    log_softmax = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    plain = -np.take_along_axis(log_softmax, targets[:, None], 1)[:, 0]
    loss = np.asarray(pointed_cross_entropy(plain, rows, targets))
    scores = np.asarray(pointed_scores(logits, rows))
    own = np.take_along_axis(scores, targets[:, None], 1)[:, 0]
    np.testing.assert_allclose(loss, -own, rtol=1e-4, atol=1e-6)
    assert (loss[:2] < plain[:2]).any()


def test_zeros_point_nowhere():
    logits = np.float32([[0.3, -1.0, 2.0, 0.5]])
    nowhere = np.zeros([1, 2 * CLICKS + 1], np.float32)
    scores = np.asarray(pointed_scores(logits, nowhere))
    np.testing.assert_allclose(
        scores, tf.nn.log_softmax(logits), rtol=1e-5, atol=1e-6
    )
    loss = pointed_cross_entropy(np.float32([1.5]), nowhere, np.int32([2]))
    np.testing.assert_allclose(loss, [1.5], rtol=1e-6)

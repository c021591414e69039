"""Laws of pointing at earlier clicks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.layers.return_features import return_features
from jump_tf.layers.session_pointer import Pointers
from jump_tf.layers.session_pointer import SessionPointer
from jump_tf.layers.session_pointer import pointed_cross_entropy
from jump_tf.layers.session_pointer import pointed_scores

UNITS, CLICKS, VOCABULARY = 5, 3, 12
IDS = slice(CLICKS + 1, 2 * CLICKS + 1)
DWELL = np.float32([[30, -1, 0, 700, 5], [2000, 4, 0, 0, 0]])
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
    return np.asarray(layer(ITEMS, *vectors, DWELL))


def weights_by_hand(layer, items, dwell, summaries, clicks, k):
    """{click: chance}, and under None that of the catalogue."""
    content, shift = map(np.asarray, layer.content.get_weights())
    age, bias = map(np.asarray, layer.age.get_weights())
    hidden, threshold = layer.hidden.get_weights()
    (returns,) = layer.returns.get_weights()
    last = [max(k - age, -1) for age in range(CLICKS)]
    known = [items[i] if i >= 0 and items[i] >= 2 else 0 for i in last]
    seconds = [dwell[i] if i >= 0 else 0 for i in last]
    features = return_features(np.int32([known]), np.float32([seconds]))
    chances = {None: 1.0}
    for i in range(max(k - CLICKS + 1, 0), k + 1):
        if items[i] >= schema.FIRST_ITEM_ID:
            logit = (summaries[k] @ content + shift) @ clicks[i] / UNITS**0.5
            logit += (summaries[k] @ age + bias)[k - i]
            of_click = np.asarray(features)[0, k - i] @ hidden + threshold
            logit += float((np.maximum(of_click, 0.0) @ returns)[0])
            chances[i] = np.exp(logit)
    total = sum(chances.values())
    return {click: chance / total for click, chance in chances.items()}


@pytest.mark.parametrize(("row", "k"), [(0, 0), (0, 2), (0, 3), (0, 4), (1, 1)])
def test_it_points_as_its_equation_says(layer, vectors, pointers, row, k):
    found = pointers[row, k]
    expected = weights_by_hand(
        layer, ITEMS[row], DWELL[row], vectors[0, row], vectors[1, row], k
    )
    assert np.exp(found[0]) == pytest.approx(expected.pop(None), rel=1e-5)
    ids, seconds = found[IDS], found[2 * CLICKS + 1 :]
    for age in range(CLICKS):
        click = k - age
        if click not in expected:  # Before the session, or unknown.
            assert ids[age] == schema.PAD_ID
            assert found[1 + age] < -1e8
        else:
            assert ids[age] == ITEMS[row, click]
            assert seconds[age] == DWELL[row, click]
            chance = np.exp(found[1 + age])
            assert chance == pytest.approx(expected[click], rel=1e-4)


def test_nothing_after_a_click_is_read(layer, vectors, pointers):
    short = np.asarray(layer(ITEMS[:, :2], *vectors[:, :, :2], DWELL[:, :2]))
    np.testing.assert_allclose(short, pointers[:, :2], rtol=1e-5)


def test_a_page_that_nobody_clicks_again_is_out(layer, vectors, pointers):
    other = SessionPointer(UNITS, CLICKS, page=False)
    other.build()
    other.set_weights(layer.get_weights())
    found = np.asarray(other(ITEMS, *vectors, DWELL))
    # After 4, 7, 4 the page is 4, on which the oldest click is, too.
    assert (found[0, 2, [1, 3]] < -1e8).all()
    assert np.exp(found[0, 2, [0, 2]]).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(found[..., IDS], pointers[..., IDS])


def scores_by_hand(logits, row):
    ids = row[IDS].astype(int)
    others = np.ones(len(logits), bool)
    others[[i for i in ids if i != schema.PAD_ID]] = False
    chances = np.where(others, np.exp(logits), 0.0)
    chances *= np.exp(row[0]) / chances.sum()
    for item, weight in zip(ids, row[1 : CLICKS + 1], strict=True):
        if item != schema.PAD_ID:
            chances[item] += np.exp(weight)
    return chances


def catalogue(rows):
    """Logits of every id, with which padding can never be clicked."""
    logits = np.random.default_rng(3).normal(size=(len(rows), VOCABULARY))
    logits[:, : schema.FIRST_ITEM_ID] = -1e9
    return np.float32(logits)


def test_own_items_are_only_pointed_at(pointers):
    rows = pointers.reshape(-1, pointers.shape[-1])
    logits = catalogue(rows)
    scores = np.asarray(pointed_scores(logits, Pointers.of(rows)))
    for one, row, own in zip(logits, rows, scores, strict=True):
        expected = scores_by_hand(np.float64(one), row)
        np.testing.assert_allclose(np.exp(own), expected, rtol=1e-4)
        assert np.exp(own).sum() == pytest.approx(1.0, rel=1e-5)


def test_candidates_are_scored_as_the_catalogue_is(pointers):
    rows = pointers.reshape(-1, pointers.shape[-1])
    logits = catalogue(rows)
    of_rows = Pointers.of(rows)
    held = np.asarray(
        of_rows.held(np.tile(np.arange(VOCABULARY), (len(rows), 1)))
    )
    total = np.log(np.where(held, 0.0, np.exp(logits)).sum(1))
    items = np.tile(np.int32([4, 7, 9, 3, 11]), (len(rows), 1))
    some = np.take_along_axis(logits, items, 1)
    np.testing.assert_allclose(
        of_rows.mixed(items, some, np.float32(total)),
        np.take_along_axis(
            np.asarray(pointed_scores(logits, Pointers.of(rows))), items, 1
        ),
        rtol=1e-4,
    )


def test_an_item_is_counted_at_its_newest_click(pointers):
    firsts = np.asarray(Pointers.of(pointers[0]).firsts)
    # 4; 7, 4; 4, 7, 4; unknown, 4, 7; 9, unknown, 4: the newest first.
    np.testing.assert_array_equal(
        firsts,
        np.bool_([[1, 0, 0], [1, 1, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1]]),
    )


def test_the_loss_is_of_the_same_probabilities(pointers):
    rows = pointers.reshape(-1, pointers.shape[-1])
    logits = catalogue(rows)
    targets = np.int32([4, 7, 9, 4, 11, 3, 3, 4, 5, 3])
    scores = np.asarray(pointed_scores(logits, Pointers.of(rows)))
    own = np.take_along_axis(scores, targets[:, None], 1)[:, 0]
    among_others = rows[:, 0] - own
    loss = np.asarray(
        pointed_cross_entropy(among_others, Pointers.of(rows), targets)
    )
    np.testing.assert_allclose(loss, -own, rtol=1e-4, atol=1e-6)
    # Where the target is pointed at, the loss of the others is not read.
    held = np.asarray(Pointers.of(rows).held(targets[:, None]))[:, 0]
    assert held.any() and not held.all()
    other = pointed_cross_entropy(
        np.where(held, 99.0, among_others), Pointers.of(rows), targets
    )
    np.testing.assert_array_equal(np.asarray(other), loss)


def test_a_calibration_moves_the_chance_of_what_is_new_alone(pointers):
    rows = Pointers.of(pointers.reshape(-1, pointers.shape[-1]))
    other = rows.calibrated(0.5, -1.0)
    own = np.exp(rows.log_weights).sum(1, keepdims=True)
    some = own > 0.0
    assert some.any()
    logit = np.asarray(rows.log_chosen) - np.log(np.where(some, own, 1.0))
    expected = np.where(some, 1.0 / (1.0 + np.exp(1.0 - 0.5 * logit)), 1.0)
    np.testing.assert_allclose(np.exp(other.log_chosen), expected, rtol=1e-5)
    # The rest is shared out as before.
    shares = [
        np.exp(each.log_weights)
        / np.maximum(1.0 - np.exp(each.log_chosen), 1e-9)
        for each in (rows, other)
    ]
    np.testing.assert_allclose(shares[1], shares[0], rtol=1e-3, atol=1e-6)
    same = rows.calibrated(1.0, 0.0)
    for mine, theirs in zip(same, rows, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_where_nothing_is_pointed_at_all_is_new():
    nowhere = Pointers.of(np.zeros([1, 3 * CLICKS + 1], np.float32))
    nowhere = nowhere._replace(log_weights=np.full([1, CLICKS], -1e9))
    for mine, theirs in zip(nowhere.calibrated(0.5, 3.0), nowhere, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_zeros_point_nowhere():
    logits = np.float32([[-1e9, -1.0, 2.0, 0.5]])
    nowhere = np.zeros([1, 3 * CLICKS + 1], np.float32)
    scores = np.asarray(pointed_scores(logits, Pointers.of(nowhere)))
    np.testing.assert_allclose(
        scores, tf.nn.log_softmax(logits), rtol=1e-5, atol=1e-6
    )
    loss = pointed_cross_entropy(
        np.float32([1.5]), Pointers.of(nowhere), np.int32([2])
    )
    np.testing.assert_allclose(loss, [1.5], rtol=1e-6)

"""Laws of the two moments of asking: `page_leave` and `page_load`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.layers.page_load_draws import page_load_draws
from jump_tf.models.jump import JUMP
from tests.small_models import OPTIONS
from tests.small_models import make_model

ITEMS = np.int32([[3, 5, 2, 9, 5], [7, 1, 10, 4, 0], [2, 2, 0, 0, 0]])
DWELL = np.float32([[30, 700, 9, 1500, 61], [2000, -1, 0, 61, 0], [5] * 5])
REAL = ITEMS != schema.PAD_ID
INPUTS = {schema.ITEMS: ITEMS, schema.DWELL_SECONDS: DWELL}
ELAPSED = np.float32(
    [[0, 12, 650, 1, 5000], [0.3, 90, np.nan, 2, 0], [44, 0, 0, 0, 0]]
)
KINDS = {
    "paper": {},
    "seconds": {"page_load_rate": 0.4, "residual": True},
    "shared": OPTIONS["shared"],
    "tied": {
        "page_load_rate": 0.4,
        "row_spacing": "log",
        "pointer_clicks": 2,
        "multiplicative": False,
        "micro_step_seconds": 60.0,
    },
    "no attention": {"page_load_rate": 0.4, "attention": False},
    "gru": {**OPTIONS["shared"], "fast_slow": False},
    "no dwell": {"page_load_rate": 0.4, "dwell_input": False},
}


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    return make_model(KINDS[request.param])


def one_row_for_each_click(model, elapsed):
    """`[N, d]`: the plain model on the clicks so far, one by one."""
    rows = []
    for b, k in np.argwhere(REAL):
        dwell = DWELL[b : b + 1, : k + 1].copy()
        dwell[0, k] = schema.at_least(elapsed[b, k])
        items = ITEMS[b : b + 1, : k + 1]
        features = model({schema.ITEMS: items, schema.DWELL_SECONDS: dwell})
        rows.append(np.asarray(features)[0, -1])
    return np.stack(rows)


def test_page_load_is_the_model_on_one_row_for_each_click(model):
    features = np.asarray(model.page_load(INPUTS, ELAPSED))
    expected = one_row_for_each_click(model, ELAPSED)
    np.testing.assert_allclose(
        features[:, 1:][REAL], expected, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(features[:, 0], model(INPUTS)[:, 0])


def test_at_least_nothing_is_an_unknown_dwell(model):
    features = np.asarray(model.page_load(INPUTS))
    for seconds in (0.0, np.nan):
        said = model.page_load(INPUTS, seconds)
        np.testing.assert_array_equal(said, features)
    dwell = DWELL.copy()
    dwell[0, -1] = np.nan
    unknown = np.asarray(model({**INPUTS, schema.DWELL_SECONDS: dwell}))
    np.testing.assert_allclose(
        features[0, -1], unknown[0, -1], rtol=1e-5, atol=1e-5
    )


def test_seconds_on_the_page_tell_a_model_that_learned_them(model):
    def told(seconds):
        return np.asarray(model.page_load(INPUTS, seconds))[:, 1:][REAL]

    difference = np.abs(told(0.0) - told(40.0)).max(-1)
    assert (difference > 1e-4).all() == model.learns_page_load
    assert (difference > 0).any() == model.learns_page_load
    np.testing.assert_array_equal(told(9999.0), told(2000.0))


@pytest.mark.parametrize("column", [1, 3])
def test_neither_the_future_nor_the_dwell_reaches_the_past(model, column):
    def at_page_load(name, value):
        changed = INPUTS[name].copy()
        changed[:, column] = value
        return np.asarray(model.page_load({**INPUTS, name: changed}))

    before = np.asarray(model.page_load(INPUTS))
    items = np.abs(at_page_load(schema.ITEMS, 6) - before)
    assert (items[:, : column + 1] == 0).all()
    assert (items[:, column + 1 :].max(-1) > 1e-5).all()
    # The visitor is still on the page: its dwell is known a click later.
    dwell = np.abs(at_page_load(schema.DWELL_SECONDS, 1111.0) - before)
    np.testing.assert_allclose(dwell[:, : column + 2], 0.0, atol=1e-6)
    if model.config.dwell_input:
        assert (dwell[:2, column + 2 :].max(-1) > 1e-5).all()


def test_a_batch_of_both_moments_is_each_of_them_row_by_row(model):
    newest = np.where(
        np.random.default_rng(3).random(DWELL.shape) < 0.5,
        schema.at_least(ELAPSED),
        np.maximum(DWELL, 0.0),
    )
    mixed = model.features(ITEMS, *map(model.seen, (DWELL, newest)))
    left = (newest >= 0)[..., None]
    assert 0 < left[REAL].sum() < REAL.sum()
    leave, load = model(INPUTS), model.page_load(INPUTS, ELAPSED)
    expected = np.where(left, leave[:, 1:], load[:, 1:])
    np.testing.assert_allclose(
        mixed[:, 1:][REAL], expected[REAL], rtol=1e-5, atol=1e-5
    )


def gradients(model, fixed_shapes):
    """Of some sum of features of both moments, by every weight."""
    model.compile(jit_compile=fixed_shapes)
    newest = np.where(ITEMS % 2, schema.at_least(ELAPSED), np.abs(DWELL))
    with tf.GradientTape() as tape:
        features = model.features(ITEMS, *map(model.seen, (DWELL, newest)))
        random = np.random.default_rng(4).normal(size=features.shape)
        real = np.pad(REAL, [[0, 0], [1, 0]], constant_values=True)
        total = tf.reduce_sum((features * random)[real])
    names = [weight.path for weight in model.trainable_variables]
    found = tape.gradient(
        total, [weight.value for weight in model.trainable_variables]
    )
    return {
        name: np.asarray(tf.convert_to_tensor(gradient))
        for name, gradient in zip(names, found, strict=True)
        if gradient is not None
    }


def test_gradients_are_those_of_the_cell(model):
    ours, reference = gradients(model, False), gradients(model, True)
    assert ours.keys() == reference.keys()
    for name, gradient in ours.items():
        scale = np.abs(reference[name]).max()
        assert scale > 1e-6, name
        np.testing.assert_allclose(
            gradient, reference[name], atol=3e-5 * scale, err_msg=name
        )


def test_weights_for_seconds_are_learned_from_page_load_alone():
    model = make_model(KINDS["seconds"])
    table = model.click_embedding.elapsed
    assert table.shape[0] == 8

    def touched(seconds):
        with tf.GradientTape() as tape:
            features = (
                model(INPUTS)
                if seconds is None
                else model.page_load(INPUTS, seconds)
            )
            total = tf.reduce_sum(features[:, 1:])
        gradient = tape.gradient(total, table.value)
        return set(np.flatnonzero(np.abs(gradient).max(-1)))

    assert touched(None) == touched(0.0) == set()
    assert touched(1.0) == {0}
    assert touched(30.0) == {2, 3}
    assert touched(1999.5) == touched(9999.0) == {6, 7}


def test_seconds_tell_nothing_before_they_are_learned():
    keras.utils.set_random_seed(2)
    model = JUMP(12, units=6, page_load_rate=0.5)
    model.build()
    np.testing.assert_array_equal(
        model.page_load(INPUTS, 50.0), model.page_load(INPUTS)
    )


def test_both_moments_are_normalised_as_one_batch():
    model = make_model(KINDS["shared"])
    newest = np.where(ITEMS % 2, schema.at_least(ELAPSED), np.abs(DWELL))
    embedding = model.click_embedding
    arrived = REAL & ~(newest >= 0)
    rows = np.asarray(model.rows(ITEMS))
    raw = [
        (rows + np.asarray(embedding._rows(dwell)))[some]
        for dwell, some in ((DWELL, REAL), (newest, arrived))
    ]
    assert arrived.any()
    moving = embedding.normalization.moving_mean
    before = np.asarray(moving)
    model.features(ITEMS, DWELL, newest, training=True)
    momentum = embedding.normalization.momentum
    expected = momentum * before + (1 - momentum) * np.concatenate(raw).mean(0)
    np.testing.assert_allclose(moving, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def draws():
    """Dwells, and what became of them; log-normal ones, some cut at c1."""
    random = np.random.default_rng(6)
    dwell = np.exp(random.normal(3.5, 1.6, (1000, 1200))).astype(np.float32)
    dwell = np.minimum(dwell, 2000.0)
    seed = keras.random.SeedGenerator(5)
    return dwell, np.asarray(page_load_draws(dwell, 0.3, 2000.0, seed))


def test_half_of_those_drawn_are_told_nothing(draws):
    _, newest = draws
    share = np.mean(newest == schema.UNKNOWN_DWELL)
    assert share == pytest.approx(0.15, abs=0.005)


def test_nobody_is_told_more_than_the_dwell(draws):
    dwell, newest = draws
    elapsed = schema.at_least(newest)
    told = newest < schema.UNKNOWN_DWELL
    assert (elapsed[told] <= dwell[told]).all()
    assert elapsed[told].min() >= 1.0
    assert elapsed[told].max() < 2000.0
    left = newest >= 0
    np.testing.assert_array_equal(newest[left], dwell[left])


def test_seconds_on_the_page_are_log_uniform_where_all_are_short_of_it(draws):
    dwell, newest = draws
    longest = dwell == 2000.0
    told = np.log(schema.at_least(newest[longest & (newest < -1)]))
    assert len(told) > 500
    levels = np.linspace(0.1, 0.9, 5)
    np.testing.assert_allclose(
        np.quantile(told, levels), levels * np.log(2000.0), atol=0.4
    )


@pytest.mark.parametrize("seconds", [10.0, 200.0])
def test_those_told_of_some_seconds_are_like_all_who_stay_longer(
    draws, seconds
):
    dwell, newest = draws
    elapsed = schema.at_least(newest)
    some = (elapsed > seconds / 1.1) & (elapsed < seconds * 1.1)
    assert some.sum() > 500
    told, all_longer = np.log(dwell[some]), np.log(dwell[dwell > seconds])
    for level in (0.25, 0.5, 0.75):
        assert np.quantile(told, level) == pytest.approx(
            np.quantile(all_longer, level), abs=0.15
        )


def test_training_is_of_what_was_drawn():
    model = make_model(KINDS["tied"])
    reseed = np.asarray(model.input_masking.state)
    drawn = model.drawn_dwell(DWELL)
    assert 0 < np.sum(drawn[REAL] < 0) < REAL.sum()
    expected = model.features(ITEMS, DWELL, drawn, training=True)
    model.input_masking.state.assign(reseed)
    found = model(INPUTS, training=True)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_is_not_trained_for_it_draws_nothing():
    states = []
    for rate in (0.0, 0.5):
        model = make_model({"page_load_rate": rate, "seed": 4})
        model(INPUTS, training=True)
        states.append(np.asarray(model.input_masking.state))
    assert states[0][1] == 1
    assert states[1][1] == 2


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_the_rate_is_a_rate(rate):
    with pytest.raises(schema.InputError, match="page_load_rate"):
        JUMP(9, page_load_rate=rate)

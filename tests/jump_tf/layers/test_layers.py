"""Cells and layers against NumPy, written from the equations by hand."""

import numpy as np
import pytest

from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.click_embedding import dwell_row
from jump_tf.layers.click_embedding import num_dwell_rows
from jump_tf.layers.dwell_features import HISTORY_SIZE
from jump_tf.layers.dwell_features import VISITS_SIZE
from jump_tf.layers.dwell_features import DwellHistory
from jump_tf.layers.dwell_features import visit_features
from jump_tf.layers.dwell_heads import ItemDwellHead
from jump_tf.layers.dwell_heads import SharedDwellHead
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.fast_slow import num_fast_steps
from jump_tf.layers.highway import HighwayUnit
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.layers.session_attention import attention_weights

UNITS = 3
Z = 200.0


@pytest.fixture
def random():
    return np.random.default_rng(5)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def randomize(layer, random):
    """Gives every weight a value of its own, so that each must matter."""
    for weight in layer.trainable_weights:
        weight.assign(normal(random, *weight.shape))
    return layer


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def highway_by_hand(unit, h, x=None):
    """Equation 15, term by term."""
    d = unit.units
    u_c, u_g = np.split(np.asarray(unit.recurrent_kernel), [d], axis=1)
    w_c, w_g = np.split(np.asarray(unit.kernel), [d], axis=1)
    alpha, beta, gamma = map(np.asarray, (unit.alpha, unit.beta, unit.gamma))
    m = gamma * (h @ u_c)
    g = h @ u_g
    if x is not None:
        m = m + alpha * (x @ w_c) * (h @ u_c) + beta * (x @ w_c)
        g = g + x @ w_g
    if unit.use_bias:
        m = m + np.asarray(unit.candidate_bias)
        g = g + np.asarray(unit.gate_bias)
    g = sigmoid(g)
    return (1 - g) * h + g * np.tanh(m)


def fast_slow_by_hand(layer, clicks, dwell_seconds):
    """Equation 14 for one session: `[T, d]` clicks to `[2, T, d]` states."""
    fast, slow = layer.cell.fast, layer.cell.slow
    h = s = np.zeros((1, layer.units))
    outputs = []
    for x, tau in zip(clicks, dwell_seconds, strict=True):
        steps = max(1, int(np.ceil(min(tau, layer.max_dwell_seconds) / Z)))
        f = highway_by_hand(fast, h, x[None])
        s = highway_by_hand(slow, s, f)
        f = highway_by_hand(fast, f, s)
        for _ in range(2, steps + 1):
            f = highway_by_hand(fast, f)
        h = f
        outputs.append((h[0], s[0]))
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("with_input", [False, True])
def test_highway_unit_without_multiplication_is_a_plain_sum(random, with_input):
    unit = HighwayUnit(4, multiplicative=False)
    unit.build((None, 4))
    h, x = normal(random, 3, 4), normal(random, 3, 4)
    total, reads = h @ unit.recurrent_kernel, x @ unit.kernel
    if with_input:
        total = total + reads
    candidate, gate = np.split(np.asarray(total), 2, axis=-1)
    expected = h + sigmoid(gate) * (np.tanh(candidate) - h)
    made = unit(h, unit.project(x) if with_input else None)
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("with_input", [False, True])
def test_highway_unit_is_equation_15(random, use_bias, with_input):
    unit = HighwayUnit(UNITS, use_bias)
    unit.build((None, UNITS))
    randomize(unit, random)
    h, x = normal(random, 2, UNITS), normal(random, 2, UNITS)
    answer = unit(h, unit.project(x)) if with_input else unit(h)
    expected = highway_by_hand(unit, h, x if with_input else None)
    np.testing.assert_allclose(answer, expected, rtol=1e-5, atol=1e-6)


def test_number_of_fast_steps():
    dwell = np.float32([0.0, 0.4, 200.0, 200.1, 399.0, 2000.0, 9999.0])
    np.testing.assert_array_equal(
        num_fast_steps(dwell, Z, 2000.0), [1, 1, 1, 2, 2, 10, 10]
    )
    unknown = np.float32([-1.0, np.nan])
    np.testing.assert_array_equal(num_fast_steps(unknown, Z, 2000.0), [1, 1])


def test_fast_slow_layer_is_equation_14(random):
    layer = FastSlow(UNITS, Z, 2000.0)
    clicks = normal(random, 2, 5, UNITS)
    dwell = np.float32([[10, 700, 200, 1999, 3], [450, 0, 5000, 60, 201]])
    layer(clicks, dwell)
    randomize(layer, random)
    answer = np.stack(layer(clicks, dwell))
    for row in range(2):
        np.testing.assert_allclose(
            answer[:, row],
            fast_slow_by_hand(layer, clicks[row], dwell[row]),
            rtol=1e-4,
            atol=1e-5,
        )


def test_other_clicks_steps_do_not_reach_a_lane(random):
    """A lane with R = 1 is the same beside lanes with R = 10."""
    layer = FastSlow(UNITS, Z, 2000.0)
    clicks = normal(random, 4, 3, UNITS)
    short = np.full((4, 3), 20.0, np.float32)
    mixed = short.copy()
    mixed[1:] = 1900.0
    answer = np.asarray(layer(clicks, short)[0])
    np.testing.assert_array_equal(layer(clicks, mixed)[0][0], answer[0])
    assert np.abs(layer(clicks, mixed)[0][1] - answer[1]).max() > 1e-3


def test_untied_inputs_are_another_function_with_more_weights(random):
    tied = FastSlow(UNITS, Z, 2000.0, tie_inputs=True)
    untied = FastSlow(UNITS, Z, 2000.0, tie_inputs=False)
    clicks, dwell = normal(random, 2, 3, UNITS), np.full((2, 3), 9.0, "f")
    tied(clicks, dwell)
    untied(clicks, dwell)
    assert untied.count_params() == tied.count_params() + UNITS * 2 * UNITS
    for target, source in zip(
        untied.cell.fast.weights + untied.cell.slow.weights,
        tied.cell.fast.weights + tied.cell.slow.weights,
        strict=True,
    ):
        target.assign(source)
    untied.cell.slow_to_fast.assign(tied.cell.fast.kernel)
    np.testing.assert_allclose(
        np.stack(untied(clicks, dwell)), tied(clicks, dwell), rtol=1e-6
    )


def test_attention_is_equations_12_and_13(random):
    states = normal(random, 2, 4, UNITS)
    expected = np.zeros_like(states)
    for b in range(2):
        for k in range(4):
            h = states[b, : k + 1]
            scores = np.exp(h @ states[b, k] / np.sqrt(UNITS))
            expected[b, k] = (scores / scores.sum()) @ h
    np.testing.assert_allclose(
        SessionAttention()(states), expected, rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        SessionAttention(residual=True)(states),
        expected + states,
        rtol=1e-5,
        atol=1e-6,
    )


def test_attention_rows_sum_to_one_over_the_past(random):
    weights = np.asarray(attention_weights(normal(random, 2, 5, UNITS)))
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-6)
    assert (weights[:, *np.triu_indices(5, 1)] == 0).all()


@pytest.mark.parametrize("spacing", ["seconds", "log"])
def test_dwell_rows_rise_and_stay_in_the_table(spacing):
    seconds = np.float32([0, 0.9, 1, 1.5, 59, 1999.5, 2000, 7e5])
    rows = np.asarray(dwell_row(seconds, 2000.0, spacing))
    assert (np.diff(rows) >= 0).all()
    assert rows.min() == 1
    assert rows.max() == num_dwell_rows(2000.0, spacing) - 1
    if spacing == "seconds":
        assert list(rows) == [1, 1, 2, 2, 60, 2000, 2001, 2001]
    unknown = np.asarray(dwell_row(np.float32([-1, np.nan]), 2000.0, spacing))
    assert list(unknown) == [0, 0]


def test_click_embedding_is_equation_16(random):
    """In training the statistics are those of the real clicks alone."""
    layer = ClickEmbedding(UNITS, 50.0)
    items = normal(random, 2, 4, UNITS)
    dwell = np.float32([[3.7, 50.0, 0.0, 0.0], [1.0, 3.2, 80.0, 0.2]])
    real = np.array([[True, True, False, False], [True] * 4])
    layer(items, dwell, real)
    randomize(layer, random)
    rows = np.array([[4, 51, 1, 1], [2, 4, 51, 1]])
    raw = items + np.asarray(layer.dwell_rows.embeddings)[rows]
    mean, variance = raw[real].mean(0), raw[real].var(0)
    expected = (raw - mean) / np.sqrt(variance + layer.normalization.epsilon)
    expected = expected * layer.normalization.gamma + layer.normalization.beta
    answer = layer(items, dwell, real, training=True)
    np.testing.assert_allclose(
        np.asarray(answer)[real], expected[real], rtol=1e-4, atol=1e-5
    )
    assert (np.asarray(answer)[~real] == 0).all()


def test_only_dwell_rows_that_were_seen_have_a_gradient(random):
    tf = pytest.importorskip("tensorflow")
    layer = ClickEmbedding(UNITS, 9.0)
    items = normal(random, 1, 3, UNITS)
    dwell, real = np.float32([[2.0, 7.5, -1.0]]), np.ones((1, 3), bool)
    layer(items, dwell, real)
    with tf.GradientTape() as tape:
        answer = layer(items, dwell, real, training=True)
        loss = tf.reduce_sum(answer * normal(random, 1, 3, UNITS))
    table = layer.dwell_rows.embeddings
    gradient = tf.convert_to_tensor(tape.gradient(loss, table.value))
    seen = np.flatnonzero(np.abs(gradient.numpy()).sum(1))
    assert list(seen) == [0, 3, 8]


def test_dwell_history_by_hand():
    history = np.asarray(
        DwellHistory(100.0, center=2.0)(np.float32([[9.0, -1.0, 500.0]]))
    )[0]
    first, long = np.log(10.0) - 2.0, np.log(101.0) - 2.0
    mean, apart = (first + long) / 2, (long - first) / 2
    one, two = np.log(10.0) - 2.0, np.log(110.0) - 2.0
    expected = [
        [first, first, first, first, first, 0.0, one, np.log(2.0), 1.0],
        [first, first, first, first, first, 0.0, one, np.log(3.0), 0.0],
        [long, mean, first, mean, mean, apart, two, np.log(4.0), 1.0],
    ]
    np.testing.assert_allclose(history, expected, rtol=1e-5, atol=1e-3)


def test_no_dwell_reads_as_no_history():
    history = np.asarray(DwellHistory(100.0)(np.float32([[-1.0, np.nan]])))[0]
    expected = np.zeros([2, HISTORY_SIZE])
    expected[:, -2] = np.log([2.0, 3.0])
    np.testing.assert_allclose(history, expected, rtol=1e-6)


def test_visits_by_hand():
    # Newest first: item 7 twice, its newest dwell not known, then padding.
    past = np.array([[7, 5, 7, 0], [7, 5, 7, 0], [7, 5, 7, 0], [7, 5, 7, 0]])
    dwell = np.float32([[-1.0, 30.0, 500.0, 0.0]] * 4)
    found = np.asarray(
        visit_features(np.array([7, 5, 6, 0]), past, dwell, 100.0, center=2.0)
    )
    expected = [
        [1.0, 0.0, np.log(3.0), np.log(101.0) - 2.0, 1.0],
        [1.0, np.log(2.0), np.log(2.0), np.log(31.0) - 2.0, 1.0],
        [0.0] * VISITS_SIZE,
        [0.0] * VISITS_SIZE,
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_item_head_is_equation_11(random):
    head = ItemDwellHead(7, units=UNITS, scale=10.0, initial_log_seconds=3.5)
    features, items = normal(random, 4, UNITS), np.array([2, 6, 2, 3])
    distribution, end_logits = head(features, items, None)
    assert end_logits is None
    np.testing.assert_allclose(distribution.location, 3.5)
    np.testing.assert_allclose(distribution.scale, 10.0)
    randomize(head, random)
    w = np.asarray(head.kernel.embeddings)
    b = np.asarray(head.bias.embeddings)[:, 0]
    expected = (w[items] * features).sum(1) + b[items]
    np.testing.assert_allclose(
        head(features, items, None)[0].location, expected, rtol=1e-5
    )


def test_shared_head_drops_what_is_learned_but_not_the_history(random):
    head = SharedDwellHead(units=2, hidden_units=5, dropout=0.999999)
    head.build((None, 3))
    randomize(head, random)
    features, rows = normal(random, 6, 3), normal(random, 6, 2)
    kept = features * np.float32([0, 0, 1])
    bare = head(kept, None, 0 * rows)[0].location
    dropped = head(features, None, rows, training=True)[0].location
    # All of y is dropped too: what is left is linear in the history.
    bias = head.linear.bias + head.from_hidden.bias[:1]
    history = features[:, 2] * np.asarray(head.linear.kernel)[4, 0]
    np.testing.assert_allclose(dropped, history + bias, rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(bare) - dropped).max() > 1e-3


def test_shared_head_of_kinds_of_dwell_matches_its_equation(random):
    head = SharedDwellHead(
        units=UNITS, hidden_units=5, components=3, initial_log_seconds=4.25
    )
    features, rows = normal(random, 4, UNITS), normal(random, 4, UNITS)
    distribution, _ = head(features, None, rows)
    np.testing.assert_allclose(distribution.median(), np.exp(4.25), rtol=1e-5)
    for location, start in zip(
        distribution.locations, [3.25, 4.25, 5.25], strict=True
    ):
        np.testing.assert_allclose(location, start)
    randomize(head, random)
    joint = np.concatenate([features, rows], 1)
    y = np.tanh(joint @ head.hidden.kernel + head.hidden.bias)
    out = y @ head.from_hidden.kernel + head.from_hidden.bias
    mu = joint @ head.linear.kernel + head.linear.bias + out[:, :3]
    distribution, end_logits = head(features, None, rows)
    for k in range(3):
        np.testing.assert_allclose(
            distribution.locations[k], mu[:, k] + k - 1, rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            distribution.scales[k],
            np.exp(head.log_scale + out[:, 3 + k]),
            rtol=1e-4,
        )
        np.testing.assert_allclose(
            distribution.logits[k], out[:, 6 + k], atol=1e-5
        )
    np.testing.assert_allclose(end_logits, out[:, 9], rtol=1e-4, atol=1e-5)


def test_shared_head_starts_at_the_mean_and_matches_its_equation(random):
    head = SharedDwellHead(
        units=UNITS, hidden_units=5, initial_log_seconds=4.25
    )
    features, rows = normal(random, 4, UNITS), normal(random, 4, UNITS)
    distribution, end_logits = head(features, None, rows)
    np.testing.assert_allclose(distribution.location, 4.25)
    np.testing.assert_allclose(distribution.scale, 1.0)
    randomize(head, random)
    joint = np.concatenate([features, rows], 1)
    y = np.tanh(joint @ head.hidden.kernel + head.hidden.bias)
    out = y @ head.from_hidden.kernel + head.from_hidden.bias
    mu = (joint @ head.linear.kernel + head.linear.bias)[:, 0] + out[:, 0]
    sigma = np.exp(head.log_scale + out[:, 1])
    distribution, end_logits = head(features, None, rows)
    np.testing.assert_allclose(distribution.location, mu, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(distribution.scale, sigma, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(end_logits, out[:, 2], rtol=1e-4, atol=1e-5)

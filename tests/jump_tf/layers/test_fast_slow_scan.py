import numpy as np
import pytest
import tensorflow as tf

from jump_tf.layers import fast_slow_scan
from jump_tf.layers.fast_slow import FastSlow

Z = 200.0


@pytest.fixture
def random():
    return np.random.default_rng(8)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def make_layer(random, units, use_bias, tie_inputs, multiplicative=True):
    layer = FastSlow(units, Z, 2000.0, use_bias, tie_inputs, multiplicative)
    layer.build((None, None, units), (None, None))
    for weight in layer.weights:
        weight.assign(weight + 0.3 * normal(random, *weight.shape))
    return layer


def outputs_and_gradients(layer, clicks, real, by_output, dwell, **how):
    """Of the fast states at real clicks, by clicks and weights."""
    clicks = tf.constant(clicks)
    with tf.GradientTape() as tape:
        tape.watch(clicks)
        outputs = layer(clicks, dwell, real, **how)[0]
        total = tf.reduce_sum(outputs[real] * by_output[real])
    weights = [weight.value for weight in layer.trainable_variables]
    return outputs[real], tape.gradient(total, [clicks, *weights])


@pytest.mark.parametrize(
    ("use_bias", "multiplicative"), [(False, True), (True, True), (True, False)]
)
@pytest.mark.parametrize("tie_inputs", [False, True])
@pytest.mark.parametrize(
    ("sizes", "in_graph"),
    [
        ((1, 1, 3), False),
        ((5, 7, 4), False),
        ((19, 3, 6), False),
        ((5, 7, 4), True),
    ],
)
def test_scan_equals_the_cell(
    random, sizes, multiplicative, tie_inputs, use_bias, in_graph
):
    """Sessions of unequal length, dwells of one to ten fast steps."""
    sessions, length, units = sizes
    layer = make_layer(random, units, use_bias, tie_inputs, multiplicative)
    clicks = normal(random, sessions, length, units)
    dwell = np.exp(4.5 + 1.7 * normal(random, sessions, length))
    lengths = random.integers(1, length + 1, size=sessions)
    real = np.arange(length) < lengths[:, None]
    by_output = normal(random, sessions, length, units)

    def run(**how):
        return outputs_and_gradients(
            layer, clicks, real, by_output, dwell, **how
        )

    reference = run(fixed_shapes=True)
    for training in (False, True):
        scan = tf.function(run) if in_graph else run
        scanned = scan(training=training)
        np.testing.assert_allclose(scanned[0], reference[0], atol=1e-5)
        for ours, theirs in zip(scanned[1], reference[1], strict=True):
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(ours, theirs, atol=2e-5 * scale)


def test_every_step_of_a_lane_is_a_step_of_its_session():
    """Lanes of 1 + 3 + 1 and 2 + 2 steps, and a padded click."""
    ticks = fast_slow_scan.plan(np.int32([[1, 3, 1], [2, 2, 0]]))
    click = np.asarray(ticks.click)[:, :2]
    np.testing.assert_array_equal(click[:, 0], [0, 1, 1, 1, 2])
    np.testing.assert_array_equal(click[:4, 1], [3, 3, 4, 4])
    starts = np.asarray(ticks.starts)[:, :2]
    np.testing.assert_array_equal(starts[:, 0], [1, 1, 0, 0, 1])
    np.testing.assert_array_equal(starts[:, 1], [1, 0, 1, 0, 0])
    lanes = ticks.click.shape[1]
    assert lanes % fast_slow_scan.LANES == 0
    ends = np.array([[0, 3, 4], [1, 3, 3]])  # A padded click has its former's.
    lane = np.array([[0], [1]])
    np.testing.assert_array_equal(ticks.last, ends * lanes + lane)


def test_scan_does_not_depend_on_its_neighbours(random):
    """A session alone is the same beside one with ten times its steps."""
    layer = make_layer(random, 5, True, False)
    clicks = normal(random, 2, 4, 5)
    dwell = np.float32([[10, 30, 300, 5], [1999, 1999, 1999, 1999]])
    together = np.stack(layer(clicks, dwell))
    for row in range(2):
        alone = np.stack(layer(clicks[row : row + 1], dwell[row : row + 1]))
        np.testing.assert_allclose(together[:, row], alone[:, 0], atol=1e-6)


@pytest.mark.parametrize("tie_inputs", [False, True])
def test_steps_one_by_one_are_the_layer(random, tie_inputs):
    layer = make_layer(random, 5, True, tie_inputs)
    clicks = normal(random, 3, 4, 5)
    dwell = np.float32([[10, 30, 300, -1], [1999, -1, 7, 0], [-1, 2, 900, 5]])
    expected = np.stack(layer(clicks, dwell))
    states = (np.zeros([3, 5], "f"), np.zeros([3, 5], "f"))
    for k in range(4):
        states = layer.step(clicks[:, k], states, dwell[:, k])
        np.testing.assert_allclose(states, expected[:, :, k], atol=1e-5)

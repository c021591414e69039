"""Laws of the lazy optimizer, and of the training step it makes possible."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.models.jump import JUMP
from jump_tf.train.optimizer import LazyAdam
from jump_tf.train.optimizer import sum_duplicates

ROWS, UNITS = 9, 3
LOOKUPS = ([2, 5, 2, 7], [5], [7, 0, 0, 0, 3])  # One list a step.
VOCABULARY_SIZE = 104_729  # A size that nothing else has.


@pytest.fixture
def random():
    return np.random.default_rng(6)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def slices(random, ids):
    return tf.IndexedSlices(
        tf.constant(normal(random, len(ids), UNITS)),
        tf.constant(ids, tf.int64),
        tf.constant([ROWS, UNITS]),
    )


def dense(gradient):
    summed = np.zeros((ROWS, UNITS), np.float32)
    np.add.at(summed, gradient.indices.numpy(), gradient.values.numpy())
    return summed


@pytest.fixture
def gradients(random):
    return [slices(random, ids) for ids in LOOKUPS]


def lazy_adam_by_hand(weights, gradients, rate):
    """The docstring, row by row, in float64."""
    w = weights.astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        g = dense(gradient).astype(np.float64)
        for r in set(gradient.indices.numpy()):
            m[r] = 0.9 * m[r] + 0.1 * g[r]
            v[r] = 0.999 * v[r] + 0.001 * g[r] ** 2
            scale = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            w[r] -= rate * scale * m[r] / (np.sqrt(v[r]) + 1e-7)
    return w, m, v


def slots(optimizer):
    return [*optimizer._momentums, *optimizer._velocities]


def copies(variables):
    return [np.array(variable) for variable in variables]


def test_touched_rows_match_numpy_and_the_others_rest(random, gradients):
    start = normal(random, ROWS, UNITS)
    variable, optimizer = keras.Variable(start), LazyAdam(0.1)
    optimizer.build([variable])
    ours = [variable, *slots(optimizer)]
    for gradient in gradients:
        before = copies(ours)
        optimizer.apply([gradient], [variable])
        resting = np.setdiff1d(np.arange(ROWS), gradient.indices.numpy())
        for old, new in zip(before, copies(ours), strict=True):
            np.testing.assert_array_equal(old[resting], new[resting])
            assert not np.array_equal(old, new)
    by_hand = lazy_adam_by_hand(start, gradients, 0.1)
    for expected, found in zip(by_hand, ours, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"amsgrad": True}])
def test_a_dense_gradient_is_plain_adam(random, options):
    start = normal(random, ROWS, UNITS)
    lazy, plain = keras.Variable(start), keras.Variable(start)
    ours = LazyAdam(0.1, global_clipnorm=1.5, **options)
    theirs = keras.optimizers.Adam(0.1, global_clipnorm=1.5, **options)
    for _ in range(3):
        gradient = tf.constant(normal(random, ROWS, UNITS))
        ours.apply([gradient], [lazy])
        theirs.apply([gradient], [plain])
    np.testing.assert_array_equal(lazy, plain)


def test_if_every_row_is_touched_lazy_is_plain_adam(random):
    start = normal(random, ROWS, UNITS)
    lazy, plain = keras.Variable(start), keras.Variable(start)
    ours, theirs = LazyAdam(0.1), keras.optimizers.Adam(0.1)
    for _ in range(3):
        gradient = slices(random, [*range(ROWS), 4, 4])
        ours.apply([gradient], [lazy])
        theirs.apply([tf.constant(dense(gradient))], [plain])
    np.testing.assert_allclose(lazy, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "clip", [{"global_clipnorm": 0.7}, {"clipnorm": 0.4}, {"clipvalue": 0.2}]
)
def test_clipping_sees_the_gradient_with_its_duplicates_summed(
    random, gradients, clip
):
    other = tf.constant(normal(random, 4))
    for gradient in gradients:
        lazy = LazyAdam(**clip)._clip_gradients([gradient, other, None])
        plain = LazyAdam(**clip)._clip_gradients(
            [tf.constant(dense(gradient)), other, None]
        )
        np.testing.assert_allclose(dense(lazy[0]), plain[0], rtol=1e-5)
        np.testing.assert_allclose(lazy[1], plain[1], rtol=1e-5)
        assert lazy[2] is None


def test_sum_duplicates_names_each_row_once(gradients):
    for gradient in gradients:
        summed = sum_duplicates(gradient)
        ids = summed.indices.numpy()
        assert len(set(ids)) == len(ids)
        np.testing.assert_allclose(dense(summed), dense(gradient), rtol=1e-6)


def test_a_restored_optimizer_goes_on_as_if_nothing_happened(
    random, gradients, tmp_path
):
    def fresh(start):
        variable, optimizer = keras.Variable(start), LazyAdam(0.1)
        optimizer.build([variable])
        return variable, optimizer

    start = normal(random, ROWS, UNITS)
    variable, optimizer = fresh(start)
    for gradient in gradients[:2]:
        optimizer.apply([gradient], [variable])
    path = tf.train.Checkpoint(optimizer=optimizer, variable=variable).save(
        str(tmp_path / "c")
    )
    clone, restored = fresh(0.0 * start)
    status = tf.train.Checkpoint(optimizer=restored, variable=clone).restore(
        path
    )
    status.assert_existing_objects_matched()
    for one, its in ((variable, optimizer), (clone, restored)):
        its.apply([gradients[2]], [one])
    np.testing.assert_array_equal(variable, clone)
    for ours, theirs in zip(slots(optimizer), slots(restored), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_xla_gives_the_same(random, gradients):
    start = normal(random, ROWS, UNITS)

    def train(jit):
        variable = keras.Variable(start)
        optimizer = LazyAdam(0.1, global_clipnorm=0.7)
        optimizer.build([variable])

        @tf.function(jit_compile=jit)
        def step(values, ids):
            gradient = tf.IndexedSlices(values, ids, [ROWS, UNITS])
            optimizer.apply([gradient], [variable])

        for gradient in gradients:
            step(gradient.values, gradient.indices)
        return np.array(variable)

    np.testing.assert_allclose(train(jit=True), train(jit=False), rtol=1e-5)


def test_config_survives_json():
    optimizer = LazyAdam(0.02, beta_1=0.8, global_clipnorm=3.0)
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    clone = keras.optimizers.deserialize(config)
    assert isinstance(clone, LazyAdam)
    assert clone.get_config() == optimizer.get_config()


def test_two_replicas_step_as_one():
    """In a process of its own: logical devices come before anything else."""
    script = pathlib.Path(__file__).with_name("two_replicas.py")
    subprocess.run(
        [sys.executable, str(script)],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def catalogue_sized(optimizer, head):
    """Kinds and ranks of all tensors of the catalogue's length in a step."""
    model = JUMP(
        VOCABULARY_SIZE,
        units=4,
        click_loss="sampled_softmax",
        negatives=8,
        dwell_head=head,
        click_scale=9.0,
        item_bias=True,
    )
    model.build()
    model.compile(optimizer, jit_compile=False)
    items = np.int32([[3, 5, 2], [7, 104_728, 0]])
    real = np.float32(items != schema.PAD_ID)
    dwell = 30.0 * real
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: 0.0 * real,
        schema.SESSION_END: 0.0 * real,
    }
    inputs = {
        schema.ITEMS: items[:, :-1],
        schema.DWELL_SECONDS: dwell[:, :-1],
    }
    step = tf.function(lambda *batch: model.train_step(batch))
    graph = step.get_concrete_function(inputs, targets, real).graph
    definition = graph.as_graph_def(add_shapes=True)
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes.extend(function.node_def)
    return {
        (node.op, len(shape.dim))
        for node in nodes
        for shape in node.attr["_output_shapes"].list.shape
        if VOCABULARY_SIZE in [dim.size for dim in shape.dim]
    }


@pytest.mark.parametrize(
    "head", ["shared", pytest.param("item", marks=pytest.mark.exhaustive)]
)
def test_a_step_makes_nothing_of_the_size_of_the_catalogue(head):
    """But for reads of the sampler's columns, which copy nothing."""
    assert catalogue_sized(LazyAdam(), head) == {("ReadVariableOp", 1)}


def test_plain_adam_does():
    """The same eyes see what Keras' Adam makes dense."""
    found = catalogue_sized(keras.optimizers.Adam(), "shared")
    assert ("ReadVariableOp", 2) in found

"""Laws of the softmax over a catalogue, whole and in blocks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.losses import softmax

# Number of ids and size of a block: several and a rest, several exactly, a
# rest of one, one block exactly, one larger than all there is.
SPLITS = [(29, 5), (27, 5), (23, 20), (22, 20), (7, 4096)]


@pytest.fixture
def random():
    return np.random.default_rng(3)


def normal(random, *shape, scale=1.0):
    return random.normal(scale=scale, size=shape).astype(np.float32)


def by_hand(queries, item_vectors, targets, upstream):
    """Losses and gradients in float64: p = softmax(q V), d logits = p - 1."""
    queries, item_vectors = np.float64(queries), np.float64(item_vectors)
    logits = queries @ item_vectors.T
    logits[:, : schema.FIRST_ITEM_ID] = -np.inf
    highest = logits.max(1, keepdims=True)
    chances = np.exp(logits - highest)
    sums = chances.sum(1, keepdims=True)
    rows = np.arange(len(targets))
    values = (highest + np.log(sums))[:, 0] - logits[rows, targets]
    slopes = chances / sums
    slopes[rows, targets] -= 1.0
    slopes *= np.float64(upstream)[:, None]
    return values, slopes @ item_vectors, slopes.T @ queries


def value_and_gradients(loss, queries, item_vectors, targets, upstream):
    queries, item_vectors = map(tf.convert_to_tensor, (queries, item_vectors))
    with tf.GradientTape() as tape:
        tape.watch([queries, item_vectors])
        value = loss(queries, item_vectors, targets)
    gradients = tape.gradient(value, [queries, item_vectors], upstream)
    return value, *map(tf.convert_to_tensor, gradients)


def chunked(block_size):
    def loss(queries, item_vectors, targets):
        return softmax.chunked_softmax_cross_entropy(
            queries, item_vectors, targets, block_size=block_size
        )

    return loss


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "tf.function"])
@pytest.mark.parametrize("scale", [1.0, 60.0], ids=["small", "large"])
@pytest.mark.parametrize(("num_ids", "block_size"), SPLITS)
def test_whole_and_in_blocks_are_the_softmax(
    num_ids, block_size, scale, graph, random
):
    """Values and gradients, with logits up to tens of thousands."""
    arguments = (
        normal(random, 3, 4, scale=scale),
        normal(random, num_ids, 4, scale=scale),
        random.integers(schema.FIRST_ITEM_ID, num_ids, 3),
        normal(random, 3),
    )
    expected = by_hand(*arguments)
    for loss in (softmax.softmax_cross_entropy, chunked(block_size)):
        ours = tf.function(loss) if graph else loss
        for mine, theirs in zip(
            value_and_gradients(ours, *arguments), expected, strict=True
        ):
            np.testing.assert_allclose(
                mine, theirs, rtol=1e-5, atol=1e-5 * scale
            )


def test_a_score_of_the_reserved_ids_means_nothing(random):
    """Not even one that is infinitely better."""
    queries, items = normal(random, 3, 4), normal(random, 11, 4)
    targets = np.array([2, 10, 5])
    expected = softmax.softmax_cross_entropy(queries, items, targets)
    items[: schema.FIRST_ITEM_ID] = 1e5
    for loss in (softmax.softmax_cross_entropy, chunked(4)):
        value, to_queries, to_items = value_and_gradients(
            loss, queries, items, targets, np.ones(3, np.float32)
        )
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert np.abs(to_queries).max() < 1e3
        np.testing.assert_array_equal(
            to_items[: schema.FIRST_ITEM_ID], np.zeros((2, 4))
        )


@pytest.mark.parametrize("block_size", [None, 5])
def test_batches_of_any_length_and_a_permuted_one(block_size, random):
    """One trace serves all lengths; a row's loss depends on no other."""
    loss = chunked(5) if block_size else softmax.softmax_cross_entropy
    items = normal(random, 29, 4)
    trace = tf.function(
        lambda queries, targets: loss(queries, items, targets),
        input_signature=[
            tf.TensorSpec([None, 4]),
            tf.TensorSpec([None], tf.int64),
        ],
    )
    queries, targets = normal(random, 7, 4), random.integers(2, 29, 7)
    whole = trace(queries, targets)
    order = random.permutation(7)
    np.testing.assert_allclose(
        trace(queries[order], targets[order]), whole.numpy()[order], rtol=1e-5
    )
    np.testing.assert_allclose(
        trace(queries[:2], targets[:2]), whole[:2], rtol=1e-5
    )
    assert trace(queries[:0], targets[:0]).shape == (0,)


@pytest.mark.parametrize("block_size", [None, 5])
def test_used_twice_the_gradients_add_up(block_size, random):
    """In one graph, once on each half of the batch."""
    loss = chunked(block_size) if block_size else softmax.softmax_cross_entropy
    queries, items = normal(random, 5, 4), normal(random, 29, 4)
    targets = random.integers(schema.FIRST_ITEM_ID, 29, 5)

    @tf.function
    def in_halves(queries, items, targets):
        return tf.concat(
            [
                loss(queries[:2], items, targets[:2]),
                loss(queries[2:], items, targets[2:]),
            ],
            axis=0,
        )

    upstream = normal(random, 5)
    for halves, whole in zip(
        value_and_gradients(in_halves, queries, items, targets, upstream),
        value_and_gradients(loss, queries, items, targets, upstream),
        strict=True,
    ):
        np.testing.assert_allclose(halves, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [None, 256])
def test_bfloat16_is_summed_in_float32(block_size):
    """3000 items that score the same; bfloat16 cannot count beyond 256."""
    queries = tf.ones((2, 4), tf.bfloat16)
    items = tf.fill((3002, 4), tf.constant(0.5, tf.bfloat16))
    loss = chunked(block_size) if block_size else softmax.softmax_cross_entropy
    with tf.GradientTape() as tape:
        tape.watch([queries, items])
        value = loss(queries, items, [2, 3])
    assert value.dtype == tf.float32
    np.testing.assert_allclose(value, np.log(3000), rtol=1e-6)
    for gradient in tape.gradient(value, [queries, items]):
        assert gradient.dtype == tf.bfloat16


def test_blocks_never_hold_the_logits_of_all_items(random):
    """No tensor of N V numbers, nor of a tenth, in forward or backward."""
    num_queries, num_ids, width, block_size = 61, 4007, 3, 50
    targets = random.integers(schema.FIRST_ITEM_ID, num_ids, num_queries)

    def largest(loss):
        step = tf.function(
            lambda queries, items: value_and_gradients(
                loss, queries, items, targets, tf.ones(num_queries)
            )
        ).get_concrete_function(
            tf.TensorSpec([num_queries, width]), tf.TensorSpec([num_ids, width])
        )
        graph = step.graph.as_graph_def(add_shapes=True)
        nodes = [*graph.node]
        for function in graph.library.function:  # The bodies of the loops.
            nodes.extend(function.node_def)
        return max(
            np.prod([axis.size for axis in shape.dim])
            for node in nodes
            for shape in node.attr["_output_shapes"].list.shape
        )

    whole = num_queries * num_ids
    assert largest(softmax.softmax_cross_entropy) == whole
    assert largest(chunked(block_size)) < whole / 10


@pytest.mark.parametrize("name", ["softmax", "chunked_softmax"])
def test_a_model_learns_through_the_written_gradient(name, random):
    """Keras fit, on a catalogue that is a lookup table."""

    @keras.saving.register_keras_serializable(package="test")
    class Table(keras.Model):
        def __init__(self):
            super().__init__()
            self.queries = keras.layers.Embedding(7, 6)
            self.items = keras.layers.Embedding(9, 6)
            self.items.build()

        def call(self, inputs):
            return self.queries(inputs)

        def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
            loss = getattr(softmax, f"{name}_cross_entropy")
            return keras.ops.mean(loss(y_pred, self.items.embeddings, y))

    model = Table()
    model.compile(keras.optimizers.Adam(0.1))
    inputs = np.arange(7)
    history = model.fit(
        np.tile(inputs, 8),
        np.tile(inputs + schema.FIRST_ITEM_ID, 8),
        batch_size=14,
        epochs=9,
        verbose=0,
    )
    assert history.history["loss"][-1] < 0.1

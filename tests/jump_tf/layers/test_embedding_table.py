import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf.layers.embedding_table import EmbeddingTable

IDS = np.int32([[3, 5, 3], [0, 6, 1]])


@pytest.fixture
def table():
    table = EmbeddingTable(7, 4, keras.initializers.RandomNormal(seed=2))
    table.build()
    return table


def test_values_and_gradients_are_those_of_keras(table):
    reference = keras.layers.Embedding(7, 4)
    reference.build()
    reference.set_weights(table.get_weights())
    weights = np.random.default_rng(1).normal(size=(2, 3, 4))
    gradients = []
    for layer in (table, reference):
        with tf.GradientTape() as tape:
            rows = layer(IDS)
            loss = tf.reduce_sum(tf.cast(weights, tf.float32) * rows**2)
        gradients.append(tape.gradient(loss, layer.embeddings.value))
    np.testing.assert_array_equal(table(IDS), reference(IDS))
    assert isinstance(gradients[0], tf.IndexedSlices)
    np.testing.assert_allclose(*map(tf.convert_to_tensor, gradients))


def test_rows_and_whole_table_learn_together(table):
    """As under the full softmax: looked up and multiplied in one step."""
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(table(IDS)) + tf.reduce_sum(
            2.0 * tf.convert_to_tensor(table.embeddings)
        )
    gradient = tape.gradient(loss, table.embeddings.value)
    counts = np.bincount(IDS.ravel(), minlength=7)[:, None]
    np.testing.assert_allclose(
        tf.convert_to_tensor(gradient), 2.0 + counts * np.ones((7, 4))
    )


def test_mixed_precision_casts_the_rows_alone(table):
    mixed = EmbeddingTable(7, 4, dtype="mixed_bfloat16")
    mixed.build()
    mixed.set_weights(table.get_weights())
    with tf.GradientTape() as tape:
        rows = mixed(IDS)
        loss = tf.reduce_sum(rows)
    assert rows.dtype == tf.bfloat16
    assert tape.gradient(loss, mixed.embeddings.value).dtype == tf.float32
    np.testing.assert_array_equal(
        rows, tf.cast(np.asarray(table.embeddings)[IDS], tf.bfloat16)
    )


def test_symbolic_call_knows_its_shape_and_dtype(table):
    rows = table(keras.Input((None,), dtype="int32"))
    assert rows.shape == (None, None, 4)
    assert rows.dtype == "float32"


def test_config_survives_json(table):
    config = json.loads(json.dumps(table.get_config()))
    clone = EmbeddingTable.from_config(config)
    assert (clone.vocabulary_size, clone.units) == (7, 4)
    clone.build()
    np.testing.assert_array_equal(clone.embeddings, table.embeddings)

"""A table trained by two replicas, against one that sees both batches."""

import keras
import numpy as np
import tensorflow as tf

from jump_tf.layers.embedding_table import EmbeddingTable
from jump_tf.train.optimizer import LazyAdam

BATCHES = np.int32([[2, 5, 2, 7], [5, 1, 1, 5], [6, 6, 0, 2]])
TARGETS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)


def train(strategy):
    """Trains for three steps and returns the weights and both moments."""
    with strategy.scope():
        keras.utils.set_random_seed(1)
        inputs = keras.Input((), dtype="int32")
        table = EmbeddingTable(9, 3)
        model = keras.Model(inputs, table(inputs))
        # A bound that replicas must share: each one's own norm is another.
        optimizer = LazyAdam(0.1, global_clipnorm=0.1)
        model.compile(optimizer, "mse", jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices((BATCHES, TARGETS[BATCHES]))
    model.fit(batches, epochs=1, shuffle=None, verbose=0)
    slots = model.optimizer._momentums + model.optimizer._velocities
    weights = [np.array(x) for x in (table.embeddings, *slots)]
    return weights, np.array(table(BATCHES))


def main():
    """Fails unless both come to the same."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert two.num_replicas_in_sync == 2
    ours, rows = train(two)
    theirs, same_rows = train(tf.distribute.get_strategy())
    np.testing.assert_allclose(rows, same_rows, rtol=1e-4, atol=1e-6)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(mine[[3, 4, 8]], other[[3, 4, 8]])


if __name__ == "__main__":
    main()

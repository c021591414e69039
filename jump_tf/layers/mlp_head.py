"""A multilayer perceptron from an item's features to a logit."""

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer


def small_normal():
    """N(0, 0.05^2), what the authors of HEROES start all dense weights as."""
    return keras.initializers.RandomNormal(stddev=0.05)


@keras.saving.register_keras_serializable(package="jump_tf")
class MLPHead(ConfiguredLayer):
    """A perceptron whose layers halve: n, n / 2, n / 4, ..., then 1.

    LeakyReLU (slope 0.3 below zero) and dropout follow each hidden layer.

    Args:
        units: n, of the first hidden layer.
        layers: hidden layers; 0 for a linear head.
        dropout: rate in training.
        seed: of dropout.

    Call arguments:
        features: `[..., d]`.

    Returns:
        `[...]` logits, float32.

    Masking: none; each item is on its own.

    Reference: HEROES, arXiv 2208.01889, authors' code.
    """

    def __init__(self, units, layers=3, dropout=0.5, seed=0, **kwargs):
        super().__init__(**kwargs)
        if units % 2 ** max(layers - 1, 0):
            raise ValueError(
                "`units` must be halved by each of `layers`. "
                f"Received: units={units}, layers={layers}"
            )
        self.units = units
        self.layers = layers
        self.dropout = dropout
        self.seed = seed
        self.seeds = keras.random.SeedGenerator(seed)
        self.hidden = [
            self._dense(units // 2**layer, f"hidden_{layer}")
            for layer in range(layers)
        ]
        self.logit = self._dense(1, "logit")

    def build(self, features_shape):
        width = features_shape[-1]
        for dense in (*self.hidden, self.logit):
            dense.build((None, width))
            width = dense.units

    def call(self, features, training=False):
        for dense in self.hidden:
            features = ops.leaky_relu(dense(features), negative_slope=0.3)
            if training and self.dropout:
                features = keras.random.dropout(
                    features, self.dropout, seed=self.seeds
                )
        return ops.cast(self.logit(features)[..., 0], "float32")

    def _dense(self, units, name):
        return keras.layers.Dense(
            units,
            kernel_initializer=small_normal(),
            name=name,
            dtype=self.dtype_policy,
        )

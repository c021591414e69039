"""Negatives for the sampled softmax."""

import math

import keras
import numpy as np
from keras import ops

from jump_tf import schema


@keras.saving.register_keras_serializable(package="jump_tf")
class PopularitySampler(keras.layers.Layer):
    """Draws items with probability proportional to `count ** power`.

    Args:
        vocabulary_size: number of ids V, padding and unknown included.
        power: 0 draws uniformly, 1 by popularity.
        seed: of the draws.

    Call arguments:
        size: how many ids to draw, with replacement.

    Returns:
        `ids` `[size]` int32 and `log_expected` `[size]`, the log of the
        expected number of each id among `size` draws.
    """

    def __init__(self, vocabulary_size, power=0.75, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.vocabulary_size = vocabulary_size
        self.power = power
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape=None):
        self.cumulative = self.add_weight(
            name="cumulative",
            shape=(self.vocabulary_size,),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.log_rates = self.add_weight(
            name="log_rates",
            shape=(self.vocabulary_size,),
            initializer="zeros",
            trainable=False,
            dtype="float32",
        )
        self.set_counts(np.ones(self.vocabulary_size))

    def set_counts(self, counts):
        """Takes over the clicks of each id in training, `[V]`."""
        rates = np.asarray(counts, np.float64) ** self.power
        rates[: schema.FIRST_ITEM_ID] = 0.0
        rates /= rates.sum()
        self.cumulative.assign(np.cumsum(rates))
        self.log_rates.assign(np.log(np.maximum(rates, 1e-20)))

    def call(self, size):
        uniform = keras.random.uniform((size,), seed=self.seed_generator)
        ids = ops.searchsorted(self.cumulative, uniform, side="right")
        ids = ops.clip(ids, schema.FIRST_ITEM_ID, self.vocabulary_size - 1)
        log_expected = math.log(size) + ops.take(self.log_rates, ids)
        return ops.cast(ids, "int32"), log_expected

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "power": self.power,
            "seed": self.seed,
        }

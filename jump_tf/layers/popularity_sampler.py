"""Draws negatives by popularity for the sampled softmax."""

import math

import keras
import numpy as np
from keras import ops

from jump_tf import schema
from jump_tf.layers.configured_layer import ConfiguredLayer


def alias_table(rates):
    """Splits V ids' rates into V equal columns of at most two ids each.

    Column k holds id k up to the height `keep[k]` and id `alias[k]` above, so
    that a uniform column and a uniform height make an exact draw in O(1).

    Columns lower than 1 are filled up from the tall ones in turn; a tall one
    that has given away too much is itself filled up from the next. Light i is
    thus served by the first tall one that the needs before i do not exhaust,
    which two cumulative sums tell for all i at once.

    Args:
        rates: `[V]` probabilities.

    Returns:
        `keep` `[V]` float64 in [0, 1] and `alias` `[V]` int64.

    Reference: Hübschle-Schneider & Sanders, ACM Trans. Math. Softw. 48(3),
    2022, section 4 (the sweep); Walker, ACM Trans. Math. Softw. 3(3), 1977.
    """
    height = rates * len(rates) / np.sum(rates)
    is_light = height < 1.0
    is_light[np.argmax(height)] = False  # Also where rounding leaves none.
    (light,), (tall,) = np.nonzero(is_light), np.nonzero(~is_light)
    need = np.cumsum(1.0 - height[light])
    surplus = np.cumsum(height[tall] - 1.0)
    keep, alias = np.minimum(height, 1.0), np.arange(len(rates))
    needed_before = np.concatenate([[0.0], need])[:-1]
    server = np.searchsorted(surplus, needed_before)
    alias[light] = tall[np.minimum(server, len(tall) - 1)]
    # The first need beyond a tall one's surplus is what it lacks itself.
    beyond = np.searchsorted(need, surplus[:-1], side="right")
    (lacking,) = np.nonzero(beyond < len(light))
    lack = need[beyond[lacking]] - surplus[lacking]
    keep[tall[lacking]] = np.clip(1.0 - lack, 0.0, 1.0)
    alias[tall[lacking]] = tall[lacking + 1]
    return keep, alias


@keras.saving.register_keras_serializable(package="jump_tf")
class PopularitySampler(ConfiguredLayer):
    """Draws items with probability proportional to `count ** power`.

    A draw costs the same for any V.

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
        self.keep = self._add_column("keep", "float32")
        self.alias = self._add_column("alias", id_dtype())
        self.log_rates = self._add_column("log_rates", "float32")
        self.set_counts(np.ones(self.vocabulary_size))

    def set_counts(self, counts):
        """Sets the number of clicks of each id in training, `[V]`."""
        rates = np.asarray(counts, np.float64) ** self.power
        rates[: schema.FIRST_ITEM_ID] = 0.0
        rates /= rates.sum()
        keep, alias = alias_table(rates)
        self.keep.assign(keep)
        self.alias.assign(alias)
        self.log_rates.assign(np.log(np.maximum(rates, 1e-20)))

    def call(self, size):
        column = keras.random.randint(
            (size,), 0, self.vocabulary_size, seed=self.seed_generator
        )
        height = keras.random.uniform((size,), seed=self.seed_generator)
        ids = ops.where(
            height < ops.take(self.keep, column, axis=0),
            column,
            ops.cast(ops.take(self.alias, column, axis=0), "int32"),
        )
        return ids, math.log(size) + ops.take(self.log_rates, ids, axis=0)

    def _add_column(self, name, dtype):
        return self.add_weight(
            name=name,
            shape=(self.vocabulary_size,),
            initializer="zeros",
            trainable=False,
            autocast=False,  # In half precision rates would be wrong.
            dtype=dtype,
        )


def id_dtype():
    """Of weights that hold ids.

    TensorFlow keeps int32 variables off the GPU, JAX has no int64.
    """
    return "int64" if keras.backend.backend() == "tensorflow" else "int32"

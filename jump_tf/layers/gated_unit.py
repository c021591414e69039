"""What recurrent units with gates have in common: their weights."""

from typing import Any

import keras
from keras import ops

from jump_tf.layers.mlp_head import small_normal


class GatedUnit(keras.layers.Layer):
    """A unit whose gates read an item x and a summary s: `W x + b + U s`.

    A subclass says how many gates there are, what becomes of them, and what it
    remembers: a named tuple of `[B, d]`.

    Args:
        units: size d.

    Masking: none; on right-padded lists padding comes after all real items.
    """

    num_gates: int
    memory: Any  # Its type.

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, items_shape):
        width = self.num_gates * self.units
        self.kernel = self.add_weight(
            name="kernel",
            shape=(items_shape[-1], width),
            initializer=small_normal(),
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, width),
            initializer=small_normal(),
        )
        self.bias = self.add_weight(
            name="bias", shape=(width,), initializer="zeros"
        )
        self.built = True

    def project(self, items):
        """`W x + b`, `[..., num_gates d]`: apart, to leave the scan."""
        kernel, bias = (
            ops.cast(weight, items.dtype) for weight in (self.kernel, self.bias)
        )
        return ops.matmul(items, kernel) + bias

    def arguments(self, projection, summary):
        """What the gates are functions of, `[B, d]` each.

        Args:
            projection: `[B, num_gates d]`, of `project`.
            summary: `[B, d]`.
        """
        total = projection + ops.matmul(summary, self.recurrent_kernel)
        return ops.split(total, self.num_gates, axis=-1)

    def get_config(self):
        return {**super().get_config(), "units": self.units}

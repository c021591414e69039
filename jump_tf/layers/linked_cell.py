"""Two recurrent layers that read each other."""

import keras
from keras import ops

from jump_tf.layers.feedback_rnn import ListCell
from jump_tf.layers.mlp_head import small_normal


class LinkedCell(ListCell):
    """A lower layer of clicks, an upper one of conversions, and their links.

    The links are four matrices `[d, d]` without biases, named by where they
    lead and whence: `lower_from_lower` is A_cc, `lower_from_upper` A_cv,
    `upper_from_upper` A_vv, `upper_from_lower` A_vc.

    Args:
        units: size d of both layers.
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`, for
            clicks that are not known; None where all of them are.
        make_unit: function of a name to a `GatedUnit`.
    """

    def __init__(self, units, click_head, make_unit, **kwargs):
        super().__init__(units, **kwargs)
        self.click_head = click_head
        self.lower = make_unit("lower")
        self.upper = make_unit("upper")

    def build(self, items_shape):
        self.lower.build(items_shape)
        self.upper.build(items_shape)
        if self.click_head is not None and not self.click_head.built:
            self.click_head.build((None, self.units))
        self.lower_from_lower = self._link("lower_from_lower")
        self.lower_from_upper = self._link("lower_from_upper")
        self.upper_from_upper = self._link("upper_from_upper")
        self.upper_from_lower = self._link("upper_from_lower")
        self.built = True

    def _link(self, name):
        return self.add_weight(
            name=name,
            shape=(self.units, self.units),
            initializer=small_normal(),
        )

    def chance(self, clicks):
        """The chance of a click `[B, 1]`, of h^c `[B, d]`; no dropout."""
        chance = ops.sigmoid(self.click_head(clicks, training=False))
        return ops.cast(chance[:, None], clicks.dtype)

    def get_config(self):
        head = keras.saving.serialize_keras_object(self.click_head)
        return {**super().get_config(), "click_head": head}

    @classmethod
    def from_config(cls, config):
        head = keras.saving.deserialize_keras_object(config["click_head"])
        return cls(**{**config, "click_head": head})

"""A recurrent network along lists, which reads the clicks on their items."""

import keras
from keras import ops

LIKELIER_THAN_NOT = 0.5  # A threshold for chances.


class ListCell(keras.layers.Layer):
    """A step along a list, under `keras.layers.RNN`.

    A subclass says `state_size`.

    Args:
        units: size d of what the heads read.

    Call arguments:
        inputs: `[B, w]`, one item of what `project` returned.
        states: tensors of `state_size`; zeros before the first item.
        training: whether all feedback is known, as in training it is.

    Returns:
        `[B, 2d]`, what the head of clicks reads beside what that of
        conversions does, and the new states.
    """

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.output_size = 2 * units

    def project(self, items, feedback, threshold):
        """What does not depend on the past, of all items at once.

        Args:
            items: `[B, M, n]`.
            feedback: `[B, M, 1]` clicks, -1 where not known.
            threshold: `[B, M, 1]`, the chance from which an unknown click
                counts as one.

        Returns:
            `[B, M, w]`.
        """
        raise NotImplementedError

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class FeedbackCell(ListCell):
    """A `ListCell` that estimates the clicks that are not known.

    Args:
        units: size d of what the heads read.
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`; None
            where no click is ever read, or none is unknown.
        soft_feedback: what takes the place of a click that is not known: its
            chance, or 1 where that reaches the item's threshold, else 0.
    """

    def __init__(self, units, click_head, soft_feedback=True, **kwargs):
        super().__init__(units, **kwargs)
        self.click_head = click_head
        self.soft_feedback = soft_feedback

    def build_click_head(self):
        """Builds the head, which the model may have built already."""
        if self.click_head is not None and not self.click_head.built:
            self.click_head.build((None, self.units))

    def chance(self, clicks):
        """The chance of a click `[B, 1]`, of h^c `[B, d]`; no dropout."""
        chance = ops.sigmoid(self.click_head(clicks, training=False))
        return ops.cast(chance[:, None], clicks.dtype)

    def clicked(self, clicks, feedback, threshold, training):
        """The click `[B, 1]`, or what stands in for it.

        Args:
            clicks: `[B, d]`, h^c.
            feedback: `[B, 1]`, -1 where not known.
            threshold: `[B, 1]`.
            training: whether all feedback is known.
        """
        clicked = ops.stop_gradient(feedback)  # It is given, not learned.
        if training:
            return clicked
        stand_in = self.chance(clicks)
        if not self.soft_feedback:
            stand_in = ops.cast(stand_in >= threshold, stand_in.dtype)
        return ops.where(feedback >= 0.0, feedback, stand_in)

    def get_config(self):
        head = keras.saving.serialize_keras_object(self.click_head)
        return {
            **super().get_config(),
            "click_head": head,
            "soft_feedback": self.soft_feedback,
        }

    @classmethod
    def from_config(cls, config):
        head = keras.saving.deserialize_keras_object(config["click_head"])
        return cls(**{**config, "click_head": head})


@keras.saving.register_keras_serializable(package="jump_tf")
class FeedbackRNN(keras.layers.Layer):
    """Runs a cell along lists; what the past has no part in comes first.

    Args:
        cell: `ListCell`.

    Call arguments:
        items: `[B, M, n]` embedded items.
        feedback: `[B, M]` clicks; negative or NaN where not known. The last
            column changes no output, unless labels leak.
        threshold: `[B, M]`, see `ListCell.project`; one half if None.
        training: whether all feedback is known.

    Returns:
        What the heads of clicks and of conversions read, `[B, M, d]` each.

    Masking: none is needed; on right-padded lists padding comes after all real
    items.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        self.cell = cell
        # Named, or a weight's path counts the layers made before it.
        self.rnn = keras.layers.RNN(
            cell, return_sequences=True, name="rnn", dtype=self.dtype_policy
        )

    def build(self, items_shape):
        if not self.cell.built:
            self.cell.build(items_shape)

    def call(self, items, feedback, threshold=None, training=False):
        feedback = ops.where(feedback >= 0.0, feedback, -1.0)
        if threshold is None:
            threshold = ops.full_like(feedback, LIKELIER_THAN_NOT)
        projected = self.cell.project(
            items, feedback[..., None], threshold[..., None]
        )
        read = self.rnn(projected, training=training)
        return tuple(ops.split(read, 2, axis=-1))

    def get_config(self):
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
        }

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})

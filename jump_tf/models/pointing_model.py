"""A joint model that may point at earlier clicks and read the last one."""

from keras import ops

from jump_tf import schema
from jump_tf.config.model_config import PointingConfig
from jump_tf.layers.session_pointer import LARGEST_VOCABULARY
from jump_tf.layers.session_pointer import Pointers
from jump_tf.layers.session_pointer import SessionPointer
from jump_tf.layers.session_pointer import pointed_cross_entropy
from jump_tf.layers.session_pointer import pointed_scores
from jump_tf.models.joint_model import JointModel


class PointingModel(JointModel):
    """Gives any encoder the last click's own row and a pointer.

    With `click_residual` the summary has one more term, c * V[i_k] with a
    learned vector c. With `pointer_clicks` the next click may also be pointed
    at among the last ones, see `SessionPointer`. Both are options, so that an
    encoder can be compared with another one that has the same of them.

    `encode` of a subclass ends in `summarized`. Arguments, returns and masking:
    see `SessionModel`.
    """

    config: PointingConfig

    def __init__(self, vocabulary_size, **options):
        super().__init__(vocabulary_size, **options)
        clicks = self.config.pointer_clicks
        if clicks:
            if vocabulary_size > LARGEST_VOCABULARY:
                raise schema.InputError(
                    "`pointer_clicks` must be 0 for a catalogue of more than "
                    f"{LARGEST_VOCABULARY} ids. Received: {vocabulary_size}"
                )
            self.pointer = SessionPointer(
                self.config.units, clicks, name="pointer"
            )

    def build(self, input_shape=None):
        if self.config.click_residual:
            self.click_weight = self.add_weight(
                name="click_weight",
                shape=(self.config.units,),
                initializer="ones",
                autocast=False,
            )
        if self.config.pointer_clicks:
            self.pointer.build()
        super().build(input_shape)

    def summarized(self, items, rows, clicks, states, training):
        """Features `[B, T, encoded_width]` float32 from an encoder's states.

        Args:
            items: `[B, T]` ids.
            rows: `[B, T, d]` of them in the item table.
            clicks: `[B, T, d]`, what the pointer compares summaries with.
            states: `[B, T, d]` after each click.
            training: whether dropout is on.
        """
        summaries = ops.cast(states, "float32")
        if self.config.click_residual:
            rows = self.click_dropout(rows, training=training)
            summaries = summaries + self.click_weight * rows
        if not self.config.pointer_clicks:
            return summaries
        pointers = self.pointer(items, summaries, clicks)
        return ops.concatenate([summaries, pointers], axis=-1)

    @property
    def encoded_width(self):
        return self.config.units + self._pointer_width

    @property
    def dwell_width(self):
        return super().dwell_width - self._pointer_width

    @property
    def _pointer_width(self):
        return self.pointer.width if self.config.pointer_clicks else 0

    def pointers(self, features):
        if not self.config.pointer_clicks:
            return None
        return Pointers.of(self._split(features)[1])

    def click_scores(self, features):
        scores = super().click_scores(features)
        if not self.config.pointer_clicks:
            return scores
        return pointed_scores(scores, self._split(features)[1])

    def click_losses(self, features, items, rows, training):
        losses = super().click_losses(features, items, rows, training)
        if not self.config.pointer_clicks:
            return losses
        # The softmax goes on to learn from clicks that the pointer explains:
        # what it learns of items there, it needs for all others.
        fixed = ops.stop_gradient(losses)
        pointers = self._split(features)[1]
        return pointed_cross_entropy(fixed, pointers, items) + losses - fixed

    def dwell_and_end(self, features, items, rows=None, training=False):
        if self.config.pointer_clicks:
            summary, _, history = self._split(features)
            features = ops.concatenate([summary, history], axis=-1)
        return super().dwell_and_end(features, items, rows, training)

    def _split(self, features):
        """Summaries, pointers, and the history for the dwell head."""
        units = self.config.units
        return ops.split(features, [units, units + self._pointer_width], -1)

"""A unit for each task, with nothing between them."""

import keras
from keras import ops

from jump_tf.layers.feedback_rnn import FeedbackCell
from jump_tf.layers.mlp_head import small_normal
from jump_tf.layers.recurrent_units import decayed
from jump_tf.layers.recurrent_units import unit_class
from jump_tf.layers.recurrent_units import updated


@keras.saving.register_keras_serializable(package="jump_tf")
class IndependentCells(FeedbackCell):
    """Two units without hierarchy: no link between them, and no feedback.

    Of Hawkes units, which is "motivate" in the authors' code, decay and output
    come before the update, so that an item reaches its own h through o and
    delta alone:

        c~_i = c bar_{i-1} + (c_{i-1} - c bar_{i-1}) exp(-delta_i)
        h_i  = o tanh(c~_i)
        c_i  = f c~_i + iota z;   c bar_i = f bar c bar_{i-1} + iota bar z

    with gates as in `HawkesUnit`, whose summary is h_{i-1}. Of `LSTMUnit`s,
    these are two plain LSTMs.

    With a `click_head` both units have one more input, the click on the item
    before, g_{i-1}: what the links of `HeroesCell` are driven by.

    Args:
        units: size d of both.
        unit: "hawkes" or "lstm".
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`; None if
            no click is read.
        **kwargs: see `FeedbackCell`.

    Call arguments and returns: see `ListCell`.

    Reference: HEROES, arXiv 2208.01889, authors' code, `MotivateCell`.
    """

    def __init__(self, units, unit="hawkes", click_head=None, **kwargs):
        super().__init__(units, click_head, **kwargs)
        self.unit = unit
        kind = unit_class(unit)
        self.click_unit, self.conversion_unit = (
            kind(units, name=name, dtype=self.dtype_policy)
            for name in ("click_unit", "conversion_unit")
        )
        # Of each unit h, then its memory; at the end the click.
        self.state_size = [units] * (2 + 2 * len(kind.memory._fields))
        if click_head is not None:
            self.state_size.append(1)

    def build(self, items_shape):
        self.click_unit.build(items_shape)
        self.conversion_unit.build(items_shape)
        self.build_click_head()
        if self.click_head is not None:
            self.click_kernel = self.add_weight(
                name="click_kernel",
                shape=(1, 2 * self.click_unit.num_gates * self.units),
                initializer=small_normal(),
            )
        self.built = True

    def project(self, items, feedback, threshold):
        columns = [
            self.click_unit.project(items),
            self.conversion_unit.project(items),
        ]
        if self.click_head is not None:
            columns += [
                ops.cast(known, items.dtype) for known in (feedback, threshold)
            ]
        return ops.concatenate(columns, axis=-1)

    def call(self, inputs, states, training=False):
        if self.click_head is None:
            return self._step(inputs, states)
        *states, clicked = states
        gates = inputs.shape[-1] - 2
        inputs, feedback, threshold = ops.split(
            inputs, [gates, gates + 1], axis=-1
        )
        read, news = self._step(inputs + clicked * self.click_kernel, states)
        clicked = self.clicked(
            read[:, : self.units], feedback, threshold, training
        )
        return read, [*news, clicked]

    def _step(self, projections, states):
        size = len(states) // 2
        reads, news = [], []
        for unit, projection, (hidden, *memory) in zip(
            (self.click_unit, self.conversion_unit),
            ops.split(projections, 2, axis=-1),
            (states[:size], states[size:]),
            strict=True,
        ):
            step = unit if self.unit == "lstm" else decay_first(unit)
            hidden, memory = step(projection, hidden, unit.memory(*memory))
            reads.append(hidden)
            news += [hidden, *memory]
        return ops.concatenate(reads, axis=-1), news

    def get_config(self):
        return {**super().get_config(), "unit": self.unit}


def decay_first(unit):
    """The step of a `HawkesUnit` in the other order, see `IndependentCells`."""

    def step(projection, hidden, memory):
        gates = unit.gates(projection, hidden)
        faded = decayed(memory.kept, memory.target, gates.decay)
        cell, target = updated(gates, memory.target, faded)
        hidden = gates.output * ops.tanh(faded)
        return hidden, memory._replace(target=target, decayed=faded, kept=cell)

    return step

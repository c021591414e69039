"""The cell of HEROES: two layers, each at the pace of its events."""

import typing
from typing import Any

import keras
from keras import ops

from jump_tf.layers.feedback_rnn import FeedbackCell
from jump_tf.layers.mlp_head import small_normal
from jump_tf.layers.recurrent_units import unit_class


class HierarchicalCell(FeedbackCell):
    """A lower layer of clicks, an upper one of conversions, and their links.

    The links are four matrices `[d, d]` without biases, named by where they
    lead and whence: `lower_from_lower` is A_cc, `lower_from_upper` A_cv,
    `upper_from_upper` A_vv, `upper_from_lower` A_vc.

    Args:
        units: size d of both layers.
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`, for
            clicks that are not known; None where all of them are.
        make_unit: function of a name to a `GatedUnit`.
        **kwargs: see `FeedbackCell`.
    """

    def __init__(self, units, click_head, make_unit, **kwargs):
        super().__init__(units, click_head, **kwargs)
        self.lower = make_unit("lower")
        self.upper = make_unit("upper")

    def build(self, items_shape):
        self.lower.build(items_shape)
        self.upper.build(items_shape)
        self.build_click_head()
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


class State(typing.NamedTuple):
    """What the cell knows after an item; zeros before the first.

    Attributes:
        clicks: `[B, d]`, h^c.
        upper: `[B, d]`, h^v.
        clicked: `[B, 1]`, g, whether the item was clicked.
        lower_memory: of the lower unit.
        upper_memory: of the upper unit.
    """

    clicks: Any
    upper: Any
    clicked: Any
    lower_memory: Any
    upper_memory: Any


@keras.saving.register_keras_serializable(package="jump_tf")
class HeroesCell(HierarchicalCell):
    """A lower layer of clicks and an upper one of conversions.

    The lower layer sees every item; after a click it forgets, and the upper
    layer's state takes the place of its own. With g the clicks:

        s^c = g_{i-1} A_cv h^v_{i-1} + (1 - g_{i-1}) A_cc h^c_{i-1}
        h^c_i, memory = lower unit(x_i, s^c, memory, keep = 1 - g_{i-1})

    The upper layer is updated where the item is clicked; elsewhere it is
    copied, and its memory fades:

        s^v = A_vv h^v_{i-1} + g_i A_vc h^c_i
        h^v_i, memory = upper unit(x_i, s^v, memory)   where g_i = 1
        h^v_i = h^v_{i-1}, memory = fade(memory)       where g_i = 0

    A g in between, a chance, mixes the two. The conversion of item i is read
    from the update as it would be if i were clicked, whatever it was: that is
    P(conversion | click), and no label reaches its own prediction. With
    `label_leak` it is read from h^v_i, as the authors' released code does in
    training and in test alike.

    Args:
        units: size d of both layers.
        click_head: layer of h^c `[B, d]` to logits of a click `[B]`.
        unit: "hawkes" or "lstm".
        label_leak: see above.
        accumulate_decay: see `HawkesUnit.fade`; of the upper layer.
        **kwargs: see `FeedbackCell`.

    Call arguments and returns: see `ListCell`.

    Reference: HEROES, arXiv 2208.01889, authors' code; the layers' clocks are
    those of Chung et al., HM-RNN, ICLR 2017 (arXiv 1609.01704), with the click
    as the boundary.
    """

    def __init__(
        self,
        units,
        click_head,
        unit="hawkes",
        label_leak=False,
        accumulate_decay=False,
        **kwargs,
    ):
        def make_unit(name):
            options = {"name": name, "dtype": self.dtype_policy}
            if accumulate_decay:
                options["accumulate_decay"] = True
            return unit_class(unit)(units, **options)

        super().__init__(units, click_head, make_unit, **kwargs)
        self.unit = unit
        self.label_leak = label_leak
        self.accumulate_decay = accumulate_decay
        memories = 2 * len(self.lower.memory._fields)
        self.state_size = [units, units, 1, *[units] * memories]

    def project(self, items, feedback, threshold):
        columns = (
            self.lower.project(items),
            self.upper.project(items),
            ops.cast(feedback, items.dtype),
            ops.cast(threshold, items.dtype),
        )
        return ops.concatenate(columns, axis=-1)

    def unpack(self, states):
        """The list `states` as a `State`."""
        clicks, upper, clicked, *memories = states
        memory, size = self.lower.memory, len(memories) // 2
        return State(
            clicks,
            upper,
            clicked,
            lower_memory=memory(*memories[:size]),
            upper_memory=memory(*memories[size:]),
        )

    def call(self, inputs, states, training=False):
        state, gates = self.unpack(states), self.lower.num_gates * self.units
        to_lower, to_upper, feedback, threshold = ops.split(
            inputs, [gates, 2 * gates, 2 * gates + 1], axis=-1
        )
        summary = _mix(
            state.clicked,
            ops.matmul(state.upper, self.lower_from_upper),
            ops.matmul(state.clicks, self.lower_from_lower),
        )
        clicks, lower_memory = self.lower(
            to_lower, summary, state.lower_memory, keep=1.0 - state.clicked
        )
        clicked = self.clicked(clicks, feedback, threshold, training)

        summary = ops.matmul(state.upper, self.upper_from_upper)
        copied = self.upper.fade(to_upper, summary, state.upper_memory)
        summary = summary + ops.matmul(clicks, self.upper_from_lower)
        if_clicked, updated = self.upper(to_upper, summary, state.upper_memory)
        upper = _mix(clicked, if_clicked, state.upper)
        upper_memory = [
            _mix(clicked, *pair) for pair in zip(updated, copied, strict=True)
        ]
        conversions = upper if self.label_leak else if_clicked
        return (
            ops.concatenate([clicks, conversions], axis=-1),
            [clicks, upper, clicked, *lower_memory, *upper_memory],
        )

    def get_config(self):
        return {
            **super().get_config(),
            "unit": self.unit,
            "label_leak": self.label_leak,
            "accumulate_decay": self.accumulate_decay,
        }


def _mix(share, one, other):
    """`one` where the share is 1, `other` where it is 0."""
    return share * one + (1.0 - share) * other

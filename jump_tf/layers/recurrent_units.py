"""The recurrent units of HEROES' cells: Hawkes process and LSTM."""

import typing
from typing import Any

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.mlp_head import small_normal

FASTEST_DECAY = 5.0  # s: no decay rate reaches it.


class GatedUnit(ConfiguredLayer):
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


class HawkesGates(typing.NamedTuple):
    """What an item and a summary of the past open and shut, `[B, d]` each.

    Attributes:
        input: iota.
        target_input: iota bar.
        forget: f.
        target_forget: f bar.
        output: o.
        candidate: z.
        decay: delta, in (0, 5), per item.
    """

    input: Any
    target_input: Any
    forget: Any
    target_forget: Any
    output: Any
    candidate: Any
    decay: Any


class HawkesMemory(typing.NamedTuple):
    """What a unit keeps, `[B, d]` each; zeros before the first item.

    Attributes:
        target: c bar, where the cell fades to.
        decayed: c tilde, the cell after its decay.
        kept: what the next decay starts from: the cell c before its decay, or
            delta where decay accumulates.
    """

    target: Any
    decayed: Any
    kept: Any


def decay_rate(x):
    """`phi(x) = s / (1 + exp(-x / s))`, s = 5: a sigmoid with values to 5."""
    return FASTEST_DECAY * ops.sigmoid(x / FASTEST_DECAY)


def decayed(cell, target, decay):
    """`c bar + (c - c bar) exp(-delta)`: the cell, one item later."""
    return target + (cell - target) * ops.exp(-decay)


def updated(gates, target, decayed, keep=1.0):
    """The new c and c bar: `f c~ + iota z`, `f bar c bar + iota bar z`.

    Args:
        gates: of the item.
        target: c bar.
        decayed: c tilde.
        keep: `[B, 1]`, what the past counts; 0 for a reset.
    """
    cell = gates.input * gates.candidate + keep * gates.forget * decayed
    target = (
        gates.target_input * gates.candidate
        + keep * gates.target_forget * target
    )
    return cell, target


@keras.saving.register_keras_serializable(package="jump_tf")
class HawkesUnit(GatedUnit):
    """A continuous-time LSTM at steps of one item.

    With the item x and a summary s of the past:

        q     = sigmoid(W_q x + b_q + U_q s)  for iota, iota bar, f, f bar, o
        z     = tanh(W_z x + b_z + U_z s)
        delta = phi(W_delta x + b_delta + U_delta s)
        c     = iota z + keep f c~
        c bar = iota bar z + keep f bar c bar
        c~    = c bar + (c - c bar) exp(-delta)
        h     = o tanh(c~)

    A component with c > c bar is excitation that fades, one with c < c bar is
    discouragement that fades.

    Args:
        units: size d.
        accumulate_decay: whether `fade` goes on from the faded cell.

    Call arguments:
        projection: `[B, 7d]`, what `project` makes of x.
        summary: `[B, d]`.
        memory: `HawkesMemory`.
        keep: `[B, 1]` in [0, 1].

    Returns:
        h `[B, d]` and the new `HawkesMemory`.

    Reference: HEROES, arXiv 2208.01889, authors' code; Mei & Eisner, The
    Neural Hawkes Process, NIPS 2017 (arXiv 1612.09328), whose time passes
    between events; here an item's own decay is in its h already.
    """

    num_gates = len(HawkesGates._fields)
    memory = HawkesMemory

    def __init__(self, units, accumulate_decay=False, **kwargs):
        super().__init__(units, **kwargs)
        self.accumulate_decay = accumulate_decay

    def gates(self, projection, summary):
        """`HawkesGates` of an item, given a summary of the past."""
        *opening, candidate, decay = self.arguments(projection, summary)
        opened = map(ops.sigmoid, opening)
        return HawkesGates._make(
            [*opened, ops.tanh(candidate), decay_rate(decay)]
        )

    def call(self, projection, summary, memory, keep=1.0):
        gates = self.gates(projection, summary)
        cell, target = updated(gates, memory.target, memory.decayed, keep)
        faded = decayed(cell, target, gates.decay)
        kept = gates.decay if self.accumulate_decay else cell
        return gates.output * ops.tanh(faded), HawkesMemory(target, faded, kept)

    def fade(self, projection, summary, memory):
        """The memory after an item that only lets it fade.

        As the authors have it, c~ fades from c afresh, with this item's delta,
        however many items went by. Where decay accumulates, it goes on from c~
        with the delta of the last update: exp(-delta n) after n items.
        """
        if self.accumulate_decay:
            faded = decayed(memory.decayed, memory.target, memory.kept)
        else:
            size = self.units
            total = projection[:, -size:] + ops.matmul(
                summary, self.recurrent_kernel[:, -size:]
            )
            faded = decayed(memory.kept, memory.target, decay_rate(total))
        return memory._replace(decayed=faded)


class LSTMGates(typing.NamedTuple):
    """What an item and a summary of the past open and shut, `[B, d]` each."""

    input: Any
    forget: Any
    output: Any
    candidate: Any


class LSTMMemory(typing.NamedTuple):
    """What a unit keeps, `[B, d]`; zeros before the first item."""

    cell: Any


@keras.saving.register_keras_serializable(package="jump_tf")
class LSTMUnit(GatedUnit):
    """The ordinary LSTM in the place of `HawkesUnit`: nothing fades.

    With the item x and a summary s of the past:

        q = sigmoid(W_q x + b_q + U_q s)  for i, f, o
        z = tanh(W_z x + b_z + U_z s)
        c = i z + keep f c
        h = o tanh(c)

    Args:
        units: size d.

    Call arguments:
        projection: `[B, 4d]`, what `project` makes of x.
        summary: `[B, d]`.
        memory: `LSTMMemory`.
        keep: `[B, 1]` in [0, 1].

    Returns:
        h `[B, d]` and the new `LSTMMemory`.

    Reference: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997.
    """

    num_gates = len(LSTMGates._fields)
    memory = LSTMMemory

    def gates(self, projection, summary):
        """`LSTMGates` of an item, given a summary of the past."""
        *opening, candidate = self.arguments(projection, summary)
        return LSTMGates._make(
            [*map(ops.sigmoid, opening), ops.tanh(candidate)]
        )

    def call(self, projection, summary, memory, keep=1.0):
        gates = self.gates(projection, summary)
        cell = gates.input * gates.candidate + keep * gates.forget * memory.cell
        return gates.output * ops.tanh(cell), LSTMMemory(cell)

    def fade(self, projection, summary, memory):
        """Returns the memory unchanged: nothing in an LSTM fades."""
        del projection, summary
        return memory


UNITS: dict[str, type[GatedUnit]] = {"hawkes": HawkesUnit, "lstm": LSTMUnit}


def unit_class(name: str) -> type[GatedUnit]:
    """The class of a unit: "hawkes" or "lstm"; others are refused."""
    if name not in UNITS:
        raise ValueError(
            f"`unit` must be one of {tuple(UNITS)}. Received: unit={name}"
        )
    return UNITS[name]

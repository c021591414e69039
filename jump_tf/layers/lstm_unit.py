"""The LSTM's transition, with its products of the item apart."""

import typing
from typing import Any

import keras
from keras import ops

from jump_tf.layers.gated_unit import GatedUnit


class Gates(typing.NamedTuple):
    """What an item and a summary of the past open and shut, `[B, d]` each."""

    input: Any
    forget: Any
    output: Any
    candidate: Any


class Memory(typing.NamedTuple):
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
        memory: `Memory`.
        keep: `[B, 1]` in [0, 1].

    Returns:
        h `[B, d]` and the new `Memory`.

    Reference: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997.
    """

    num_gates = len(Gates._fields)
    memory = Memory

    def gates(self, projection, summary):
        """`Gates` of an item after a past."""
        *opening, candidate = self.arguments(projection, summary)
        return Gates._make([*map(ops.sigmoid, opening), ops.tanh(candidate)])

    def call(self, projection, summary, memory, keep=1.0):
        gates = self.gates(projection, summary)
        cell = gates.input * gates.candidate + keep * gates.forget * memory.cell
        return gates.output * ops.tanh(cell), Memory(cell)

    def fade(self, projection, summary, memory):
        """The memory after an item that does not change it: the same."""
        del projection, summary
        return memory

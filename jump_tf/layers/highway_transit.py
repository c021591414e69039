"""Highway transitions by halves, with their gradients written out.

TensorFlow takes longer to part a product's columns, or to join them, than one
large product saves over two. So candidate and gate are a pair of `[..., d]`,
and so are the kernels.
"""

import typing
from typing import Any

from keras import ops

from jump_tf.layers.highway import Transition


class Unit:
    """A unit's weights as the ticks use them.

    Attributes:
        kernel: pair of W.
        recurrent: pair of U.
        alpha: `[B, d]`, as are the others: to read copies is quicker than to
            repeat a row.
        beta: see `HighwayUnit`.
        gamma: see there.
        candidate_bias: see there.
        gate_bias: see there.
    """

    def __init__(self, weights, like):
        self.kernel = ops.split(weights.kernel, 2, axis=1)
        self.recurrent = ops.split(weights.recurrent_kernel, 2, axis=1)
        shape = ops.shape(like)[1:]
        for name in Transition._fields[2:]:
            row = getattr(weights, name)
            setattr(self, name, ops.broadcast_to(row, shape))


def times(state, kernels):
    """Products of a state with a pair of kernels."""
    return tuple(ops.matmul(state, kernel) for kernel in kernels)


def back(pair, kernels):
    """Gradient by a state of the products with a pair of kernels."""
    candidate, gate = (
        ops.matmul(gradient, ops.transpose(kernel))
        for gradient, kernel in zip(pair, kernels, strict=True)
    )
    return candidate + gate


class Gradients(typing.NamedTuple):
    """Gradients by what a transition came of, `[B, d]` each.

    Attributes:
        state: by the state, past its products.
        argument: by the argument of tanh.
        gate: by the argument of the gate, and so by the gate's products.
        product: by U_c times the state.
        inputs: by W_c times the input.
    """

    state: Any
    argument: Any
    gate: Any
    product: Any
    inputs: Any


class Transit:
    """A unit's transition, with what its gradient needs.

    Args:
        unit: its weights.
        state: `[B, d]`.
        product: pair, U times the state.
        inputs: pair, W times the input.
    """

    def __init__(self, unit, state, product, inputs):
        self.unit = unit
        self.product = product[0]
        self.factor = unit.alpha * inputs[0] + unit.gamma
        summand = unit.beta * inputs[0] + unit.candidate_bias
        self.candidate = ops.tanh(self.factor * self.product + summand)
        self.gate = ops.sigmoid(product[1] + inputs[1] + unit.gate_bias)
        self.change = self.candidate - state
        self.state = state + self.gate * self.change

    def backward(self, gradient):
        """`Gradients` from the one by the new state."""
        gated = gradient * self.gate
        by_gate = gated * self.change
        argument = gated - gated * (self.candidate * self.candidate)
        return Gradients(
            state=gradient - gated,
            argument=argument,
            gate=by_gate - by_gate * self.gate,
            product=argument * self.factor,
            inputs=argument * (self.unit.alpha * self.product + self.unit.beta),
        )


def by_kernels(states, *pair):
    """`[K, B, d]` states and a pair of gradients to `[d, 2d]`."""

    def flat(ticks):
        return ops.reshape(ticks, (-1, ticks.shape[-1]))

    transposed = ops.transpose(flat(states))
    return ops.concatenate(
        [ops.matmul(transposed, flat(half)) for half in pair], axis=1
    )


def by_vectors(gradients, product, inputs):
    """Gradients by alpha, beta, gamma and both biases."""
    by_product = gradients.argument * product
    parts = (
        by_product * inputs,
        gradients.argument * inputs,
        by_product,
        gradients.argument,
        gradients.gate,
    )
    return tuple(ops.sum(part, axis=(0, 1)) for part in parts)

"""Recurrent highway unit with multiplicative integration.

`HighwayUnit` is the layer. `Transition` computes the same for
`fast_slow_scan`, by halves and with its gradient written out: TensorFlow takes
longer to split a product's columns, or to join them, than one large product
saves over two. There candidate and gate are a pair of `[..., d]`, and so are
the kernels.
"""

import typing
from typing import Any

import keras
from keras import ops

from jump_tf.layers.configured_layer import ConfiguredLayer


class HighwayWeights(typing.NamedTuple):
    """A highway unit's weights as tensors; the letters are `HighwayUnit`'s.

    Attributes:
        kernel: W_c beside W_g, `[d, 2d]`.
        recurrent_kernel: U_c beside U_g, `[d, 2d]`.
        alpha: `[d]`, as are the others.
        beta: of the input.
        gamma: of the state.
        candidate_bias: b_c.
        gate_bias: b_g.
    """

    kernel: Any
    recurrent_kernel: Any
    alpha: Any
    beta: Any
    gamma: Any
    candidate_bias: Any
    gate_bias: Any


@keras.saving.register_keras_serializable(package="jump_tf")
class HighwayUnit(ConfiguredLayer):
    """One highway transition of a state, with or without an input.

    With state h and input x (JUMP, IJCAI 2018, eq. 15):

        m  = alpha * (W_c x * U_c h) + beta * W_c x + gamma * U_c h + b_c
        g  = sigmoid(W_g x + U_g h + b_g)
        h' = (1 - g) * h + g * tanh(m)

    Without an input every term in x disappears. The equation has no biases;
    `use_bias` adds b_c = 0 and b_g = -1, as recurrent highway networks do.
    Without `multiplicative`, alpha = 0 and beta = gamma = 1 are not learned:
    m is the plain sum W_c x + U_c h.

    Args:
        units: size d of the state.
        use_bias: whether to learn b_c and b_g.
        multiplicative: whether to learn alpha, beta and gamma.

    Call arguments:
        state: `[B, d]`.
        projection: `[B, 2d]`, what `project` makes of the input, or None.

    Returns:
        The next state, `[B, d]`.
    """

    def __init__(self, units, use_bias=False, multiplicative=True, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.use_bias = use_bias
        self.multiplicative = multiplicative

    def build(self, state_shape, projection_shape=None):
        def vector(name, value, trainable=True):
            return self.add_weight(
                name=name,
                shape=(self.units,),
                initializer=keras.initializers.Constant(value),
                trainable=trainable,
            )

        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.units, 2 * self.units),
            initializer="glorot_uniform",
        )
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel",
            shape=(self.units, 2 * self.units),
            initializer="glorot_uniform",
        )
        # With gamma = 0 a step without input would do nothing.
        start = (1.0, 0.5, 0.5) if self.multiplicative else (0.0, 1.0, 1.0)
        self.alpha, self.beta, self.gamma = (
            vector(name, value, self.multiplicative)
            for name, value in zip(
                ("alpha", "beta", "gamma"), start, strict=True
            )
        )
        if self.use_bias:
            self.candidate_bias = vector("candidate_bias", 0.0)
            self.gate_bias = vector("gate_bias", -1.0)

    def project(self, inputs):
        """`[W_c x, W_g x]`, `[..., 2d]`: apart, so that it leaves the scan."""
        return ops.matmul(inputs, ops.cast(self.kernel, inputs.dtype))

    def call(self, state, projection=None):
        from_state = ops.matmul(state, self.recurrent_kernel)
        candidate, gate = ops.split(from_state, 2, axis=-1)
        if projection is None:
            candidate = self.gamma * candidate
        else:
            input_candidate, input_gate = ops.split(projection, 2, axis=-1)
            candidate = (
                self.alpha * input_candidate + self.gamma
            ) * candidate + self.beta * input_candidate
            gate = gate + input_gate
        if self.use_bias:
            candidate = candidate + self.candidate_bias
            gate = gate + self.gate_bias
        gate = ops.sigmoid(gate)
        return state + gate * (ops.tanh(candidate) - state)

    def tensors(self, dtype, kernel):
        """The weights as tensors, to read its input through `kernel`."""
        biases = (
            (self.candidate_bias, self.gate_bias)
            if self.use_bias
            else (ops.zeros((self.units,)), ops.zeros((self.units,)))
        )
        weights = (
            kernel,
            self.recurrent_kernel,
            self.alpha,
            self.beta,
            self.gamma,
            *biases,
        )
        # A product, as a custom gradient takes tensors, not variables.
        return HighwayWeights(
            *(1 * ops.cast(weight, dtype) for weight in weights)
        )


class SplitWeights:
    """`HighwayWeights` in halves, repeated for each row of a batch.

    Attributes:
        kernel: pair of W.
        recurrent: pair of U.
        alpha: `[B, d]`, as are the others: to read copies is quicker than to
            repeat a row.
        beta: `[B, d]`.
        gamma: `[B, d]`.
        candidate_bias: `[B, d]`.
        gate_bias: `[B, d]`.
    """

    def __init__(self, weights, like):
        self.kernel = ops.split(weights.kernel, 2, axis=1)
        self.recurrent = ops.split(weights.recurrent_kernel, 2, axis=1)
        shape = ops.shape(like)[1:]
        for name in HighwayWeights._fields[2:]:
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


class Transition:
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

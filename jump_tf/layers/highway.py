"""Recurrent highway unit with multiplicative integration."""

import typing
from typing import Any

import keras
from keras import ops


class Transition(typing.NamedTuple):
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
class HighwayUnit(keras.layers.Layer):
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

    def transition(self, dtype, kernel):
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
        return Transition(*(1 * ops.cast(weight, dtype) for weight in weights))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            "multiplicative": self.multiplicative,
        }

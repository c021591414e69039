"""The fast-slow recurrence over whole batches, with its gradient by hand.

It computes what `FastSlowCell`, the reference, computes click by click. What
makes it fast:

* A fast step without input is a fast step whose input's products are zero. So
  one scan goes over clicks and further fast steps alike: each session has a
  lane of ticks, a tick for every fast step from the second on. Where sessions
  with equally many ticks share a batch (`input_pipeline`), lanes are dense.
* A tick has three matrix products: with the last fast state, with the first
  fast state (for both units that read it) and with the slow state (likewise).
* The backward scan passes on the gradients of the states alone; the products
  for the gradients of the weights are done after it, all ticks at once.

Shapes: K ticks of B lanes, size d. Time comes first.
"""

import typing
from typing import Any

from keras import ops

from jump_tf.layers.highway import Transition

LANES = 16  # So that each tick starts at a multiple of 64 bytes: no copies.


class Ticks(typing.NamedTuple):
    """Where each lane's clicks stand among its ticks.

    Attributes:
        click: `[K, B]` int, the click that a tick belongs to, as a row of
            `[sessions * T]`.
        starts: `[K, B, 1]` bool, whether it is the click's first tick.
        last: `[sessions, T]` int, each click's last tick, as a row of
            `[K * B]`; for a padded click, that of the click before it.
    """

    click: Any
    starts: Any
    last: Any


def plan(num_steps):
    """`Ticks` of sessions with `[sessions, T]` int fast steps R, 0 on padding.

    A click takes R ticks: the first one has the three steps that every click
    has (two fast, one slow), each other one has a further fast step.
    """
    sessions, length = ops.shape(num_steps)
    ends = ops.cumsum(num_steps, axis=1)
    ticks = ops.maximum(ops.max(ends), 1)
    lanes = sessions + -sessions % LANES
    lane = ops.arange(sessions)[:, None]
    real = ops.cast(num_steps > 0, "int32")
    start = ops.minimum(ends - num_steps, ticks - 1)
    starts = ops.scatter(
        ops.reshape(start * lanes + lane, (-1, 1)),
        ops.reshape(real, (-1,)),
        (ticks * lanes,),
    )
    starts = ops.reshape(starts, (ticks, lanes))
    click = ops.maximum(ops.cumsum(starts, axis=0) - 1, 0)
    first = ops.minimum(ops.arange(lanes), sessions - 1) * length
    last = ops.maximum(ends - 1, 0) * lanes + lane
    return Ticks(click + first, (starts > 0)[..., None], last)


def fast_slow(clicks, ticks, input_kernel, fast, slow):
    """Outputs of the fast-slow layer.

    Args:
        clicks: `[sessions, T, d]`, T at least 1.
        ticks: of `plan`.
        input_kernel: `[d, 2d]`, through which F reads the clicks.
        fast: weights of F; its `kernel` is what it reads s through.
        slow: weights of S.

    Returns:
        `[sessions, T, d]`.

    Reference: JUMP, IJCAI 2018, eq. 14 and 15; see `FastSlowCell`.
    """
    size = clicks.shape[-1]
    inputs = ops.take(ops.reshape(clicks, (-1, size)), ticks.click, axis=0)
    inputs = ops.where(ticks.starts, inputs, 0.0)
    states = _scan(ops.matmul(inputs, input_kernel), ticks.starts, fast, slow)
    return ops.take(ops.reshape(states, (-1, size)), ticks.last, axis=0)


def _scan(projection, starts, fast, slow):
    """`[K, B, d]` fast states after each tick."""

    @ops.custom_gradient
    def scan(projection, *weights):
        fast, slow = Transition(*weights[:7]), Transition(*weights[7:])
        ticks = _forward(projection, starts, fast, slow)

        def backward(gradient):
            return _backward(gradient, ticks, projection, starts, fast, slow)

        return ticks.state, backward

    return scan(projection, *fast, *slow)


class Tick(typing.NamedTuple):
    """What the forward scan remembers of a tick.

    Attributes:
        state: `[B, d]`, f_1 after a first tick, f_r after another.
        slow: `[B, d]`, s, which only a first tick changes.
        first: `[B, d]`, f_0 of a first tick, f_r of another.
        from_last: `[B, 2d]`, the last state times F's U.
        from_first: `[B, 4d]`, `first` times S's W, then times F's U.
        from_slow: `[B, 4d]`, s times F's W, then times S's U.
    """

    state: Any
    slow: Any
    first: Any
    from_last: Any
    from_first: Any
    from_slow: Any


class _Transit:
    """A unit's transition, with what its gradient needs.

    Args:
        unit: its weights.
        state: `[B, d]`.
        product: `[B, 2d]`, U times the state.
        inputs: `[B, 2d]`, W times the input.
    """

    def __init__(self, unit, state, product, inputs):
        self.unit = unit
        self.product, gate = ops.split(product, 2, axis=-1)
        inputs, input_gate = ops.split(inputs, 2, axis=-1)
        self.factor = unit.alpha * inputs + unit.gamma
        summand = unit.beta * inputs + unit.candidate_bias
        self.candidate = ops.tanh(self.factor * self.product + summand)
        self.gate = ops.sigmoid(gate + input_gate + unit.gate_bias)
        self.change = self.candidate - state
        self.state = state + self.gate * self.change

    def backward(self, gradient):
        """From the gradient by the new state to those by what it came of.

        Returns:
            The gradients by the old state; by the argument of tanh; by
            `product` and by `inputs`, in halves.
        """
        gated = gradient * self.gate
        by_gate = gated * self.change
        by_gate = by_gate - by_gate * self.gate
        argument = gated - gated * (self.candidate * self.candidate)
        by_inputs = self.unit.alpha * self.product + self.unit.beta
        return (
            gradient - gated,
            argument,
            (argument * self.factor, by_gate),
            (argument * by_inputs, by_gate),
        )


class _Kernels:
    """Kernels that read the same state, side by side."""

    def __init__(self, fast, slow):
        self.last = fast.recurrent_kernel
        self.first = ops.concatenate([slow.kernel, fast.recurrent_kernel], 1)
        self.slow = ops.concatenate([fast.kernel, slow.recurrent_kernel], 1)


def _forward(projection, starts, fast, slow):
    """All ticks, `Tick` of `[K, B, ...]`."""
    kernels = _Kernels(fast, slow)

    def step(last, time):
        from_last = ops.matmul(last.state, kernels.last)
        first = _Transit(fast, last.state, from_last, projection[time]).state
        from_first = ops.matmul(first, kernels.first)
        to_slow, to_second = ops.split(from_first, 2, axis=-1)
        _, from_last_slow = ops.split(last.from_slow, 2, axis=-1)
        state = _Transit(slow, last.slow, from_last_slow, to_slow).state
        state = ops.where(starts[time], state, last.slow)
        from_slow = ops.matmul(state, kernels.slow)
        inputs, _ = ops.split(from_slow, 2, axis=-1)
        second = _Transit(fast, first, to_second, inputs).state
        tick = Tick(
            state=ops.where(starts[time], second, first),
            slow=state,
            first=first,
            from_last=from_last,
            from_first=from_first,
            from_slow=from_slow,
        )
        return tick, tick

    none_2 = ops.zeros_like(projection[0])
    none, _ = ops.split(none_2, 2, axis=-1)
    none_4 = ops.concatenate([none_2, none_2], -1)
    start = Tick(none, none, none, none_2, none_4, none_4)
    _, ticks = ops.scan(step, start, ops.arange(ops.shape(projection)[0]))
    return ticks


class Gradient(typing.NamedTuple):
    """What the backward scan remembers of a tick.

    Attributes:
        last: `[B, d]`, gradient by the state before the tick.
        last_slow: `[B, d]`, by the s before it, past its products.
        last_product: two of `[B, d]`, by the s before it times S's U.
        arguments: `[B, d]` for each transition, by the argument of tanh.
        projection: `[B, 2d]`, by the click's products.
        from_last: `[B, 2d]`, and so on: by what `Tick` has of that name.
        from_first: `[B, 4d]`.
        from_slow: `[B, 4d]`.
    """

    last: Any
    last_slow: Any
    last_product: tuple[Any, Any]
    arguments: tuple[Any, Any, Any]
    projection: Any
    from_last: Any
    from_first: Any
    from_slow: Any


def _backward(upstream, ticks, projection, starts, fast, slow):
    """Gradients by the projection and by the weights of both units."""
    kernels = _Kernels(fast, slow)
    by_last_kernel = ops.transpose(kernels.last)
    by_first_kernel = ops.transpose(kernels.first)
    by_slow_kernel = ops.transpose(kernels.slow)

    def step(later, time):
        first, middle, second = _transits(ticks, projection, fast, slow, time)
        by_state = upstream[time] + later.last
        by_second = ops.where(starts[time], by_state, 0.0)
        by_first, argument_second, to_second, inputs = second.backward(
            by_second
        )
        from_slow = ops.concatenate([*inputs, *later.last_product], -1)
        by_slow = later.last_slow + ops.matmul(from_slow, by_slow_kernel)
        by_middle = ops.where(starts[time], by_slow, 0.0)
        last_slow, argument_slow, last_product, inputs = middle.backward(
            by_middle
        )
        from_first = ops.concatenate([*inputs, *to_second], -1)
        by_first = by_first + ops.matmul(from_first, by_first_kernel)
        last, argument_first, from_last, inputs = first.backward(
            by_first + (by_state - by_second)
        )
        from_last = ops.concatenate(from_last, -1)
        gradient = Gradient(
            last=last + ops.matmul(from_last, by_last_kernel),
            last_slow=last_slow + (by_slow - by_middle),
            last_product=last_product,
            arguments=(argument_first, argument_slow, argument_second),
            projection=ops.concatenate(inputs, -1),
            from_last=from_last,
            from_first=from_first,
            from_slow=from_slow,
        )
        return gradient, gradient

    none = ops.zeros_like(upstream[0])
    none_2 = ops.concatenate([none, none], -1)
    none_4 = ops.concatenate([none_2, none_2], -1)
    start = Gradient(
        last=none,
        last_slow=none,
        last_product=(none, none),
        arguments=(none, none, none),
        projection=none_2,
        from_last=none_2,
        from_first=none_4,
        from_slow=none_4,
    )
    _, gradients = ops.scan(
        step, start, ops.arange(ops.shape(upstream)[0]), reverse=True
    )
    by_weights = _by_weights(gradients, ticks, projection)
    return (gradients.projection, *by_weights)


def _transits(ticks, projection, fast, slow, time):
    """The three transitions of a tick, done again from what is remembered."""

    def before(states):
        return ops.where(time > 0, states[time - 1], 0.0)

    to_slow, to_second = ops.split(ticks.from_first[time], 2, axis=-1)
    _, from_last_slow = ops.split(before(ticks.from_slow), 2, axis=-1)
    inputs, _ = ops.split(ticks.from_slow[time], 2, axis=-1)
    return (
        _Transit(
            fast, before(ticks.state), ticks.from_last[time], projection[time]
        ),
        _Transit(slow, before(ticks.slow), from_last_slow, to_slow),
        _Transit(fast, ticks.first[time], to_second, inputs),
    )


def _by_weights(gradients, ticks, projection):
    """Gradients by the fields of both `Transition`s, all ticks at once."""
    size = ticks.first.shape[-1]
    by_from_first = _by_kernel(ticks.first, gradients.from_first)
    by_slow_input, by_second_product = ops.split(by_from_first, 2, axis=-1)
    by_from_slow = _by_kernel(ticks.slow, gradients.from_slow)
    by_second_input, by_slow_product = ops.split(by_from_slow, 2, axis=-1)
    by_last = _by_kernel(ticks.state[:-1], gradients.from_last[1:])

    by_first, by_middle, by_second = gradients.arguments
    first = _by_vectors(by_first, ticks.from_last, projection)
    second = _by_vectors(
        by_second, ticks.from_first[..., 2 * size :], ticks.from_slow
    )
    middle = _by_vectors(
        by_middle,
        ops.pad(ticks.from_slow[:-1, :, 2 * size :], [[1, 0], [0, 0], [0, 0]]),
        ticks.from_first,
    )
    by_fast_gate = (
        gradients.projection[..., size:]
        + gradients.from_slow[..., size : 2 * size]
    )
    by_slow_gate = gradients.from_first[..., size : 2 * size]
    by_fast = Transition(
        by_second_input,
        by_last + by_second_product,
        first[0] + second[0],
        first[1] + second[1],
        first[2] + second[2],
        first[3] + second[3],
        ops.sum(by_fast_gate, axis=(0, 1)),
    )
    by_slow = Transition(
        by_slow_input,
        by_slow_product,
        middle[0],
        middle[1],
        middle[2],
        middle[3],
        ops.sum(by_slow_gate, axis=(0, 1)),
    )
    return (*by_fast, *by_slow)


def _by_kernel(states, gradients):
    """`[K, B, d]` states and `[K, B, e]` gradients to `[d, e]`."""
    states = ops.reshape(states, (-1, states.shape[-1]))
    gradients = ops.reshape(gradients, (-1, gradients.shape[-1]))
    return ops.matmul(ops.transpose(states), gradients)


def _by_vectors(argument, product, inputs):
    """Gradients by alpha, beta, gamma and the candidate's bias."""
    size = argument.shape[-1]
    inputs = inputs[..., :size]
    by_product = argument * product[..., :size]
    return tuple(
        ops.sum(part, axis=(0, 1))
        for part in (
            by_product * inputs,
            argument * inputs,
            by_product,
            argument,
        )
    )

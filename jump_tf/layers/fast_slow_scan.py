"""The fast-slow recurrence over whole batches, with its gradient by hand.

It computes what `FastSlowCell`, the reference, computes click by click. What
makes it fast:

* A fast step without input is a fast step whose input's products are zero. So
  one scan goes over clicks and further fast steps alike: each session has a
  lane of ticks, a tick for every fast step from the second on. Where sessions
  with equally many ticks share a batch (`data.batching`), lanes are dense.
* Candidate and gate are never joined: see `highway`.
* The backward scan passes on the gradients of the states alone; the products
  for the gradients of the weights are done after it, all ticks at once.

Shapes: K ticks of B lanes, size d. Time comes first. A pair is of `[..., d]`,
candidate then gate.
"""

import typing
from typing import Any

from keras import ops

from jump_tf.layers.highway import Gradients
from jump_tf.layers.highway import HighwayWeights
from jump_tf.layers.highway import SplitWeights
from jump_tf.layers.highway import Transition
from jump_tf.layers.highway import back
from jump_tf.layers.highway import by_kernels
from jump_tf.layers.highway import by_vectors
from jump_tf.layers.highway import times

# Lanes by so many: each tick then starts at a multiple of 64 bytes.
LANES = 16


class Ticks(typing.NamedTuple):
    """Where each lane's clicks stand among its ticks.

    Attributes:
        click: `[K, B]` int, the click that a tick belongs to, as a row of
            `[sessions * T]`.
        starts: `[K, B]` bool, whether it is the click's first tick.
        last: `[sessions, T]` int, each click's last tick, as a row of
            `[K * B]`; for a padded click, that of the click before it.
    """

    click: Any
    starts: Any
    last: Any


def plan(num_steps, multiple=LANES):
    """`Ticks` of sessions with `[sessions, T]` int fast steps R, 0 on padding.

    There are as many lanes as sessions, rounded up to a `multiple`.

    A click takes R ticks: the first one has the three steps that every click
    has (two fast, one slow), each other one has a further fast step.
    """
    sessions, length = ops.shape(num_steps)
    ends = ops.cumsum(num_steps, axis=1)
    ticks = ops.maximum(ops.max(ends), 1)
    lanes = sessions + -sessions % multiple
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
    return Ticks(click + first, starts > 0, last)


def fast_slow(clicks, ticks, input_kernel, fast, slow):
    """The fast states of the layer, which alone are trained on.

    Args:
        clicks: `[sessions, T, d]`, T at least 1.
        ticks: of `plan`.
        input_kernel: `[d, 2d]`, through which F reads the clicks.
        fast: weights of F; its `kernel` is what it reads s through.
        slow: weights of S.

    Returns:
        `[sessions, T, d]`, the fast state after each click.

    Reference: JUMP, IJCAI 2018, eq. 14 and 15; see `FastSlowCell`.
    """
    size = clicks.shape[-1]
    inputs = ops.take(ops.reshape(clicks, (-1, size)), ticks.click, axis=0)
    inputs = ops.where(ticks.starts[..., None], inputs, 0.0)
    projection = times(inputs, ops.split(input_kernel, 2, axis=1))
    states = _scan(projection, ticks.starts, fast, slow)
    return ops.take(ops.reshape(states, (-1, size)), ticks.last, axis=0)


def _scan(projection, starts, fast, slow):
    """`[K, B, d]` fast states after each tick, from a pair of products."""

    @ops.custom_gradient
    def scan(candidate, gate, *weights):
        projection = (candidate, gate)
        fast, slow = HighwayWeights(*weights[:7]), HighwayWeights(*weights[7:])
        units = (SplitWeights(fast, candidate), SplitWeights(slow, candidate))
        tiled = ops.broadcast_to(starts[..., None], ops.shape(candidate))
        end, ticks = _forward(projection, tiled, *units)

        def backward(upstream):
            return _backward(upstream, end, ticks, projection, tiled, *units)

        return _after(ticks.state, end.state), backward

    return scan(*projection, *fast, *slow)


class Tick(typing.NamedTuple):
    """What a tick leaves to the next and to the backward scan.

    The latter is told the state, the s and the product of s that the tick
    began with, the former those that it ended with.

    Attributes:
        state: `[B, d]`, f_1 after a first tick, f_r after another.
        slow: `[B, d]`, s, which only a first tick changes.
        first: `[B, d]`, f_0 of a first tick, f_r of another.
        last_to_first: pair, the last state times F's U.
        first_to_slow: pair, `first` times S's W.
        first_to_second: pair, `first` times F's U.
        slow_to_second: pair, s times F's W.
        slow_to_next: pair, s times S's U.
    """

    state: Any
    slow: Any
    first: Any
    last_to_first: tuple[Any, Any]
    first_to_slow: tuple[Any, Any]
    first_to_second: tuple[Any, Any]
    slow_to_second: tuple[Any, Any]
    slow_to_next: tuple[Any, Any]


def _forward(projection, starts, fast, slow):
    """The end of the last tick, and what each began with and came by.

    Returns:
        `Tick` of `[B, d]` and `Tick` of `[K, B, d]`.
    """

    def step(last, time):
        last_to_first = times(last.state, fast.recurrent)
        inputs = tuple(half[time] for half in projection)
        first = Transition(fast, last.state, last_to_first, inputs).state
        first_to_slow = times(first, slow.kernel)
        state = Transition(
            slow, last.slow, last.slow_to_next, first_to_slow
        ).state
        state = ops.where(starts[time], state, last.slow)
        first_to_second = times(first, fast.recurrent)
        slow_to_second = times(state, fast.kernel)
        second = Transition(fast, first, first_to_second, slow_to_second).state
        tick = Tick(
            state=ops.where(starts[time], second, first),
            slow=state,
            first=first,
            last_to_first=last_to_first,
            first_to_slow=first_to_slow,
            first_to_second=first_to_second,
            slow_to_second=slow_to_second,
            slow_to_next=times(state, slow.recurrent),
        )
        began = tick._replace(
            state=last.state, slow=last.slow, slow_to_next=last.slow_to_next
        )
        return tick, began

    none = ops.zeros_like(projection[0][0])
    start = Tick(none, none, none, *((none, none),) * 5)
    return ops.scan(step, start, ops.arange(ops.shape(starts)[0]))


def _after(began, end):
    """What ticks ended with, from what they began with."""
    return ops.concatenate([began[1:], end[None]], axis=0)


class BackwardTick(typing.NamedTuple):
    """What the backward scan remembers of a tick.

    Attributes:
        last: `[B, d]`, gradient by the state before the tick.
        last_slow: `[B, d]`, by the s before it, past its products.
        first: `Gradients` of F with the click.
        slow: of S.
        second: of F with s.
    """

    last: Any
    last_slow: Any
    first: Gradients
    slow: Gradients
    second: Gradients


def _backward(by_states, end, ticks, projection, starts, fast, slow):
    """Gradients by the projection and by the weights of both units."""

    def step(later, time):
        first, middle, second = _transitions(
            ticks, projection, fast, slow, time
        )
        by_state = by_states[time] + later.last
        by_second = second.backward(ops.where(starts[time], by_state, 0.0))
        by_slow = (
            later.last_slow
            + back((later.slow.product, later.slow.gate), slow.recurrent)
            + back((by_second.inputs, by_second.gate), fast.kernel)
        )
        by_middle = middle.backward(ops.where(starts[time], by_slow, 0.0))
        by_first = first.backward(
            ops.where(starts[time], by_second.state, by_state)
            + back((by_second.product, by_second.gate), fast.recurrent)
            + back((by_middle.inputs, by_middle.gate), slow.kernel)
        )
        last = back((by_first.product, by_first.gate), fast.recurrent)
        tick = BackwardTick(
            last=by_first.state + last,
            last_slow=ops.where(starts[time], by_middle.state, by_slow),
            first=by_first,
            slow=by_middle,
            second=by_second,
        )
        return tick, tick

    none = ops.zeros_like(by_states[0])
    start = BackwardTick(none, none, *(Gradients(*(none,) * 5),) * 3)
    _, gradients = ops.scan(
        step, start, ops.arange(ops.shape(by_states)[0]), reverse=True
    )
    by_weights = _by_weights(gradients, end, ticks, projection)
    return (gradients.first.inputs, gradients.first.gate, *by_weights)


def _transitions(ticks, projection, fast, slow, time):
    """The three transitions of a tick, done again from what is remembered."""

    def at(pair):
        return tuple(half[time] for half in pair)

    return (
        Transition(
            fast, ticks.state[time], at(ticks.last_to_first), at(projection)
        ),
        Transition(
            slow,
            ticks.slow[time],
            at(ticks.slow_to_next),
            at(ticks.first_to_slow),
        ),
        Transition(
            fast,
            ticks.first[time],
            at(ticks.first_to_second),
            at(ticks.slow_to_second),
        ),
    )


def _by_weights(gradients, end, ticks, projection):
    """Gradients by the fields of both `HighwayWeights`, all ticks at once."""
    first, slow, second = gradients.first, gradients.slow, gradients.second
    by_first = by_vectors(first, ticks.last_to_first[0], projection[0])
    by_second = by_vectors(
        second, ticks.first_to_second[0], ticks.slow_to_second[0]
    )
    states_of_slow = _after(ticks.slow, end.slow)
    by_fast = HighwayWeights(
        by_kernels(states_of_slow, second.inputs, second.gate),
        by_kernels(ticks.state, first.product, first.gate)
        + by_kernels(ticks.first, second.product, second.gate),
        *(a + b for a, b in zip(by_first, by_second, strict=True)),
    )
    by_slow = HighwayWeights(
        by_kernels(ticks.first, slow.inputs, slow.gate),
        by_kernels(ticks.slow, slow.product, slow.gate),
        *by_vectors(slow, ticks.slow_to_next[0], ticks.first_to_slow[0]),
    )
    return (*by_fast, *by_slow)

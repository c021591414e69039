"""The fast-slow layer: more steps for a click on which the visitor stayed."""

import math

import keras
from keras import ops

from jump_tf.layers import fast_slow_scan
from jump_tf.layers.configured_layer import ConfiguredLayer
from jump_tf.layers.highway import HighwayUnit


def num_fast_steps(dwell_seconds, micro_step_seconds, max_dwell_seconds):
    """`R = max(1, ceil(tau / z))`, float, the shape of `dwell_seconds`.

    Dwells beyond `max_dwell_seconds` count as that; an unknown dwell
    (negative or NaN) makes one step.
    """
    known = ops.where(dwell_seconds > 0.0, dwell_seconds, 0.0)
    known = ops.minimum(known, max_dwell_seconds)
    return ops.maximum(ops.ceil(known / micro_step_seconds), 1.0)


@keras.saving.register_keras_serializable(package="jump_tf")
class FastSlowCell(ConfiguredLayer):
    """Takes one click through a fast and a slow highway unit F and S.

    With the layer's last output h and slow state s, an embedded click x and
    its number of fast steps R (JUMP, IJCAI 2018, eq. 14; where the print is
    circular, the slow unit reads the first fast state, as in the fast-slow
    RNN of Mujika et al., NIPS 2017):

        f_0 = F(h, x);  s' = S(s, f_0);  f_1 = F(f_0, s');
        f_r = F(f_{r-1}) for r = 2..R;   h' = f_R

    Args:
        units: size d of both states.
        max_fast_steps: the largest R; a fixed bound keeps the graph static.
        use_bias: passed to both highway units.
        tie_inputs: whether F reads x and s' through the same matrices, as
            printed, or through two pairs of them.
        multiplicative: passed to both highway units.

    Call arguments:
        inputs: `[B, 2d + 1]`: `[W_c x, W_g x]` of the fast unit, then R.
        states: `(h, s)`, each `[B, d]`; zeros before the first click.

    Returns:
        `[h', s']`, `[B, 2d]`, and both as the next states.

    Masking: none is needed; on right-padded sessions a padded click comes
    after all real ones and its output is never read.
    """

    def __init__(
        self,
        units,
        max_fast_steps,
        use_bias=False,
        tie_inputs=True,
        multiplicative=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if max_fast_steps < 1:
            raise ValueError(
                "`max_fast_steps` must be at least 1. "
                f"Received: max_fast_steps={max_fast_steps}"
            )
        self.units = units
        self.max_fast_steps = max_fast_steps
        self.use_bias = use_bias
        self.tie_inputs = tie_inputs
        self.multiplicative = multiplicative
        self.state_size = [units, units]
        self.output_size = 2 * units
        self.fast, self.slow = (
            HighwayUnit(
                units,
                use_bias,
                multiplicative,
                name=name,
                dtype=self.dtype_policy,
            )
            for name in ("fast", "slow")
        )

    def build(self, inputs_shape):
        state_shape = (None, self.units)
        self.fast.build(state_shape)
        self.slow.build(state_shape)
        if not self.tie_inputs:
            self.slow_to_fast = self.add_weight(
                name="slow_to_fast",
                shape=(self.units, 2 * self.units),
                initializer="glorot_uniform",
            )

    def call(self, inputs, states):
        last, last_slow = states
        projection, num_steps = ops.split(inputs, [2 * self.units], axis=-1)
        state = self.fast(last, projection)
        state, slow = self._through_slow(state, last_slow)
        for step in range(2, self.max_fast_steps + 1):
            state = ops.where(num_steps >= step, self.fast(state), state)
        return ops.concatenate([state, slow], axis=-1), [state, slow]

    def tick(self, inputs, states):
        """The states after a tick, see `fast_slow_scan.plan`.

        Args:
            inputs: `[B, 2d + 1]`: what `call` reads of the click in its first
                tick, zeros in a further one; then whether it is the first.
            states: `(h, s)` before it, `[B, d]` each.

        Returns:
            `(h, s)` after it.
        """
        last, last_slow = states
        projection, starts = ops.split(inputs, [2 * self.units], axis=-1)
        state = self.fast(last, projection)
        second, slow = self._through_slow(state, last_slow)
        starts = starts > 0.0
        return (
            ops.where(starts, second, state),
            ops.where(starts, slow, last_slow),
        )

    def _through_slow(self, state, last_slow):
        """f_1 and s' from f_0 and s."""
        slow = self.slow(last_slow, self.slow.project(state))
        if self.tie_inputs:
            return self.fast(state, self.fast.project(slow)), slow
        kernel = ops.cast(self.slow_to_fast, slow.dtype)
        return self.fast(state, ops.matmul(slow, kernel)), slow


@keras.saving.register_keras_serializable(package="jump_tf")
class FastSlow(ConfiguredLayer):
    """Runs the fast-slow cell along sessions.

    Where shapes may vary, a step of the scan is a fast step that is really
    made (`fast_slow_scan.plan`); training has the gradient of that scan
    written by hand (`fast_slow_scan.fast_slow`). Where a compiler needs fixed
    shapes, a step of the scan is a click, which makes the largest number of
    fast steps; those beyond its own change nothing. All give the same.

    Args:
        units: size d.
        micro_step_seconds: z, the dwell that one fast step stands for.
        max_dwell_seconds: c1, where dwells are cut; bounds the fast steps by
            `ceil(c1 / z)`.
        use_bias: biases in the highway units.
        tie_inputs: see `FastSlowCell`.
        multiplicative: see `HighwayUnit`.

    Call arguments:
        clicks: `[B, T, d]` embedded clicks.
        dwell_seconds: `[B, T]`; negative or NaN where unknown.
        real: `[B, T]` bool, False on padding on the right; None for no padding.
        fixed_shapes: whether a compiler needs them fixed.
        training: whether there will be a gradient.

    Returns:
        Fast and slow states after each click, `[B, T, d]` each; in training
        with varying shapes the fast ones alone.

    Masking: right padding changes nothing before it; `real` only saves work.
    """

    def __init__(
        self,
        units,
        micro_step_seconds,
        max_dwell_seconds,
        use_bias=False,
        tie_inputs=True,
        multiplicative=True,
        **kwargs,
    ):
        # Rounded to bfloat16, a dwell would make another number of steps.
        super().__init__(autocast=False, **kwargs)
        self.units = units
        self.micro_step_seconds = micro_step_seconds
        self.max_dwell_seconds = max_dwell_seconds
        self.use_bias = use_bias
        self.tie_inputs = tie_inputs
        self.multiplicative = multiplicative
        self.cell = FastSlowCell(
            units,
            math.ceil(max_dwell_seconds / micro_step_seconds),
            use_bias,
            tie_inputs,
            multiplicative,
            name="cell",
            dtype=self.dtype_policy,
        )
        # Named, or a weight's path counts the layers made before it.
        self.rnn = keras.layers.RNN(
            self.cell,
            return_sequences=True,
            name="rnn",
            dtype=self.dtype_policy,
        )

    def build(self, clicks_shape, dwell_seconds_shape):
        self.rnn.build((*clicks_shape[:-1], 2 * self.units + 1))

    def call(
        self,
        clicks,
        dwell_seconds,
        real=None,
        fixed_shapes=False,
        training=False,
    ):
        steps = num_fast_steps(
            dwell_seconds, self.micro_step_seconds, self.max_dwell_seconds
        )
        clicks = ops.cast(clicks, self.compute_dtype)
        if fixed_shapes:
            projection = self.cell.fast.project(clicks)  # All T at once.
            steps = ops.cast(steps, projection.dtype)
            states = self.rnn(
                ops.concatenate([projection, steps[..., None]], -1)
            )
            return ops.split(states, 2, axis=-1)
        steps = ops.cast(steps, "int32")
        if real is not None:
            steps = ops.where(real, steps, 0)
        if training:
            ticks = fast_slow_scan.plan(steps)
            weights = self._weights()
            return (fast_slow_scan.fast_slow(clicks, ticks, *weights),)
        return self._scan(clicks, fast_slow_scan.plan(steps, multiple=1))

    def _scan(self, clicks, ticks):
        """Both states after each click, the cell's tick by tick."""
        projection = self.cell.fast.project(
            ops.reshape(clicks, (-1, self.units))
        )
        inputs = ops.take(projection, ticks.click, axis=0)
        starts = ticks.starts[..., None]
        inputs = ops.where(starts, inputs, 0.0)

        def step(states, tick):
            states = self.cell.tick(tick, states)
            return states, states

        none = ops.zeros_like(inputs[0, :, : self.units])
        _, columns = ops.scan(
            step,
            (none, none),
            ops.concatenate([inputs, ops.cast(starts, inputs.dtype)], axis=-1),
        )
        return tuple(
            ops.take(ops.reshape(column, (-1, self.units)), ticks.last, axis=0)
            for column in columns
        )

    def step(self, clicks, states, dwell_seconds):
        """The states after one more click.

        Args:
            clicks: `[N, d]` embedded clicks.
            states: fast and slow states before them, `[N, d]` each.
            dwell_seconds: `[N]`; negative or NaN where unknown.

        Returns:
            Fast and slow states, `[N, d]` each.
        """
        projection = self.cell.fast.project(
            ops.cast(clicks, self.compute_dtype)
        )
        steps = num_fast_steps(
            dwell_seconds, self.micro_step_seconds, self.max_dwell_seconds
        )
        steps = ops.cast(steps, projection.dtype)
        inputs = ops.concatenate([projection, steps[:, None]], -1)
        return self.cell(inputs, states)[1]

    def _weights(self):
        """The weights that `fast_slow_scan.fast_slow` takes."""
        dtype = self.compute_dtype
        fast, slow = self.cell.fast, self.cell.slow
        from_slow = fast.kernel if self.tie_inputs else self.cell.slow_to_fast
        return (
            ops.cast(fast.kernel, dtype),
            fast.tensors(dtype, from_slow),
            slow.tensors(dtype, slow.kernel),
        )

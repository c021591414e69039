"""How near the fast-slow layer comes to the speed of its arithmetic.

One forward and backward pass of the layer, against the matrix products that it
cannot do without: for every fast and slow step of a click the product with the
state, and where there is one with the input, each of `[B, d]` with `[d, 2d]`;
then, for the gradients, two more for each. The products have the shapes that
the recurrence gives them, one click of all sessions at a time. `share` is their
time over the layer's: the layer's useful FLOP/s as a share of the products'.

Sessions are batched as training batches them, equally many steps each, with
dwells that are log-normal with the median and scale of a shop's.

The second number is a whole training step of the layer beside one of
`keras.layers.GRU` of the same size on the same clicks, whose arithmetic is
about half.

python -m tests.benchmarks.fast_slow
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from jump_tf.layers.fast_slow import FastSlow
from tests.benchmarks import timing

UNITS = 100
STEP_SECONDS, MAX_SECONDS = 200.0, 2000.0
LOG_DWELL, SCALE = 3.6, 1.4  # Three in four steps are a click's first.


def main():
    """Prints a line for each batch size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--steps", type=int, default=8, help="of a session")
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    print("sessions  clicks  layer ms  products ms  share  GRU ms  layer/GRU")
    for sessions in arguments.batches:
        print(measure(sessions, arguments.steps, arguments.repeats))


def measure(sessions, steps, repeats):
    """One line of the table."""
    random = np.random.default_rng(0)
    dwell = draw_sessions(random, sessions, steps)
    real = dwell >= 0.0
    clicks = random.normal(size=(*dwell.shape, UNITS)).astype(np.float32)
    layer = FastSlow(
        UNITS, STEP_SECONDS, MAX_SECONDS, use_bias=True, tie_inputs=False
    )
    layer.build(clicks.shape, dwell.shape)
    gru = keras.layers.GRU(UNITS, return_sequences=True)
    gru.build(clicks.shape)
    runs = {
        "layer": step_of(layer, lambda x: layer(x, dwell, real)[0], clicks),
        "products": products(random, real, dwell),
        "gru": step_of(gru, gru, clicks),
    }
    times = timing.in_turns(runs, repeats)
    share = timing.ratio(times["products"], times["layer"])
    to_gru = timing.ratio(times["layer"], times["gru"])
    layer_ms, products_ms, gru_ms = (
        timing.median_ms(times[name]) for name in runs
    )
    return (
        f"{sessions:8d}  {int(real.sum()):6d}  {layer_ms:8.1f}  "
        f"{products_ms:11.1f}  {share:5.0%}  {gru_ms:6.1f}  {to_gru:9.2f}"
    )


def draw_sessions(random, sessions, steps):
    """`[B, T]` dwells of sessions of equally many steps; padded with -1."""
    rows = []
    while len(rows) < sessions:
        dwell = np.exp(random.normal(LOG_DWELL, SCALE, steps))
        dwell = np.minimum(dwell, MAX_SECONDS)
        taken = np.cumsum(np.maximum(np.ceil(dwell / STEP_SECONDS), 1))
        if steps in taken:
            rows.append(dwell[: int(np.flatnonzero(taken == steps)[0]) + 1])
    length = max(map(len, rows))
    return np.stack(
        [
            np.pad(row, (0, length - len(row)), constant_values=-1)
            for row in rows
        ]
    ).astype(np.float32)


def step_of(layer, call, clicks):
    """A forward and backward pass, of which nothing is copied out."""
    clicks = tf.constant(clicks)
    weights = [weight.value for weight in layer.trainable_variables]

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            tape.watch(clicks)
            total = tf.reduce_sum(tf.square(call(clicks)))
        gradients = tape.gradient(total, [clicks, *weights])
        return [tf.reshape(gradient, [-1])[0] for gradient in gradients]

    return run


def products(random, real, dwell):
    """The products of one pass, click by click, on as many rows as need them.

    A click has six: with its input, with the last fast state, with the first
    fast state twice, with the last slow state and with the new one. A further
    fast step has one.
    """

    def normal(*shape):
        return tf.constant(random.normal(size=shape).astype(np.float32))

    kernels = [normal(UNITS, 2 * UNITS) for _ in range(6)]
    transposed = [tf.transpose(kernel) for kernel in kernels]
    further = np.ceil(dwell / STEP_SECONDS).astype(int) - 1
    parts = []
    for step in range(real.shape[1]):
        rows = int(real[:, step].sum())
        parts += [(rows, kernel) for kernel in range(6)]
        more = further[:, step][real[:, step]]
        parts += [
            (int((more > extra).sum()), 0)
            for extra in range(max(more.max(initial=0), 0))
        ]
    states = [normal(rows, UNITS) for rows, _ in parts]
    gradients = [normal(rows, 2 * UNITS) for rows, _ in parts]

    @tf.function(autograph=False)
    def run():
        results = []
        for (_, kernel), state, gradient in zip(
            parts, states, gradients, strict=True
        ):
            results += [
                tf.matmul(state, kernels[kernel]),
                tf.matmul(gradient, transposed[kernel]),
                tf.matmul(state, gradient, transpose_a=True),
            ]
        return [tf.reshape(result, [-1])[0] for result in results]

    return run


if __name__ == "__main__":
    main()

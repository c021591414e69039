"""Times training steps on whatever device Keras sees.

    KERAS_BACKEND=jax python -m tests.benchmarks.train_step --precision bfloat16

Needs Keras and one of its backends; imports no TensorFlow of its own. Sessions
are made up: all of one length, items drawn evenly, dwells log-normal with a
median of 55 seconds.

What counts as useful work, forward, with d units:

    a highway matrix product           4 d^2    [1, d] by [d, 2d]
    a click in the fast-slow layer     (5 + R) of them, R = ceil(tau / z)
    attention of T clicks              2 d T (T + 1), the causal half
    the softmax over S items           2 d S a click
    the dwell head                     2 (2 d + 4) (h + 1) + 6 h a click

and three times that with the backward pass. Steps that a batch makes beyond a
click's own R are not useful; neither is anything done twice.
"""

import argparse
import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from jump_tf import schema
from jump_tf.config.run import PRECISIONS
from jump_tf.config.run import preset
from jump_tf.models.gru4rec import GRU4Rec
from jump_tf.models.jump import JUMP

LOG_DWELL = (4.0, 1.5)  # Mean and deviation.


class Benchmark(NamedTuple):
    """A model, and the useful floating point operations of a forward pass."""

    model: Any
    forward_flops: Callable[[dict[str, np.ndarray]], float]


def jump(arguments: argparse.Namespace) -> Benchmark:
    """JUMP as the `production` preset has it, sizes aside."""
    model = _model(JUMP, "production", arguments)
    units, hidden = model.config.units, model.dwell_head.hidden_units

    def forward_flops(inputs):
        seconds = inputs[schema.DWELL_SECONDS]
        rows, steps = math.prod(seconds.shape[:-1]), seconds.shape[-1]
        fast = np.ceil(seconds / model.config.micro_step_seconds)
        encoder = 4 * units**2 * np.sum(5 + np.maximum(fast, 1.0))
        attention = 2 * units * steps * (steps + 1) * rows
        head = 2 * (2 * units + 4) * (hidden + 1) + 6 * hidden
        clicks = rows * (steps + 1)
        return float(encoder + attention + (_softmax(model) + head) * clicks)

    return Benchmark(model, forward_flops)


def gru4rec(arguments: argparse.Namespace) -> Benchmark:
    """GRU4Rec as its preset has it, sizes aside."""
    model = _model(GRU4Rec, "gru4rec", arguments)

    def forward_flops(inputs):
        seconds = inputs[schema.DWELL_SECONDS]
        rows, steps = math.prod(seconds.shape[:-1]), seconds.shape[-1]
        encoder = 12 * model.config.units**2 * seconds.size
        return float(encoder + _softmax(model) * rows * (steps + 1))

    return Benchmark(model, forward_flops)


def _model(kind, name, arguments):
    config = dataclasses.replace(
        preset(name).model,
        units=arguments.units,
        negatives=arguments.negatives,
        initial_log_dwell=LOG_DWELL[0],
    )
    return kind(
        schema.FIRST_ITEM_ID + arguments.items,
        dtype=PRECISIONS[arguments.precision],
        **dataclasses.asdict(config),
    )


def _softmax(model):
    """Operations of a click's scores."""
    return 2 * model.config.units * model.config.negatives


MODELS = {"jump": jump, "gru4rec": gru4rec}


class Batches(keras.utils.PyDataset):
    """Full batches of made-up sessions as NumPy arrays; no padding.

    Args:
        steps: how many batches.
        rows: sessions in each.
        length: clicks of each session.
        items: size of the catalogue.
    """

    def __init__(self, steps: int, rows: int, length: int, items: int):
        super().__init__()
        random = np.random.default_rng(0)
        shape = (steps, rows, length)
        ids = schema.FIRST_ITEM_ID + random.integers(items, size=shape)
        dwell = np.exp(random.normal(*LOG_DWELL, size=shape))
        last = np.arange(length) == length - 1
        self.targets = {
            schema.ITEMS: ids.astype(np.int32),
            schema.DWELL_SECONDS: np.float32(
                np.minimum(dwell, schema.MAX_DWELL_SECONDS)
            ),
            schema.DWELL_CENSORED: np.float32(dwell > schema.MAX_DWELL_SECONDS),
            schema.SESSION_END: np.broadcast_to(np.float32(last), shape),
        }
        self.inputs = {
            name: self.targets[name][..., :-1]
            for name in (schema.ITEMS, schema.DWELL_SECONDS)
        }
        self.weights = np.ones(shape[1:], np.float32)

    def __len__(self):
        return len(self.targets[schema.ITEMS])

    def __getitem__(self, step):
        inputs, targets = (
            {name: column[step] for name, column in columns.items()}
            for columns in (self.inputs, self.targets)
        )
        return inputs, targets, self.weights


def seconds_per_step(model, batches: Batches) -> float:
    """The mean over an epoch of `fit`, after one that compiles."""
    clock = Clock()
    model.fit(batches, epochs=2, shuffle=False, verbose=0, callbacks=[clock])
    return clock.seconds / len(batches)


class Clock(keras.callbacks.Callback):
    """The time of the last epoch, until its numbers are there."""

    def on_epoch_begin(self, epoch, logs=None):
        self.seconds = -time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        assert math.isfinite(logs["loss"])
        self.seconds += time.perf_counter()


def matmul_flops_per_second(precision: str) -> float:
    """What a bare product of large matrices reaches on this device."""
    on_cpu = "cpu" in device().lower()
    size, repeats = (1024, 4) if on_cpu else (8192, 50)
    random = np.random.default_rng(0)
    factor = ops.cast(
        random.normal(size=(size, size)) / math.sqrt(size), precision
    )

    def run():
        product = factor
        for _ in range(repeats):
            product = ops.matmul(product, factor)
        # Only numbers on the host say that the device is done.
        ops.convert_to_numpy(ops.cast(product[:1, :1], "float32"))

    run()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 2.0 * size**3 * repeats / min(times)


def device() -> str:
    """The device that an array lands on, as the backend names it."""
    tensor = ops.zeros((1,))
    where = getattr(tensor, "device", None)
    return str(getattr(where, "device_kind", None) or where)


def main(argv: list[str] | None = None) -> None:
    """Prints what was measured."""
    arguments = _parser().parse_args(argv)
    keras.utils.set_random_seed(0)
    rows = max(arguments.batch_clicks // (arguments.length - 1), 1)
    batches = Batches(arguments.steps, rows, arguments.length, arguments.items)
    benchmark = MODELS[arguments.model](arguments)
    benchmark.model.build()
    benchmark.model.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=5.0),
        jit_compile=arguments.jit_compile,
    )
    seconds = seconds_per_step(benchmark.model, batches)
    peak = matmul_flops_per_second(arguments.precision)
    forward = benchmark.forward_flops(batches.inputs) / len(batches)
    useful = 3.0 * forward / seconds
    print(
        f"{arguments.model}, {keras.backend.backend()} on {device()}, "
        f"{arguments.precision}, {rows} sessions of {arguments.length} clicks\n"
        f"{1e3 * seconds:.2f} ms a step, "
        f"{rows * arguments.length / seconds:,.0f} clicks/s\n"
        f"{useful / 1e12:.3f} useful TFLOP/s, {useful / peak:.1%} of the "
        f"{peak / 1e12:.3f} of a bare {arguments.precision} matmul"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", choices=sorted(MODELS), default="jump")
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--batch-clicks", type=int, default=16_384)
    parser.add_argument("--length", type=int, default=8)
    parser.add_argument("--items", type=int, default=43_000)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument(
        "--precision", choices=sorted(PRECISIONS), default="float32"
    )
    parser.add_argument(
        "--jit-compile", action=argparse.BooleanOptionalAction, default="auto"
    )
    return parser


if __name__ == "__main__":
    main()

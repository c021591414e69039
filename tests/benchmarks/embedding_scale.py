"""Time of a training step against the size of the catalogue.

python -m tests.benchmarks.embedding_scale [--optimizer adam]

Each size runs in a process of its own. A batch is 256 sessions of 8 clicks,
the loss a sampled softmax with 2048 negatives; clicks are drawn from the whole
catalogue, evenly, so that rows come from memory, not caches.
All times are in ms a step; the processor time is what to compare where others
use the machine.
"""

import argparse
import json
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.models.jump import JUMP
from jump_tf.train.optimizer import LazyAdam
from tests.benchmarks import processes

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
SESSIONS, CLICKS = 256, 8
WARM_UP, STEPS = 5, 40
OPTIMIZERS = {"lazy": LazyAdam, "adam": keras.optimizers.Adam}


def main() -> None:
    """Prints a line for each size."""
    arguments = _parser().parse_args()
    if arguments.worker:
        print(json.dumps(measure(arguments)))
        return
    print("    items  median  fastest     CPU  CPU ratio  peak GB", flush=True)
    first = None
    for size in arguments.sizes:
        found = _in_process(size, arguments)
        first = first or found
        ratio = found["cpu_ms"] / first["cpu_ms"]
        print(
            f"{size:>9} {found['median_ms']:>7.1f} {found['fastest_ms']:>8.1f} "
            f"{found['cpu_ms']:>7.1f} {ratio:>10.2f} {found['peak_gb']:>8.2f}",
            flush=True,
        )


def measure(arguments) -> dict[str, float]:
    """Trains a model of one size for some steps."""
    size = arguments.worker
    random = np.random.default_rng(0)
    ranks = np.arange(1, size + 1)
    counts = np.concatenate([np.zeros(schema.FIRST_ITEM_ID), 1.0 / ranks])
    keras.utils.set_random_seed(0)
    model = JUMP(
        len(counts),
        units=100,
        click_loss="sampled_softmax",
        negatives=2048,
        dwell_head="shared",
        dwell_scale=1.0,
        click_scale=16.0,
        item_bias=True,
        learned_start=True,
        initial_log_dwell=4.0,
    )
    model.build()
    model.sampler.set_counts(counts)
    model.compile(
        OPTIMIZERS[arguments.optimizer](1e-3, global_clipnorm=5.0),
        jit_compile=False,
    )
    batches = [_batch(random, len(counts)) for _ in range(WARM_UP + STEPS)]
    clock = Clock()
    model.fit(
        tf.data.Dataset.from_generator(
            lambda: iter(batches),
            output_signature=tf.nest.map_structure(
                lambda array: tf.TensorSpec(array.shape, array.dtype),
                batches[0],
            ),
        ),
        verbose=0,
        shuffle=None,
        callbacks=[clock],
    )
    wall, cpu = 1e3 * np.diff(clock.times, axis=0)[WARM_UP - 1 :].T
    return {
        "median_ms": float(np.median(wall)),
        "fastest_ms": float(wall.min()),
        "cpu_ms": float(np.median(cpu)),
        "peak_gb": processes.peak_bytes() / 2**30,
    }


class Clock(keras.callbacks.Callback):
    """Notes when each step is over, and what the processor spent by then."""

    def __init__(self):
        super().__init__()
        self.times: list[tuple[float, float]] = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append((time.perf_counter(), time.process_time()))


def _batch(random, size):
    shape = (SESSIONS, CLICKS)
    items = random.integers(schema.FIRST_ITEM_ID, size, shape, np.int32)
    dwell = random.lognormal(4.0, 1.0, items.shape).astype(np.float32)
    end = np.zeros(items.shape, np.float32)
    end[:, -1] = 1.0
    inputs = {
        schema.ITEMS: items[:, :-1],
        schema.DWELL_SECONDS: dwell[:, :-1],
    }
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: end,
        schema.SESSION_END: end,
    }
    return inputs, targets, np.ones(items.shape, np.float32)


def _in_process(size, arguments):
    command = [
        *(sys.executable, "-m", "tests.benchmarks.embedding_scale"),
        *("--worker", str(size), "--optimizer", arguments.optimizer),
    ]
    return json.loads(processes.run(command).output.splitlines()[-1])


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="lazy")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()

"""How near the click losses come to what their matrix products cost.

A loss and its gradient need three products of matrices: the logits, the
gradient of the queries and that of the item vectors. `bound` is the time of
these three alone; a loss's ratio is the bound over its own time, forward and
backward in one tf.function, both taken in turns in the same run; 100 % cannot
be had, and the chunked softmax, which computes its logits twice, ends at 75 %.

python -m tests.benchmarks.losses             # ratios, on this machine's CPU
python -m tests.benchmarks.losses --million   # one million items in training

`--million` trains steps of Adam with the chunked softmax on a catalogue of one
million items in a process of its own, and prints that process's highest
resident memory (table, gradient and Adam's two moments are 1.6 GB of it) and
the seconds of a step.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.losses import softmax
from tests.benchmarks import processes
from tests.benchmarks import timing

UNITS = 100
NUM_ITEMS = 43_000
MILLION = 1_000_000


def normal(random, *shape):
    return random.normal(scale=0.3, size=shape).astype(np.float32)


def with_gradients(loss, *parameters):
    """One step without an optimizer, of which nothing is copied out."""

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = tf.reduce_sum(loss(*parameters))
        gradients = tape.gradient(value, parameters)
        return value, [tf.convert_to_tensor(part)[0] for part in gradients]

    return run


def bound(queries, vectors, logits):
    """The three products that no softmax over these logits does without."""

    @tf.function
    def run():
        return (
            tf.matmul(queries, vectors, transpose_b=True)[0],
            tf.matmul(logits, vectors)[0],
            tf.matmul(logits, queries, transpose_a=True)[0],
        )

    return run


def over_the_catalogue(num_queries, num_items):
    """Step functions by name, `bound` among them."""
    random = np.random.default_rng(0)
    queries = tf.Variable(normal(random, num_queries, UNITS))
    vectors = tf.Variable(normal(random, num_items, UNITS))
    targets = random.integers(schema.FIRST_ITEM_ID, num_items, num_queries)

    def of(loss):
        return with_gradients(
            lambda queries, vectors: loss(queries, vectors, targets),
            queries,
            vectors,
        )

    logits = tf.constant(normal(random, num_queries, num_items))
    return {
        "bound": bound(queries, vectors, logits),
        "softmax": of(softmax.softmax_cross_entropy),
        "chunked": of(softmax.chunked_softmax_cross_entropy),
    }


def over_negatives(num_queries, num_negatives):
    """Step functions by name, `bound` among them."""
    random = np.random.default_rng(0)
    queries = tf.Variable(normal(random, num_queries, UNITS))
    own = tf.Variable(normal(random, num_queries, UNITS))
    vectors = tf.Variable(normal(random, num_negatives, UNITS))
    ids = (schema.FIRST_ITEM_ID, NUM_ITEMS)
    targets = tf.constant(random.integers(*ids, num_queries))
    negatives = tf.constant(random.integers(*ids, num_negatives))
    log_expected = tf.constant(normal(random, num_negatives))

    def of(loss, **options):
        return with_gradients(
            lambda queries, own, vectors: loss(
                queries, own, targets, vectors, negatives, **options
            ),
            queries,
            own,
            vectors,
        )

    logits = tf.constant(normal(random, num_queries, num_negatives))
    return {
        "bound": bound(queries, vectors, logits),
        "sampled": of(
            softmax.sampled_softmax_cross_entropy, log_expected=log_expected
        ),
        "bpr_max": of(softmax.bpr_max, regularization=1.0),
        "top1_max": of(softmax.top1_max),
        "gbce": of(softmax.gbce, num_items=NUM_ITEMS, calibration=0.75),
    }


def report(title, functions, repeats):
    """Prints the median time of each, and its median share of the bound."""
    taken = timing.in_turns(functions, repeats)
    print(title)
    for name, times in taken.items():
        share = timing.ratio(taken["bound"], times)
        milliseconds = timing.median_ms(times)
        print(f"  {name:9s} {milliseconds:8.1f} ms  {share:5.0%} of the bound")


def train_a_million(num_queries, steps=3):
    """Steps of Adam on a large table; prints seconds and highest memory."""
    random = np.random.default_rng(0)
    table = keras.Variable(
        lambda shape, dtype: tf.random.normal(shape, stddev=0.3, dtype=dtype),
        shape=(MILLION + schema.FIRST_ITEM_ID, UNITS),
    )
    queries = tf.constant(normal(random, num_queries, UNITS))
    targets = tf.constant(
        random.integers(schema.FIRST_ITEM_ID, MILLION, num_queries)
    )
    optimizer = keras.optimizers.Adam(0.001)
    optimizer.build([table])

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                softmax.chunked_softmax_cross_entropy(queries, table, targets)
            )
        optimizer.apply(tape.gradient(loss, [table.value]))
        return loss

    values, taken = [], []
    for _ in range(steps):
        start = time.perf_counter()
        values.append(float(step()))
        taken.append(time.perf_counter() - start)
    print(
        f"{MILLION} items, {num_queries} queries: losses "
        f"{', '.join(f'{value:.4f}' for value in values)}; "
        f"{statistics.median(taken[1:]):.1f} s a step; "
        f"highest resident memory {processes.peak_bytes() / 1e9:.2f} GB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.here:
        train_a_million(num_queries=512)
    elif arguments.million:
        command = (sys.executable, "-m", "tests.benchmarks.losses", "--here")
        subprocess.run(command, check=True)
    else:
        for queries in (400, 512, 2000):
            report(
                f"{queries} queries, {NUM_ITEMS} items",
                over_the_catalogue(queries, NUM_ITEMS),
                arguments.repeats,
            )
        report(
            "2048 queries, 2048 shared negatives",
            over_negatives(2048, 2048),
            3 * arguments.repeats,
        )


if __name__ == "__main__":
    main()

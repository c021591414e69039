"""How fast HEROES trains, beside what bounds it and beside two LSTMs.

A step is a whole one: embedding, both layers along the lists, heads, loss,
gradients, clipping, optimizer. `share` is the time of its matrix products
alone over the time of the step: products of the same shapes, an item of all
lists at a time where the recurrence has them so, and two more of each for the
gradients. The last number is the step's time over that of `ListRNN`, two
`keras.layers.LSTM` of the same size with the same embedding and heads, whose
arithmetic is about half.

The three are taken in turns, and everything is also said in seconds of CPU, as
machines have other work to do.

python -m tests.benchmarks.heroes
"""

import argparse
import itertools
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.models.heroes import Heroes
from jump_tf.models.list_rnn import ListRNN
from jump_tf.train.optimizer import LazyAdam
from tests.benchmarks import timing

VOCABULARY_SIZE, FIELDS, EMBEDDING = 50_000, 3, 32
CLICK_RATE, CONVERSION_RATE = 0.2, 0.1


def main(argv=None):
    """Prints a table: a line for the clock, one for the processors."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lists", type=int, default=256)
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cell", default="hawkes")
    arguments = parser.parse_args(argv)
    batch = draw_batch(arguments.lists, arguments.length)
    options = {
        "num_fields": FIELDS,
        "embedding_size": EMBEDDING,
        "units": arguments.units,
    }
    heroes = Heroes(VOCABULARY_SIZE, cell=arguments.cell, **options)
    runs = {
        "heroes": step_of(heroes, batch),
        "products": products(heroes, arguments.lists, arguments.length),
        "lstms": step_of(ListRNN(VOCABULARY_SIZE, **options), batch),
    }
    times = timing.in_turns(runs, arguments.repeats)
    print("of    items/s  step ms  products ms  share  LSTMs ms  step/LSTMs")
    for clock, name in enumerate(("wall", "CPU")):
        ms = {
            run: timing.median_ms(pairs, clock) for run, pairs in times.items()
        }
        rate = 1000 * arguments.lists * arguments.length / ms["heroes"]
        print(
            f"{name:4s}  {rate:7,.0f}  {ms['heroes']:7.0f}  "
            f"{ms['products']:11.0f}  {ms['products'] / ms['heroes']:5.0%}  "
            f"{ms['lstms']:8.0f}  {ms['heroes'] / ms['lstms']:10.2f}"
        )


def draw_batch(lists, length):
    """Inputs, targets and weights of made-up lists without padding."""
    random = np.random.default_rng(0)
    shape = (lists, length)
    clicked = random.random(shape) < CLICK_RATE
    converted = clicked & (random.random(shape) < CONVERSION_RATE)
    features = random.integers(
        schema.FIRST_ITEM_ID, VOCABULARY_SIZE, (*shape, FIELDS)
    )
    targets = {
        schema.CLICKED: np.float32(clicked),
        schema.CONVERTED: np.float32(converted),
    }
    offsets = np.cumsum(random.exponential(30.0, shape), axis=1)
    inputs = {
        schema.FEATURES: np.int32(features),
        schema.FEATURE_VALUES: np.ones(features.shape, np.float32),
        schema.OFFSET_SECONDS: np.float32(offsets - offsets[:, :1]),
        schema.CLICKED: targets[schema.CLICKED],
    }
    batch = inputs, targets, np.ones(shape, np.float32)
    return tf.nest.map_structure(tf.constant, batch)


def step_of(model, batch):
    """A step of training."""
    model.build()
    model.compile(LazyAdam(1e-3, global_clipnorm=5.0), jit_compile=False)
    return lambda: model.train_on_batch(*batch)


def products(model, lists, length):
    """All matrix products of a step, forward and backward.

    A layer's item has one of the summary with all gates and two that make the
    summary; the upper layer of Hawkes units has one more, for the decay of
    what is not updated. The products of the items themselves, and those of the
    heads, are of all items at once.
    """
    units, rows = model.config.units, lists * length
    gates = model.feedback_rnn.cell.lower.num_gates * units
    shapes = [(rows, model.embedding.width, gates)] * 2
    for head in (model.click_head, model.conversion_head):
        widths = [units, *(dense.units for dense in head.hidden), 1]
        shapes += [(rows, *pair) for pair in itertools.pairwise(widths)]
    of_item = [(lists, units, gates)] * 2 + [(lists, units, units)] * 4
    if model.config.cell == "hawkes":
        of_item.append((lists, units, units))
    shapes += of_item * length
    operands = [
        [
            tf.random.normal(size)
            for size in ((rows, inner), (inner, outer), (rows, outer))
        ]
        for rows, inner, outer in shapes
    ]

    @tf.function(autograph=False)
    def run(operands):
        results = []
        for left, right, gradient in operands:
            results += [
                tf.matmul(left, right),
                tf.matmul(gradient, right, transpose_b=True),
                tf.matmul(left, gradient, transpose_a=True),
            ]
        return [tf.reshape(result, [-1])[0] for result in results]

    return lambda: run(operands)


if __name__ == "__main__":
    main()

"""What tests of models with a dwell distribution of their own share."""

import keras
import numpy as np

from jump_tf import schema
from jump_tf.survival.distribution import LogNormal

VOCABULARY_SIZE = 11
UNITS = 5
# Sessions of 4, 4 and 2 clicks; unknown, zero and too long dwells.
INPUTS = {
    schema.ITEMS: np.int32([[3, 5, 2, 9], [7, 1, 10, 4], [2, 2, 0, 0]]),
    schema.DWELL_SECONDS: np.float32(
        [[30, 700, 9, 1500], [3000, -1, 0, 61], [5, 333, 0, 0]]
    ),
}
LENGTHS = (4, 4, 2)
HIDING = {
    "click_scale": 7.0,
    "dropout": 0.3,
    "unknown_dwell_rate": 0.3,
    "unknown_item_rate": 0.2,
    "learned_start": True,
}


def make(kind, spread=0.5, **options):
    """A model in which every weight matters."""
    keras.utils.set_random_seed(11)
    model = kind(VOCABULARY_SIZE, units=UNITS, **options)
    model.build()
    random = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(weight + spread * random.normal(size=weight.shape))
    return model


def gaps_by_hand(seconds, longest=2000.0):
    """`[T, 2]` of one session."""
    gaps = [
        [(np.log1p(min(s, longest)) - 4) / 2, 0] if s >= 0 else [0, 1]
        for s in seconds
    ]
    return np.reshape(gaps, (-1, 2))


def rows_by_hand(model, items):
    """Rows of the table, of length one under a cosine."""
    rows = np.asarray(model.items.embeddings, np.float64)[items]
    if model.config.click_scale is None:
        return rows
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def lstm_by_hand(layer, inputs):
    """`[T, d]` states after each of `[T, n]` inputs."""
    kernel, recurrent, bias = (np.float64(w) for w in layer.weights)
    state = memory = np.zeros(recurrent.shape[0])
    states = []
    for x in inputs:
        gates = x @ kernel + state @ recurrent + bias
        write, keep, candidate, read = np.split(gates, 4)
        memory = sigmoid(keep) * memory + sigmoid(write) * np.tanh(candidate)
        state = sigmoid(read) * np.tanh(memory)
        states.append(state)
    return np.array(states)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense_by_hand(layer, inputs):
    kernel, *bias = (np.float64(w) for w in layer.weights)
    return inputs @ kernel + sum(bias)


def asked(model, row, k, item):
    """The distribution of the dwell on `item` after k clicks of a session."""
    features = np.asarray(model(INPUTS))[row, k]
    return model.dwell_distribution(features[np.newaxis], np.int32([item]))


def check_unknown_dwell(model):
    """It is neither zero nor not a number, and moves the distribution."""
    medians = []
    for seconds in (0.0, 60.0, -1.0, -7.0, np.nan):
        dwell = INPUTS[schema.DWELL_SECONDS].copy()
        dwell[0, 1] = seconds
        features = model({**INPUTS, schema.DWELL_SECONDS: dwell})[:1, 2]
        parametric = model.dwell_distribution(features, np.int32([4]))
        medians.append(float(parametric.median()[0]))
    assert np.isfinite(medians).all()
    assert len(set(medians[:3])) == 3
    assert medians[2] == medians[3] == medians[4]


def check_finite_gradients(model, extreme):
    """Of the loss, with all weights `extreme` times as large."""
    import tensorflow as tf

    for weight in model.trainable_weights:
        weight.assign(extreme * weight)
    lengths = np.array([5, 4, 2])[:, np.newaxis]
    step = np.arange(5)
    dwell = np.float32([[0, 1, 2000, 30, 9]] * 3)
    targets = {
        schema.ITEMS: np.int32([[3, 5, 2, 9, 4]] * 3) * (step < lengths),
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: np.float32(dwell == 2000),
        schema.SESSION_END: np.float32(step == lengths - 1),
    }
    with tf.GradientTape() as tape:
        loss = model.compute_loss(
            INPUTS, targets, model(INPUTS), np.float32(step < lengths)
        )
    values = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(loss, values)
    assert np.isfinite(loss)
    assert np.isfinite(tf.linalg.global_norm(gradients))


def excess_after_training(model, oracle, steps=40):
    """Nats by which the model, and a constant, are worse than the oracle.

    Args:
        model: to train, with adaptive steps.
        truth: `[...]` items to the distribution from which dwells are drawn.
        steps: of 64 sessions of 3 clicks.
    """
    random = np.random.default_rng(5)

    def draw(shape):
        items = random.integers(2, VOCABULARY_SIZE, shape).astype(np.int32)
        return items, np.float32(
            oracle(items).quantile(np.float32(random.uniform(size=shape)))
        )

    model.compile(keras.optimizers.Adam(0.03))
    for _ in range(steps):
        items, seconds = draw((64, 3))
        targets = {
            schema.ITEMS: items,
            schema.DWELL_SECONDS: seconds,
            schema.DWELL_CENSORED: np.zeros((64, 3), np.float32),
            schema.SESSION_END: np.zeros((64, 3), np.float32),
        }
        inputs = {
            schema.ITEMS: items[:, :2],
            schema.DWELL_SECONDS: seconds[:, :2],
        }
        model.train_on_batch(inputs, targets, np.ones((64, 3), np.float32))
    items, seconds = draw((2000, 2))
    features = model({schema.ITEMS: items, schema.DWELL_SECONDS: seconds})
    parametric = model.dwell_distribution(features[:, 1], items[:, 1])
    seconds = seconds[:, 1]
    logs = np.log(np.maximum(seconds, 1.0))
    constant = LogNormal(
        np.float32([logs.mean()] * 2000), np.float32([logs.std()] * 2000)
    )
    best = np.mean(oracle(items[:, 1]).log_prob(seconds))
    return tuple(
        best - np.mean(one.log_prob(seconds)) for one in (parametric, constant)
    )

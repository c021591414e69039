"""What several models are made of, from the papers' equations, in float64."""

import numpy as np

from jump_tf import schema


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def gru(layer, inputs):
    """States of a GRU after each input of one session, reset gate before U.

    Args:
        layer: `keras.layers.GRU`.
        inputs: `[l, n]`.
    """
    kernel, recurrent, bias = (np.float64(w) for w in layer.weights)
    w_z, w_r, w_g = np.split(kernel, 3, axis=1)
    u_z, u_r, u_g = np.split(recurrent, 3, axis=1)
    b_z, b_r, b_g = np.split(bias, 3)
    state, states = np.zeros(layer.units), []
    for x in inputs:
        z = sigmoid(x @ w_z + state @ u_z + b_z)
        r = sigmoid(x @ w_r + state @ u_r + b_r)
        g = np.tanh(x @ w_g + (r * state) @ u_g + b_g)
        # Keras' z keeps; the papers' z changes. It is learned either way.
        state = z * state + (1 - z) * g
        states.append(state)
    return np.stack(states)


def padded(items, dwell_seconds=None):
    """Inputs `[B, T]` of sessions of unequal lengths.

    Args:
        items: ids of each session.
        dwell_seconds: of each session; 0 if None.
    """
    shape = (len(items), max(map(len, items)))
    inputs = {
        schema.ITEMS: np.zeros(shape, np.int32),
        schema.DWELL_SECONDS: np.zeros(shape, np.float32),
    }
    for row, ids in enumerate(items):
        inputs[schema.ITEMS][row, : len(ids)] = ids
        if dwell_seconds is not None:
            seconds = dwell_seconds[row]
            inputs[schema.DWELL_SECONDS][row, : len(ids)] = seconds
    return inputs


def assert_features(model, inputs, sessions, by_hand, atol=1e-5):
    """The model's features of each session are `by_hand(index)` `[l, d]`."""
    features = np.asarray(model(inputs))
    for row, items in enumerate(sessions):
        np.testing.assert_allclose(
            features[row, 1 : len(items) + 1], by_hand(row), atol=atol
        )


def conservative_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ranks from 1 among all ids, ties lost.

    Args:
        scores: `[N, V]`.
        targets: `[N]` ids.

    Returns:
        `[N]` int64, how many ids do not score below the target: the rank is
        V where scores are equal or not numbers.
    """
    own = np.take_along_axis(scores, targets[:, np.newaxis], 1)
    return scores.shape[1] - np.sum(scores < own, 1, dtype=np.int64)


def standard_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Ranks from 1 among all ids, ties won, as many papers count.

    Args:
        scores: `[N, V]`.
        targets: `[N]` ids.

    Returns:
        `[N]` int64, 1 and how many ids score above the target. What is not a
        number counts as above: no rank comes of a model that has broken.
    """
    own = np.take_along_axis(scores, targets[:, np.newaxis], 1)
    size = scores.shape[1]
    not_above = np.sum(scores <= own, 1, dtype=np.int64)
    return np.minimum(size + 1 - not_above, size)

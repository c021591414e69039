"""The temperature of a model's softmax, fitted on the validation split.

Dropout shortens queries in training, and items are seen again and again: on
other sessions the softmax is too sure of itself. Its ranks do not change with
its temperature, but its probabilities do, and so does the place of an item
that is pointed at among those that are not.
"""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.session_models import SOFTMAX_LOSSES
from jump_tf.data import folders
from jump_tf.data import session_batches

# Clicks at least and at most: few are enough for a single number.
CLICKS = (512, 4096)
_SCORES = 2**26  # At most, if that is clicks enough: the time it takes.
_SCORES_AT_ONCE = 2**24
_TEMPERATURES = np.geomspace(0.5, 2.5, 13)


def fit(model: Any, data: str | pathlib.Path) -> float:
    """Sets the temperature under which validation clicks are likeliest.

    Of a model that learns no softmax it stays 1.

    Returns:
        The temperature.

    Reference: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    if model.config.click_loss not in SOFTMAX_LOSSES:
        return 1.0
    features, items = _clicks(model, data)
    if not len(items):
        return float(model.temperature)
    losses = []
    for temperature in _TEMPERATURES:
        model.temperature.assign(temperature)
        losses.append(_mean_loss(model, features, items))
    best = _TEMPERATURES[int(np.argmin(losses))]
    model.temperature.assign(best)
    return float(best)


def _clicks(model, data):
    """Features before some known clicks of the split, and their items.

    Of all batches, as the first ones hold the shortest sessions.
    """
    batches = session_batches.evaluation_batches(data, schema.VALIDATION)
    least, most = CLICKS
    most = min(max(_SCORES // model.vocabulary_size, least), most)
    step = -(-_number(data) // most)
    features, items, before = [], [], 0
    for inputs, targets, weights in batches:
        known = targets[schema.ITEMS] >= schema.FIRST_ITEM_ID
        later = tf.range(tf.shape(weights)[1]) > 0
        asked = tf.where((weights > 0) & known & later)
        some = asked[-before % step :: step]
        features.append(tf.gather_nd(model(inputs, training=False), some))
        items.append(tf.gather_nd(targets[schema.ITEMS], some))
        before += len(asked)
    return tf.concat(features, 0), tf.concat(items, 0)


def _number(data):
    """Clicks of the split that are predicted; at least one."""
    size = folders.read_manifest(data)["splits"][schema.VALIDATION]
    return max(size["clicks"] - size["sessions"], 1)


def _mean_loss(model, features, items):
    chunk = max(_SCORES_AT_ONCE // model.vocabulary_size, 1)
    total = 0.0
    for start in range(0, len(items), chunk):
        some = items[start : start + chunk]
        scores = model.click_scores(features[start : start + chunk])
        own = tf.gather(scores, some, batch_dims=1)
        total += float(tf.reduce_sum(tf.reduce_logsumexp(scores, 1) - own))
    return total / len(items)

"""Probabilities of the next click, calibrated on the validation split.

Dropout shortens queries in training, and items are seen again and again: on
other sessions the softmax is too sure of itself, and so is the pointer of which
session comes back. Neither number changes a rank among the items of the
softmax, or among a session's own; but probabilities change, and so does the
place of an item that is pointed at among those that are not.
"""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.session_models import SOFTMAX_LOSSES
from jump_tf.data import folders
from jump_tf.data import session_batches

# Clicks at least and at most: few are enough for a number or two.
CLICKS = (512, 4096)
GATE_CLICKS = 32_768
_SCORES = 2**26  # At most, if that is clicks enough: the time it takes.
_SCORES_AT_ONCE = 2**24
_TEMPERATURES = np.geomspace(0.5, 2.5, 13)
_GATE_START = np.array([1.0, 0.0])  # Scale and shift.
_GATE_WORTH = 10.0  # How firmly, in clicks, without evidence it stays there.
_NEWTON_STEPS = 20
_LEAST_CHANCE = 1e-6


def fit(model: Any, data: str | pathlib.Path) -> None:
    """Makes validation clicks likeliest by three numbers of a model.

    They are the scale and the shift of the logit that the next click is on an
    item that the session has not clicked, and the temperature of the softmax
    over these. Without a pointer there is no gate; of a model that learns no
    softmax the temperature stays 1.

    Reference: Guo et al., On Calibration of Modern Neural Networks, ICML 2017;
    Platt, Advances in Large Margin Classifiers, 1999.
    """
    softmax = model.config.click_loss in SOFTMAX_LOSSES
    gate = getattr(model, "gate_scale", None) is not None
    if not softmax and not gate:
        return
    least, most = CLICKS
    most = min(max(_SCORES // model.vocabulary_size, least), most)
    features, items = _clicks(model, data, GATE_CLICKS if gate else most)
    if not len(items):
        return
    if gate:
        scale, shift = _gate(model, features, items)
        model.gate_scale.assign(scale)
        model.gate_shift.assign(shift)
    if softmax:
        step = -(-len(items) // most)
        some = features[::step], items[::step]
        losses = []
        for temperature in _TEMPERATURES:
            model.temperature.assign(temperature)
            losses.append(_mean_loss(model, *some))
        model.temperature.assign(_TEMPERATURES[int(np.argmin(losses))])


def _gate(model, features, items):
    """Scale and shift, by logistic regression of "new" on its own logit."""
    pointers = model.pointers(features, training=True)
    items = tf.cast(items, pointers.ids.dtype)
    own = np.asarray(pointers.held(items[:, tf.newaxis]))[:, 0]
    chance = np.exp(np.float64(pointers.log_chosen))[:, 0]
    asked = chance < 1.0 - _LEAST_CHANCE  # There is something to point at.
    chance = np.clip(chance[asked], _LEAST_CHANCE, 1.0 - _LEAST_CHANCE)
    logit = np.log(chance) - np.log1p(-chance)
    columns, new = np.stack([logit, np.ones_like(logit)], 1), ~own[asked]
    found = _GATE_START
    for _ in range(_NEWTON_STEPS):
        likely = 0.5 * (1.0 + np.tanh(0.5 * (columns @ found)))
        slope = columns.T @ (likely - new) + _GATE_WORTH * (found - _GATE_START)
        weights = likely * (1.0 - likely)
        curve = columns.T @ (columns * weights[:, None])
        curve += _GATE_WORTH * np.eye(2)
        found = found - np.linalg.solve(curve, slope)
    return found


def _clicks(model, data, most):
    """Features before some known clicks of the split, and their items.

    At most so many, of all batches, as the first ones hold the shortest
    sessions.
    """
    batches = session_batches.evaluation_batches(data, schema.VALIDATION)
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

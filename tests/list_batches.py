"""Batches of lists as the pipeline makes them, and oracle models."""

import types

import numpy as np
import tensorflow as tf

from jump_tf import schema


def batches(lists, size=7, num_fields=3):
    """Padded batches of `ShownList`s, in another order than the lists'."""
    order = np.argsort([len(one) for one in lists], kind="stable")
    made = []
    for start in range(0, len(lists), size):
        rows = order[start : start + size]
        mine = [lists[row] for row in rows]
        longest = max(map(len, mine))

        def padded(name, mine=mine, longest=longest):
            columns = [list(getattr(one, name)) for one in mine]
            columns = [c + [0] * (longest - len(c)) for c in columns]
            return np.array(columns, np.float32)

        features = np.zeros([len(mine), longest, num_fields], np.int32)
        for row, one in enumerate(mine):
            features[row, : len(one)] = np.array(one.features)
        weights = [
            [float(n < len(one)) for n in range(longest)] for one in mine
        ]
        inputs = {
            schema.FEATURES: tf.constant(features),
            schema.FEATURE_VALUES: tf.cast(features > 0, tf.float32),
            schema.OFFSET_SECONDS: tf.constant(padded("offset_seconds")),
            schema.CLICKED: tf.constant(padded("clicked")),
        }
        targets = {
            schema.CLICKED: tf.constant(padded("clicked")),
            schema.CONVERTED: tf.constant(padded("converted")),
            schema.LIST: tf.constant(rows.astype(np.int64) * 10 + 3),
        }
        made.append((inputs, targets, tf.constant(weights, tf.float32)))
    return made


class FakeModel:
    """Logits from a table of features, and from the click before if known.

    Args:
        vocabulary_size: ids of features.
        follows: logit that a click on the item before adds.
        seed: of the table.
    """

    def __init__(self, vocabulary_size, follows=1.5, seed=0, label_leak=False):
        random = np.random.default_rng(seed)
        self.vocabulary_size = vocabulary_size
        self.table = tf.constant(random.normal(size=[vocabulary_size, 2]) / 3)
        self.follows = follows
        self.config = types.SimpleNamespace(
            max_list_length=99, label_leak=label_leak
        )

    def __call__(self, inputs, training):
        logits = tf.reduce_sum(tf.gather(self.table, inputs["features"]), 2)
        known = tf.maximum(inputs["clicked"], 0.0)
        before = tf.cast(tf.pad(known, [[0, 0], [1, 0]])[:, :-1], tf.float64)
        return {
            "click": logits[..., 0] - 1.5 + self.follows * before,
            "conversion": logits[..., 1] - 1.0,
        }

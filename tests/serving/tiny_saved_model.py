"""A SavedModel that loads at once, for tests of what surrounds a model."""

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.protocol import tensors

NAMES = tf.TensorSpec([None, None], tf.string, "names")
VALUES = tf.TensorSpec([None, None], tf.float32, "values")


class Tiny(tf.Module):
    """`serving_default`: rows' sums and their names joined.

    Refuses a negative value, or inputs of unequal shapes. `scaled` has a
    default for its `factor`; `whole` has an output without a batch.
    """

    @tf.function(input_signature=[NAMES, VALUES])
    def join(self, names, values):
        same = tf.debugging.assert_equal(
            tf.shape(names), tf.shape(values), "unequal shapes"
        )
        positive = tf.debugging.assert_non_negative(values, "negative")
        with tf.control_dependencies([same, positive]):
            return {
                "joined": tf.strings.reduce_join(names, axis=1),
                "sum": tf.reduce_sum(values, axis=1),
            }

    @tf.function(
        input_signature=[VALUES, tf.TensorSpec([], tf.float32, "factor")]
    )
    def scale(self, values, factor):
        return {"scaled": factor * values}

    @tf.function(input_signature=[VALUES])
    def whole(self, values):
        return {"total": tf.reduce_sum(values), "rows": 2.0 * values}


def write(folder):
    """Writes it as a version folder."""
    module = Tiny()
    signatures = {
        "serving_default": module.join,
        "scaled": module.scale,
        "whole": module.whole,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    scaled = saved.meta_graphs[0].signature_def["scaled"]
    scaled.defaults["factor"].CopyFrom(tensors.to_proto(np.float32(3.0)))
    path.write_bytes(saved.SerializeToString())
    return folder

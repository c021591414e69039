"""Arrays <-> the tensors of the wire."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2


def to_proto(array: Any) -> tensor_pb2.TensorProto:
    """A tensor with its values in a typed field, as TF Serving sends them.

    Args:
        array: float32, or objects that are strings: NumPy's own bytes lose
            the zeros at their end. Other types go as raw content.
    """
    array = np.asarray(array)
    if array.dtype == object:
        values = [tf.compat.as_bytes(value) for value in array.ravel()]
        fields: dict[str, Any] = {"string_val": values}
        dtype = tf.string
    elif array.dtype == np.float32:
        fields = {"float_val": array.ravel()}
        dtype = tf.float32
    else:
        return tf.make_tensor_proto(array)
    return tensor_pb2.TensorProto(
        dtype=dtype.as_datatype_enum,
        tensor_shape=tf.TensorShape(array.shape).as_proto(),
        **fields,
    )


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """The values of a tensor; strings as bytes."""
    return tf.make_ndarray(proto)


def padded(rows: Any, filler: Any, dtype: Any) -> np.ndarray:
    """Rows of unequal length as one `[B, T]` array, filled on the right."""
    longest = max((len(row) for row in rows), default=0)
    array = np.full((len(rows), longest), filler, dtype)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array

"""Arrays <-> the tensors of the wire, without a call into TensorFlow.

The reader keeps TensorFlow's rules: a tensor without values is zeros, one with
fewer than its shape says repeats the last.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

# Of the types that are common here: the array's, and the field of the values.
_TYPES: dict[int, tuple[Any, str]] = {
    types_pb2.DT_STRING: (object, "string_val"),
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
}
_ENUMS = {np.dtype(dtype): enum for enum, (dtype, _) in _TYPES.items()}


def fill(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Writes an array into an empty tensor, values in a typed field.

    That is how TF Serving sends them.

    Args:
        proto: an empty tensor.
        array: numbers, or objects that are texts or bytes. Types that are
            rare on this wire go as raw content.
    """
    enum = _ENUMS.get(array.dtype)
    if enum is None:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    proto.dtype = enum
    sizes = proto.tensor_shape.dim
    for size in array.shape:
        sizes.add(size=size)
    values = array.ravel().tolist()
    if array.dtype == object:
        values = [x if isinstance(x, bytes) else x.encode() for x in values]
    getattr(proto, _TYPES[enum][1]).extend(values)


def to_proto(array: Any) -> tensor_pb2.TensorProto:
    """Returns the tensor of an array, its values in a typed field.

    Args:
        array: strings as objects: NumPy's own bytes lose the zeros at their
            end.
    """
    proto = tensor_pb2.TensorProto()
    fill(proto, np.asarray(array))
    return proto


def to_array(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Returns the values of a tensor; strings as bytes.

    Raises:
        ValueError: they do not fit the shape or the type.
    """
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if min(shape, default=0) < 0:
        raise ValueError(f"not a shape: {shape}")
    dtype, field = _TYPES.get(proto.dtype, (None, ""))
    content = proto.tensor_content
    if dtype is None or (content and dtype in (object, np.bool_)):
        return _parsed_by_tensorflow(proto)
    size = math.prod(shape)
    if content and size:
        return np.frombuffer(content, dtype).reshape(shape)
    values = getattr(proto, field)
    if dtype is object:
        array = np.array(values[:], object)
    else:
        array = np.fromiter(values, dtype, len(values))
    if len(array) != size:
        array = _resized(array, size)
    return array.reshape(shape)


def _resized(array: np.ndarray, size: int) -> np.ndarray:
    if not len(array):
        array = np.array([b"" if array.dtype == object else 0], array.dtype)
    resized = np.full(size, array[-1], array.dtype)
    resized[: len(array)] = array[:size]
    return resized


def _parsed_by_tensorflow(proto: tensor_pb2.TensorProto) -> np.ndarray:
    try:
        dtype = tf.as_dtype(proto.dtype)
        parsed = tf.io.parse_tensor(proto.SerializeToString(), dtype)
        return np.asarray(parsed.numpy(), dtype.as_numpy_dtype)
    except (TypeError, tf.errors.OpError) as error:
        raise ValueError("not a tensor") from error


def predict_request(
    model: str, signature_name: str, arrays: Mapping[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """Returns the message that asks the latest version of a model.

    Args:
        model: its name.
        signature_name: that is asked.
        arrays: its inputs, by name.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature_name
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(to_proto(array))
    return request


def read_outputs(
    response: predict_pb2.PredictResponse,
) -> dict[str, np.ndarray]:
    """Returns the outputs in an answer, by name; strings as bytes.

    Raises:
        ValueError: the values of one do not fit its shape or type.
    """
    return {name: to_array(proto) for name, proto in response.outputs.items()}


def padded(rows: Any, filler: Any, dtype: Any) -> np.ndarray:
    """Returns rows of unequal length as `[B, T]`, filled on the right."""
    longest = max((len(row) for row in rows), default=0)
    array = np.full((len(rows), longest), filler, dtype)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array

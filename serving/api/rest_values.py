"""JSON values -> arrays of the types that a signature asks for.

What is taken and the texts of errors are those of TF Serving's
`util/json_tensor.cc`.
"""

import base64
import itertools
import json
from typing import Any
from typing import NamedTuple

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.protocol import errors

_BASE64 = "b64"
_MAX_RANK = 64  # NumPy's.
_SHOWN_CHARACTERS = 256  # Of a wrong value, in the text of its error.
_JSON_TYPES = {
    bool: "Bool",
    dict: "Object",
    float: "Number",
    int: "Number",
    list: "Array",
    str: "String",
    type(None): "Null",
}


class _Kind(NamedTuple):
    """The name of a type in TensorFlow, in NumPy and in JSON."""

    name: str
    dtype: Any
    accepts: set[type]


_KINDS = {
    types_pb2.DT_BOOL: _Kind("bool", np.bool_, {bool}),
    types_pb2.DT_DOUBLE: _Kind("double", np.float64, {float, int}),
    types_pb2.DT_FLOAT: _Kind("float", np.float32, {float, int}),
    types_pb2.DT_INT8: _Kind("int8", np.int8, {int}),
    types_pb2.DT_INT16: _Kind("int16", np.int16, {int}),
    types_pb2.DT_INT32: _Kind("int32", np.int32, {int}),
    types_pb2.DT_INT64: _Kind("int64", np.int64, {int}),
    types_pb2.DT_STRING: _Kind("string", object, {str, dict}),
    types_pb2.DT_UINT8: _Kind("uint8", np.uint8, {int}),
    types_pb2.DT_UINT32: _Kind("uint32", np.uint32, {int}),
    types_pb2.DT_UINT64: _Kind("uint64", np.uint64, {int}),
}


def dense(value: Any, info: meta_graph_pb2.TensorInfo) -> np.ndarray:
    """Returns the array of a value, or of nested lists of equal lengths.

    Args:
        value: numbers, truth values, or strings as text or `{"b64": ...}`.
        info: says the type; the shape is the value's.

    Raises:
        ServingError: lists are ragged, or a value is not of the type.
    """
    kind = _kind(info)
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        shape.append(len(level[0]))
        if len(shape) > _MAX_RANK:
            raise errors.invalid_argument(
                f"JSON lists must not be nested more than {_MAX_RANK} times"
            )
        for element in level:
            _check_list(element, shape)
        level = list(itertools.chain.from_iterable(level))
    if not set(map(type, level)) <= kind.accepts:
        raise _wrong_leaf(level, kind, len(shape))
    if kind.dtype is object:
        level = list(map(_to_bytes, level))
    try:
        with np.errstate(over="ignore"):  # 1e39 is infinite as float32.
            return np.array(level, kind.dtype).reshape(shape)
    except OverflowError as error:
        raise wrong(
            level, f"holds a number out of the range of type: {kind.name}"
        ) from error


def is_object(value: Any) -> bool:
    """Returns whether a value is a JSON object and not `{"b64": ...}`."""
    return isinstance(value, dict) and not _is_base64(value)


def wrong(value: Any, text: str) -> errors.ServingError:
    """Returns the error that quotes a value and says what is wrong with it."""
    shown = json.dumps(value)[:_SHOWN_CHARACTERS]
    return errors.invalid_argument(f"JSON Value: {shown} {text}")


def _to_bytes(value: str | dict) -> bytes:
    try:
        if isinstance(value, str):
            return value.encode()
        if not _is_base64(value):
            raise wrong(value, "not formatted correctly for base64 data")
        padding = "=" * (-len(value[_BASE64]) % 4)  # It may be left out.
        return base64.b64decode(value[_BASE64] + padding, validate=True)
    except UnicodeEncodeError as error:
        raise errors.invalid_argument(
            "JSON Parse error: The surrogate pair in string is invalid."
        ) from error
    except ValueError as error:
        raise errors.invalid_argument("Unable to base64 decode") from error


def _kind(info: meta_graph_pb2.TensorInfo) -> _Kind:
    if info.dtype not in _KINDS:
        raise errors.ServingError(
            grpc.StatusCode.UNIMPLEMENTED,
            "Conversion of JSON Value to type: "
            f"{types_pb2.DataType.Name(info.dtype)}",
        )
    return _KINDS[info.dtype]


def _is_base64(value: dict) -> bool:
    return len(value) == 1 and isinstance(value.get(_BASE64), str)


def _check_list(element: Any, shape: list[int]) -> None:
    *above, size = shape
    if not isinstance(element, list):
        raise wrong(element, f"found where a list of {size} was expected")
    if len(element) != size:
        raise errors.invalid_argument(
            f"Encountered list at unexpected size: {len(element)} at level: "
            f"{len(above)} expected size: {size}"
        )


def _wrong_leaf(leaves: list, kind: _Kind, rank: int) -> errors.ServingError:
    leaf = next(leaf for leaf in leaves if type(leaf) not in kind.accepts)
    if isinstance(leaf, list):
        return errors.invalid_argument(
            f"Encountered list at unexpected level: {rank} expected < {rank}"
        )
    return _wrong_type(leaf, kind)


def _wrong_type(value: Any, kind: _Kind) -> errors.ServingError:
    json_type = _JSON_TYPES[type(value)]
    return wrong(
        value, f"Type: {json_type} is not of expected type: {kind.name}"
    )

"""The outputs of a PredictResponse -> the JSON of TF Serving's REST API."""

import base64
import json
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2

from serving.protocol import errors
from serving.protocol import tensors

_ENCODER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, separators=(",", ":")
)
_BYTES_SUFFIX = "_bytes"


def write(outputs: Mapping[str, tensor_pb2.TensorProto], rows: bool) -> bytes:
    """Returns the body of an answer; a single output drops its name.

    Numbers that are not finite are NaN, Infinity and -Infinity. Strings are
    `{"b64": ...}` where their name ends in "_bytes" or they are not UTF-8.

    Args:
        outputs: by name.
        rows: `predictions`, row by row, else `outputs`.

    Raises:
        ServingError: rows are wanted of outputs of unequal batch sizes, or a
            type that JSON cannot hold.
    """
    names = sorted(outputs)
    arrays = [tensors.to_array(outputs[name]) for name in names]
    if rows:
        _check_batch(names, arrays)
    columns = _lists(names, arrays)
    answer: Any
    if len(names) == 1:
        (answer,) = columns
    elif rows:
        answer = [
            dict(zip(names, row, strict=True))
            for row in zip(*columns, strict=True)
        ]
    else:
        answer = dict(zip(names, columns, strict=True))
    return to_bytes({"predictions" if rows else "outputs": answer})


def to_bytes(value: Any) -> bytes:
    """Returns a value as JSON in UTF-8 without blanks."""
    return _ENCODER.encode(value).encode()


def _check_batch(names: list[str], arrays: list[np.ndarray]) -> None:
    for name, array in zip(names, arrays, strict=True):
        if not array.ndim:
            raise errors.invalid_argument(
                f"Tensor name: {name} has no shape information "
            )
        if len(array) != len(arrays[0]):
            raise errors.invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: "
                f"{len(array)} expecting: {len(arrays[0])}"
            )


def _lists(names: list[str], arrays: list[np.ndarray]) -> list[Any]:
    # NumPy's cost is in its calls: one for the numbers of all arrays.
    floats = [a.ravel() for a in arrays if a.dtype == np.float32]
    decimals = short_decimals(
        np.concatenate([*floats, np.zeros(0, np.float32)])
    )
    start = 0
    lists = []
    for name, array in zip(names, arrays, strict=True):
        if array.dtype == np.float32:
            end = start + array.size
            array = decimals[start:end].reshape(array.shape)
            start = end
        elif array.dtype == object:
            array = _texts(array, name.endswith(_BYTES_SUFFIX))
        elif array.dtype.kind not in "biuf":
            raise errors.invalid_argument(
                f"Failed to write JSON value for tensor type: {array.dtype}"
            )
        lists.append(array.tolist())
    return lists


def short_decimals(values: np.ndarray) -> np.ndarray:
    """Returns float32 as float64 that print in 6 digits, or in 9 if needed.

    9 digits tell all float32 apart; 0.1 prints as 0.1 and not as
    0.10000000149.
    """
    with np.errstate(all="ignore"):
        exact = values.astype(np.float64)
        digits = 5 - np.floor(np.log10(np.abs(exact)))
        # Zero, NaN and infinity have none; these bounds keep them as they are.
        scale = 10.0 ** np.fmax(np.fmin(digits, 300), -300)
        six = np.rint(exact * scale) / scale
        scale *= 1000
        nine = np.rint(exact * scale) / scale
        return np.where(six.astype(np.float32) == values, six, nine)


def _texts(array: np.ndarray, as_bytes: bool) -> np.ndarray:
    flat: Sequence[bytes] = array.ravel().tolist()
    texts = np.empty(len(flat), object)
    try:
        texts[:] = (
            list(map(_base64, flat))
            if as_bytes
            else [value.decode() for value in flat]
        )
    except UnicodeDecodeError:
        texts[:] = list(map(_text, flat))
    return texts.reshape(array.shape)


def _text(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _base64(value)


def _base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}

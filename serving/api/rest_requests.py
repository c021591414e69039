"""The JSON of TF Serving's REST API -> the inputs of a PredictRequest.

What is taken and the texts of errors are those of TF Serving's
`util/json_tensor.cc`.
"""

import json
from collections.abc import Mapping
from collections.abc import MutableMapping
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.api import rest_values
from serving.protocol import errors
from serving.protocol import tensors

_DECODER = json.JSONDecoder()
_BLANKS = " \t\r\n"


def parse(body: bytes) -> dict[str, Any]:
    """Returns the JSON object that a body begins with.

    As in TF Serving, NaN, Infinity and -Infinity are numbers, and what
    follows the object is not looked at.

    Raises:
        ServingError: it is not JSON in UTF-8, or not an object.
    """
    if not body:
        raise errors.invalid_argument("JSON Parse error: The document is empty")
    try:
        document, _ = _DECODER.raw_decode(body.decode().lstrip(_BLANKS))
    except json.JSONDecodeError as error:
        raise errors.invalid_argument(
            f"JSON Parse error: {error.msg} at offset: {error.pos}"
        ) from error
    except (ValueError, RecursionError) as error:
        # Not UTF-8, a number of thousands of digits, a thousand brackets.
        raise errors.invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise rest_values.wrong(document, "Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns the name of the signature that is asked, "" if none is named."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise rest_values.wrong(
            document,
            "not formatted correctly. 'signature_name' key must be a string "
            "value.",
        )
    return name


def fill(
    document: Mapping[str, Any],
    expected: Mapping[str, meta_graph_pb2.TensorInfo],
    inputs: MutableMapping[str, tensor_pb2.TensorProto],
) -> bool:
    """Reads the inputs of a signature.

    Args:
        document: holds `instances`, a list of rows, or `inputs`, a column for
            each input; bare values where the signature has one input.
        expected: the signature's inputs; a number is of the type they say.
        inputs: of a PredictRequest; filled.

    Returns:
        whether they came as rows.

    Raises:
        ServingError: rows are ragged, or a type or a name is wrong.
    """
    rows = "instances" in document
    if rows and "inputs" in document:
        raise rest_values.wrong(
            document,
            "Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist ",
        )
    if not rows and "inputs" not in document:
        raise errors.invalid_argument("Missing 'inputs' or 'instances' key")
    read = _of_rows if rows else _of_columns
    for name, array in read(document, dict(expected)).items():
        tensors.fill(inputs[name], array)
    return rows


def _of_rows(document, expected) -> dict[str, np.ndarray]:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise rest_values.wrong(
            document, "Expecting 'instances' to be an list/array"
        )
    if not rows:
        raise rest_values.wrong(document, "No values in 'instances' array")
    named = rest_values.is_object(rows[0])
    if not named and len(expected) > 1:
        raise errors.invalid_argument(
            "instances is a plain list, but expecting list of objects as "
            "multiple input tensors required as per tensorinfo_map"
        )
    for number, row in enumerate(rows):
        if rest_values.is_object(row) is not named:
            mix = (
                "object but got list" if named else "value/list but got object"
            )
            raise errors.invalid_argument(
                f"Expecting {mix} at item {number} of input list"
            )
        if named and row.keys() != expected.keys():
            raise _in_row(
                number,
                "",
                rest_values.wrong(
                    row, f"keys must be equal to: {','.join(sorted(expected))}"
                ),
            )
    return {
        name: _batch([row[name] for row in rows], info, f" key: {name}")
        if named
        else _batch(rows, info, "")
        for name, info in expected.items()
    }


def _of_columns(document, expected) -> dict[str, np.ndarray]:
    columns = document["inputs"]
    if not rest_values.is_object(columns):
        if len(expected) > 1:
            raise errors.invalid_argument(
                "inputs is a plain value/list, but expecting an object as "
                "multiple input tensors required as per tensorinfo_map"
            )
        columns = dict.fromkeys(expected, columns)
    missing = expected.keys() - columns.keys()
    if missing:
        raise errors.invalid_argument(
            f"Missing named input: {min(missing)} in 'inputs' object."
        )
    return {
        name: rest_values.dense(columns[name], info)
        for name, info in expected.items()
    }


def _batch(values: list, info, key: str) -> np.ndarray:
    """Returns the array of all rows, or raises which row is wrong."""
    try:
        return rest_values.dense(values, info)
    except errors.ServingError:
        first = None
        for number, value in enumerate(values):
            try:
                row = rest_values.dense(value, info)
                first = row if first is None else first
                _check_alike(first, row)
            except errors.ServingError as error:
                raise _in_row(number, key, error) from error
        raise


def _check_alike(first: np.ndarray, row: np.ndarray) -> None:
    if first.size != row.size:
        raise errors.invalid_argument(
            f"Expecting tensor size: {first.size} but got: {row.size}"
        )
    if first.shape != row.shape:
        raise errors.invalid_argument(
            f"Expecting shape {list(first.shape)} but got: {list(row.shape)}"
        )


def _in_row(
    number: int, key: str, error: errors.ServingError
) -> errors.ServingError:
    return errors.invalid_argument(
        f"Failed to process element: {number}{key} of 'instances' list. "
        f"Error: {error}"
    )

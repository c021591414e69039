"""Files that are whole or not there: JSON, tables of columns, anything else."""

import contextlib
import json
import math
import pathlib
import zipfile
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf import schema

EVALUATION_FOLDER = "evaluation"


@contextlib.contextmanager
def whole(path: pathlib.Path, mode: str = "w") -> Iterator[Any]:
    """Opens a file that takes the name `path` when all of it is written.

    Args:
        path: of the file; its folder is made.
        mode: `w` for text in UTF-8, `wb` for bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.partial")
    text = "b" not in mode
    try:
        with beside.open(
            mode,
            encoding="utf-8" if text else None,
            newline="\n" if text else None,
        ) as out:
            yield out
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> pathlib.Path:
    """Writes values in JSON, None for what is not a number; returns `path`."""
    with whole(path) as out:
        json.dump(plain(content), out, indent=1, allow_nan=False)
        out.write("\n")
    return path


def write_columns(
    path: pathlib.Path, columns: Mapping[str, np.ndarray]
) -> pathlib.Path:
    """Writes arrays by name, a `.npz` file; returns `path`."""
    with whole(path, "wb") as out:
        np.savez_compressed(out, allow_pickle=False, **columns)
    return path


def read_columns(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads what `write_columns` wrote.

    Raises:
        InputError: the file is missing, or no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise not_a_table(path, error) from error


def not_a_table(path: pathlib.Path, why: object) -> schema.InputError:
    """Makes the error of a file that holds no prediction table."""
    return schema.InputError(
        f"The file must be a prediction table. Received: {path} ({why})"
    )


def plain(value: Any) -> Any:
    """Returns the same in JSON's types; None for what is not a number."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

"""The files of a run's `evaluation` folder: plain JSON, whole or not there."""

import json
import math
import pathlib
from typing import Any

import numpy as np

EVALUATION_FOLDER = "evaluation"


def write(
    run_folder: str | pathlib.Path, name: str, result: dict[str, Any]
) -> pathlib.Path:
    """Writes `evaluation/<name>` of a run, in JSON; returns its path."""
    path = pathlib.Path(run_folder) / EVALUATION_FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_json(path, result)


def write_json(path: pathlib.Path, content: dict[str, Any]) -> pathlib.Path:
    """Writes plain values to a file, whole or not at all; returns its path."""
    beside = path.with_suffix(".json.partial")
    beside.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    return beside.replace(path)


def plain(value: Any) -> Any:
    """The same in JSON's types; None for what is not a number."""
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

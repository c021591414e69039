"""What a model was worth on each click, kept beside its evaluation.

`evaluation/<split>.<moment>.clicks.npz` holds each click's session and, for
each measure, its value and whether it counts: enough to compare two models on
the same draws of sessions, without asking either again.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jump_tf.metrics import Measure

_SESSION = "session"
_VALUES, _COUNTED = ".values", ".counted"


@dataclasses.dataclass(frozen=True)
class ClickTable:
    """N clicks, by session and position.

    Attributes:
        session: `[N]`, index of each click's session, from 0.
        measures: of N clicks each, by the names of the evaluation file.
    """

    session: np.ndarray
    measures: dict[str, Measure]


def write(path: pathlib.Path, table: ClickTable) -> None:
    """Writes a table; values in float32."""
    columns: dict[str, Any] = {_SESSION: table.session}
    for name, measure in table.measures.items():
        columns[name + _VALUES] = measure.values.astype(np.float32)
        columns[name + _COUNTED] = measure.counted
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    with beside.open("wb") as out:
        np.savez_compressed(out, **columns)
    beside.replace(path)


def read(path: pathlib.Path) -> ClickTable:
    """What `write` wrote."""
    with np.load(path) as columns:
        names = [
            key.removesuffix(_VALUES)
            for key in columns
            if key.endswith(_VALUES)
        ]
        return ClickTable(
            columns[_SESSION],
            {
                name: Measure(
                    columns[name + _VALUES].astype(np.float64),
                    columns[name + _COUNTED],
                )
                for name in names
            },
        )

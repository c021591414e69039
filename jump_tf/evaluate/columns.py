"""Rows of batches as flat NumPy columns."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema


def joined(parts: Sequence[Any], group: str) -> tuple[Any, np.ndarray]:
    """Joins the rows of all batches, by group and position.

    Args:
        parts: of each batch, one dataclass of `[N]` columns with `position`.
        group: name of the column of the groups' numbers, in any order.

    Returns:
        The dataclass of all rows, groups numbered from 0; and where each row
        was in the parts, one after the other.

    Raises:
        InputError: there are no parts.
    """
    if not parts:
        raise schema.InputError(
            f"The split must hold at least one {group.removesuffix('s')}. "
            "Received: none"
        )
    kind = type(parts[0])
    columns = {
        field.name: np.concatenate(
            [getattr(part, field.name) for part in parts]
        )
        for field in dataclasses.fields(kind)
    }
    order = np.lexsort((columns["position"], columns[group]))
    columns = {name: column[order] for name, column in columns.items()}
    columns[group] = np.unique(columns[group], return_inverse=True)[1]
    return kind(**columns), order

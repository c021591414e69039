"""Arrays of several requests as those of one."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def key(inputs: Arrays, pad: bool) -> Any:
    """What must agree for inputs of one signature to be merged.

    Filling up must hide nothing that the graph would refuse, such as two
    inputs of unequal lengths: of any two lengths in a request, the same one
    must be the greater in all that are merged, or both be equal.

    Args:
        inputs: by name, all with the same number of rows.
        pad: whether lengths may differ at all.
    """
    shapes = [inputs[name].shape[1:] for name in sorted(inputs)]
    if not pad:
        return tuple(shapes)
    lengths = [length for shape in shapes for length in shape]
    order = {length: rank for rank, length in enumerate(sorted(set(lengths)))}
    ranks = tuple(order[length] for length in lengths)
    return tuple(map(len, shapes)), ranks


def rows(arrays: Arrays, start: int, stop: int) -> Arrays:
    """Some rows of each."""
    return {name: array[start:stop] for name, array in arrays.items()}


def merged(parts: Sequence[Arrays]) -> Arrays:
    """One below the other; shorter ones filled up on the right."""
    if len(parts) == 1:
        return parts[0]
    return {name: _stacked([part[name] for part in parts]) for name in parts[0]}


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) == 1:
        return np.concatenate(arrays)
    sizes = np.max([array.shape for array in arrays], axis=0)
    sizes[0] = sum(map(len, arrays))
    dtype = arrays[0].dtype
    stacked = np.full(sizes, b"" if dtype.hasobject else 0, dtype)
    end = 0
    for array in arrays:
        start, end = end, end + len(array)
        stacked[(slice(start, end), *map(slice, array.shape[1:]))] = array
    return stacked

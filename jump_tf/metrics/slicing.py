"""Parts of clicks or items, over which metrics are taken again."""

from collections.abc import Sequence

import numpy as np


def range_masks(
    values: np.ndarray, starts: Sequence[int]
) -> dict[str, np.ndarray]:
    """Masks by label: `2`, `3-5`, `>5`, ends included."""
    masks = {}
    for low, high in zip(
        starts, [*(s - 1 for s in starts[1:]), None], strict=True
    ):
        if high is None:
            masks[f">{low - 1}"] = values >= low
        else:
            label = str(low) if low == high else f"{low}-{high}"
            masks[label] = (values >= low) & (values <= high)
    return masks

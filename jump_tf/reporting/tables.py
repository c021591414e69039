"""Tables of numbers as text."""

from collections.abc import Mapping
from typing import Any


def aligned(rows: list[list[str]]) -> str:
    """Rows as text, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    )


def number(value: float | None) -> str:
    """A number of four digits; a dash for none."""
    return "-" if value is None else f"{value:.4f}"


def noise(theirs: Mapping[str, Any], metric: str) -> str:
    """Says whether the interval of a difference holds zero.

    Args:
        theirs: a baseline of an evaluation file.
        metric: one of its `differences`, or another.
    """
    low, high = theirs.get("differences", {}).get(metric, (None, None))
    within = low is not None and low <= 0.0 <= high
    return ", within the noise" if within else ""

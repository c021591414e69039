"""Numbers as text: tables, and what is lost to whom."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

NO_LOSS = "No baseline beats the model."


def aligned(rows: Sequence[Sequence[str]]) -> str:
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


def number(value: Any) -> str:
    """A float with four digits, a dash for None, and all else as it is."""
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def numbers(named: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Some of many numbers, a dash for each that is not there."""
    return [number(named.get(name)) for name in names]


def interval(named: Mapping[str, Any], name: str, absent: str = "") -> str:
    """Both ends of one of the `intervals`, `absent` where it has none."""
    low, high = named["intervals"].get(name, (None, None))
    return absent if low is None else f"{number(low)} to {number(high)}"


def lower_is_better(metric: str) -> bool:
    """Whether a metric of an evaluation is an error or a loss."""
    return metric.startswith("dwell") or metric.endswith("log_loss")


def losses(
    result: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    compared: Callable[[Mapping[str, Any]], Iterable[str]],
) -> list[str]:
    """Returns a sentence for each baseline that is better in some metric.

    Args:
        result: the numbers of the model. Against a number, none has lost.
        baselines: name -> numbers and `differences` to the model's.
        compared: the metrics of a baseline that count.
    """
    sentences = []
    for name, theirs in baselines.items():
        lost = [
            f"{metric} ({number(result.get(metric))} against "
            f"{number(theirs[metric])}{_noise(theirs, metric)})"
            for metric in compared(theirs)
            if theirs.get(metric) is not None
            and is_lost(metric, result.get(metric), theirs[metric])
        ]
        if lost:
            sentences.append(f"The model loses to {name} in {', '.join(lost)}.")
    return sentences


def is_lost(metric: str, mine: float | None, theirs: float) -> bool:
    """Whether another's number is better than the model's."""
    if mine is None:
        return True
    return mine > theirs if lower_is_better(metric) else mine < theirs


def _noise(theirs, metric) -> str:
    low, high = theirs.get("differences", {}).get(metric, (None, None))
    within = low is not None and low <= 0.0 <= high
    return ", within the noise" if within else ""

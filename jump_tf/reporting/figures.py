"""Figures as PNG bytes; needs matplotlib, the `report` extra."""

import importlib.util
import io
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jump_tf import schema

MODEL = "#1f5fa8"
REFERENCE = "#b8860b"
MUTED = "#8a8a8a"
SESSION_CURVES = (
    ("loss", "training loss"),
    ("val_recall_at_20", "validation recall@20"),
    ("val_page_load_recall_at_20", "validation recall@20, page_load"),
    ("val_mrr_at_20", "validation MRR@20"),
    ("val_dwell_mae_seconds", "validation dwell MAE (s)"),
)


def available() -> bool:
    """Whether figures can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def training_curves(
    history: Sequence[Mapping[str, Any]],
    curves: Sequence[tuple[str, str]] = SESSION_CURVES,
) -> bytes:
    """The course of training.

    Args:
        history: a row for each epoch, as in `metrics.jsonl`: `epoch` and any
            of what is drawn.
        curves: names in the rows, and what to call each.

    Returns:
        PNG with a panel for each of them that the rows have.
    """
    curves = [
        (name, label)
        for name, label in curves
        if any(row.get(name) is not None for row in history)
    ]
    figure, axes = panels(max(len(curves), 1))
    for axis, (name, label) in zip(axes, curves, strict=False):
        rows = [row for row in history if row.get(name) is not None]
        axis.plot(
            [row["epoch"] for row in rows],
            [row[name] for row in rows],
            ".-",
            color=MODEL,
        )
        axis.set(xlabel="epoch", ylabel=label)
        axis.xaxis.get_major_locator().set_params(integer=True)
    return png(figure)


def panels(count: int, rows: int = 1) -> tuple[Any, Any]:
    """A figure with panels side by side, off any screen.

    Returns:
        The figure and its axes: `count` of them, or `rows` times so many.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise schema.InputError(
            "Figures need matplotlib: `pip install jump-tf[report]`. "
            f"Received: {error}"
        ) from error
    figure = Figure(figsize=(3.4 * count, 3.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, count, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[0] if rows == 1 else axes


def png(figure: Any) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

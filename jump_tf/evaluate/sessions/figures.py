"""Figures as PNG bytes; needs matplotlib, the `report` extra."""

import importlib.util
import io
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema

MODEL = "#1f5fa8"
TRUTH = "#b8860b"
MUTED = "#8a8a8a"
_MOST_CLICKS = 24
SESSION_CURVES = (
    ("loss", "training loss"),
    ("val_recall_at_20", "validation recall@20"),
    ("val_mrr_at_20", "validation MRR@20"),
    ("val_dwell_mae_seconds", "validation dwell MAE (s)"),
)


def available() -> bool:
    """Whether figures can be drawn here."""
    return importlib.util.find_spec("matplotlib") is not None


def dwell_calibration(calibration: Mapping[str, Any]) -> bytes:
    """Whether predicted dwells last as long and as often as they should.

    Args:
        calibration: `dwell_calibration` of an evaluation file.

    Returns:
        PNG with three panels: the share of clicks that stay longer than t,
        predicted and observed; the share of dwells below each predicted
        quantile; the histogram of F(dwell), flat if the law is right.
    """
    histogram = np.array(calibration["transform_histogram"], float)
    figure, (left, middle, right) = panels(3)
    seconds = calibration["seconds"]
    left.plot(
        seconds,
        calibration["observed_survival"],
        "o",
        color=TRUTH,
        label="observed",
    )
    left.plot(
        seconds,
        calibration["predicted_survival"],
        color=MODEL,
        label="predicted",
    )
    left.set_xscale("log")
    left.set(xlabel="t (seconds)", ylabel="share staying longer", ylim=(0, 1))
    left.legend(frameon=False)
    levels = np.linspace(0, 1, len(histogram) + 1)
    middle.plot([0, 1], [0, 1], ":", color=MUTED)
    middle.plot(
        levels, np.concatenate([[0], np.cumsum(histogram)]), color=MODEL
    )
    middle.set(xlabel="predicted quantile", ylabel="share of dwells below it")
    middle.set(xlim=(0, 1), ylim=(0, 1))
    middle.set_aspect("equal")
    width = 1.0 / len(histogram)
    right.bar(levels[:-1], histogram / width, width, align="edge", color=MODEL)
    right.axhline(1.0, linestyle=":", color=MUTED)
    right.set(xlabel="F(dwell)", ylabel="density", xlim=(0, 1))
    return png(figure)


def attention(examples: Sequence[Mapping[str, Any]]) -> bytes:
    """Which clicks each click's summary looks at.

    Args:
        examples: `attention` of an evaluation file: for each session
            `weights` `[T, T]` and `dwell_seconds` `[T]`. The first 24 clicks
            are drawn.

    Returns:
        PNG with a panel for each session, all on one colour scale.
    """
    figure, axes = panels(len(examples))
    for axis, example in zip(axes, examples, strict=True):
        weights = np.array(example["weights"], float)
        weights = weights[:_MOST_CLICKS, :_MOST_CLICKS]
        clicks = range(1, len(weights) + 1)
        future = np.triu(np.ones_like(weights), 1) > 0
        image = axis.imshow(
            np.ma.masked_array(weights, future), cmap="Blues", vmin=0, vmax=1
        )
        seconds = example["dwell_seconds"][: len(weights)]
        axis.set_xticks(
            range(len(weights)),
            [_seconds(dwell) for dwell in seconds],
            rotation=90,
        )
        axis.set_yticks(range(len(weights)), list(clicks))
        axis.set(xlabel="looks at click of dwell (s)", ylabel="after click")
        figure.colorbar(image, ax=axis, shrink=0.8, label="weight")
    return png(figure)


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


def _seconds(dwell) -> str:
    return "?" if dwell < 0 else f"{dwell:.0f}"


def png(figure: Any) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()

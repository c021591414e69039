"""Figures of an evaluation on sessions as PNG bytes; needs matplotlib."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf.reporting.figures import MODEL
from jump_tf.reporting.figures import MUTED
from jump_tf.reporting.figures import REFERENCE
from jump_tf.reporting.figures import panels
from jump_tf.reporting.figures import png

_MOST_CLICKS = 24


def dwell_calibration(calibration: Mapping[str, Any]) -> bytes:
    """Whether predicted dwells last as long and as often as they should.

    Args:
        calibration: `dwell_calibration` of an evaluation file.

    Returns:
        PNG with three panels: the share of clicks that stay longer than t,
        predicted and observed; the share of dwells below each predicted
        quantile; the histogram of F(dwell), flat if the distribution is right.
    """
    histogram = np.array(calibration["transform_histogram"], float)
    figure, (left, middle, right) = panels(3)
    seconds = calibration["seconds"]
    left.plot(
        seconds,
        calibration["observed_survival"],
        "o",
        color=REFERENCE,
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


def _seconds(dwell) -> str:
    return "?" if dwell < 0 else f"{dwell:.0f}"

"""Figures of an evaluation on lists as PNG bytes; needs matplotlib."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf.evaluate.lists import predictions
from jump_tf.reporting import figures
from jump_tf.reporting.tables import lower_is_better

CURVES = (
    ("loss", "training loss"),
    ("val_ctr_auc", "validation CTR AUC"),
    ("val_ctcvr_auc", "validation CTCVR AUC"),
    ("val_ctr_log_loss", "validation CTR log loss"),
    ("val_ctcvr_log_loss", "validation CTCVR log loss"),
)
LABELS = {
    predictions.CTR: "pCTR",
    predictions.CVR: "r",
    predictions.CTCVR: "pCTCVR",
}
_WORSE = "#b5432f"
_FEW = 100  # Items at a place, below which its share says nothing.


def margins(result: Mapping[str, Any], metric: str) -> bytes:
    """How far the model is ahead of each baseline, with its interval.

    Args:
        result: the evaluation file.
        metric: such as `auc`.

    Returns:
        PNG with a panel for each target; right of zero the model is better.
    """
    names = list(result["baselines"])
    sign = -1.0 if lower_is_better(metric) else 1.0
    figure, axes = figures.panels(len(predictions.TARGETS))
    figure.set_size_inches(10.2, 1.1 + 0.27 * len(names))
    for axis, target in zip(axes, predictions.TARGETS, strict=True):
        axis.axvline(0.0, color=figures.MUTED, linewidth=0.8)
        for row, name in enumerate(names):
            margin = _margin(result, name, f"{target}_{metric}", sign)
            if margin is None:
                continue
            ahead, low, high = margin
            color = figures.MUTED
            if low > 0.0 or high < 0.0:
                color = figures.MODEL if low > 0.0 else _WORSE
            axis.plot([low, high], [row, row], color=color, linewidth=2)
            axis.plot([ahead], [row], "o", color=color, markersize=5)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="x", color="#eeeeee")
        axis.set_axisbelow(True)
        axis.spines["left"].set_visible(False)
        words = metric.replace("_", " ").replace("auc", "AUC")
        axis.set_xlabel(f"{target.upper()} {words}: model ahead by")
    for axis in axes[1:]:
        axis.set_yticklabels([])
    return figures.png(figure)


def calibration(result: Mapping[str, Any]) -> bytes:
    """Whether what is said to happen with probability p does so in p of cases.

    Args:
        result: the evaluation file, or one mode of it.

    Returns:
        PNG with a panel for each target, on scales of square roots: rare
        events are most of them.
    """
    figure, axes = figures.panels(len(predictions.TARGETS))
    for axis, target in zip(axes, predictions.TARGETS, strict=True):
        bins = result["calibration"][target]
        said, happened = _floats(bins["predicted"]), _floats(bins["observed"])
        ends = _floats(bins["intervals"]).reshape(-1, 2)
        top = np.nanmax([0.01, *said, *ends[:, 1]]) * 1.05
        for scale in (axis.set_xscale, axis.set_yscale):
            scale("function", functions=(_root, np.square))
        axis.plot([0, top], [0, top], ":", color=figures.MUTED)
        axis.vlines(
            said, ends[:, 0], ends[:, 1], color=figures.REFERENCE, alpha=0.6
        )
        axis.plot(said, happened, "o", color=figures.REFERENCE, markersize=4)
        ticks = _ticks(top)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set(xlim=(0, top), ylim=(0, top))
        axis.set(xlabel=f"predicted {LABELS[target]}", ylabel="observed share")
        axis.set_aspect("equal")
    return figures.png(figure)


def by_position(
    result: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> bytes:
    """Shares by place in the list, observed and predicted.

    Args:
        result: the evaluation file.
        others: by the label, the same model in other modes.

    Returns:
        PNG with a panel for each target; places of fewer than 100 items, which
        say nothing, are left out.
    """
    figure, axes = figures.panels(len(predictions.TARGETS))
    rates = result["by_position"]
    for axis, target in zip(axes, predictions.TARGETS, strict=True):
        mine = rates[target]
        enough = np.array(mine["num_items"]) >= _FEW
        place = np.array(rates["position"])[enough]
        ends = _floats(mine["intervals"]).reshape(-1, 2)[enough]
        axis.vlines(place, *ends.T, color=figures.REFERENCE, alpha=0.6)
        axis.plot(
            place,
            _floats(mine["observed"])[enough],
            "o",
            color=figures.REFERENCE,
            markersize=4,
            label="observed",
        )
        said = _floats(mine["predicted"])[enough]
        axis.plot(place, said, color=figures.MODEL, label="predicted")
        for label, other in others.items():
            theirs = _floats(other["by_position"][target]["predicted"])
            axis.plot(
                place,
                theirs[enough],
                "--",
                color=figures.MODEL,
                label=label,
            )
        axis.set_ylim(bottom=0)
        axis.set(xlabel="place in the list", ylabel=f"{LABELS[target]} there")
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].legend(frameon=False, fontsize=8)
    return figures.png(figure)


def _margin(result, name, metric, sign):
    """How far the model is ahead, and the ends of that; None if unknown."""
    theirs = result["baselines"][name]
    low, high = theirs.get("differences", {}).get(metric, (None, None))
    if low is None or result[metric] is None or theirs[metric] is None:
        return None
    low, high = sorted((sign * low, sign * high))
    return sign * (result[metric] - theirs[metric]), low, high


def _root(values):
    return np.sqrt(np.maximum(values, 0.0))


def _ticks(top) -> list[float]:
    """A few round numbers, evenly apart by their roots."""
    every = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
    ticks = [0.0]
    for tick in every:
        if tick <= top and _root(tick) - _root(ticks[-1]) > 0.13 * _root(top):
            ticks.append(tick)
    return ticks


def _floats(values) -> np.ndarray:
    """With NaN for None."""
    return np.array(values, float)

"""The paper's figures 2, 5, 6 and 7, out of `results.json`."""

import itertools
import math
from typing import Any

from jump_tf import schema
from jump_tf.data import inspection
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction import steps
from jump_tf.reporting import figures as reporting_figures

Tree = dict[str, Any]
SIGMA, UNITS = "sigma", "units"
# Colours that most eyes tell apart (Okabe & Ito), the reference first.
_COLOURS = (
    reporting_figures.MODEL,
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5195",
    "#8c564b",
    "#5f6b6d",
    "#a3b18a",
    "#c1121f",
    "#3d405b",
)
_MARKS = "osv^D<>pP*Xd"


def dwell(dataset: Tree) -> bytes:
    """Figure 2: the dwells of a dataset, and their logarithms."""
    figure, (left, right) = reporting_figures.panels(2)
    inspection.draw_dwells(left, right, dataset)
    return reporting_figures.png(figure)


def trade_off(tree: Tree) -> bytes | None:
    """Figure 5: recall and dwell error while 1 / sigma^2 grows."""
    lines = _lines(tree, SIGMA)
    if not lines:
        return None
    figure, axes = reporting_figures.panels(2)
    for axis, metric in zip(
        axes, ("recall_at_20", "dwell_mae_seconds"), strict=True
    ):
        for style, (name, points) in zip(_styles(), lines, strict=False):
            x = [run["value"] ** -2 for run in points]
            axis.plot(x, _values(points, metric), label=name, **style)
        axis.set_xscale("log")
        axis.set(xlabel="1 / sigma²", ylabel=results.NAMES[metric])
    axes[0].legend(frameon=False, fontsize=8)
    return reporting_figures.png(figure)


def sizes(tree: Tree) -> bytes | None:
    """Figure 6: recall at each size of the model, a panel for each dataset."""
    datasets = [data for data in tree["data"] if _of_dataset(tree, UNITS, data)]
    if not datasets:
        return None
    figure, axes = reporting_figures.panels(len(datasets))
    for axis, data in zip(axes, datasets, strict=True):
        lines = _of_dataset(tree, UNITS, data)
        for style, (label, points) in zip(_styles(), lines, strict=False):
            x = [run["value"] for run in points]
            y = _values(points, "recall_at_20")
            axis.plot(x, y, label=results.title(tree, label), **style)
        axis.set_title(data, fontsize=9)
        axis.set(xlabel="units", ylabel="recall@20")
    axes[0].legend(frameon=False, fontsize=8)
    return reporting_figures.png(figure)


def lengths(tree: Tree, data: str) -> bytes | None:
    """Figure 7: recall and dwell error by length of the session."""
    runs = results.done(tree, data, steps.HEADLINE, steps.BASELINES)
    if not runs:
        return None
    figure, axes = reporting_figures.panels(2)
    figure.set_figwidth(10.0)
    for axis, metric in zip(
        axes, ("recall_at_20", "dwell_mae_seconds"), strict=True
    ):
        for style, run in zip(_styles(), runs, strict=False):
            parts = run["moments"][schema.PAGE_LEAVE]["session_length"]
            values = [_number(part.get(metric)) for part in parts.values()]
            axis.plot(list(parts), values, label=run["title"], **style)
        axis.set(xlabel="clicks of the session", ylabel=results.NAMES[metric])
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside right upper",
        frameon=False,
        fontsize=8,
    )
    return reporting_figures.png(figure)


def _lines(tree, sweep):
    """Returns the points of each dataset and model, by the label."""
    datasets = {data: _of_dataset(tree, sweep, data) for data in tree["data"]}
    several = any(len(lines) > 1 for lines in datasets.values())
    return [
        (f"{data}, {label}" if several else data, points)
        for data, lines in datasets.items()
        for label, points in lines
    ]


def _of_dataset(tree, sweep, data):
    """`(model, points)` of a sweep on a dataset, where it has a point."""
    models: dict[str, list[Tree]] = {}
    for run in results.done(tree, data, steps.SWEEPS):
        if run["sweep"] == sweep:
            models.setdefault(run["model"], []).append(run)
    return [
        (label, sorted(points, key=lambda run: run["value"]))
        for label, points in models.items()
    ]


def _values(points, metric):
    return [
        _number(run["moments"][schema.PAGE_LEAVE][metric]) for run in points
    ]


def _number(value) -> float:
    return math.nan if value is None else value


def _styles():
    """Yields line styles without end; a colour comes again dashed."""
    for line in itertools.cycle(("-", "--", ":")):
        for colour, mark in zip(_COLOURS, _MARKS, strict=True):
            yield {
                "color": colour,
                "marker": mark,
                "markersize": 4,
                "linewidth": 1.3,
                "linestyle": line,
            }

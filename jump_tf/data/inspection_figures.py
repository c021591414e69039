"""What sessions look like: their lengths, and the paper's figure 2."""

import math
from typing import Any

import numpy as np

from jump_tf.reporting import figures

Tree = dict[str, Any]
_LONGEST_SHARE = 0.995  # Of the sessions; the few longer ones are not drawn.


def overview(facts: Tree, before: Tree | None = None) -> bytes:
    """PNG: lengths of sessions, dwells, and their logs beside a normal law.

    Args:
        facts: of the data folder.
        before: of another one, drawn as outlines.
    """
    figure, (left, middle, right) = figures.panels(3)
    draw_lengths(left, facts)
    draw_dwells(middle, right, facts)
    if before is not None:
        style = {"color": figures.MUTED, "linewidth": 1.2}
        left.stairs(*_lengths(before), label="the other folder", **style)
        for axis, name in ((middle, "dwell"), (right, "log_dwell")):
            histogram = before[name]
            axis.stairs(histogram["density"], histogram["edges"], **style)
        left.legend(frameon=False, fontsize=8)
    return figures.png(figure)


def draw_lengths(axis: Any, facts: Tree) -> None:
    """The share of sessions of each length, but for the few longest."""
    shares, edges = _lengths(facts)
    axis.stairs(shares, edges, fill=True, color=figures.MODEL, alpha=0.6)
    below = np.cumsum(shares)
    shown = int(np.searchsorted(below, _LONGEST_SHARE)) + 1
    axis.set(xlabel="clicks of a session", ylabel="share of sessions")
    axis.set_xlim(0.5, max(shown, 2) + 0.5)
    axis.xaxis.get_major_locator().set_params(integer=True)


def draw_dwells(left: Any, right: Any, facts: Tree) -> None:
    """Figure 2: the dwells of a log, their logs, and the normal law."""
    log = facts["log_dwell"]
    for axis, histogram in ((left, facts["dwell"]), (right, log)):
        edges, density = histogram["edges"], histogram["density"]
        axis.stairs(density, edges, fill=True, color=figures.MODEL, alpha=0.6)
        axis.set(ylabel="density", xlim=(edges[0], edges[-1]))
    left.set(xlabel="dwell (s)")
    right.set(xlabel="log of the dwell in seconds")
    if log["deviation"]:
        at = np.linspace(log["edges"][0], log["edges"][-1], 200)
        z = (at - log["mean"]) / log["deviation"]
        law = np.exp(-0.5 * z * z) / (log["deviation"] * math.sqrt(math.tau))
        right.set_ylim(0, 1.15 * max(*log["density"], *law))
        right.plot(at, law, color=figures.TRUTH, label="normal law")
        right.legend(frameon=False, loc="upper right", fontsize=8)


def _lengths(facts):
    """Shares of the sessions of 1, 2, ... clicks, and the bars' edges."""
    lengths = facts["lengths"]
    counts = np.zeros(max(lengths["clicks"], default=0) + 1)
    counts[lengths["clicks"]] = lengths["sessions"]
    shares = counts[1:] / max(counts.sum(), 1)
    return shares, np.arange(len(shares) + 1) + 0.5

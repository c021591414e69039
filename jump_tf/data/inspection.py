"""Inspects data folders: reads, counts, compares, describes and draws them."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data import drift
from jump_tf.data import folders
from jump_tf.data import statistics
from jump_tf.data.click_log import ClickLog
from jump_tf.reporting import figures
from jump_tf.reporting import files
from jump_tf.reporting.tables import aligned
from jump_tf.reporting.tables import number

Tree = dict[str, Any]
JSON_FILE = "inspection.json"
PICTURE_FILE = "inspection.png"
WIDTH = 40  # Characters of the longest bar.
# A bar goes from one of these to just below the next.
LENGTHS = (*range(1, 11), 11, 16, 21, 31, 51, 101)
_CENSORING = {
    "observed": "dwells seen to their end, of all clicks",
    "c1": "dwells cut at c1",
    "last_click": "last clicks, the visitor left",
    "log_end": "last clicks where the log ended",
}
_LONGEST_SHARE = 0.995  # Of the sessions; the few longer ones are not drawn.


@dataclasses.dataclass(frozen=True)
class Folder:
    """A data folder of sessions.

    Attributes:
        path: of it.
        manifest: its own.
        log: the sessions of all splits.
        statistics: what `statistics.count` found, as JSON has it.
    """

    path: pathlib.Path
    manifest: Tree
    log: ClickLog
    statistics: Tree

    def item_counts(self) -> dict[str, int]:
        """Clicks of each item of the vocabulary, by raw id."""
        names = folders.read_vocabulary(self.path / schema.VOCABULARY_FILE)
        counts = statistics.item_counts(self.log, len(names))
        return dict(zip(names, counts.tolist(), strict=True))


def read(data: pathlib.Path) -> Folder:
    """Reads a data folder of sessions and counts what is in it.

    Raises:
        InputError: it is none, or not all of it is there.
    """
    manifest = folders.read_manifest(data)
    logs = {
        split: click_log.read(data, split)
        if part["clicks"]
        else click_log.joined([])
        for split, part in manifest["splits"].items()
    }
    counted = files.plain(statistics.count(logs, manifest))
    log = click_log.joined(logs.values())
    return Folder(data, manifest, log, counted)


def compare(before: Folder, after: Folder) -> Tree:
    """Returns what changed from one to the other, as `drift` lists it."""
    both = before, after
    items, frequencies = drift.items(*(one.item_counts() for one in both))
    changes = {
        "items": items,
        "frequencies": frequencies,
        **drift.sessions(
            [one.log for one in both],
            [one.manifest["max_dwell_seconds"] for one in both],
            [one.statistics for one in both],
        ),
        "dropped": drift.dropped([one.manifest for one in both]),
    }
    return files.plain(changes)


def write(
    output: pathlib.Path,
    folder: Folder,
    before: Folder | None,
    changes: Tree,
    measured: Tree,
) -> list[pathlib.Path]:
    """Writes the numbers and the picture; returns their paths.

    Args:
        output: folder for both.
        folder: the one inspected.
        before: another one, of before.
        changes: since.
        measured: more numbers to write with the others.

    Raises:
        InputError: pictures cannot be drawn here.
    """
    picture = overview(
        folder.statistics, None if before is None else before.statistics
    )
    numbers = {"data": str(folder.path), **folder.statistics, **measured}
    if before is not None:
        numbers |= {"against": str(before.path), "changes": changes}
    with files.whole(output / PICTURE_FILE, "wb") as out:
        out.write(picture)
    return [
        files.write_json(output / JSON_FILE, numbers),
        output / PICTURE_FILE,
    ]


def describe(manifest: Tree, counted: Tree) -> str:
    """Counts, shares and histograms of a data folder of sessions."""
    rows = {
        "clicks of a session, mean": f"{counted['average_length']:.3f}",
        "dwell, median (s)": _seconds(counted["median_dwell_seconds"]),
        "dwell, longest below c1 (s)": _seconds(counted["max_dwell_seconds"]),
    }
    for name, what in _CENSORING.items():
        rows[what] = _percent(counted["censoring"][name])
    repeats = counted["repeats"]
    rows["clicks on the item just before"] = _percent(repeats["next"])
    rows["clicks on an item had before"] = _percent(repeats["again"])
    for top, share in counted["top_items"].items():
        rows[f"clicks on the {top} most clicked items"] = _percent(share)
    return "\n\n".join(
        [
            _splits(manifest, counted),
            f"vocabulary: {counted['items']} items",
            aligned([list(row) for row in rows.items()]),
            "clicks of a session\n" + _bars(_length_bars(counted["lengths"])),
            "dwell (s)\n" + _bars(_dwell_bars(counted["dwell_bins"])),
        ]
    )


def describe_changes(changes: Tree) -> str:
    """What changed; shares in columns are before and after."""
    items, frequencies = changes["items"], changes["frequencies"]
    lengths, dwell = changes["lengths"], changes["dwell"]
    mean = " -> ".join(f"{value:.3f}" for value in lengths["mean"])
    median = " -> ".join(map(_seconds, dwell["median_seconds"]))
    rows = [["", "before", "after"]]
    for name, what in _CENSORING.items():
        rows.append([what, *map(_percent, changes["censoring"][name])])
    for reason, shares in changes["dropped"].items():
        rows.append([f"{reason}, of all rows", *map(_percent, shares)])
    return "\n".join(
        [
            f"items: {items['new']} new ({_percent(items['clicks_on_new'])} of "
            f"the clicks), {items['gone']} gone "
            f"({_percent(items['clicks_on_gone'])} of the clicks before), "
            f"{items['kept']} kept",
            "item frequencies: largest difference "
            f"{frequencies['l_infinity']:.4f} ({frequencies['item']}), total "
            f"variation {frequencies['total_variation']:.4f}, Jensen-Shannon "
            f"{frequencies['jensen_shannon_bits']:.4f} bits",
            f"clicks of a session: {_distance(lengths)}, mean {mean}",
            f"dwell: {_distance(dwell)}, median {median} s",
            "",
            aligned(rows),
        ]
    )


def describe_lists(manifest: Tree) -> str:
    """Counts of a data folder of lists."""
    names = ("lists", "items", "clicks", "conversions")
    rows = [["", *names, "items a list"]]
    for split, part in manifest["splits"].items():
        length = part["items"] / max(part["lists"], 1)
        counts = (f"{part[name]}" for name in names)
        rows.append([split, *counts, f"{length:.3f}"])
    fields = ", ".join(manifest["fields"]) or "bags"
    return "\n\n".join(
        [
            aligned(rows),
            f"vocabulary: {manifest['num_features']} features ({fields})",
        ]
    )


def overview(counted: Tree, before: Tree | None = None) -> bytes:
    """Draws lengths of sessions, dwells, and their logs beside a normal one.

    Args:
        counted: the statistics of the data folder.
        before: of another one, drawn as outlines.
    """
    figure, (left, middle, right) = figures.panels(3)
    draw_length_shares(left, counted)
    draw_dwells(middle, right, counted)
    if before is not None:
        style = {"color": figures.MUTED, "linewidth": 1.2}
        left.stairs(*_length_shares(before), label="the other folder", **style)
        for axis, name in ((middle, "dwell"), (right, "log_dwell")):
            histogram = before[name]
            axis.stairs(histogram["density"], histogram["edges"], **style)
        left.legend(frameon=False, fontsize=8)
    return figures.png(figure)


def draw_length_shares(axis: Any, counted: Tree) -> None:
    """The share of sessions of each length, but for the few longest."""
    shares, edges = _length_shares(counted)
    axis.stairs(shares, edges, fill=True, color=figures.MODEL, alpha=0.6)
    below = np.cumsum(shares)
    shown = int(np.searchsorted(below, _LONGEST_SHARE)) + 1
    axis.set(xlabel="clicks of a session", ylabel="share of sessions")
    axis.set_xlim(0.5, max(shown, 2) + 0.5)
    axis.xaxis.get_major_locator().set_params(integer=True)


def draw_dwells(left: Any, right: Any, counted: Tree) -> None:
    """Draws figure 2: dwells, their logs, and the normal distribution."""
    log = counted["log_dwell"]
    for axis, histogram in ((left, counted["dwell"]), (right, log)):
        edges, density = histogram["edges"], histogram["density"]
        axis.stairs(density, edges, fill=True, color=figures.MODEL, alpha=0.6)
        axis.set(ylabel="density", xlim=(edges[0], edges[-1]))
    left.set(xlabel="dwell (s)")
    right.set(xlabel="log of the dwell in seconds")
    if log["deviation"]:
        at = np.linspace(log["edges"][0], log["edges"][-1], 200)
        z = (at - log["mean"]) / log["deviation"]
        normal = np.exp(-0.5 * z * z) / (log["deviation"] * math.sqrt(math.tau))
        right.set_ylim(0, 1.15 * max(*log["density"], *normal))
        right.plot(at, normal, color=figures.REFERENCE, label="normal")
        right.legend(frameon=False, loc="upper right", fontsize=8)


def _splits(manifest, counted):
    rows = [["", "sessions", "clicks", "on unknown items"]]
    for split, part in manifest["splits"].items():
        counts = (f"{part[name]}" for name in ("sessions", "clicks"))
        rows.append([split, *counts, _percent(counted["unseen"][split])])
    rows.append(["all", f"{counted['sessions']}", f"{counted['clicks']}", ""])
    return aligned(rows)


def _length_bars(lengths):
    """Label and share of each bar, up to the longest session."""
    clicks, sessions = lengths["clicks"], lengths["sessions"]
    longest = max(clicks, default=1)
    starts = [start for start in LENGTHS if start <= longest]
    counts, _ = np.histogram(clicks, [*starts, np.inf], weights=sessions)
    shares = counts / max(sum(sessions), 1)
    ends = [start - 1 for start in starts[1:]] + [longest]
    for start, end, share in zip(starts, ends, shares, strict=True):
        yield f"{start}" if start == end else f"{start}-{end}", share


def _dwell_bars(bins):
    *edges, upper = bins["edges"]
    for start, end, share in zip(
        edges, [*edges[1:], upper], bins["share"], strict=True
    ):
        yield f"{start:g}-{end:g}", share
    yield f"{upper:g} or more", max(1.0 - sum(bins["share"]), 0.0)


def _bars(rows: Iterable[tuple[str, float]]) -> str:
    bars = list(rows)
    label = max((len(text) for text, _ in bars), default=0)
    most = max((share for _, share in bars), default=0.0) or 1.0
    return "\n".join(
        f"{text:>{label}}  {_percent(share):>6}  "
        f"{'#' * round(WIDTH * share / most)}".rstrip()
        for text, share in bars
    )


def _distance(part):
    distance = number(part["kolmogorov_smirnov"])
    return f"Kolmogorov-Smirnov {distance}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _length_shares(counted):
    """Shares of the sessions of 1, 2, ... clicks, and the bars' edges."""
    lengths = counted["lengths"]
    counts = np.zeros(max(lengths["clicks"], default=0) + 1)
    counts[lengths["clicks"]] = lengths["sessions"]
    shares = counts[1:] / max(counts.sum(), 1)
    return shares, np.arange(len(shares) + 1) + 0.5

"""The facts of a data folder, and what changed, as text for a terminal."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jump_tf.reporting import tables

Tree = dict[str, Any]
WIDTH = 40  # Characters of the longest bar.
# A bar goes from one of these to just below the next.
LENGTHS = (*range(1, 11), 11, 16, 21, 31, 51, 101)
_CENSORING = {
    "observed": "dwells seen to their end, of all clicks",
    "c1": "dwells cut at c1",
    "last_click": "last clicks, the visitor left",
    "log_end": "last clicks where the log ended",
}


def describe(manifest: Tree, facts: Tree) -> str:
    """Counts, shares and histograms of a data folder of sessions."""
    rows = {
        "clicks of a session, mean": f"{facts['average_length']:.3f}",
        "dwell, median (s)": _seconds(facts["median_dwell_seconds"]),
        "dwell, longest below c1 (s)": _seconds(facts["max_dwell_seconds"]),
    }
    for name, what in _CENSORING.items():
        rows[what] = _percent(facts["censoring"][name])
    repeats = facts["repeats"]
    rows["clicks on the item just before"] = _percent(repeats["next"])
    rows["clicks on an item had before"] = _percent(repeats["again"])
    for top, share in facts["top_items"].items():
        rows[f"clicks on the {top} most clicked items"] = _percent(share)
    return "\n\n".join(
        [
            _splits(manifest, facts),
            f"vocabulary: {facts['items']} items",
            tables.aligned([list(row) for row in rows.items()]),
            "clicks of a session\n" + _bars(_lengths(facts["lengths"])),
            "dwell (s)\n" + _bars(_dwells(facts["dwell_bins"])),
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
            tables.aligned(rows),
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
            tables.aligned(rows),
            f"vocabulary: {manifest['num_features']} features ({fields})",
        ]
    )


def _splits(manifest, facts):
    rows = [["", "sessions", "clicks", "on unknown items"]]
    for split, part in manifest["splits"].items():
        counts = (f"{part[name]}" for name in ("sessions", "clicks"))
        rows.append([split, *counts, _percent(facts["unseen"][split])])
    rows.append(["all", f"{facts['sessions']}", f"{facts['clicks']}", ""])
    return tables.aligned(rows)


def _lengths(lengths):
    """Label and share of each bar, up to the longest session."""
    clicks, sessions = lengths["clicks"], lengths["sessions"]
    longest = max(clicks, default=1)
    starts = [start for start in LENGTHS if start <= longest]
    counts, _ = np.histogram(clicks, [*starts, np.inf], weights=sessions)
    shares = counts / max(sum(sessions), 1)
    ends = [start - 1 for start in starts[1:]] + [longest]
    for start, end, share in zip(starts, ends, shares, strict=True):
        yield f"{start}" if start == end else f"{start}-{end}", share


def _dwells(bins):
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
    distance = tables.number(part["kolmogorov_smirnov"])
    return f"Kolmogorov-Smirnov {distance}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"

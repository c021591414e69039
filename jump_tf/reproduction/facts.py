"""What is counted of a log: table 1 and the histograms of figure 2."""

import json
import pathlib
from typing import Any

import numpy as np

from jump_tf import evaluation
from jump_tf import input_pipeline
from jump_tf import predictions
from jump_tf import schema

FILE = "data.json"
BINS = 40
_MANIFEST = "manifest"


def of(data: pathlib.Path, folder: pathlib.Path) -> dict[str, Any]:
    """The facts of a data folder, counted once and then read.

    Args:
        data: the data folder.
        folder: of the log in the results, which keeps them.
    """
    path, manifest = folder / FILE, input_pipeline.read_manifest(data)
    if path.is_file():
        kept = json.loads(path.read_text())
        if kept[_MANIFEST] == manifest:
            return kept
    facts = evaluation.plain({_MANIFEST: manifest, **_count(data, manifest)})
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(facts, indent=1) + "\n")
    beside.replace(path)
    return facts


def _count(data, manifest):
    splits = manifest["splits"]
    clicks = [
        predictions.read_clicks(data, split)
        for split in schema.SPLITS
        if splits[split]["clicks"]
    ]
    number = sum(part["clicks"] for part in splits.values())
    sessions = sum(part["sessions"] for part in splits.values())
    seconds, cut, last = (
        np.concatenate(columns)
        for columns in zip(
            *(
                (one.dwell_seconds, one.censored & ~one.last, one.last)
                for one in clicks
            ),
            strict=True,
        )
    )
    seen = seconds[~cut & ~last]
    return {
        "items": manifest["num_items"],
        "clicks": number,
        "sessions": sessions,
        **{f"{split}_sessions": splits[split]["sessions"] for split in splits},
        "average_length": number / sessions,
        "max_dwell_seconds": float(seen.max(initial=0.0)),
        "median_dwell_seconds": float(np.median(seen)) if len(seen) else None,
        "share_cut": float(cut.sum() / max((~last).sum(), 1)),
        "share_last": float(last.mean()),
        "dwell": _histogram(seen, manifest["max_dwell_seconds"]),
        "log_dwell": _log_histogram(seen, manifest["max_dwell_seconds"]),
    }


def _histogram(seconds, upper):
    density, edges = np.histogram(seconds, BINS, (0.0, upper), density=True)
    return {"edges": edges.tolist(), "density": density.tolist()}


def _log_histogram(seconds, upper):
    """With the normal law of the same mean and deviation."""
    log = np.log(np.maximum(seconds, 1.0))
    density, edges = np.histogram(
        log, BINS, (0.0, float(np.log(upper))), density=True
    )
    mean, deviation = (
        (float(log.mean()), float(log.std()))
        if len(log)
        else (
            float("nan"),
            float("nan"),
        )
    )
    skewness = np.mean(((log - mean) / deviation) ** 3) if deviation else 0.0
    return {
        "edges": edges.tolist(),
        "density": density.tolist(),
        "mean": mean,
        "deviation": deviation,
        "skewness": float(skewness),
    }

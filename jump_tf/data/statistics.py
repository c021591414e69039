"""What is counted of a data folder of sessions: table 1, figure 2, and more.

items, clicks, sessions, train_sessions, ...   how many
average_length        clicks in a session
max_dwell_seconds, median_dwell_seconds   of dwells seen to their end
share_cut             of the clicks that another follows: dwells from c1 on
share_last            last clicks, of all
dwell, log_dwell      the paper's figure 2, of dwells seen to their end
lengths               sessions of each length
dwell_bins            shares of dwells seen to their end or to c1
censoring             shares of all clicks: `observed` to their end, `c1`,
                      `last_click` and `log_end`, where the log ended
repeats               of the clicks on known items: `next`, on the item
                      just before; `again`, on one the session had before
top_items             shares of those clicks that the 1, 10... most clicked
                      items have
unseen                for each split, the share of clicks on items that
                      training never saw
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data.click_log import ClickLog

Tree = dict[str, Any]
BINS = 40
DWELL_EDGES = (0, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)
TOP_ITEMS = (1, 10, 100, 1000)


def count(logs: Mapping[str, ClickLog], manifest: Mapping[str, Any]) -> Tree:
    """Counts all splits; NaN or None for a 0 / 0.

    The head of this module lists what is counted.

    Args:
        logs: the sessions of each split.
        manifest: of the data folder.
    """
    log = click_log.joined(logs.values())
    upper = manifest["max_dwell_seconds"]
    last, sessions = log.last, len(log.length)
    cut = log.dwell_censored & ~last
    seen = log.dwell_seconds[~log.dwell_censored].astype(np.float64)
    return {
        "items": manifest["num_items"],
        "clicks": len(log),
        "sessions": sessions,
        **{f"{split}_sessions": len(logs[split].length) for split in logs},
        "average_length": len(log) / max(sessions, 1),
        "max_dwell_seconds": float(seen.max(initial=0.0)),
        "median_dwell_seconds": float(np.median(seen)) if len(seen) else None,
        "share_cut": float(cut.sum() / max((~last).sum(), 1)),
        "share_last": _share(last),
        "dwell": _histogram(seen, upper),
        "log_dwell": _log_histogram(seen, upper),
        "lengths": _lengths(log.length),
        "dwell_bins": _dwell_bins(known_dwells(log, upper), upper),
        "censoring": _censoring(log, upper),
        "repeats": _repeats(log),
        "top_items": _top_items(log),
        "unseen": {
            split: _share(part.item == schema.OOV_ID)
            for split, part in logs.items()
        },
    }


def known_dwells(log: ClickLog, max_dwell_seconds: float) -> np.ndarray:
    """Dwells that are known below c1, those cut there included.

    Their shares below any moment before c1 are those of all dwells. The lower
    bounds of last clicks, which come of the visitor's leaving, are not.
    """
    seconds = log.dwell_seconds
    return seconds[~log.dwell_censored | (seconds >= max_dwell_seconds)]


def item_counts(log: ClickLog, num_items: int) -> np.ndarray:
    """`[num_items]` clicks of each item of the vocabulary, in its order."""
    known = log.item[log.item >= schema.FIRST_ITEM_ID]
    return np.bincount(known - schema.FIRST_ITEM_ID, minlength=num_items)


def _share(flags) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")


def _histogram(seconds, upper):
    density, edges = np.histogram(
        seconds, BINS, (0.0, upper), density=len(seconds) > 0
    )
    return {"edges": edges.tolist(), "density": density.tolist()}


def _log_histogram(seconds, upper):
    """With the normal distribution of the same mean and deviation."""
    log = np.log(np.maximum(seconds, 1.0))
    density, edges = np.histogram(
        log, BINS, (0.0, float(np.log(upper))), density=len(log) > 0
    )
    mean, deviation = (
        (float(log.mean()), float(log.std()))
        if len(log)
        else (float("nan"), float("nan"))
    )
    # No dwell has no deviation, NaN, and a single one has none either.
    z = (log - mean) / deviation if deviation > 0 else np.zeros(1)
    return {
        "edges": edges.tolist(),
        "density": density.tolist(),
        "mean": mean,
        "deviation": deviation,
        "skewness": float(np.mean(z**3)),
    }


def _lengths(lengths):
    found, sessions = np.unique(lengths, return_counts=True)
    return {"clicks": found.tolist(), "sessions": sessions.tolist()}


def _dwell_bins(seconds, upper):
    """Up to c1; what is left of one lasts c1 or more."""
    edges = [float(edge) for edge in DWELL_EDGES if edge < upper] + [upper]
    counts, _ = np.histogram(seconds[seconds < upper], edges)
    return {"edges": edges, "share": (counts / max(len(seconds), 1)).tolist()}


def _censoring(log, upper):
    at_c1 = log.dwell_censored & (log.dwell_seconds >= upper)
    left = log.dwell_censored & ~at_c1
    ended = np.repeat(log.session_cut, log.length)
    return {
        "observed": _share(~log.dwell_censored),
        "c1": _share(at_c1),
        "last_click": _share(left & ~ended),
        "log_end": _share(left & ended),
    }


def _repeats(log):
    known = log.item >= schema.FIRST_ITEM_ID
    session, item = log.session[known], log.item[known]
    follows = np.append(False, log.session[1:] == log.session[:-1])[: len(log)]
    same = np.append(False, log.item[1:] == log.item[:-1])[: len(log)]
    order = np.lexsort((item, session))
    session, item = session[order], item[order]
    again = (session[1:] == session[:-1]) & (item[1:] == item[:-1])
    number = max(len(item), 1)
    return {
        "next": float((follows & same & known).sum() / number),
        "again": float(again.sum() / number),
    }


def _top_items(log):
    counts = np.sort(item_counts(log, 0))[::-1]
    shares = np.cumsum(counts) / max(counts.sum(), 1)
    return {str(n): float(shares[n - 1]) for n in TOP_ITEMS if n <= len(counts)}

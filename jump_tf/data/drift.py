"""What changed from one data folder of sessions to another.

items       how many are `new` in the vocabulary, `gone` (removed) and `kept`;
            shares of the clicks on known items that are on new ones, after,
            and on removed ones, before
frequencies of the clicks on known items, by raw item id: `l_infinity`, the
            largest difference of an item's share, and of which `item`;
            `total_variation`, half the sum of all differences;
            `jensen_shannon_bits`, 0 to 1
lengths     Kolmogorov-Smirnov distance, and both means
dwell       Kolmogorov-Smirnov distance of the dwells' distributions below
            the smaller c1, and both medians, in seconds
censoring   shares of all clicks, before and after
dropped     rejected and filtered, by reason, as shares of all rows
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf.data import statistics
from jump_tf.data.click_log import ClickLog

Tree = dict[str, Any]


def items(
    before: Mapping[str, int], after: Mapping[str, int]
) -> tuple[Tree, Tree]:
    """Returns `items` and `frequencies`, which the head of this module lists.

    Args:
        before: raw id -> clicks, of each item of the vocabulary.
        after: the same.
    """
    names = list({**before, **after})
    p, q = (
        np.array([counts.get(name, 0) for name in names], np.float64)
        for counts in (before, after)
    )
    p, q = p / max(p.sum(), 1.0), q / max(q.sum(), 1.0)
    new = np.array([name not in before for name in names], bool)
    removed = np.array([name not in after for name in names], bool)
    difference = np.abs(p - q)
    largest = int(np.argmax(difference)) if names else None
    return {
        "new": int(new.sum()),
        "gone": int(removed.sum()),
        "kept": int((~new & ~removed).sum()),
        "clicks_on_new": float(q[new].sum()),
        "clicks_on_gone": float(p[removed].sum()),
    }, {
        "l_infinity": float(difference.max(initial=0.0)),
        "item": None if largest is None else names[largest],
        "total_variation": float(difference.sum() / 2),
        "jensen_shannon_bits": jensen_shannon_bits(p, q),
    }


def jensen_shannon_bits(p: np.ndarray, q: np.ndarray) -> float:
    """The divergence of two distributions `[K]`, 0 to 1.

    Reference: Lin, IEEE Transactions on Information Theory 37, 1991.
    """
    middle = (p + q) / 2
    return float(
        (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    )


def _relative_entropy(p, q):
    some = p > 0
    return np.sum(p[some] * np.log2(p[some] / q[some]))


def kolmogorov_smirnov(
    before: np.ndarray, after: np.ndarray, upper: float = np.inf
) -> float:
    """The largest difference of two empirical distributions below a bound.

    Args:
        before: `[M]` values; NaN is the distance to none at all.
        after: `[N]`.
        upper: values from here on count as equal.
    """
    if not len(before) or not len(after):
        return float("nan")
    before, after = np.sort(before), np.sort(after)
    at = np.concatenate([before, after])
    at = at[at < upper]
    shares = (
        np.searchsorted(values, at, side="right") / len(values)
        for values in (before, after)
    )
    return float(np.max(np.abs(np.subtract(*shares)), initial=0.0))


def sessions(
    logs: Sequence[ClickLog], bounds: Sequence[float], found: Sequence[Tree]
) -> Tree:
    """Returns `lengths`, `dwell` and `censoring`.

    Args:
        logs: before and after.
        bounds: the c1 of each.
        found: the statistics of each.
    """
    before, after = logs
    known_before, known_after = map(statistics.known_dwells, logs, bounds)
    return {
        "lengths": {
            "kolmogorov_smirnov": kolmogorov_smirnov(
                before.length, after.length
            ),
            "mean": [part["average_length"] for part in found],
        },
        "dwell": {
            "kolmogorov_smirnov": kolmogorov_smirnov(
                known_before, known_after, min(bounds)
            ),
            "median_seconds": [part["median_dwell_seconds"] for part in found],
        },
        "censoring": {
            name: [part["censoring"][name] for part in found]
            for name in found[0]["censoring"]
        },
    }


def dropped(manifests: Sequence[Tree]) -> dict[str, list[float]]:
    """Reason -> share of all rows, before and after."""
    parts = [
        {
            reason: number / max(manifest.get("rows", 0), 1)
            for kind in ("rejected", "filtered")
            for reason, number in manifest.get(kind, {}).items()
        }
        for manifest in manifests
    ]
    reasons = sorted(set().union(*parts))
    return {
        reason: [part.get(reason, 0.0) for part in parts] for reason in reasons
    }

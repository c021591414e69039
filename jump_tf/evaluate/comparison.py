"""Two predictors on the same clicks: how much better, and is it chance?

mine, theirs = map(click_table.read, (path, other_path))
compare(mine, theirs)["recall_at_20"]
{"mine": 0.31, "theirs": 0.30, "difference": 0.01,
"interval": [0.004, 0.016], "p_value": 0.002}
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import ClickTable
from jump_tf.metrics import ranking
from jump_tf.metrics.ranking import Measure

REPLICATES = 1000
_MINE, _THEIRS = "mine", "theirs"
_SAME = ("session", "position", "item", "dwell_seconds", "last", "censored")


def compare(
    mine: ClickTable,
    theirs: ClickTable,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Every metric that both tables have, on the clicks of both.

    Args:
        mine: of one predictor.
        theirs: of another.
        replicates: R draws of sessions with replacement; both predictors are
            averaged over the same draws.
        seed: of the draws.

    Returns:
        By the name of the metric: `mine`, `theirs`, their
        `difference` (mine - theirs), its 95 % `interval`, and `p_value`: twice
        the smaller share of draws in which the difference is not above, or not
        below, zero, of R + 1 draws with the sample itself counted on that
        side; never above 1. NaN where no click counts.

    Raises:
        InputError: the clicks are not the same.

    Reference: Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
    sec. 15.4, on p-values from intervals.
    """
    compared = compare_seeds([mine], [theirs], replicates, seed)
    return {
        name: {
            key: value
            for key, value in numbers.items()
            if not key.endswith("_deviation")
        }
        for name, numbers in compared.items()
    }


def compare_seeds(
    mine: Sequence[ClickTable],
    theirs: Sequence[ClickTable],
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """As `compare`, of models that were trained with several seeds.

    What is compared is the mean over seeds, click by click. Its interval and
    p-value are over sessions alone: they say what other visitors would change.
    What other seeds would change, the deviations say.

    Args:
        mine: a table for each seed; not as many as of the other are needed.
        theirs: the same of the other.
        replicates: see `compare`.
        seed: see `compare`.

    Returns:
        As `compare`, where `mine` and `theirs` are means over seeds, with
        `mine_deviation` and `theirs_deviation`: standard deviations over
        seeds (of S - 1 degrees of freedom), NaN of one seed.

    Raises:
        InputError: a list is empty, or the clicks are not the same.
    """
    if not mine or not theirs:
        raise schema.InputError(
            "`mine` and `theirs` must hold at least one table each. "
            f"Received: {len(mine)} and {len(theirs)}"
        )
    for table in (*mine[1:], *theirs):
        _check_same(mine[0], table)
    by_seed = {
        who: [prediction_table.measures(table) for table in tables]
        for who, tables in ((_MINE, mine), (_THEIRS, theirs))
    }
    every = [measures for seeds in by_seed.values() for measures in seeds]
    names = [n for n in every[0] if all(n in measures for measures in every)]
    averages = {
        (who, name): _average(seeds, name)
        for who, seeds in by_seed.items()
        for name in names
    }
    drawn = ranking.resampled_means(averages, mine[0].session, replicates, seed)
    return {
        name: {
            **{who: averages[who, name].mean() for who in by_seed},
            **{
                f"{who}_deviation": _deviation(seeds, name)
                for who, seeds in by_seed.items()
            },
            "difference": averages[_MINE, name].mean()
            - averages[_THEIRS, name].mean(),
            **_chance(drawn[_MINE, name] - drawn[_THEIRS, name]),
        }
        for name in names
    }


def p_value(differences: np.ndarray) -> float:
    """Two-sided, of `[R]` differences in resamples; see `compare`."""
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        return float("nan")
    fewer = min(np.sum(differences <= 0.0), np.sum(differences >= 0.0))
    return float(min(2.0 * (fewer + 1) / (len(differences) + 1), 1.0))


def _chance(differences):
    return {
        "interval": ranking.interval(differences),
        "p_value": p_value(differences),
    }


def _check_same(one, other):
    for name in _SAME:
        ours, others = getattr(one, name), getattr(other, name)
        if not np.array_equal(ours, others):
            raise schema.InputError(
                "The tables must be of the same clicks, in the same order. "
                f"Received: tables of {len(one)} and {len(other)} clicks that "
                f"differ in `{name}`"
            )


def _average(seeds: Sequence[Measures], name: str) -> Measure:
    """What is counted is up to the clicks, and the same for all seeds."""
    values = np.mean([measures[name].values for measures in seeds], 0)
    return Measure(values, seeds[0][name].counted)


def _deviation(seeds, name) -> float:
    if len(seeds) < 2:
        return float("nan")
    return float(np.std([m[name].mean() for m in seeds], ddof=1))

"""What one predictor says of each click of a split: a file to recompute from.

The clicks come by session and position, the same for all models and at both
moments of asking, so that rows of two tables are pairs.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from jump_tf import schema
from jump_tf.evaluate import comparison
from jump_tf.evaluate.comparison import Judged
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions.predictions import LoggedClicks
from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.metrics import ranking
from jump_tf.reporting import files
from jump_tf.survival.distribution import Distribution

NOT_RANKED = 0
_SAME = ("session", "position", "item", "dwell_seconds", "last", "censored")
COLUMNS = {
    "session": np.int64,
    "position": np.int32,
    "length": np.int32,
    "item": np.int32,
    "last": np.bool_,
    "censored": np.bool_,
    "dwell_seconds": np.float32,
    "rank": np.int64,
    "rank_standard": np.int64,
    "dwell_median_below_c1_seconds": np.float32,
    "dwell_nll": np.float32,
    "dwell_crps_seconds": np.float32,
}


@dataclasses.dataclass(frozen=True)
class PredictionTable(LoggedClicks):
    """What the log says of N clicks, and what a predictor does.

    A predictor that does not rank, or knows nothing of dwells, or no more than
    their medians, lacks columns.

    Attributes:
        rank: of the item among all, ties lost; `NOT_RANKED` at a first click
            and where the item is unknown.
        rank_standard: the same, but ties are won.
        dwell_median_below_c1_seconds: of the predicted distribution, given
            that the dwell ends within c1, as those do of which it is measured.
        dwell_nll: minus the log of its density, or its survival if censored.
        dwell_crps_seconds: its score up to c1; NaN of a last click.
    """

    rank: np.ndarray | None = None
    rank_standard: np.ndarray | None = None
    dwell_median_below_c1_seconds: np.ndarray | None = None
    dwell_nll: np.ndarray | None = None
    dwell_crps_seconds: np.ndarray | None = None


def of(
    clicks: LoggedClicks,
    *,
    rank: np.ndarray | None = None,
    rank_standard: np.ndarray | None = None,
    dwell: Distribution | None = None,
    dwell_median_below_c1_seconds: np.ndarray | None = None,
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS,
) -> PredictionTable:
    """The table of whatever ranks items, or predicts dwells, or both.

    Args:
        clicks: all of a split, as `predictions.read_clicks` has them.
        rank: `[N]`, `ranking.MISS` or `NOT_RANKED` where there is none.
        rank_standard: `[N]`, see `rank`.
        dwell: distribution of the `[N]` dwells.
        dwell_median_below_c1_seconds: `[N]`, if it does not follow from the
            distribution, or there is none.
        max_dwell_seconds: c1 of the data folder.
    """
    columns = {
        name: getattr(clicks, name) for name in COLUMNS if hasattr(clicks, name)
    }
    for name, ranks in (("rank", rank), ("rank_standard", rank_standard)):
        if ranks is not None:
            ranked = clicks.predicted & clicks.known & (ranks != ranking.MISS)
            columns[name] = np.where(ranked, ranks, NOT_RANKED)
    if dwell is not None:
        columns |= _dwell_columns(clicks, dwell, max_dwell_seconds)
    if dwell_median_below_c1_seconds is not None:
        columns["dwell_median_below_c1_seconds"] = dwell_median_below_c1_seconds
    return _table(columns)


def measures(table: PredictionTable) -> metrics.Measures:
    """What the evaluation file averages; `metrics` defines the names.

    Names that need columns that the table lacks are left out.
    """
    found: metrics.Measures = {}
    for ranks, suffix in (
        (table.rank, ""),
        (table.rank_standard, metrics.STANDARD_TIES),
    ):
        if ranks is not None:
            ranks = np.where(ranks == NOT_RANKED, ranking.MISS, ranks)
            found |= metrics.click_measures(table, ranks, suffix)
    if table.dwell_median_below_c1_seconds is not None:
        found |= metrics.dwell_measures(table)
        found |= metrics.dwell_measures(table, first_too=True)
    if table.dwell_nll is not None:
        found |= metrics.last_dwell_measures(table)
    return found


def judge(
    tables: Sequence[PredictionTable],
    replicates: int = comparison.REPLICATES,
    seed: int = 0,
) -> list[Judged]:
    """Judges predictors together, to compare them.

    Args:
        tables: of each, on the same clicks.
        replicates: draws of sessions with replacement.
        seed: of the draws.

    Raises:
        InputError: the clicks are not the same.
    """
    for table in tables[1:]:
        check_same(tables[0], table, "The tables")
    named = {number: measures(table) for number, table in enumerate(tables)}
    judged = metrics.judge(named, tables[0].session, replicates, seed)
    return list(judged.values())


def write(path: pathlib.Path, table: PredictionTable) -> pathlib.Path:
    """Writes a `.npz` file of the columns that the table has; its path."""
    columns = {name: getattr(table, name) for name in COLUMNS}
    there = {name: c for name, c in columns.items() if c is not None}
    return files.write_columns(path, there)


def read(path: pathlib.Path) -> PredictionTable:
    """Reads the table that `write` wrote.

    Raises:
        InputError: the file is none of ours.
    """
    columns = files.read_columns(path)
    try:
        return _table(columns)
    except TypeError as error:
        raise files.not_a_table(path, error) from error


def _table(columns) -> PredictionTable:
    """Of one type whether computed or read, so that means are the same."""
    return PredictionTable(
        **{
            name: np.asarray(column).astype(COLUMNS.get(name), copy=False)
            for name, column in columns.items()
        }
    )


def _dwell_columns(clicks, dwell, max_dwell_seconds):
    seconds = clicks.dwell_seconds
    scores = np.full(len(clicks), np.nan)
    followed = ~clicks.last
    scores[followed] = dwell_metrics.crps(
        dwell.map(lambda parameter: np.asarray(parameter)[followed]),
        seconds[followed],
        max_dwell_seconds,
    )
    return {
        "dwell_median_below_c1_seconds": np.asarray(
            dwell.median_below(max_dwell_seconds)
        ),
        "dwell_nll": dwell_metrics.negative_log_likelihood(
            dwell, seconds, clicks.censored
        ),
        "dwell_crps_seconds": scores,
    }


def check_same(one: LoggedClicks, other: LoggedClicks, of: str) -> None:
    """Refuses two tables, or a table and a log, of different clicks.

    Args:
        one: a table.
        other: another one, or the clicks of a log.
        of: what they are, to say in the error.

    Raises:
        InputError: they are of other clicks, or in another order.
    """
    for name in _SAME:
        if not np.array_equal(getattr(one, name), getattr(other, name)):
            raise schema.InputError(
                f"{of} must be of the same clicks, in the same order. "
                f"Received: {len(one)} and {len(other)} clicks that differ in "
                f"`{name}`"
            )

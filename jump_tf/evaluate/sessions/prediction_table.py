"""What one predictor says of each click of a split: a file to recompute from.

The clicks come by session and position, the same for all models and at both
moments of asking, so that rows of two tables are pairs.
"""

import dataclasses
import pathlib
import zipfile

import numpy as np

from jump_tf import schema
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.metrics import crps
from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.metrics import ranking
from jump_tf.survival.distribution import Distribution

NOT_RANKED = 0
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
    "dwell_median_seconds": np.float32,
    "dwell_nll": np.float32,
    "dwell_crps_seconds": np.float32,
}


@dataclasses.dataclass(frozen=True)
class ClickTable:
    """Columns of N clicks: what the log says, and what a predictor does.

    A predictor that does not rank, or knows nothing of dwells, lacks columns.

    Attributes:
        session: number of the click's session, from 0.
        position: of the click in its session, from 1.
        length: clicks of its session.
        item: id, `OOV_ID` where training never saw it.
        last: bool, the last click of its session, which leaves no dwell.
        censored: bool, the dwell is only a lower bound.
        dwell_seconds: the dwell, cut at c1; c2 of a last click.
        rank: of the item among all, ties lost; `NOT_RANKED` at a first click
            and where the item is unknown.
        rank_standard: the same, but ties are won.
        dwell_median_seconds: of the predicted law.
        dwell_nll: minus the log of its density, or its survival if censored.
        dwell_crps_seconds: its score up to c1; NaN of a last click.
    """

    session: np.ndarray
    position: np.ndarray
    length: np.ndarray
    item: np.ndarray
    last: np.ndarray
    censored: np.ndarray
    dwell_seconds: np.ndarray
    rank: np.ndarray | None = None
    rank_standard: np.ndarray | None = None
    dwell_median_seconds: np.ndarray | None = None
    dwell_nll: np.ndarray | None = None
    dwell_crps_seconds: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.item)

    @property
    def predicted(self) -> np.ndarray:
        """`[N]` bool: there is an earlier click to predict from."""
        return self.position > 1

    @property
    def known(self) -> np.ndarray:
        """`[N]` bool: training saw the item."""
        return self.item >= schema.FIRST_ITEM_ID


def of(
    clicks: Clicks,
    *,
    rank: np.ndarray | None = None,
    rank_standard: np.ndarray | None = None,
    law: Distribution | None = None,
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS,
) -> ClickTable:
    """The table of whatever ranks items, or predicts dwells, or both.

    Args:
        clicks: all of a split, as `list_predictions.read_clicks` has them.
        rank: `[N]`, `ranking.MISS` or `NOT_RANKED` where there is none.
        rank_standard: `[N]`, see `rank`.
        law: of the `[N]` dwells.
        max_dwell_seconds: c1 of the data folder.
    """
    columns = {
        name: getattr(clicks, name) for name in COLUMNS if hasattr(clicks, name)
    }
    for name, ranks in (("rank", rank), ("rank_standard", rank_standard)):
        if ranks is not None:
            ranked = clicks.predicted & clicks.known & (ranks != ranking.MISS)
            columns[name] = np.where(ranked, ranks, NOT_RANKED)
    if law is not None:
        columns |= _dwell_columns(clicks, law, max_dwell_seconds)
    return _table(columns)


def measures(table: ClickTable) -> session_metrics.Measures:
    """What the evaluation file averages; `metrics` defines the names.

    Names that need columns that the table lacks are left out.
    """
    found: session_metrics.Measures = {}
    for ranks, suffix in (
        (table.rank, ""),
        (table.rank_standard, session_metrics.STANDARD_TIES),
    ):
        if ranks is not None:
            ranks = np.where(ranks == NOT_RANKED, ranking.MISS, ranks)
            found |= session_metrics.click_measures(table, ranks, suffix)
    if table.dwell_median_seconds is not None:
        found |= session_metrics.dwell_measures(table)
        found |= session_metrics.dwell_measures(table, first_too=True)
        found |= session_metrics.last_dwell_measures(table)
    return found


def write(path: str | pathlib.Path, table: ClickTable) -> pathlib.Path:
    """Writes a `.npz` file of the columns that the table has; its path."""
    path = pathlib.Path(path)
    beside = path.with_name(f"{path.name}.partial")
    with beside.open("wb") as out:
        np.savez_compressed(out, **_columns(table))
    return beside.replace(path)


def read(path: str | pathlib.Path) -> ClickTable:
    """The table that `write` wrote.

    Raises:
        InputError: the file is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return _table({name: file[name] for name in file.files})
    except (OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise schema.InputError(
            f"The file must be a table of clicks. Received: {path} ({error})"
        ) from error


def _columns(table):
    columns = {name: getattr(table, name) for name in COLUMNS}
    return {name: c for name, c in columns.items() if c is not None}


def _table(columns) -> ClickTable:
    """Of one type whether computed or read, so that means are the same."""
    return ClickTable(
        **{
            name: np.asarray(column).astype(COLUMNS.get(name), copy=False)
            for name, column in columns.items()
        }
    )


def _dwell_columns(clicks, law, max_dwell_seconds):
    seconds = clicks.dwell_seconds
    scores = np.full(len(clicks), np.nan)
    followed = ~clicks.last
    scores[followed] = crps.crps(
        law.map(lambda parameter: np.asarray(parameter)[followed]),
        seconds[followed],
        max_dwell_seconds,
    )
    return {
        "dwell_median_seconds": np.asarray(law.median()),
        "dwell_nll": dwell_metrics.negative_log_likelihood(
            law, seconds, clicks.censored
        ),
        "dwell_crps_seconds": scores,
    }

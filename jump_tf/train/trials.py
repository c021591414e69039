"""The trials of a study as a table, and the configuration of the best."""

import csv
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from jump_tf.config.run import Config
from jump_tf.reporting import files
from jump_tf.train import search_space

TABLE_FILE = "trials.csv"
BEST_FILE = "best.yaml"
_COMPLETE = "complete"
Row = dict[str, Any]


def write(
    folder: pathlib.Path, trials: Iterable[Any], config: Config, task: Any
) -> list[Row]:
    """Writes `trials.csv`, and `best.yaml` if a trial is complete.

    Args:
        folder: of the study.
        trials: optuna's.
        config: what the space does not name.
        task: one of `jump_tf.tasks`, whose monitored metric ranks the trials.

    Returns:
        The rows, complete trials first, the best of them at the top.
    """
    by_number = {trial.number: trial for trial in trials}
    metric = _metric(task)
    rows = sorted(
        (_row(trial, metric) for trial in by_number.values()),
        key=lambda row: (row["state"] != _COMPLETE, -(row[metric] or 0.0)),
    )
    # The best first: whoever finds the table may rely on it.
    if rows and rows[0]["state"] == _COMPLETE:
        values = by_number[rows[0]["trial"]].params
        best = search_space.with_values(config, values)
        with files.whole(folder / BEST_FILE) as out:
            out.write(best.to_yaml())
    with files.whole(folder / TABLE_FILE) as out:
        writer = csv.DictWriter(out, _names(rows), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def format_table(rows: Sequence[Row]) -> str:
    """Formats the rows as an aligned table."""
    names = _names(rows)
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in cells)


def line(trial, task: Any) -> str:
    """Describes a trial in one line."""
    metric = _metric(task)
    row = _row(trial, metric)
    called, _ = task.shown[task.monitored]
    values = ", ".join(
        f"{name}={_cell(value)}" for name, value in trial.params.items()
    )
    return (
        f"trial {row['trial']}: {row['state']} after epoch {row['epochs']}, "
        f"validation {called} {_cell(row[metric])} ({values})"
    )


def _metric(task):
    return task.monitored.removeprefix("val_")


def _row(trial, metric) -> Row:
    found, state = trial.intermediate_values, trial.state.name.lower()
    return {
        "trial": trial.number,
        "state": "unfinished" if state == "running" else state,
        "epochs": max(found, default=0),
        "minutes": trial.duration and trial.duration.total_seconds() / 60.0,
        metric: max(found.values(), default=None),
        **trial.params,
    }


def _names(rows):
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

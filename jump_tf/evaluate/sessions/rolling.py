"""An evaluation day by day, with what only counts kept fresh.

The model is trained once. A baseline is fitted again before each day, on all
clicks before it: those of the earlier splits, and of the split's days so far.
A click has the instant of its session's start and of the dwells since. Where a
dwell is only a lower bound, so is the instant of the clicks after it; they are
judged by that, and teach nothing.

A day is 24 hours, counted back from the split's last click, as the splits are;
what was clicked earlier, in a session that ended in the first day, belongs to
that. The vocabulary is that of training: newer items are unknown to all, and
`num_predictions_all` counts them.
"""

import datetime
import math
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from beam_jobs.options.base import TEMPORAL
from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data import folders
from jump_tf.data.click_log import ClickLog
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.predictions import LoggedClicks
from jump_tf.metrics import ranking

MODEL = "model"
METRICS = ("recall_at_20", "mrr_at_20", "recall_at_20_all", "dwell_mae_seconds")
_DAY_MS = 86_400_000
Refreshed = Callable[[ClickLog, ClickLog, np.ndarray], np.ndarray]


def by_day(
    data: str | pathlib.Path,
    split: str,
    clicks: LoggedClicks,
    measures: Mapping[str, Measures],
    refreshed: Mapping[str, Refreshed],
) -> dict[str, Any]:
    """Metrics of each day, and their means over the days.

    Args:
        data: the data folder.
        split: one that comes after others in time.
        clicks: of the split.
        measures: of the model, and of whatever else is fitted once.
        refreshed: by name, what learns anew before each day: a function of the
            past, of the split's clicks and of the places of those to rank,
            `[A]`, that returns their ranks. It may look at what came before a
            click in its session, not beyond. A model that counts what is
            clicked lately is one of these, too, called `MODEL`.

    Returns:
        `days`: start of the day, UTC -> who -> `METRICS` and how many clicks
        they are over; `mean`: who -> `METRICS`, each day of the same weight;
        `mean_fitted_once`: the same of what is in `measures` as well.

    Raises:
        InputError: see `check`.
    """
    check(data, split)
    before = schema.SPLITS[: schema.SPLITS.index(split)]
    earlier = click_log.joined(click_log.read(data, name) for name in before)
    log = click_log.read(data, split)
    starts = _day_starts(data, split, log)
    day = np.searchsorted(starts[1:], log.time_ms, side="right")
    ranks = {name: np.full(len(log), ranking.MISS) for name in refreshed}
    (asked,) = np.nonzero(clicks.predicted & clicks.known)
    for number, start in enumerate(starts):
        past = earlier
        if number:
            past = click_log.joined([earlier, log.before(start)])
        today = asked[day[asked] == number]
        for name, learn_and_rank in refreshed.items():
            ranks[name][today] = learn_and_rank(past, log, today)
    fresh = {
        name: prediction_table.measures(prediction_table.of(clicks, rank=rank))
        for name, rank in ranks.items()
    }
    parts = [day == number for number in range(len(starts))]
    days = [_of_day({**measures, **fresh}, part) for part in parts]
    once = [_of_day(measures, part) for part in parts]
    return {
        "days": dict(zip(map(_label, starts), days, strict=True)),
        "mean": _mean(days),
        "mean_fitted_once": _mean(once),
    }


def check(data: str | pathlib.Path, split: str) -> None:
    """Refuses a split that does not come after others in time.

    Raises:
        InputError: so it is.
    """
    options = folders.read_manifest(data).get("options", {})
    if options.get("split") != TEMPORAL or split == schema.TRAIN:
        raise schema.InputError(
            "A rolling evaluation must be of the validation or test split of a "
            "data folder that is split by time (`--split temporal`). "
            f"Received: {split} of {data}"
        )


def _day_starts(data, split, log) -> np.ndarray:
    """`[D]` int64, ms UTC."""
    options = folders.read_manifest(data)["options"]
    days = options["test_days"]
    if split == schema.VALIDATION:
        days = options.get("validation_days") or days
    back = np.arange(math.ceil(days), 0, -1)
    return log.time_ms.max(initial=0) - back * _DAY_MS


def _of_day(measures, part) -> dict[str, dict[str, Any]]:
    found = {}
    for who, named in measures.items():
        some = {name: named[name] for name in METRICS if name in named}
        within = {name: some[name].within(part) for name in some}
        found[who] = metrics.means(within)
    return found


def _mean(days) -> dict[str, dict[str, float]]:
    """Over the days that have a number; None where no day has."""
    means: dict[str, dict[str, float]] = {}
    for who in days[0]:
        for name in METRICS:
            values = [day[who][name] for day in days if name in day[who]]
            values = [value for value in values if not math.isnan(value)]
            if values:
                means.setdefault(who, {})[name] = float(np.mean(values))
    return means


def _label(start_ms) -> str:
    start = datetime.datetime.fromtimestamp(start_ms / 1000, datetime.UTC)
    return f"{start:%Y-%m-%d %H:%M}"

"""What can be known of the dwells of a data folder, before any model is.

How much of their variance the session and the item explain; and the error of a
gradient booster beside that of the constant median: of one that knows the past
of the session, as models do, and of one that knows its future too, which is as
far as a model of the past can hope to come.
"""

import pathlib
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines import crossed_effects
from jump_tf.baselines.dwell import log_dwells
from jump_tf.data import folders
from jump_tf.evaluate.sessions import dwell_boosting
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.reporting.files import plain
from jump_tf.reporting.tables import aligned
from jump_tf.reporting.tables import number

CONSTANT = "constant_median"
PAST = "booster_past"
FUTURE = "booster_past_and_future"
_ROWS = {
    CONSTANT: "constant median",
    PAST: "booster that knows the past",
    FUTURE: "booster that knows the future too",
}


def measure(
    data: str | pathlib.Path, split: str = schema.VALIDATION
) -> dict[str, Any]:
    """The floor of the dwell of a data folder of sessions.

    Args:
        data: the data folder.
        split: on which errors are measured.

    Returns:
        `split`, and what `floor_of` finds.

    Raises:
        InputError: there are too few dwells, or the folder lacks something.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    training, clicks = (
        predictions.read_clicks(data, part) for part in (schema.TRAIN, split)
    )
    size = schema.FIRST_ITEM_ID + folders.vocabulary_length(data)
    return {"split": split, **floor_of(training, clicks, size)}


def floor_of(
    training: Clicks, clicks: Clicks, vocabulary_size: int
) -> dict[str, Any]:
    """The floor of the dwells of `clicks`, by what training shows.

    Only dwells count that ended before c1 by a click that followed. Variances
    are of their logs in training, first clicks included. Errors are those of
    `dwell_mae_seconds` at page leave: from the second click of a session on.

    Args:
        training: on which everything is fitted.
        clicks: on which errors are measured.
        vocabulary_size: number of ids V, padding and unknown included.

    Returns:
        `variance`: `num_dwells`, of the log dwell its `log_dwell`, of this the
        shares `session`, `item`, `within`, and `same_item_again`, what two
        dwells of a session on an item have in common, None where they are too
        few. `errors`: `num_dwells`, and of each predictor `mae_seconds` and its
        `share` of the constant's.

    Raises:
        InputError, ModuleNotFoundError: see `measure`.
    """
    return plain(
        {
            "variance": _variance(training),
            "errors": _errors(training, clicks, vocabulary_size),
        }
    )


def describe(floor: dict[str, Any]) -> str:
    """The floor as two tables."""
    variance, errors = floor["variance"], floor["errors"]
    rows = [
        ["", "share"],
        ["of the session", _percent(variance["session"])],
        ["of the item", _percent(variance["item"])],
        ["of neither", _percent(variance["within"])],
        [
            "in common, of a session's dwells on one item",
            _percent(variance["same_item_again"]),
        ],
    ]
    measured = [["", "MAE (s)", "share"]]
    for name, what in _ROWS.items():
        error = errors[name]
        cells = number(error["mae_seconds"]), number(error["share"])
        measured.append([what, *cells])
    return "\n".join(
        [
            f"log dwell: variance {number(variance['log_dwell'])}, of "
            f"{variance['num_dwells']} dwells of training",
            aligned(rows),
            "",
            f"dwell: error at {schema.PAGE_LEAVE}, of {errors['num_dwells']} "
            f"dwells of {floor['split']}",
            aligned(measured),
        ]
    )


def _variance(clicks: Clicks) -> dict[str, Any]:
    ended = clicks.followed
    found = crossed_effects.variances(
        clicks.session[ended],
        clicks.item[ended],
        log_dwells(clicks.dwell_seconds[ended]),
    )
    shares = {
        "session": found.session,
        "item": found.item,
        "within": found.within,
        "same_item_again": found.both,
    }
    return {
        "num_dwells": int(ended.sum()),
        "log_dwell": found.total,
        **{
            name: None if part is None else part / (found.total or np.nan)
            for name, part in shares.items()
        },
    }


def _errors(training: Clicks, clicks: Clicks, size: int) -> dict[str, Any]:
    known = training.followed & training.predicted
    asked = clicks.followed & clicks.predicted
    if not asked.any():
        raise schema.InputError(
            "The split must have dwells after a session's first click, each "
            f"followed by another. Received: none of {len(clicks)} clicks"
        )
    median = np.median(training.dwell_seconds[known])
    predicted = {CONSTANT: np.full(len(clicks), median)}
    for name, tell in (
        (PAST, dwell_boosting.past),
        (FUTURE, dwell_boosting.past_and_future),
    ):
        booster = dwell_boosting.fit(training, tell(training), size)
        predicted[name] = booster.median_seconds(tell(clicks), clicks.item)
    errors = {
        name: np.mean(np.abs(seconds - clicks.dwell_seconds)[asked])
        for name, seconds in predicted.items()
    }
    constant = errors[CONSTANT] or np.nan
    return {
        "num_dwells": int(asked.sum()),
        **{
            name: {"mae_seconds": error, "share": error / constant}
            for name, error in errors.items()
        },
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

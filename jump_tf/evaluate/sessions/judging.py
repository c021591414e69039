"""What a prediction table tells of a predictor, beside the baselines.

The table is all that is needed, so that one of an older evaluation can be
judged again where there is more to be told of it.
"""

import json
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.evaluate.sessions import baselines
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import rolling
from jump_tf.evaluate.sessions import slices
from jump_tf.evaluate.sessions.baselines import Baselines
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import PredictionTable
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.reporting.files import EVALUATION_FOLDER
from jump_tf.reporting.files import plain

TABLE_SUFFIX = ".clicks.npz"


def evaluation_path(
    run_folder: str | pathlib.Path, split: str, moment: str
) -> pathlib.Path:
    """The evaluation file of a run: `evaluation/<split>.<moment>.json`."""
    folder = pathlib.Path(run_folder) / EVALUATION_FOLDER
    return folder / f"{split}.{moment}.json"


def judge(
    table: PredictionTable,
    clicks: Clicks,
    fitted: Baselines,
    data: str | pathlib.Path,
    split: str,
    *,
    by_day: bool = False,
    further: Measures | None = None,
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Numbers, intervals, slices and baselines; NaN for a 0 / 0.

    Args:
        table: of the split's clicks.
        clicks: what the log says of them.
        fitted: the baselines.
        data: the data folder.
        split: of it.
        by_day: whether to judge day by day as well, see `rolling`.
        further: measures that are not in the table.
        replicates: resamples of the sessions, for the intervals.
        seed: of the resamples.
    """
    max_dwell_seconds = folders.read_manifest(data)["max_dwell_seconds"]
    learned = table.dwell_nll is not None
    theirs = baselines.measures(fitted, clicks, max_dwell_seconds)
    constant = theirs[baselines.CONSTANT_MEDIAN]
    mine = _measures(table, constant) | (further or {})
    intervals, compared = baselines.compare(
        mine, theirs, clicks.session, replicates, seed
    )
    markov = theirs[baselines.MARKOV]["recall_at_20"]
    beside = {**mine, "recall_at_20_markov": markov}
    judged = {
        "ties": "conservative",
        "dwell_learned": learned,
        **({} if learned else dict.fromkeys(constant)),
        **metrics.means(mine),
        **metrics.skills(mine, constant, max_dwell_seconds),
        "intervals": intervals,
        "unseen": metrics.unseen(clicks),
        "slices": slices.slices(clicks, fitted.training_counts, beside),
        "baselines": compared,
        "left_out": fitted.left_out,
    }
    if by_day:
        measures = {rolling.MODEL: mine, **theirs}
        fresh = baselines.refreshed(len(fitted.training_counts))
        judged["rolling"] = rolling.by_day(data, split, clicks, measures, fresh)
    return judged


def judge_again(
    run_folder: str | pathlib.Path,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    moment: str = schema.PAGE_LEAVE,
    *,
    by_day: bool = False,
) -> dict[str, Any]:
    """An evaluation anew, out of its prediction table, without the model.

    What only the model's answers tell stays as the evaluation file has it.

    Args:
        run_folder: of a run that was evaluated.
        data: the data folder that it was evaluated on.
        split: the split that was predicted.
        moment: of asking.
        by_day: whether to judge day by day as well, see `rolling`.

    Raises:
        InputError: there is no such evaluation, or the table is of other
            clicks than those of the data folder.
    """
    path = evaluation_path(run_folder, split, moment)
    if not path.is_file():
        raise schema.InputError(
            "The run must be evaluated with its model first. "
            f"Received: {run_folder}, which has no {path.name}"
        )
    if by_day:
        rolling.check(data, split)
    table = prediction_table.read(path.with_suffix(TABLE_SUFFIX))
    clicks = predictions.read_clicks(data, split)
    what = f"A prediction table and {data}"
    prediction_table.check_same(table, clicks, what)
    size = schema.FIRST_ITEM_ID + folders.vocabulary_length(data)
    fitted = baselines.fit(data, size, moment)
    before = json.loads(path.read_text())
    again = plain(judge(table, clicks, fitted, data, split, by_day=by_day))
    intervals = {**before["intervals"], **again["intervals"]}
    return {**before, **again, "intervals": intervals}


def _measures(table, constant) -> Measures:
    mine = prediction_table.measures(table)
    for infix in ("", "_all_clicks"):
        error = constant[f"dwell_mae{infix}_seconds"]
        mine[f"dwell_mae_constant_median{infix}_seconds"] = error
    return mine

"""The evaluation file of a run on sessions: a model beside baselines.

The whole catalogue is ranked, ties lost. `jump_tf.evaluate.sessions.metrics`
defines the numbers, and over which clicks they are.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.evaluate import vocabulary
from jump_tf.evaluate.sessions import baselines
from jump_tf.evaluate.sessions import calibration
from jump_tf.evaluate.sessions import judging
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import rolling
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import PredictionTable
from jump_tf.evaluate.sessions.slices import session_length_masks
from jump_tf.reporting.files import plain
from jump_tf.reporting.files import write_json

LISTS = 10_000  # Lists of 20 that coverage and popularity are of.
EXAMPLE_CLICKS = (4, 8)  # Enough to see, few enough to read.


def evaluate_clicks(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    moment: str = schema.PAGE_LEAVE,
    *,
    by_day: bool = False,
    batch_clicks: int = 8192,
    replicates: int = 500,
    seed: int = 0,
) -> tuple[dict[str, Any], PredictionTable]:
    """The evaluation of a model, and the table that it can be recomputed from.

    What a model says of dwells that it does not learn (`dwell_weight` 0) is
    left out: `dwell_learned` is false then.

    Args:
        model: a built `SessionModel` over the vocabulary of `data`.
        data: the data folder; baselines are fitted on its training split.
        split: the split to predict.
        moment: `page_leave` or `page_load`, see `evaluation_batches`.
        by_day: whether to judge day by day as well, see `rolling`.
        batch_clicks: steps of a batch.
        replicates: resamples of the sessions, for the intervals.
        seed: of the resamples.

    Returns:
        Plain numbers, None for a 0 / 0; and the table.

    Raises:
        InputError: the data folder lacks something, or has another vocabulary.
    """
    upper = _check(model, data, moment)
    if by_day:
        rolling.check(data, split)
    clicks, answers = _answers(
        model, data, split, moment, batch_clicks, lists=LISTS
    )
    learned = bool(model.config.dwell_weight)
    table = prediction_table.of(
        clicks,
        rank=answers.rank,
        rank_standard=answers.rank_standard,
        dwell=answers.dwell if learned else None,
        max_dwell_seconds=upper,
    )
    fitted = baselines.fit(data, model.vocabulary_size, moment)
    further: Measures = {}
    if answers.session_end_logits is not None:
        further = metrics.session_end_measures(
            clicks, answers.session_end_logits, fitted.end_rate
        )
    result = {
        "split": split,
        "moment": moment,
        **judging.judge(
            table,
            clicks,
            fitted,
            data,
            split,
            by_day=by_day,
            further=further,
            replicates=replicates,
            seed=seed,
        ),
        **metrics.recommended(answers.listed, fitted.training_counts),
        "attention": attention_examples(model, data, split),
    }
    if learned:
        result |= metrics.dwell_details(
            clicks, answers.dwell, upper, session_length_masks(clicks)
        )
    return plain(result), table


class Validation:
    """The quick metrics of a model in training, asked for after each epoch.

    Before, the model's probabilities are calibrated on the same split.

    The answers to the last call are kept for whoever draws them.

    Args:
        model: a built `SessionModel`, as it is when called.
        data: the data folder, whose validation split is predicted.
    """

    def __init__(self, model: Any, data: pathlib.Path):
        self.model = model
        self.data = data
        self.clicks: Any = None
        self.answers: Any = None

    def __call__(self) -> dict[str, float]:
        calibration.fit(self.model, self.data)
        self.clicks, self.answers = _answers(self.model, self.data)
        upper = folders.read_manifest(self.data)["max_dwell_seconds"]
        return _quick_means(self.clicks, self.answers, upper)


def _answers(
    model,
    data,
    split=schema.VALIDATION,
    moment=schema.PAGE_LEAVE,
    batch_clicks=8192,
    lists=0,
):
    """All clicks of a split and what the model says of them."""
    size = folders.read_manifest(data)["splits"][split]
    to_predict = max(size["clicks"] - size["sessions"], 1)
    batches = session_batches.evaluation_batches(
        data,
        split,
        moment=moment,
        batch_clicks=batch_clicks,
        step_seconds=model.step_seconds,
    )
    clicks, answers = predictions.predictor(model)(
        batches, min(lists / to_predict, 1.0)
    )
    folders.check_complete(data, split, len(clicks))
    return clicks, answers


def _quick_means(
    clicks, answers, max_dwell_seconds=schema.MAX_DWELL_SECONDS
) -> dict[str, float]:
    measures = {
        **metrics.click_measures(clicks, answers.rank),
        **metrics.quick_dwell_measures(
            clicks, answers.dwell, max_dwell_seconds
        ),
    }
    return {
        name: measures[name].mean()
        for name in measures
        if name in metrics.AT_20 or name.startswith("dwell")
    }


def write_evaluation(
    run_folder: str | pathlib.Path,
    result: dict[str, Any],
    table: PredictionTable | None = None,
) -> pathlib.Path:
    """Writes the evaluation file of a run; returns its path.

    The table, if given, goes beside it: `<split>.<moment>.clicks.npz`.
    """
    path = judging.evaluation_path(
        run_folder, result["split"], result["moment"]
    )
    if table is not None:
        prediction_table.write(path.with_suffix(judging.TABLE_SUFFIX), table)
    return write_json(path, result)


def evaluate_moments(
    model: Any | None,
    data: str | pathlib.Path,
    run_folder: str | pathlib.Path,
    split: str = schema.TEST,
    moments: Sequence[str] = schema.MOMENTS,
    *,
    by_day: bool = False,
) -> tuple[list[dict[str, Any]], list[pathlib.Path]]:
    """Evaluates a run at some moments of asking, and writes what is found.

    See `evaluate_clicks` for the arguments; without a model, the prediction
    tables of the run are judged again.

    Returns:
        What each moment's file holds, and the paths.
    """
    results, paths = [], []
    for moment in moments:
        table = None
        if model is None:
            result = judging.judge_again(
                run_folder, data, split, moment, by_day=by_day
            )
        else:
            result, table = evaluate_clicks(
                model, data, split, moment, by_day=by_day
            )
        paths.append(write_evaluation(run_folder, result, table))
        results.append(result)
    return results, paths


def _check(model, data, moment):
    """c1 of the data folder."""
    if moment not in schema.MOMENTS:
        raise schema.InputError(
            f"`moment` must be one of {schema.MOMENTS}. Received: {moment}"
        )
    manifest = folders.read_manifest(data)
    vocabulary.check(model, data, manifest["num_items"])
    return manifest["max_dwell_seconds"]


def attention_examples(
    model: Any, data: str | pathlib.Path, split: str, count: int = 3
) -> list[dict[str, Any]]:
    """Which clicks a few sessions' summaries look at; none without attention.

    Returns:
        For each session raw `items` and `dwell_seconds` of T clicks, and
        `weights`, T rows of T: row k is over the clicks up to k.
    """
    one = tf.ones([1, 1], tf.int32)
    if model.attention_weights(one, tf.ones([1, 1]), one > 0) is None:
        return []  # Without a look into the files.
    names = folders.read_vocabulary(pathlib.Path(data) / schema.VOCABULARY_FILE)
    for inputs, _, _ in session_batches.evaluation_batches(data, split):
        lengths = tf.math.count_nonzero(inputs[schema.ITEMS], 1).numpy()
        some = (lengths >= EXAMPLE_CLICKS[0]) & (lengths <= EXAMPLE_CLICKS[1])
        if not some.any():
            continue
        rows = np.flatnonzero(some)[:count]
        items, seconds = (
            tf.gather(inputs[name], rows)[:, : EXAMPLE_CLICKS[1]]
            for name in (schema.ITEMS, schema.DWELL_SECONDS)
        )
        real = items != schema.PAD_ID
        weights = model.attention_weights(items, seconds, real).numpy()
        return [
            {
                "items": [_raw(names, item) for item in items[row, :size]],
                "dwell_seconds": seconds[row, :size].numpy().tolist(),
                "weights": weights[row, :size, :size].tolist(),
            }
            for row, size in enumerate(lengths[rows])
        ]
    return []


def _raw(names, item) -> str:
    number = int(item) - schema.FIRST_ITEM_ID
    return names[number] if number >= 0 else "unknown"

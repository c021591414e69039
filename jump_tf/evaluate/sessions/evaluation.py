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
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import slices
from jump_tf.evaluate.sessions import temperature
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import PredictionTable
from jump_tf.reporting.files import EVALUATION_FOLDER
from jump_tf.reporting.files import plain
from jump_tf.reporting.files import write_json

TABLE_SUFFIX = ".clicks.npz"
LISTS = 10_000  # Lists of 20 that coverage and popularity are of.
EXAMPLE_CLICKS = (4, 8)  # Enough to see, few enough to read.


def evaluate_clicks(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    moment: str = schema.PAGE_LEAVE,
    *,
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
        batch_clicks: steps of a batch.
        replicates: resamples of the sessions, for the intervals.
        seed: of the resamples.

    Returns:
        Plain numbers, None for a 0 / 0; and the table.

    Raises:
        InputError: the data folder lacks something, or has another vocabulary.
    """
    upper = _check(model, data, moment)
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
    theirs = baselines.measures(fitted, clicks, upper)
    constant = theirs[baselines.CONSTANT_MEDIAN]
    mine = _measures(clicks, answers, table, fitted, theirs)
    intervals, compared = baselines.compare(
        mine, theirs, clicks.session, replicates, seed
    )
    result = {
        "split": split,
        "moment": moment,
        "ties": "conservative",
        "dwell_learned": learned,
        **({} if learned else dict.fromkeys(constant)),
        **metrics.means(mine),
        **metrics.recommended(answers.listed, fitted.training_counts),
        **metrics.skills(mine, constant, upper),
    }
    if learned:
        result |= metrics.dwell_details(clicks, answers.dwell, upper)
    result |= {
        "intervals": intervals,
        "unseen": metrics.unseen(clicks),
        "slices": _slices(clicks, fitted, mine, theirs),
        "baselines": compared,
        "left_out": fitted.left_out,
        "attention": attention_examples(model, data, split),
    }
    return plain(result), table


class Validation:
    """The quick metrics of a model in training, asked for after each epoch.

    Before, the model's temperature is fitted on the same split.

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
        temperature.fit(self.model, self.data)
        self.clicks, self.answers = _answers(self.model, self.data)
        return _quick_means(self.clicks, self.answers)


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


def _quick_means(clicks, answers) -> dict[str, float]:
    measures = {
        **metrics.click_measures(clicks, answers.rank),
        **metrics.quick_dwell_measures(clicks, answers.dwell),
    }
    return {
        name: measure.mean()
        for name, measure in measures.items()
        if not name.endswith("_all")
    }


def write_evaluation(
    run_folder: str | pathlib.Path,
    result: dict[str, Any],
    table: PredictionTable | None = None,
) -> pathlib.Path:
    """Writes `evaluation/<split>.<moment>.json` of a run; returns its path.

    The table, if given, goes beside it: `<split>.<moment>.clicks.npz`.
    """
    folder = pathlib.Path(run_folder) / EVALUATION_FOLDER
    path = folder / f"{result['split']}.{result['moment']}.json"
    if table is not None:
        prediction_table.write(path.with_suffix(TABLE_SUFFIX), table)
    return write_json(path, result)


def evaluate_moments(
    model: Any,
    data: str | pathlib.Path,
    run_folder: str | pathlib.Path,
    split: str = schema.TEST,
    moments: Sequence[str] = schema.MOMENTS,
) -> tuple[list[dict[str, Any]], list[pathlib.Path]]:
    """Evaluates a run at some moments of asking, and writes what is found.

    See `evaluate_clicks` for the arguments.

    Returns:
        What each moment's file holds, and the paths.
    """
    results, paths = [], []
    for moment in moments:
        result, table = evaluate_clicks(model, data, split, moment)
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


def _measures(clicks, answers, table, fitted, theirs) -> Measures:
    mine = prediction_table.measures(table)
    for infix in ("", "_all_clicks"):
        error = theirs[baselines.CONSTANT_MEDIAN][f"dwell_mae{infix}_seconds"]
        mine[f"dwell_mae_constant_median{infix}_seconds"] = error
    if answers.session_end_logits is not None:
        mine |= metrics.session_end_measures(
            clicks, answers.session_end_logits, fitted.end_rate
        )
    return mine


def _slices(clicks, fitted, mine, theirs):
    markov = theirs[baselines.MARKOV]["recall_at_20"]
    beside = {**mine, "recall_at_20_markov": markov}
    return slices.slices(clicks, fitted.training_counts, beside)


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

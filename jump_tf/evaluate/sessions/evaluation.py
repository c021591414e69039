"""The evaluation file of a run: a model beside what counting alone predicts.

The whole catalogue is ranked, ties lost. What is averaged over which clicks
says `jump_tf.evaluate.sessions.metrics`.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

from jump_tf import schema
from jump_tf.data import input_pipeline
from jump_tf.evaluate.sessions import attention_examples
from jump_tf.evaluate.sessions import baselines
from jump_tf.evaluate.sessions import dwell_details
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import slices
from jump_tf.evaluate.sessions.metrics import Measures
from jump_tf.evaluate.sessions.prediction_table import ClickTable
from jump_tf.reporting import files as evaluation_files
from jump_tf.reporting.files import EVALUATION_FOLDER
from jump_tf.reporting.files import plain

CLICKS_SUFFIX = ".clicks.npz"
LISTS = 10_000  # Lists of 20 that coverage and popularity are of.


def evaluate(*arguments: Any, **options: Any) -> dict[str, Any]:
    """The content of the evaluation file alone, see `evaluate_clicks`."""
    return evaluate_clicks(*arguments, **options)[0]


def evaluate_clicks(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    moment: str = schema.PAGE_LEAVE,
    *,
    batch_clicks: int = 8192,
    replicates: int = 500,
    seed: int = 0,
) -> tuple[dict[str, Any], ClickTable]:
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
        law=answers.law if learned else None,
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
        result |= dwell_details.dwell_details(clicks, answers.law, upper)
    result |= {
        "intervals": intervals,
        "unseen": metrics.unseen(clicks),
        "slices": _slices(clicks, fitted, mine, theirs),
        "baselines": compared,
        "attention": attention_examples.attention_examples(model, data, split),
    }
    return plain(result), table


def quick_metrics(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.VALIDATION,
    moment: str = schema.PAGE_LEAVE,
    *,
    batch_clicks: int = 8192,
) -> dict[str, float]:
    """The numbers to watch while training, NaN for a 0 / 0.

    See `evaluate` for the arguments. The model is traced once, not each epoch.
    """
    clicks, answers = _answers(model, data, split, moment, batch_clicks)
    return _quick_means(clicks, answers)


class Validation:
    """The quick metrics of a model in training, asked for after each epoch.

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
    size = input_pipeline.read_manifest(data)["splits"][split]
    to_predict = max(size["clicks"] - size["sessions"], 1)
    batches = input_pipeline.evaluation_batches(
        data,
        split,
        moment=moment,
        batch_clicks=batch_clicks,
        step_seconds=model.step_seconds,
    )
    clicks, answers = predictions.predictor(model)(
        batches, min(lists / to_predict, 1.0)
    )
    input_pipeline.check_complete(data, split, len(clicks))
    return clicks, answers


def _quick_means(clicks, answers) -> dict[str, float]:
    measures = {
        **metrics.click_measures(clicks, answers.rank),
        **metrics.quick_dwell_measures(clicks, answers.law),
    }
    return {
        name: measure.mean()
        for name, measure in measures.items()
        if not name.endswith("_all")
    }


def write_evaluation(
    run_folder: str | pathlib.Path,
    result: dict[str, Any],
    table: ClickTable | None = None,
) -> pathlib.Path:
    """Writes `evaluation/<split>.<moment>.json` of a run; returns its path.

    The table, if given, goes beside it: `<split>.<moment>.clicks.npz`.
    """
    name = f"{result['split']}.{result['moment']}.json"
    if table is not None:
        folder = pathlib.Path(run_folder) / EVALUATION_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        beside = (folder / name).with_suffix(CLICKS_SUFFIX)
        prediction_table.write(beside, table)
    return evaluation_files.write(run_folder, name, result)


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
    manifest = input_pipeline.read_manifest(data)
    size = schema.FIRST_ITEM_ID + manifest["num_items"]
    if model.vocabulary_size < size:  # A warm start may keep items beyond.
        raise schema.InputError(
            "The model must be trained on the vocabulary of the data folder. "
            f"Received: {data} with {size} ids, a model with "
            f"{model.vocabulary_size}"
        )
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

"""The evaluation file of a run: a model beside what counting alone predicts.

The whole catalogue is ranked, ties lost. What is averaged over which clicks
says `jump_tf.scorecard`.
"""

import json
import math
import pathlib
from typing import Any

import numpy as np

from jump_tf import baselines
from jump_tf import input_pipeline
from jump_tf import predictions
from jump_tf import schema
from jump_tf import scorecard
from jump_tf.scorecard import Measures

EVALUATION_FOLDER = "evaluation"
HIGHER_IS_BETTER = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
)
COMPARED = (
    *HIGHER_IS_BETTER,
    "dwell_mae_seconds",
    "dwell_nll",
    "dwell_crps_seconds",
    "dwell_mae_all_clicks_seconds",
    "dwell_nll_all_clicks",
    "dwell_crps_all_clicks_seconds",
)


def evaluate(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    moment: str = schema.PAGE_LEAVE,
    *,
    batch_clicks: int = 8192,
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """The content of the evaluation file: plain numbers, None for a 0 / 0.

    Args:
        model: a built `SessionModel` over the vocabulary of `data`.
        data: the data folder; baselines are fitted on its training split.
        split: the split to predict.
        moment: `page_leave` or `page_load`, see `evaluation_batches`.
        batch_clicks: steps of a batch.
        replicates: resamples of the sessions, for the intervals.
        seed: of the resamples.

    Raises:
        InputError: the data folder lacks something, or has another vocabulary.
    """
    upper = _check(model, data, moment)
    clicks, answers = _answers(model, data, split, moment, batch_clicks)
    fitted = baselines.fit(data, model.vocabulary_size)
    theirs = baselines.measures(fitted, clicks, upper)
    mine = _measures(clicks, answers, fitted, theirs, upper)
    intervals, compared = baselines.compare(
        mine, theirs, clicks.session, replicates, seed
    )
    return plain(
        {
            "split": split,
            "moment": moment,
            "ties": "conservative",
            **scorecard.means(mine),
            **scorecard.dwell_details(clicks, answers.law, upper),
            "intervals": intervals,
            "unseen": scorecard.unseen(clicks),
            "slices": _slices(clicks, fitted, mine, theirs),
            "baselines": compared,
            "attention": predictions.attention_examples(model, data, split),
        }
    )


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
):
    """All clicks of a split and what the model says of them."""
    batches = input_pipeline.evaluation_batches(
        data,
        split,
        moment=moment,
        batch_clicks=batch_clicks,
        step_seconds=model.step_seconds,
    )
    clicks, answers = predictions.predictor(model)(batches)
    input_pipeline.check_complete(data, split, len(clicks))
    return clicks, answers


def _quick_means(clicks, answers) -> dict[str, float]:
    measures = {
        **scorecard.click_measures(clicks, answers.rank),
        **scorecard.quick_dwell_measures(clicks, answers.law),
    }
    return {
        name: measure.mean()
        for name, measure in measures.items()
        if not name.endswith("_all")
    }


def losses_to_baselines(result: dict[str, Any]) -> list[str]:
    """One sentence for each baseline that is better in some number."""
    sentences = []
    for name, theirs in result["baselines"].items():
        lost = [
            f"{metric} ({_number(result[metric])} against "
            f"{_number(theirs[metric])}{_noise(theirs, metric)})"
            for metric in COMPARED
            if theirs.get(metric) is not None
            and _is_lost(metric, result[metric], theirs[metric])
        ]
        if lost:
            sentences.append(f"The model loses to {name} in {', '.join(lost)}.")
    return sentences


def table_rows(result: dict[str, Any]) -> list[list[str]]:
    """The model, its 95 % interval and the baselines; the header first."""
    names = list(result["baselines"])
    rows = [["", "model", "95 % interval", *names]]
    for metric in COMPARED:
        low, high = result["intervals"].get(metric, (None, None))
        numbers = [result["baselines"][name].get(metric) for name in names]
        rows.append(
            [
                metric,
                _number(result.get(metric)),
                f"{_number(low)} to {_number(high)}",
                *(_number(number) for number in numbers),
            ]
        )
    return rows


def format_table(result: dict[str, Any]) -> str:
    """The evaluation as text, with a sentence for what is lost to whom."""
    rows = table_rows(result)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    ]
    title = (
        f"{result['split']}, {result['moment']}: "
        f"{result['num_predictions']} clicks ranked, "
        f"{result['num_dwells']} dwells, ties lost"
    )
    verdict = losses_to_baselines(result) or ["No baseline beats the model."]
    return "\n".join([title, "", *lines, "", *verdict])


def write_evaluation(
    run_folder: str | pathlib.Path, result: dict[str, Any]
) -> pathlib.Path:
    """Writes `evaluation/<split>.<moment>.json` of a run; returns its path."""
    folder = pathlib.Path(run_folder) / EVALUATION_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['split']}.{result['moment']}.json"
    beside = path.with_suffix(".json.partial")
    beside.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    return beside.replace(path)


def plain(value: Any) -> Any:
    """The same in JSON's types; None for what is not a number."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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


def _measures(clicks, answers, fitted, theirs, upper) -> Measures:
    law = answers.law
    mine = {
        **scorecard.click_measures(clicks, answers.rank),
        **scorecard.dwell_measures(clicks, law, upper),
        **scorecard.dwell_measures(clicks, law, upper, first_too=True),
    }
    for infix in ("", "_all_clicks"):
        error = theirs[baselines.CONSTANT_MEDIAN][f"dwell_mae{infix}_seconds"]
        mine[f"dwell_mae_constant_median{infix}_seconds"] = error
    if answers.session_end_logits is not None:
        mine |= scorecard.session_end_measures(
            clicks, answers.session_end_logits, fitted.end_rate
        )
    return mine


def _slices(clicks, fitted, mine, theirs):
    markov = theirs[baselines.MARKOV]["recall_at_20"]
    beside = {**mine, "recall_at_20_markov": markov}
    return scorecard.slices(clicks, fitted.training_counts, beside)


def _is_lost(metric, mine, theirs) -> bool:
    if mine is None:
        return True  # Against a number, what is none has lost.
    return mine < theirs if metric in HIGHER_IS_BETTER else mine > theirs


def _noise(theirs, metric) -> str:
    low, high = theirs["differences"][metric]
    noise = low is not None and low <= 0.0 <= high
    return ", within the noise" if noise else ""


def _number(value) -> str:
    return "-" if value is None else f"{value:.4f}"

"""The evaluation file of a run on lists: a model beside baselines.

At the top are the numbers of the model that knows the feedback on all earlier
items of a list; under `free` those of the same model that knows none.
`jump_tf.evaluate.lists.metrics` defines the numbers,
`jump_tf.evaluate.lists.baselines` what they are compared with.
"""

import pathlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import list_batches
from jump_tf.evaluate import vocabulary
from jump_tf.evaluate.comparison import Judged
from jump_tf.evaluate.lists import baselines
from jump_tf.evaluate.lists import metrics
from jump_tf.evaluate.lists import prediction_table
from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists import slices
from jump_tf.evaluate.lists.baselines import Baselines
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.metrics import bootstrap
from jump_tf.metrics import lists as list_measures
from jump_tf.reporting import files

BATCH_ITEMS = 16_384
CROSS_ENTROPY = "cross_entropy"


def evaluate_items(
    model: Any,
    data: str | pathlib.Path,
    split: str = schema.TEST,
    *,
    feedback: Sequence[str] = predictions.FEEDBACKS,
    batch_items: int = BATCH_ITEMS,
    replicates: int = 500,
    seed: int = 0,
) -> tuple[dict[str, Any], Shown, dict[str, Answers]]:
    """The content of `evaluation/<split>.json`, and what it is made of.

    Args:
        model: a built `ListModel` over the vocabulary of `data`.
        data: the data folder; baselines are fitted on its training split.
        split: the split to predict.
        feedback: what is known of the clicks on earlier items, any of
            "known" and "free"; the numbers of the first are at the top.
        batch_items: places of a batch.
        replicates: resamples of the lists, for the intervals.
        seed: of the resamples.

    Returns:
        Plain numbers, None for a 0 / 0; the items, and what the model said of
        them, by what was known of the feedback.

    Raises:
        InputError: the data folder lacks something, has another vocabulary, or
            holds no lists.
    """
    manifest = list_batches.read_manifest(data)
    vocabulary.check(model, data, manifest["num_features"])

    def read(of):
        if not manifest["splits"][of]["lists"]:
            return []
        return batches(model, data, of, batch_items)

    fitted = baselines.fit(
        read(schema.TRAIN),
        read(schema.VALIDATION),
        schema.FIRST_ITEM_ID + manifest["num_features"],
        manifest["fields"],
    )
    shown, answers = predictions.predictor(model)(
        read(split), feedback, len(manifest["fields"])
    )
    folders.check_complete(data, split, shown.num_lists, schema.LISTS)
    cut = manifest["splits"][split]["items"] - len(shown)
    result = {
        "split": split,
        "num_items_cut": cut,
        **evaluate_answers(model, shown, answers, fitted, replicates, seed),
    }
    return result, shown, answers


def evaluate_answers(
    model: Any,
    shown: Shown,
    answers: Mapping[str, Answers],
    fitted: Baselines,
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Evaluates answers; the numbers of the first mode are at the top.

    Args:
        model: who answered.
        shown: the items.
        answers: by what was known of the feedback.
        fitted: the baselines.
        replicates: resamples of the lists, for the intervals.
        seed: of the resamples.
    """
    first, *others = answers
    sampling = replicates, seed
    theirs = {
        name: judge(shown, said, *sampling, metrics.HEADLINES)
        for name, said in fitted(shown).items()
    }
    judged = {
        mode: judge(shown, said, *sampling) for mode, said in answers.items()
    }

    def numbers(mode, beside):
        # Who does not know the feedback is not compared with who does.
        others = {
            name: baseline
            for name, baseline in theirs.items()
            if mode == predictions.KNOWN or name != baselines.SINCE_CLICK
        }
        return _mode(
            shown, answers[mode], judged[mode], others | beside, *sampling
        )

    result = {
        "kind": schema.LISTS,
        "ties": "expected",
        "feedback": first,
        "label_leak": bool(getattr(model.config, "label_leak", False)),
        "objective": getattr(model.config, "objective", CROSS_ENTROPY),
        **_sizes(shown),
        **numbers(first, {}),
        "baselines": {
            name: {**baseline.numbers, "intervals": baseline.intervals}
            for name, baseline in theirs.items()
        },
        "best_field": dict(fitted.best),
    }
    for name, differences in result.pop("differences").items():
        result["baselines"][name]["differences"] = differences
    for mode in others:
        result[mode] = numbers(mode, {first: judged[first]})
    return files.plain(result)


def judge(
    shown: Shown,
    answers: Answers,
    replicates: int,
    seed: int,
    resampled: Sequence[str] | None = None,
) -> Judged:
    """Judges the answers of one predictor.

    One at a time, since sums over lists of all metrics of all baselines would
    not fit into memory; equal seeds draw the same lists.

    Args:
        shown: the items.
        answers: to them.
        replicates: draws of lists with replacement.
        seed: of the draws.
        resampled: metrics that intervals are of, without the target's name;
            all if None.
    """
    scores, counts = metrics.scores(shown, answers)
    drawn = {
        name: score
        for name, score in scores.items()
        if resampled is None or name.partition("_")[2] in resampled
    }
    return Judged(
        {name: score.value() for name, score in scores.items()} | counts,
        bootstrap.resampled(drawn, replicates, seed),
    )


class Validation:
    """The quick metrics of a model in training, asked for after each epoch.

    All feedback on earlier items is known. The answers to the last call are
    kept for whoever draws them.

    Args:
        model: a built `ListModel`, as it is when called.
        data: the data folder, whose validation split is predicted.
    """

    def __init__(self, model: Any, data: pathlib.Path):
        self.model = model
        self.data = data
        self.shown: Any = None
        self.answers: Any = None

    def __call__(self) -> dict[str, float]:
        self.shown, answers = predictions.predictor(self.model)(
            batches(self.model, self.data, schema.VALIDATION)
        )
        folders.check_complete(
            self.data, schema.VALIDATION, self.shown.num_lists, schema.LISTS
        )
        self.answers = answers[predictions.KNOWN]
        return metrics.quick_scores(self.shown, self.answers)


def evaluate_run(
    run: pathlib.Path, model: Any, data: pathlib.Path, split: str = schema.TEST
) -> dict[str, Any]:
    """Evaluates a run's model: writes the evaluation file, then the table.

    Returns:
        The content of the evaluation file.

    Raises:
        InputError: as of `evaluate_items`.
    """
    result, shown, answers = evaluate_items(model, data, split)
    write_evaluation(run, result)
    prediction_table.write(run, split, shown, answers)
    return result


def write_evaluation(
    run_folder: str | pathlib.Path, result: Mapping[str, Any]
) -> pathlib.Path:
    """Writes `evaluation/<split>.json` of a run; returns its path."""
    folder = pathlib.Path(run_folder) / files.EVALUATION_FOLDER
    return files.write_json(folder / f"{result['split']}.json", result)


def batches(
    model: Any,
    data: str | pathlib.Path,
    split: str,
    batch_items: int = BATCH_ITEMS,
) -> Any:
    """The batches of a split as the model takes them."""
    return list_batches.evaluation_batches(
        data,
        split,
        max_list_length=model.config.max_list_length,
        batch_items=batch_items,
    )


def _mode(shown, answers, judged, others, replicates, seed) -> dict[str, Any]:
    """All about a model with what it knows of the feedback."""
    return {
        **judged.numbers,
        "intervals": judged.intervals,
        "calibration": {
            name: _calibration(
                predictions.target(shown, answers, name), replicates, seed
            )
            for name in predictions.TARGETS
        },
        "by_position": slices.by_position(shown, answers),
        "slices": slices.slices(shown, answers),
        "differences": {
            name: judged.differences(other) for name, other in others.items()
        },
    }


def _calibration(target, replicates, seed) -> dict[str, Any]:
    bins = list_measures.calibration(*metrics.plain(target))
    drawn = bootstrap.resampled(
        dict(enumerate(bins.observed)), replicates, seed
    )
    return {
        "predicted": bins.predicted,
        "observed": [share.value() for share in bins.observed],
        "intervals": [bootstrap.interval(drawn[index]) for index in drawn],
        "num_items": bins.num_items,
    }


def _sizes(shown: Shown) -> dict[str, int]:
    return {
        "num_lists": shown.num_lists,
        "num_items": len(shown),
        "num_clicks": int(np.sum(shown.clicked)),
        "num_conversions": int(np.sum(shown.converted)),
    }

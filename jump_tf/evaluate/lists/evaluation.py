"""The evaluation file of a run on lists: a model beside what counting predicts.

At the top are the numbers of the model that knows the feedback on all earlier
items of a list; under `free` those of the same model that knows none.
`jump_tf.evaluate.lists.metrics` defines the numbers,
`jump_tf.evaluate.lists.baselines` what they are compared with.
"""

import pathlib
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import list_batches
from jump_tf.evaluate.lists import baselines
from jump_tf.evaluate.lists import columns
from jump_tf.evaluate.lists import metrics as list_metrics
from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists import slices
from jump_tf.evaluate.lists.baselines import Bars
from jump_tf.evaluate.lists.columns import Answers
from jump_tf.evaluate.lists.columns import Shown
from jump_tf.metrics import lists as list_measures
from jump_tf.metrics import per_list
from jump_tf.metrics.ranking import interval
from jump_tf.reporting import files as evaluation_files

BATCH_ITEMS = 16_384
CROSS_ENTROPY = "cross_entropy"


def evaluate(*arguments: Any, **options: Any) -> dict[str, Any]:
    """The content of the evaluation file alone, see `evaluate_items`."""
    return evaluate_items(*arguments, **options)[0]


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
        data: the data folder; bars are fitted on its training split.
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
    manifest = _check(model, data)

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
        **_judge(model, shown, answers, fitted, replicates, seed),
    }
    return result, shown, answers


def evaluate_batches(
    model: Any,
    batches: Iterable,
    fitted: Bars,
    *,
    num_fields: int,
    feedback: Sequence[str] = predictions.FEEDBACKS,
    replicates: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """As `evaluate_items`, of batches that are at hand.

    Args:
        model: what is called as a `ListModel`.
        batches: of `(inputs, targets, weights)`.
        fitted: bars.
        num_fields: of an item, 0 for bags of features.
        feedback: see `evaluate_items`.
        replicates: see `evaluate_items`.
        seed: see `evaluate_items`.
    """
    shown, answers = predictions.predictor(model)(batches, feedback, num_fields)
    return _judge(model, shown, answers, fitted, replicates, seed)


def _judge(model, shown, answers, fitted, replicates, seed) -> dict[str, Any]:
    """All there is to say of answers, those of the first mode at the top."""
    first, *others = answers
    theirs = {
        name: Judged(shown, said, list_metrics.HEADLINES, replicates, seed)
        for name, said in fitted(shown).items()
    }
    judged = {
        one: Judged(shown, said, None, replicates, seed)
        for one, said in answers.items()
    }
    # Who does not know the feedback is not compared with who does.
    blind = {n: bar for n, bar in theirs.items() if n != baselines.SINCE_CLICK}
    result = {
        "kind": schema.LISTS,
        "ties": "expected",
        "feedback": first,
        "label_leak": bool(getattr(model.config, "label_leak", False)),
        "objective": getattr(model.config, "objective", CROSS_ENTROPY),
        **_sizes(shown),
        **_mode(judged[first], theirs if first == predictions.KNOWN else blind),
        "baselines": {
            name: {**bar.numbers, "intervals": bar.intervals}
            for name, bar in theirs.items()
        },
        "best_field": dict(fitted.best),
    }
    for name, numbers in result.pop("differences").items():
        result["baselines"][name]["differences"] = numbers
    for one in others:
        beside = theirs if one == predictions.KNOWN else blind
        result[one] = _mode(judged[one], {**beside, first: judged[first]})
    return evaluation_files.plain(result)


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
            self.data,
            schema.VALIDATION,
            self.shown.num_lists,
            schema.LISTS,
        )
        self.answers = answers[predictions.KNOWN]
        return list_metrics.quick_scores(self.shown, self.answers)


def write_evaluation(
    run_folder: str | pathlib.Path, result: dict[str, Any]
) -> pathlib.Path:
    """Writes `evaluation/<split>.json` of a run; returns its path."""
    return evaluation_files.write(run_folder, f"{result['split']}.json", result)


class Judged:
    """What a predictor scores, and its scores in resamples of the lists.

    Args:
        shown: the items.
        answers: to them.
        resampled: names of the metrics that intervals are of; all if None.
        replicates: how many resamples.
        seed: the same for all who are compared.
    """

    def __init__(
        self,
        shown: Shown,
        answers: Answers,
        resampled: Sequence[str] | None,
        replicates: int,
        seed: int,
    ):
        self.shown, self.answers = shown, answers
        self.replicates, self.seed = replicates, seed
        scores, counts = list_metrics.scores(shown, answers)
        self.numbers = {n: score.value() for n, score in scores.items()}
        self.numbers |= counts
        self.draws = per_list.resampled(
            {
                name: score
                for name, score in scores.items()
                if resampled is None or name.partition("_")[2] in resampled
            },
            replicates,
            seed,
        )
        self.intervals = {n: interval(drawn) for n, drawn in self.draws.items()}

    def differences(self, other: "Judged") -> dict[str, list[float]]:
        """Intervals of this one's metrics less the other's."""
        return {
            name: interval(drawn - other.draws[name])
            for name, drawn in self.draws.items()
            if name in other.draws
        }


def _mode(judged: Judged, others: dict[str, Judged]) -> dict[str, Any]:
    """All about a model with what it knows of the feedback."""
    shown, answers = judged.shown, judged.answers
    return {
        **judged.numbers,
        "intervals": judged.intervals,
        "calibration": {
            name: _calibration(judged, name) for name in columns.TARGETS
        },
        "by_position": slices.by_position(shown, answers),
        "slices": slices.slices(shown, answers),
        "differences": {
            name: judged.differences(other) for name, other in others.items()
        },
    }


def _calibration(judged: Judged, name: str) -> dict[str, Any]:
    target = columns.target(judged.shown, judged.answers, name)
    bins = list_measures.calibration(*list_metrics.plain(target))
    drawn = per_list.resampled(
        dict(enumerate(bins.observed)), judged.replicates, judged.seed
    )
    return {
        "predicted": bins.predicted,
        "observed": [share.value() for share in bins.observed],
        "intervals": [interval(drawn[index]) for index in drawn],
        "num_items": bins.num_items,
    }


def _sizes(shown: Shown) -> dict[str, int]:
    return {
        "num_lists": shown.num_lists,
        "num_items": len(shown),
        "num_clicks": int(np.sum(shown.clicked)),
        "num_conversions": int(np.sum(shown.converted)),
    }


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


def _check(model, data) -> dict[str, Any]:
    """The manifest of a data folder that the model can be asked about."""
    manifest = list_batches.read_manifest(data)
    size = schema.FIRST_ITEM_ID + manifest["num_features"]
    if model.vocabulary_size < size:
        raise schema.InputError(
            "The model must be trained on the vocabulary of the data folder. "
            f"Received: {data} with {size} ids, a model with "
            f"{model.vocabulary_size}"
        )
    return manifest

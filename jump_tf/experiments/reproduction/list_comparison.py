"""HEROES beside its ablations and other models, on the same lists.

What `reproduction.experiment` and `reproduction.page` are for sessions: how a
run is measured, what `results.json` holds, and the page that shows it.
"""

import html
import json
import math
import pathlib
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.evaluate import comparison
from jump_tf.evaluate.lists import baselines as list_baselines
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import prediction_table as list_prediction_table
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.reporting import files as evaluation_files
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.tables import is_lost
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory

METRICS = (
    "ctr_auc",
    "ctr_log_loss",
    "ctr_ndcg_at_10",
    "cvr_auc",
    "ctcvr_auc",
    "ctcvr_group_auc",
    "ctcvr_log_loss",
    "ctcvr_ndcg_at_10",
)
REPLICATES = 500
BETTER, LEVEL = "**", " ~"
_RESAMPLED = tuple({name.partition("_")[2] for name in METRICS})
_TITLE = "HEROES beside others"
_FEEDBACK = {
    list_predictions.KNOWN: "With the feedback on earlier items known",
    list_predictions.FREE: "With no feedback known: the list scored before "
    "anybody has seen it",
}
Tree = dict[str, Any]


def check(experiment: Experiment) -> None:
    """Refuses what is not done for lists.

    Raises:
        InputError: a search is asked for, nothing is left to train, or a data
            folder is not prepared.
    """
    if experiment.trials:
        raise schema.InputError(
            "`--trials` must be 0 for models of lists, whose presets "
            f"`jump-tf tune` searches. Received: --trials={experiment.trials}"
        )
    if not experiment.steps():
        raise schema.InputError(
            "`--only` must leave a model to train. Received: nothing to train"
        )
    for data in experiment.plan.data:
        if data.prepared is None:
            raise schema.InputError(
                "Lists must be prepared before they are compared on. "
                f"Received: {data.name}, which is not"
            )


def is_measured(run: pathlib.Path) -> bool:
    """Whether the run is evaluated."""
    return list_prediction_table.path(run, schema.TEST).is_file()


def measure(run: pathlib.Path, data: pathlib.Path) -> None:
    """Evaluates a trained run on the test split."""
    list_evaluation.evaluate_run(run, model_factory.load_run(run), data)


def one_line(run: pathlib.Path) -> str:
    """A measured run in words."""
    result = _evaluation(run)
    return ", ".join(
        f"{called} {number(result[name]) or '-'}"
        for name, called in (
            ("ctr_auc", "CTR AUC"),
            ("ctcvr_auc", "CTCVR AUC"),
            ("ctcvr_ndcg_at_10", "NDCG@10"),
        )
    )


def write(experiment: Experiment) -> pathlib.Path:
    """Writes `results.json` and `report.html`; returns the latter's path."""
    tree = collect(experiment)
    return results.write(experiment, tree, _TITLE, _body(tree))


def collect(experiment: Experiment) -> Tree:
    """All numbers there are, each model's averaged over its seeds."""
    plan = experiment.plan
    return evaluation_files.plain(
        {
            "reference": plan.reference,
            "title": plan.model(plan.reference).title,
            "models": {step.label: step.title for step in experiment.steps()},
            "data": {
                data.name: _of_data(experiment, data.name) for data in plan.data
            },
        }
    )


def _of_data(experiment, name) -> Tree:
    runs = results.by_seed(experiment, name)
    tables = {
        label: {
            seed: list_prediction_table.read(run, schema.TEST)
            for seed, run in mine.items()
        }
        for label, mine in runs.items()
    }
    tables_of_reference = tables.get(experiment.plan.reference, {})
    for mine in tables.values():
        for seed in set(mine) & set(tables_of_reference):
            _check_same(mine[seed][0], tables_of_reference[seed][0])
    tree: Tree = {}
    for feedback in list_predictions.FEEDBACKS:
        judged = {
            label: {
                seed: list_evaluation.judge(
                    shown, answers[feedback], REPLICATES, 0, _RESAMPLED
                )
                for seed, (shown, answers) in mine.items()
            }
            for label, mine in tables.items()
        }
        reference = judged.get(experiment.plan.reference, {})
        tree[feedback] = {
            label: _numbers(mine, reference) for label, mine in judged.items()
        }
    tree["baselines"] = _baselines(runs.get(experiment.plan.reference, {}))
    tree["runs"] = {
        label: {seed: run_folder.read_training(run) for seed, run in of.items()}
        for label, of in runs.items()
    }
    return tree


def _numbers(mine, reference) -> Tree:
    """Means over seeds, their deviation, and the reference's lead over them.

    The lead is over the seeds that both have. Resamples are the same lists for
    all, so that it is paired; it says what other lists would change, and the
    deviation what other seeds.
    """
    seeds = list(mine.values())
    mean = comparison.mean(seeds)
    numbers: Tree = {
        "seeds": sorted(mine),
        "mean": {name: mean.numbers[name] for name in METRICS},
        "deviation": {
            name: comparison.deviation(seeds, name) if len(mine) > 1 else None
            for name in METRICS
        },
        "intervals": {name: mean.intervals[name] for name in METRICS},
    }
    both = sorted(set(mine) & set(reference))
    if both and mine is not reference:
        found = comparison.compare(
            [reference[seed] for seed in both], [mine[seed] for seed in both]
        )
        numbers["lead"] = {name: found[name]["interval"] for name in METRICS}
    return numbers


def _check_same(mine, theirs) -> None:
    """Refuses to compare on other items, as of lists that were cut."""
    same = len(mine) == len(theirs) and np.array_equal(mine.lists, theirs.lists)
    if not same:
        raise schema.InputError(
            "Models must have the same `max_list_length` to be compared. "
            f"Received: {len(mine)} items and {len(theirs)}"
        )


def _baselines(reference) -> Tree:
    """The baselines' numbers, from the reference's evaluation file."""
    if not reference:
        return {}
    result = _evaluation(reference[min(reference)])
    return {
        name: {metric: numbers.get(metric) for metric in METRICS}
        for name, numbers in result["baselines"].items()
    }


def _evaluation(run: pathlib.Path) -> Tree:
    folder = run / evaluation_files.EVALUATION_FOLDER
    return json.loads((folder / f"{schema.TEST}.json").read_text())


def _table(tree, data, feedback) -> str:
    """A row for each model, then for each baseline."""
    found = tree["data"][data]
    rows: list[list[str | reporting_html.Cell]] = []
    for label, numbers in found[feedback].items():
        title = f"{tree['models'][label]} ({_seeds(numbers)})"
        texts = [cell(numbers, name) for name in METRICS]
        rows.append(
            [
                title,
                *(
                    reporting_html.Cell(
                        text.strip("*"), "", text.startswith(BETTER)
                    )
                    for text in texts
                ),
            ]
        )
    for name, numbers in found["baselines"].items():
        blind = feedback == list_predictions.FREE
        if blind and name == list_baselines.SINCE_CLICK:
            continue  # It knows the feedback.
        rows.append([name, *(number(numbers.get(one)) for one in METRICS)])
    header = ["", *(name.replace("_", " ") for name in METRICS)]
    return reporting_html.table(header, rows)


def cell(numbers: Tree, name: str) -> str:
    """A model's number in text.

    **x** is significantly better than the reference, `x ~` level with it: the
    interval of the difference holds zero.
    """
    mean = number(numbers["mean"][name])
    if "lead" not in numbers:
        low, high = numbers["intervals"][name]
        known = low is not None and high is not None
        return f"{mean} ± {(high - low) / 2:.4f}" if known else mean
    low, high = numbers["lead"][name]
    if low is None or high is None:  # Nothing was there to predict.
        return mean
    if low <= 0.0 <= high:
        return mean + LEVEL
    better = is_lost(name, low, 0.0)
    return f"{BETTER}{mean}{BETTER}" if better else mean


def _seeds(numbers) -> str:
    seeds = numbers["seeds"]
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"{len(seeds)} seeds"


def number(value: float | None) -> str:
    """Four places; nothing where it is not a number."""
    known = value is not None and math.isfinite(value)
    return f"{value:.4f}" if known else ""


def _body(tree) -> list[str]:
    reference = tree["title"]
    parts = [
        f"<h1>{_TITLE}</h1>",
        reporting_html.paragraph(
            f"Means over the seeds that there are, which the rows say; ± is "
            "half the 95 % interval of a bootstrap over lists. Bold is better "
            f"than {reference} with the same seeds, ~ level with it (the "
            "paired interval holds zero), all else worse. Hazards have no "
            "log loss to compare. "
            "“the label leaks” sees the answer: it shows what the authors' "
            "protocol would have reported. No result of theirs could be read, "
            "so none is quoted."
        ),
    ]
    for data in tree["data"]:
        tables = [
            f"<h3>{html.escape(title)}</h3>{_table(tree, data, feedback)}"
            for feedback, title in _FEEDBACK.items()
        ]
        parts.append(reporting_html.section(html.escape(data), *tables))
    return parts

"""HEROES beside its ablations and other models, on the same lists.

DIR/<data>/<model>/seed-<n>/        run folders, with what is said of each item
DIR/results.json, DIR/report.html   what came out
"""

import json
import pathlib
import time
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.evaluate import comparison
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import prediction_table as list_prediction_table
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments.reproduction import runner
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction.plan import Plan
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.reporting import files as evaluation_files
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import interruptions

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
RESULTS_FILE = "results.json"
REPLICATES = 500
_RESAMPLED = tuple({name.partition("_")[2] for name in METRICS})
Tree = dict[str, Any]


def compare(
    plan: Plan,
    results: pathlib.Path,
    *,
    seeds: int = 1,
    hours: float | None = None,
    only: Sequence[str] = tuple(steps.PARTS),
    say: Callable[[str], None] = print,
    verbose: int | str = 0,
) -> Tree:
    """Trains and evaluates what is not done yet, then compares what there is.

    Args:
        plan: what shall be trained; its data folders must be prepared.
        results: the folder of everything; one that is there goes on.
        seeds: how often each model is trained.
        hours: after which no further run is begun.
        only: parts of the whole, of `steps.PARTS`.
        say: told of each run.
        verbose: of Keras `fit`.

    Returns:
        The content of `results.json`.

    Raises:
        InputError: the request is wrong, or the folder another request's.
        TrainingStopped: SIGTERM came; the next call goes on.
    """
    todo = steps.steps(plan, seeds, (), only)
    _check(plan, todo, results, seeds, hours)
    end = None if hours is None else time.monotonic() + 3600.0 * hours
    with runner.alone(results):
        try:
            _train(plan, todo, results, end, say, verbose)
        finally:
            tree = collect(plan, todo, results)
            evaluation_files.write_json(results / RESULTS_FILE, tree)
    return tree


def _check(plan, todo, results, seeds, hours):
    """Refuses what cannot be done, before anything is."""
    for flag, value, holds, must in (
        ("--seeds", seeds, seeds >= 1, "be at least 1"),
        ("--budget", hours, hours is None or hours >= 0, "not be negative"),
        ("--only", "nothing to train", todo, "leave a model to train"),
        (
            "--results",
            results,
            results.is_dir() or not results.exists(),
            "be a folder",
        ),
    ):
        if not holds:
            raise schema.InputError(f"`{flag}` must {must}. Received: {value}")
    for data in plan.data:
        if data.prepared is None:
            raise schema.InputError(
                "Lists must be prepared before they are compared on. "
                f"Received: {data.name}, which is not"
            )
    for step in todo:
        run = folder(results, step)
        if not (run / run_folder.CONFIG_FILE).is_file():
            continue
        config, data = _asked(plan, step)
        if run_folder.read_config(run) != config or (
            run_folder.read_manifest(run) != folders.read_manifest(data)
        ):
            raise schema.InputError(
                "`--results` must be a new folder or one of the same request. "
                f"Received: {run}, of another configuration or other data"
            )


def _asked(plan, step) -> tuple[Config, pathlib.Path]:
    """The configuration and the data folder of a step."""
    data = next(one for one in plan.data if one.name == step.data)
    changes = [*data.set, *steps.changes(step)]
    config = plan.config(step.model).override(changes)
    return tasks.with_data(config, data.prepared), data.prepared


def _train(plan, todo, results, end, say, verbose):
    for number, step in enumerate(todo, 1):
        run = folder(results, step)
        if list_prediction_table.path(run, schema.TEST).is_file():
            continue
        if end is not None and time.monotonic() >= end:
            return
        begun = (run / run_folder.CONFIG_FILE).is_file()
        keras.backend.clear_session()
        config, data = _asked(plan, step)
        name = f"[{number}/{len(todo)}] {step}"
        try:
            tasks.train(config, data, run, resume=begun, verbose=verbose)
        except interruptions.TrainingError as error:
            say(f"{name}: failed: {error}")
            continue
        model = model_factory.load_run(run)
        result = list_evaluation.evaluate_run(run, model, data)
        say(
            f"{name}: CTR AUC {result['ctr_auc']:.4f}, "
            f"CTCVR AUC {result['ctcvr_auc']:.4f}, "
            f"NDCG@10 {result['ctcvr_ndcg_at_10']:.4f}"
        )


def folder(results: pathlib.Path, step: Step) -> pathlib.Path:
    """The run folder of a step."""
    return results / step.data / step.label / f"seed-{step.seed}"


def collect(plan: Plan, todo: Sequence[Step], results: pathlib.Path) -> Tree:
    """All numbers there are, each model's averaged over its seeds."""
    return {
        "reference": plan.reference,
        "title": plan.model(plan.reference).title,
        "models": {step.label: step.title for step in todo},
        "data": {
            data.name: _of_data(plan, todo, results, data.name)
            for data in plan.data
        },
    }


def _of_data(plan, todo, results, name) -> Tree:
    there: dict[str, dict[int, pathlib.Path]] = {}
    for step in todo:
        run = folder(results, step)
        mine = step.data == name
        if mine and list_prediction_table.path(run, schema.TEST).is_file():
            there.setdefault(step.label, {})[step.seed] = run
    tables = {
        label: {
            seed: list_prediction_table.read(run, schema.TEST)
            for seed, run in mine.items()
        }
        for label, mine in there.items()
    }
    tables_of_reference = tables.get(plan.reference, {})
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
        reference = judged.get(plan.reference, {})
        tree[feedback] = {
            label: _numbers(mine, reference) for label, mine in judged.items()
        }
    tree["bars"] = _bars(there.get(plan.reference, {}))
    tree["runs"] = {
        label: {
            str(seed): run_folder.read_training(run)
            for seed, run in mine.items()
        }
        for label, mine in there.items()
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
            name: comparison.deviation(seeds, name) for name in METRICS
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


def _bars(reference) -> Tree:
    """The bars' numbers, from the reference's evaluation file."""
    if not reference:
        return {}
    run = reference[min(reference)]
    evaluated = run / evaluation_files.EVALUATION_FOLDER
    result = json.loads((evaluated / f"{schema.TEST}.json").read_text())
    return {
        name: {metric: numbers.get(metric) for metric in METRICS}
        for name, numbers in result["baselines"].items()
    }

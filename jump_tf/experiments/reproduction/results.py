"""All numbers of a reproduction in one tree, `results.json`.

request   seeds, trials, parts and the model that others stand against
data      dataset -> its statistics
runs      one entry for each step of the plan, done or not
baselines dataset -> moment -> name -> the numbers of what is only counted
against   dataset -> moment -> run -> metric -> `comparison.compare` of
          the reference with it, each averaged over its seeds

The second half of this module is what tables and figures ask of the tree.
"""

import dataclasses
import pathlib
import statistics
from collections.abc import Collection
from collections.abc import Iterable
from typing import Any

from jump_tf import schema
from jump_tf.evaluate.sessions import tables as session_tables
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction import experiment as experiments
from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.reporting import files as evaluation_files
from jump_tf.reporting import html
from jump_tf.runs import folder as run_folder

RESULTS_FILE = "results.json"
REPORT_FILE = "report.html"
NUMBERS = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
    "num_predictions",
    "dwell_mae_seconds",
    "dwell_nll",
    "dwell_crps_seconds",
    "dwell_mae_all_clicks_seconds",
    "num_dwells",
)
CLICK_METRICS = published.CLICK_METRICS
DWELL_METRICS = ("dwell_mae_seconds", "dwell_nll", "dwell_crps_seconds")
HIGHER_IS_BETTER = CLICK_METRICS
NAMES = {
    "recall_at_20": "recall@20",
    "mrr_at_20": "MRR@20",
    "ndcg_at_20": "NDCG@20",
    "dwell_mae_seconds": "dwell MAE (s)",
    "dwell_nll": "dwell NLL",
    "dwell_crps_seconds": "dwell CRPS (s)",
}
MOMENTS = {
    schema.PAGE_LEAVE: "the dwell of the last click known",
    schema.PAGE_LOAD: "the visitor still on the page",
}
BASELINES = {
    "most_popular": "most popular items",
    "session_popular": "most popular of the session",
    "markov": "Markov chain",
    "association_rules": "association rules",
    "item_knn": "item-kNN",
    "constant_median": "constant median",
    "constant_mean": "constant mean",
    "item_median": "the item's median",
    "item_effect": "log-normal, item effect",
    "previous_dwell": "the dwell before",
    "session_mean": "the session's mean log dwell",
    "gradient_boosting": "gradient boosting, median",
}
# What a run costs, and how tables call and write it.
COSTS = {
    "training_minutes": ("training (min)", "{:.1f}"),
    "clicks_per_second": ("trained clicks/s", "{:,.0f}"),
    "served_ms": ("served, p50 (ms)", "{:.2f}"),
}
PARTS = ("num_predictions", "recall_at_20", "mrr_at_20")
DONE, MISSING, FAILED = "done", "missing", "failed"
Tree = dict[str, Any]


def collect(experiment: Experiment) -> Tree:
    """Collects the numbers of all runs, and what each run lacks."""
    todo = experiment.steps()
    return {
        "request": _request(experiment),
        "data": {
            data.name: _data(experiment, data) for data in experiment.plan.data
        },
        "runs": [_run(experiment, step) for step in todo],
        "baselines": _for_each_dataset(experiment, _baselines),
        "against": _for_each_dataset(experiment, _against),
    }


def _request(experiment):
    plan = experiment.plan
    return {
        "reference": plan.reference,
        "seeds": experiment.seeds,
        "trials": experiment.trials,
        "only": list(experiment.only),
        "epochs": plan.epochs,
        "set": list(plan.set),
        "models": {one.name: dataclasses.asdict(one) for one in plan.models},
        "sweeps": {one.name: dataclasses.asdict(one) for one in plan.sweeps},
        "tuned_on": plan.data[0].name,
        "search_minutes": sum(
            experiment.search_minutes(one.name) for one in plan.models
        ),
    }


def _data(experiment, data):
    entry = {"like": data.like, "note": data.note, "set": list(data.set)}
    folder = data.folder(experiment.folder)
    if not (folder / schema.MANIFEST_FILE).is_file():
        return entry
    return entry | datasets.statistics(folder, experiment.folder / data.name)


def _run(experiment, step: Step) -> Tree:
    run = experiment.run(step)
    entry = dataclasses.asdict(step) | {
        "folder": str(run.relative_to(experiment.folder)),
        "state": MISSING,
    }
    failure = experiment.failure(step)
    if failure.is_file():
        entry |= {"state": FAILED, "why": failure.read_text().strip()}
    if not experiment.is_done(step):
        return entry
    moments = {
        moment: _numbers(experiments.read(run, moment))
        for moment in schema.MOMENTS
    }
    entry |= {"state": DONE, "moments": moments}
    if step.purpose == steps.BASELINES:
        return entry
    training = run_folder.read_training(run)
    costs = _costs(run, training["training_seconds"], training["epochs"])
    return entry | training | {"costs": costs}


def _costs(run, seconds, epochs) -> dict[str, float]:
    """Those of `COSTS` that are known."""
    clicks = run_folder.read_manifest(run)["splits"][schema.TRAIN]["clicks"]
    costs = {"training_minutes": seconds / 60}
    if seconds:
        costs["clicks_per_second"] = clicks * epochs / seconds
    served = run_folder.read_load_test(run)
    if served:
        costs["served_ms"] = served["p50"]
    return costs


def _numbers(result) -> Tree:
    kept = {name: result.get(name) for name in NUMBERS}
    ends = result["intervals"]
    return kept | {
        "intervals": {name: ends[name] for name in NUMBERS if name in ends},
        "session_length": {
            label: {name: part.get(name) for name in (*NUMBERS,)}
            for label, part in result["slices"]["session_length"].items()
        },
        "parts": {
            label: {name: part.get(name) for name in PARTS}
            for label, part in session_tables.parts(result).items()
        },
    }


def _for_each_dataset(experiment, read) -> Tree:
    """Calls `read` for each dataset and moment with its reference."""
    first = {
        step.data: step
        for step in experiment.steps()
        if step.purpose == steps.HEADLINE
        and step.model == experiment.plan.reference
        and experiment.is_done(step)
    }
    return {
        name: {
            moment: read(experiment, step, moment) for moment in schema.MOMENTS
        }
        for name, step in first.items()
    }


def _baselines(experiment, reference: Step, moment) -> Tree:
    result = experiments.read(experiment.run(reference), moment)
    return {
        name: {metric: numbers.get(metric) for metric in NUMBERS}
        | {"intervals": numbers.get("intervals", {})}
        | {"differences": numbers.get("differences", {})}
        for name, numbers in result.get("baselines", {}).items()
    }


def _against(experiment, reference: Step, moment) -> Tree:
    """Differences of the means over the seeds that both have.

    What only counts has no seed; all of the reference's are compared with it.
    """
    found = by_seed(experiment, reference.data, without=(steps.SWEEPS,))
    mine = found.pop(reference.label)
    tree = {}
    for label, runs in found.items():
        both = sorted(set(mine) & set(runs))
        if 0 not in both:
            continue
        ours = mine if label in experiment.protocol.baselines else both
        tree[label] = experiments.compared(
            [mine[seed] for seed in sorted(ours)],
            [runs[seed] for seed in both],
            moment,
        )
    return tree


def by_seed(
    experiment: Experiment, data: str, without: Collection[str] = ()
) -> dict[str, dict[int, pathlib.Path]]:
    """The run folders that are measured, by label and seed.

    Args:
        experiment: whose runs.
        data: name of the dataset.
        without: purposes that are left out.
    """
    found: dict[str, dict[int, pathlib.Path]] = {}
    for step in experiment.steps():
        wanted = step.data == data and step.purpose not in without
        if wanted and experiment.is_done(step):
            run = experiment.run(step)
            found.setdefault(step.label, {})[step.seed] = run
    return found


def write(
    experiment: Experiment, tree: Tree, title: str, body: Iterable[str]
) -> pathlib.Path:
    """Writes `results.json` and `report.html`; returns the latter's path."""
    folder = experiment.folder
    folder.mkdir(parents=True, exist_ok=True)
    evaluation_files.write_json(folder / RESULTS_FILE, tree)
    return html.write(folder / REPORT_FILE, title, body)


def done(tree: Tree, data: str, *purposes: str) -> list[Tree]:
    """The finished runs of a dataset."""
    return [
        run
        for run in tree["runs"]
        if run["data"] == data
        and run["purpose"] in purposes
        and run["state"] == DONE
    ]


def reference(tree: Tree, data: str) -> Tree | None:
    """The finished run that all others of a dataset are compared with."""
    name = tree["request"]["reference"]
    for run in done(tree, data, steps.HEADLINE):
        if run["label"] == name:
            return run
    return None


def title(tree: Tree, label: str) -> str:
    """Returns the title of a run or of a baseline."""
    for run in tree["runs"]:
        if run["label"] == label:
            return run["title"]
    return BASELINES.get(label, label)


def of_seeds(tree: Tree, run: Tree, moment: str, metric: str) -> list[float]:
    """A metric of a model for each seed."""
    return list(_by_seed(tree, run, moment, metric).values())


def leads_of_seeds(
    tree: Tree, run: Tree, moment: str, metric: str
) -> list[float]:
    """The reference less a model, for each seed that both have."""
    first = reference(tree, run["data"])
    if first is None:
        return []
    mine, theirs = (_by_seed(tree, one, moment, metric) for one in (first, run))
    return [mine[seed] - theirs[seed] for seed in mine if seed in theirs]


def _by_seed(tree, run, moment, metric) -> dict[int, float]:
    trained = steps.HEADLINE, steps.SEEDS, steps.ABLATIONS
    return {
        one["seed"]: one["moments"][moment][metric]
        for one in done(tree, run["data"], *trained)
        if one["label"] == run["label"]
        and one["moments"][moment][metric] is not None
    }


def difference(tree: Tree, run: Tree, moment: str, metric: str) -> Tree | None:
    """Returns the difference of the reference and a run, with its interval."""
    runs = tree["against"].get(run["data"], {}).get(moment, {})
    return runs.get(run["label"], {}).get(metric)


def baselines(tree: Tree, data: str, moment: str, metric: str) -> Tree:
    """Returns the baselines that have a metric, by name."""
    named = tree["baselines"].get(data, {}).get(moment, {})
    return {
        name: numbers
        for name, numbers in named.items()
        if numbers.get(metric) is not None
    }


def spread(values: list[float], metric: str) -> str:
    """Mean and standard deviation over seeds."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return (
        f"{len(values)} seeds: {number(mean, metric)}, deviation "
        f"{number(deviation, metric)}"
    )


def number(value: float | None, metric: str = "", signed: bool = False) -> str:
    """Formats a number as all tables do."""
    if value is None:
        return "-"
    digits = 2 if metric.endswith("_seconds") else 4
    return f"{value:{'+' if signed else ''}.{digits}f}"


def interval(ends, metric: str, signed: bool = False) -> str:
    """Formats an interval as all tables do."""
    if not ends or ends[0] is None or ends[1] is None:
        return ""
    low, high = (number(end, metric, signed) for end in ends)
    return f"{low} to {high}"

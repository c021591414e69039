"""What tables, sentences and figures ask of `results.json`."""

import statistics
from collections.abc import Iterator
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import results as reproduction_results
from jump_tf.experiments.reproduction import steps

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
}
Tree = dict[str, Any]


def done(results: Tree, data: str, *purposes: str) -> list[Tree]:
    """The finished runs of a log."""
    return [
        run
        for run in results["runs"]
        if run["data"] == data
        and run["purpose"] in purposes
        and run["state"] == reproduction_results.DONE
    ]


def reference(results: Tree, data: str) -> Tree | None:
    """The finished run that all others of a log are compared with."""
    name = results["request"]["reference"]
    for run in done(results, data, steps.HEADLINE):
        if run["label"] == name:
            return run
    return None


def title(results: Tree, label: str) -> str:
    """What a run is called."""
    for run in results["runs"]:
        if run["label"] == label:
            return run["title"]
    return BASELINES.get(label, label)


def of_seeds(results: Tree, run: Tree, moment: str, metric: str) -> list[float]:
    """A metric of a model for each seed."""
    return [
        one["moments"][moment][metric]
        for one in done(results, run["data"], steps.HEADLINE, steps.SEEDS)
        if one["label"] == run["label"]
        and one["moments"][moment][metric] is not None
    ]


def difference(
    results: Tree, run: Tree, moment: str, metric: str
) -> Tree | None:
    """The reference less a run, with its interval, if both have it."""
    runs = results["against"].get(run["data"], {}).get(moment, {})
    return runs.get(run["label"], {}).get(metric)


def baselines(results: Tree, data: str, moment: str, metric: str) -> Tree:
    """What counting alone reaches, by name, where it has the metric."""
    named = results["baselines"].get(data, {}).get(moment, {})
    return {
        name: numbers
        for name, numbers in named.items()
        if numbers.get(metric) is not None
    }


def differences(
    results: Tree, data: str, moment: str, metric: str
) -> Iterator[tuple[str, float, list[float | None]]]:
    """Title, reference less it, interval, of all that have the metric."""
    mine = reference(results, data)
    if mine is None:
        return
    own = mine["moments"][moment][metric]
    for run in done(results, data, steps.HEADLINE, steps.BARS):
        if found := difference(results, run, moment, metric):
            yield run["title"], found["difference"], found["interval"]
    if own is None:
        return
    for name, numbers in baselines(results, data, moment, metric).items():
        ends = numbers["differences"].get(metric, [None, None])
        yield BASELINES.get(name, name), own - numbers[metric], ends


def is_level(interval) -> bool:
    """Whether an interval holds zero, or is none."""
    low, high = interval
    return low is None or high is None or low <= 0.0 <= high


def spread(values: list[float], metric: str) -> str:
    """Mean and deviation over seeds."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return (
        f"{number(mean, metric)} ± {number(deviation, metric)} "
        f"({len(values)} seeds)"
    )


def number(value: float | None, metric: str = "", signed: bool = False) -> str:
    """A number as it is printed everywhere."""
    if value is None:
        return "-"
    digits = 2 if metric.endswith("_seconds") else 4
    return f"{value:{'+' if signed else ''}.{digits}f}"


def interval(ends, metric: str, signed: bool = False) -> str:
    """An interval as it is printed everywhere."""
    if not ends or ends[0] is None or ends[1] is None:
        return ""
    low, high = (number(end, metric, signed) for end in ends)
    return f"{low} to {high}"

"""The paper's tables 1 to 3 and the ablations, out of `results.json`."""

from typing import Any

from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import reading
from jump_tf.experiments.reproduction import results as reproduction_results
from jump_tf.experiments.reproduction import steps
from jump_tf.reporting import html
from jump_tf.reporting.html import Cell

Tree = dict[str, Any]
_FACTS = {
    "items": ("items (of the training split)", "{:,}"),
    "clicks": ("clicks", "{:,}"),
    "train_sessions": ("sessions to train on", "{:,}"),
    "validation_sessions": ("sessions to validate on", "{:,}"),
    "test_sessions": ("sessions to test on", "{:,}"),
    "average_length": ("clicks in a session, on average", "{:.3f}"),
    "max_dwell_seconds": ("longest dwell (s); ours below c1", "{:,.0f}"),
    "median_dwell_seconds": ("median dwell (s)", "{:.1f}"),
    "share_cut": ("dwells cut at c1, of those followed", "{:.2%}"),
    "share_last": ("last clicks, of all", "{:.1%}"),
}


def statistics(results: Tree) -> str:
    """Table 1: logs of ours, and the paper's that they stand beside."""
    ours = results["data"]
    theirs = [
        name
        for name in published.DATA
        if name in {data["like"] for data in ours.values()}
    ]
    header = ["", *ours, *(f"{name}, in the paper" for name in theirs)]
    rows = [
        [
            text,
            *(_fact(data.get(fact), form) for data in ours.values()),
            *(
                _fact(published.STATISTICS[name].get(fact), form)
                for name in theirs
            ),
        ]
        for fact, (text, form) in _FACTS.items()
    ]
    return html.table(header, rows)


def metrics(
    results: Tree, data: str, moment: str, names: tuple[str, ...]
) -> str:
    """Table 2 or 3 of a log: each model, and the reference less it.

    Args:
        results: all.
        data: name of the log.
        moment: of asking.
        names: of the metrics.
    """
    first = names[0]
    rows = [
        row
        for run in reading.done(results, data, steps.HEADLINE, steps.BARS)
        if (row := _row(results, run, moment, names))
    ]
    for name, numbers in reading.baselines(
        results, data, moment, first
    ).items():
        rows.append(_baseline(results, data, name, numbers, moment, names))
    header = [""]
    for metric in names:
        header += [reading.NAMES[metric], f"{_reference(results)} less it"]
    like = results["data"][data]["like"]
    if like:
        header.append(f"in the paper, {like}")
    return html.table(
        header, _with_best(rows, names), first=_reference(results)
    )


def ablations(results: Tree, data: str, moment: str) -> str:
    """What the models lose without each part."""
    names = (*reading.CLICK_METRICS[:2], *reading.DWELL_METRICS[::2])
    runs = [reading.reference(results, data)]
    runs += reading.done(results, data, steps.ABLATIONS)
    header = [""]
    for metric in names:
        header += [reading.NAMES[metric], f"{_reference(results)} less it"]
    rows = [
        [run["title"], *_cells(results, run, moment, names)]
        for run in runs
        if run is not None
    ]
    return html.table(header, rows, first=_reference(results))


def costs(results: Tree, data: str) -> str:
    """What the trainings took, and where."""
    rows = []
    for run in reading.done(
        results, data, steps.HEADLINE, steps.SEEDS, steps.ABLATIONS
    ):
        machine = run["environment"]["machine"]
        rows.append(
            [
                run["title"],
                str(run["seed"]),
                str(run["epochs"]),
                f"{run['training_seconds'] / 60:.1f}",
                f"{', '.join(machine['devices'])}, {machine['cores']} cores",
                (run["environment"]["commit"] or "unknown")[:10],
            ]
        )
    header = ["", "seed", "epochs", "minutes", "machine", "commit"]
    return html.table(header, rows)


def missing(results: Tree) -> list[str]:
    """What is not there, and why."""
    return [
        f"{run['data']}, {run['title']}, seed {run['seed']}: "
        f"{run.get('why', 'not trained yet')}"
        for run in results["runs"]
        if run["state"] != reproduction_results.DONE
    ]


def _row(results, run, moment, names):
    """A model's row; none for a model that has none of the metrics."""
    numbers = run["moments"][moment]
    if all(numbers[metric] is None for metric in names):
        return None
    cells = [run["title"], *_cells(results, run, moment, names)]
    like = results["data"][run["data"]]["like"]
    if like:
        row = results["request"]["models"].get(run["model"], {})
        cells.append(_printed(row.get("paper"), like, names))
    return cells


def _cells(results, run, moment, names):
    cells = []
    for metric in names:
        numbers = run["moments"][moment]
        ends = reading.interval(numbers["intervals"].get(metric), metric)
        seeds = reading.of_seeds(results, run, moment, metric)
        if len(seeds) > 1 and run["purpose"] == steps.HEADLINE:
            ends += f"\n{reading.spread(seeds, metric)}"
        small = ends if numbers[metric] is not None else ""
        cells.append(Cell(reading.number(numbers[metric], metric), small))
        found = reading.difference(results, run, moment, metric) or {}
        cells.append(_less(found.get("difference"), found, metric))
    return cells


def _baseline(results, data, name, numbers, moment, names):
    mine = reading.reference(results, data)
    cells = [reading.BASELINES.get(name, name)]
    for metric in names:
        ends = reading.interval(numbers["intervals"].get(metric), metric)
        cells.append(Cell(reading.number(numbers[metric], metric), ends))
        own = mine and mine["moments"][moment][metric]
        less = None if own is None else own - numbers[metric]
        found = {"interval": numbers["differences"].get(metric)}
        cells.append(_less(less, found, metric))
    return cells + [""] * bool(results["data"][data]["like"])


def _less(value, found, metric):
    ends = reading.interval(found.get("interval"), metric, signed=True)
    text = "" if value is None else reading.number(value, metric, signed=True)
    return Cell(text, ends)


def _with_best(rows, names):
    """The same, the best of each metric marked."""
    for index, metric in enumerate(names):
        column = 1 + 2 * index
        values = {
            place: float(row[column].text)
            for place, row in enumerate(rows)
            if row[column].text != reading.number(None)
        }
        if len(values) < 2:
            continue
        best = max if metric in reading.HIGHER_IS_BETTER else min
        place = best(values, key=lambda place: values[place])
        rows[place][column] = rows[place][column]._replace(best=True)
    return rows


def _printed(paper, like, names) -> str:
    values = [published.number(paper, like, metric) for metric in names]
    texts = [
        reading.number(value, metric)
        for value, metric in zip(values, names, strict=True)
        if value is not None
    ]
    return " / ".join(texts)


def _reference(results) -> str:
    return reading.title(results, results["request"]["reference"])


def _fact(value, form) -> str:
    return "-" if value is None else form.format(value)

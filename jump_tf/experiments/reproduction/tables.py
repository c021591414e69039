"""The paper's tables 1 to 3 and the ablations, out of `results.json`."""

from typing import Any

from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction import steps
from jump_tf.reporting import html
from jump_tf.reporting.html import Cell

Tree = dict[str, Any]
_STATISTICS = {
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


def statistics(tree: Tree) -> str:
    """Table 1: our datasets, and the paper's that they stand beside."""
    ours = tree["data"]
    theirs = [
        name
        for name in published.DATA
        if name in {data["like"] for data in ours.values()}
    ]
    header = ["", *ours, *map(published.heading, theirs)]
    rows = [
        [
            text,
            *(_statistic(data.get(key), form) for data in ours.values()),
            *(
                _statistic(published.STATISTICS[name].get(key), form)
                for name in theirs
            ),
        ]
        for key, (text, form) in _STATISTICS.items()
    ]
    return html.table(header, rows)


def metrics(tree: Tree, data: str, moment: str, names: tuple[str, ...]) -> str:
    """Table 2 or 3 of a dataset: each model, and the reference less it.

    Args:
        tree: all.
        data: name of the dataset.
        moment: of asking.
        names: of the metrics.
    """
    first = names[0]
    rows = [
        row
        for run in results.done(tree, data, steps.HEADLINE, steps.BASELINES)
        if (row := _row(tree, run, moment, names))
    ]
    for name, numbers in results.baselines(tree, data, moment, first).items():
        rows.append(_baseline(tree, data, name, numbers, moment, names))
    header = [""]
    for metric in names:
        header += [results.NAMES[metric], f"{_reference(tree)} less it"]
    like = tree["data"][data]["like"]
    if like:
        header.append(published.heading(like))
    return html.table(header, _with_best(rows, names), first=_reference(tree))


def quality_and_cost(tree: Tree, data: str, moment: str) -> str:
    """What each model reaches, beside what it takes; unknown costs left out."""
    runs = results.done(tree, data, steps.HEADLINE)
    known = [
        cost
        for cost in results.COSTS
        if any(cost in run["costs"] for run in runs)
    ]
    shown = (*results.CLICK_METRICS[:2], results.DWELL_METRICS[0])
    header = ["", *(results.NAMES[metric] for metric in shown)]
    header += [results.COSTS[cost][0] for cost in known]
    rows = [
        [
            run["title"],
            *(
                results.number(run["moments"][moment][metric], metric)
                for metric in shown
            ),
            *(
                _statistic(run["costs"].get(cost), results.COSTS[cost][1])
                for cost in known
            ),
        ]
        for run in runs
    ]
    return html.table(header, rows, first=_reference(tree))


def parts(tree: Tree, data: str, moment: str) -> str:
    """Recall, and MRR below, of each model on parts of the clicks."""
    runs = results.done(tree, data, steps.HEADLINE, steps.BASELINES)
    mine = results.reference(tree, data)
    found = {run["title"]: run["moments"][moment]["parts"] for run in runs}
    own = mine["moments"][moment]["parts"] if mine else {}
    header = ["recall@20, MRR@20 below", "clicks", *found]
    rows = [
        [
            label,
            f"{own[label]['num_predictions']:,}",
            *(_of_part(named.get(label, {})) for named in found.values()),
        ]
        for label in own
    ]
    return html.table(header, rows)


def _of_part(part) -> Cell:
    recall, mrr = (
        results.number(part.get(name), name) for name in results.PARTS[1:]
    )
    return Cell(recall, mrr if part.get(results.PARTS[2]) is not None else "")


def ablations(tree: Tree, data: str, moment: str) -> str:
    """The table of ablations beside the reference."""
    names = (*results.CLICK_METRICS[:2], *results.DWELL_METRICS[::2])
    runs = [results.reference(tree, data)]
    runs += [
        run
        for run in results.done(tree, data, steps.ABLATIONS)
        if run["seed"] == 0
    ]
    header = [""]
    for metric in names:
        header += [results.NAMES[metric], f"{_reference(tree)} less it"]
    rows = [
        [run["title"], *_cells(tree, run, moment, names)]
        for run in runs
        if run is not None
    ]
    return html.table(header, rows, first=_reference(tree))


def costs(tree: Tree, data: str) -> str:
    """The table of trainings: epochs, minutes, machine and commit."""
    rows = []
    for run in results.done(
        tree, data, steps.HEADLINE, steps.SEEDS, steps.ABLATIONS
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


def missing(tree: Tree) -> list[str]:
    """Returns a line for each missing run, with the reason."""
    return [
        f"{run['data']}, {run['title']}, seed {run['seed']}: "
        f"{run.get('why', 'not trained yet')}"
        for run in tree["runs"]
        if run["state"] != results.DONE
    ]


def _row(tree, run, moment, names):
    """A model's row; none for a model that has none of the metrics."""
    numbers = run["moments"][moment]
    if all(numbers[metric] is None for metric in names):
        return None
    cells = [run["title"], *_cells(tree, run, moment, names)]
    like = tree["data"][run["data"]]["like"]
    if like:
        row = tree["request"]["models"].get(run["model"], {})
        cells.append(_printed(row.get("paper"), like, names))
    return cells


def _cells(tree, run, moment, names):
    cells = []
    for metric in names:
        numbers = run["moments"][moment]
        ends = results.interval(numbers["intervals"].get(metric), metric)
        seeds = results.of_seeds(tree, run, moment, metric)
        if len(seeds) > 1:
            ends += f"\n{results.spread(seeds, metric)}"
        small = ends if numbers[metric] is not None else ""
        cells.append(Cell(results.number(numbers[metric], metric), small))
        found = results.difference(tree, run, moment, metric) or {}
        less = _less(found.get("difference"), found, metric)
        leads = results.leads_of_seeds(tree, run, moment, metric)
        if found and len(leads) > 1:
            ends = results.interval(
                (min(leads), max(leads)), metric, signed=True
            )
            below = f"{less.small}\nby seed {ends}"
            less = Cell(less.text, below)
        cells.append(less)
    return cells


def _baseline(tree, data, name, numbers, moment, names):
    mine = results.reference(tree, data)
    cells = [results.BASELINES.get(name, name)]
    for metric in names:
        ends = results.interval(numbers["intervals"].get(metric), metric)
        cells.append(Cell(results.number(numbers[metric], metric), ends))
        own = mine and mine["moments"][moment][metric]
        theirs = numbers[metric]
        less = None if None in (own, theirs) else own - theirs
        found = {"interval": numbers["differences"].get(metric)}
        cells.append(_less(less, found, metric))
    return cells + [""] * bool(tree["data"][data]["like"])


def _less(value, found, metric):
    ends = results.interval(found.get("interval"), metric, signed=True)
    text = "" if value is None else results.number(value, metric, signed=True)
    return Cell(text, ends)


def _with_best(rows, names):
    """Marks the best of each metric."""
    for index, metric in enumerate(names):
        column = 1 + 2 * index
        values = {
            place: float(row[column].text)
            for place, row in enumerate(rows)
            if row[column].text != results.number(None)
        }
        if len(values) < 2:
            continue
        best = max if metric in results.HIGHER_IS_BETTER else min
        place = best(values, key=lambda place: values[place])
        rows[place][column] = rows[place][column]._replace(best=True)
    return rows


def _printed(paper, like, names) -> str:
    values = [published.number(paper, like, metric) for metric in names]
    texts = [
        results.number(value, metric)
        for value, metric in zip(values, names, strict=True)
        if value is not None
    ]
    return " / ".join(texts)


def _reference(tree) -> str:
    return results.title(tree, tree["request"]["reference"])


def _statistic(value, form) -> str:
    return "-" if value is None else form.format(value)

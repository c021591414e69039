"""Keeps what `jump-tf reproduce` found as small files, and renders them.

python -m tests.benchmarks.reproduced add NAME --results DIR
python -m tests.benchmarks.reproduced tables      # as the README has them
python -m tests.benchmarks.reproduced ablations   # these, too
"""

import argparse
import json
import pathlib
import statistics
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import page
from jump_tf.experiments.reproduction import reading
from jump_tf.experiments.reproduction import steps

FOLDER = pathlib.Path(__file__).parent / "results" / "reproduced"
METRICS = (*reading.CLICK_METRICS, *reading.DWELL_METRICS)
KEPT = ("title", "seed", "epochs", "training_seconds", "environment", "config")
Tree = dict[str, Any]


def add(name: str, results: pathlib.Path) -> pathlib.Path:
    """Copies the rows of the tables out of a folder of results."""
    tree = json.loads((results / page.RESULTS_FILE).read_text())
    request = {
        key: tree["request"][key]
        for key in ("seeds", "trials", "epochs", "set")
    }
    logs = {
        log: {
            "data": _anywhere(told),
            "request": request,
            "rows": _rows(tree, log),
        }
        for log, told in tree["data"].items()
        if reading.reference(tree, log)
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(logs, indent=1) + "\n")
    return path


def _anywhere(told: Tree) -> Tree:
    """The same without where the log's files stood on the machine."""
    manifest = dict(told["manifest"])
    if options := manifest.get("options"):
        names = [path.rpartition("/")[2] for path in options["input"]]
        manifest["options"] = {**options, "input": names}
    return {**told, "manifest": manifest}


def _rows(tree, log) -> list[Tree]:
    """The reference, then the others; at every moment numbers and lead."""
    first = reading.reference(tree, log)
    rows = [_row(tree, run) for run in [first, *_others(tree, log, first)]]
    for name in tree["baselines"][log][schema.PAGE_LEAVE]:
        moments = {}
        for moment in schema.MOMENTS:
            numbers = tree["baselines"][log][moment][name]
            kept = {metric: numbers.get(metric) for metric in METRICS}
            moments[moment] = {
                **kept,
                "lead": {
                    metric: ends
                    for metric, ends in numbers["differences"].items()
                    if kept.get(metric) is not None
                },
            }
        title = reading.BASELINES.get(name, name)
        rows.append({"title": title, "moments": moments})
    return rows


def _others(tree, log, first):
    runs = reading.done(tree, log, steps.HEADLINE, steps.BARS, steps.ABLATIONS)
    return [run for run in runs if run["label"] != first["label"]]


def _row(tree, run) -> Tree:
    moments = {}
    for moment, numbers in run["moments"].items():
        found = tree["against"][run["data"]][moment].get(run["label"], {})
        moments[moment] = {
            **{metric: numbers[metric] for metric in METRICS},
            "intervals": {
                metric: numbers["intervals"].get(metric) for metric in METRICS
            },
            "lead": {
                metric: found[metric]["interval"]
                for metric in METRICS
                if metric in found
            },
            **{
                f"{metric}_of_seeds": reading.of_seeds(
                    tree, run, moment, metric
                )
                for metric in METRICS
            },
        }
    kept = {key: run[key] for key in KEPT if key in run}
    return {**kept, "purpose": run["purpose"], "moments": moments}


def tables() -> str:
    """A Markdown table for each log."""
    return "\n\n".join(
        _table(log, told) for log, told in sorted(_logs().items())
    )


def ablations() -> str:
    """A Markdown table of JUMP with something left out, for each log."""
    tables = []
    for log, told in sorted(_logs().items()):
        first, *others = told["rows"]
        rows = [row for row in others if row.get("purpose") == steps.ABLATIONS]
        if rows:
            tables.append(_markdown([_head(log), _whole(first), *_rest(rows)]))
    return "\n\n".join(tables)


def _logs() -> Tree:
    logs: Tree = {}
    for path in sorted(FOLDER.glob("*.json")):
        logs |= json.loads(path.read_text())
    return logs


def _table(log, told) -> str:
    first, *others = told["rows"]
    page_load = _first(first, schema.PAGE_LOAD)
    rows = [_head(log), _whole(first)]
    if _seeds(first) > 1:
        rows.append([f"mean of {_seeds(first)} seeds", *_means(first), ""])
    rows.append(["the same, at page load", *page_load, ""])
    others = [row for row in others if row.get("purpose") != steps.ABLATIONS]
    return _markdown(rows + _rest(others))


def _markdown(rows) -> str:
    rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _head(log) -> list[str]:
    names = [reading.NAMES[metric] for metric in METRICS]
    return [f"**{log}**", *names, "training"]


def _whole(first) -> list[str]:
    cells = _first(first, schema.PAGE_LEAVE)
    return [first["title"], *cells, _training(first)]


def _rest(rows) -> list[list[str]]:
    return [
        [
            row["title"],
            *_other(row["moments"][schema.PAGE_LEAVE]),
            _training(row),
        ]
        for row in rows
    ]


def _first(row, moment) -> list[str]:
    """Of the first seed, with half of a bootstrap's interval over sessions."""
    numbers = row["moments"][moment]
    cells = []
    for metric in METRICS:
        low, high = numbers["intervals"][metric]
        half = reading.number((high - low) / 2, metric)
        cells.append(f"{reading.number(numbers[metric], metric)} ± {half}")
    return cells


def _seeds(row) -> int:
    numbers = row["moments"][schema.PAGE_LEAVE]
    return len(numbers.get(f"{METRICS[0]}_of_seeds", [0]))


def _means(row) -> list[str]:
    """Mean and deviation over seeds."""
    numbers = row["moments"][schema.PAGE_LEAVE]
    cells = []
    for metric in METRICS:
        values = numbers[f"{metric}_of_seeds"]
        mean = reading.number(statistics.mean(values), metric)
        cells.append(
            f"{mean} ± {reading.number(statistics.stdev(values), metric)}"
        )
    return cells


def _other(numbers) -> list[str]:
    """What is better than the first row is bold, what is level has a ~.

    Both are told of the means, where there are several seeds.
    """
    cells = []
    for metric in METRICS:
        if numbers[metric] is None:
            cells.append("")
            continue
        values = numbers.get(f"{metric}_of_seeds") or [numbers[metric]]
        text = reading.number(statistics.mean(values), metric)
        ends = numbers["lead"].get(metric, (None, None))
        if reading.is_level(ends):
            text += " ~"
        elif (ends[0] > 0) != (metric in reading.HIGHER_IS_BETTER):
            text = f"**{text}**"
        cells.append(text)
    return cells


def _training(row) -> str:
    if "training_seconds" not in row:
        return ""
    minutes = row["training_seconds"] / 60
    seeds = _seeds(row)
    told = f"{seeds} seeds" if seeds > 1 else f"seed {row['seed']}"
    return f"{minutes:.0f} min, {row['epochs']} epochs, {told}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("add")
    adding.add_argument("name", help="of the file")
    adding.add_argument("--results", required=True, type=pathlib.Path)
    verbs.add_parser("tables")
    verbs.add_parser("ablations")
    arguments = parser.parse_args()
    if arguments.verb == "add":
        print(add(arguments.name, arguments.results))
    else:
        print(tables() if arguments.verb == "tables" else ablations())


if __name__ == "__main__":
    main()

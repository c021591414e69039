"""Keeps what `jump-tf reproduce` found as small files, and renders them.

python -m tests.benchmarks.reproduced add NAME --results DIR
python -m tests.benchmarks.reproduced tables     # as the README has them
"""

import argparse
import json
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.reproduction import page
from jump_tf.reproduction import reading
from jump_tf.reproduction import steps

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
    logs: Tree = {}
    for path in sorted(FOLDER.glob("*.json")):
        logs |= json.loads(path.read_text())
    return "\n\n".join(_table(log, told) for log, told in sorted(logs.items()))


def _table(log, told) -> str:
    first, *others = told["rows"]
    names = [reading.NAMES[metric] for metric in METRICS]
    rows = [
        [f"**{log}**", *names, "training"],
        ["---", *["---:"] * (len(METRICS) + 1)],
        [first["title"], *_first(first, schema.PAGE_LEAVE), _training(first)],
        ["the same, at page load", *_first(first, schema.PAGE_LOAD), ""],
    ]
    for row in others:
        if row.get("purpose") == steps.ABLATIONS:
            continue
        cells = _other(row["moments"][schema.PAGE_LEAVE])
        rows.append([row["title"], *cells, _training(row)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _first(row, moment) -> list[str]:
    numbers = row["moments"][moment]
    cells = []
    for metric in METRICS:
        low, high = numbers["intervals"][metric]
        half = reading.number((high - low) / 2, metric)
        cells.append(f"{reading.number(numbers[metric], metric)} ± {half}")
    return cells


def _other(numbers) -> list[str]:
    """What is better than the first row is bold, what is level has a ~."""
    cells = []
    for metric in METRICS:
        if numbers[metric] is None:
            cells.append("")
            continue
        text = reading.number(numbers[metric], metric)
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
    return f"{minutes:.0f} min, {row['epochs']} epochs, seed {row['seed']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("add")
    adding.add_argument("name", help="of the file")
    adding.add_argument("--results", required=True, type=pathlib.Path)
    verbs.add_parser("tables")
    arguments = parser.parse_args()
    if arguments.verb == "add":
        print(add(arguments.name, arguments.results))
    else:
        print(tables())


if __name__ == "__main__":
    main()

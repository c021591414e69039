"""Keeps what `jump-tf reproduce` found as small files, and renders them.

python -m tests.benchmarks.reproduced add NAME --results DIR
python -m tests.benchmarks.reproduced tables      # as the README has them
python -m tests.benchmarks.reproduced ablations   # these, too

A file holds, for each dataset: what it is and how it was split, what the plan
changed of every model, where it ran, and a line for each row of the tables.
`numbers`, `intervals` (95 %, over sessions), `lead` (the interval of the first
row less this one, over the seeds that both have), `of_seeds` and `leads` (the
first row less this one, seed by seed) are in the order of `metrics`. The first
row has its whole `config`, the others what differs from it.
"""

import argparse
import json
import pathlib
import statistics
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction import steps

FOLDER = pathlib.Path(__file__).parent / "results" / "reproduced"
METRICS = (*results.CLICK_METRICS, *results.DWELL_METRICS)
DIGITS = 7
_OVER_SEEDS = {"mean": statistics.mean, "standard deviation": statistics.stdev}
Tree = dict[str, Any]


def add(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Reduces a folder of results to the rows of the tables."""
    tree = json.loads((folder / results.RESULTS_FILE).read_text())
    logs = {
        log: {
            "data": summary(told),
            "request": {
                key: tree["request"][key]
                for key in ("seeds", "trials", "epochs", "set")
            },
            **_rows(tree, log),
        }
        for log, told in tree["data"].items()
        if results.reference(tree, log)
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(lines(rounded(logs), 3) + "\n")
    return path


def summary(told: Tree) -> Tree:
    """What a dataset is, without where its files were on the machine."""
    manifest = told["manifest"]
    options = manifest.get("options", {})
    sizes = ("rows", "clicks", "rejected", "filtered", "num_items", "splits")
    return {
        **{key: told[key] for key in ("like", "note", "set")},
        **{key: manifest.get(key) for key in sizes},
        "input": [path.rpartition("/")[2] for path in options.get("input", [])],
        "options": {
            key: options.get(key) for key in ("format", "split", "test_days")
        },
    }


def _rows(tree, log) -> Tree:
    """The reference, then the others; environment and metrics once."""
    first = results.reference(tree, log)
    runs = results.done(
        tree, log, steps.HEADLINE, steps.BASELINES, steps.ABLATIONS
    )
    runs = [first, *(run for run in runs if run["label"] != first["label"])]
    runs = [run for run in runs if run["seed"] == 0]
    rows = [_row(tree, run, first) for run in runs]
    baselines = tree["baselines"][log][schema.PAGE_LEAVE]
    for name, numbers in baselines.items():
        leads = numbers["differences"]
        rows.append(
            {
                "title": results.BASELINES.get(name, name),
                "numbers": [numbers.get(metric) for metric in METRICS],
                "lead": [leads.get(metric) for metric in METRICS],
            }
        )
    environment = first["environment"]
    kept = {key: environment[key] for key in ("versions", "machine")}
    return {"environment": kept, "metrics": METRICS, "rows": rows}


def _row(tree, run, first) -> Tree:
    row = {"title": run["title"], "purpose": run["purpose"]}
    if "environment" in run:
        row |= {key: run[key] for key in ("seed", "epochs", "training_seconds")}
        row["commit"] = run["environment"]["commit"]
        row["config"] = changed(run["config"], first["config"], run is first)
    row |= _numbers(run, schema.PAGE_LEAVE)
    if run is first:
        row[schema.PAGE_LOAD] = _numbers(run, schema.PAGE_LOAD)
    else:
        against = tree["against"][run["data"]][schema.PAGE_LEAVE]
        found = against.get(run["label"], {})
        row["lead"] = [
            found[metric]["interval"] if metric in found else None
            for metric in METRICS
        ]
    for name, values in (
        ("of_seeds", results.of_seeds),
        ("leads", results.leads_of_seeds),
    ):
        seeds = [
            values(tree, run, schema.PAGE_LEAVE, metric) for metric in METRICS
        ]
        if max(map(len, seeds)) > 1 and (
            name == "of_seeds" or run is not first
        ):
            row[name] = seeds
    return row


def _numbers(run, moment) -> Tree:
    numbers = run["moments"][moment]
    return {
        "numbers": [numbers[metric] for metric in METRICS],
        "intervals": [numbers["intervals"].get(metric) for metric in METRICS],
    }


def changed(config: Tree, first: Tree, whole: bool = False) -> Tree:
    """A configuration, or what of it is not as in the first row's."""
    return {
        key: value
        for key, value in config.items()
        if whole or key not in first or first[key] != value
    }


def rounded(value: Any) -> Any:
    """The same with as many digits as any table needs."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def lines(value: Any, levels: int) -> str:
    """JSON with a line for each value `levels` deep."""
    if not levels or not isinstance(value, dict | list) or not value:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if isinstance(value, list):
        inner = ",\n".join(lines(one, levels - 1) for one in value)
        return f"[\n{inner}\n]"
    inner = ",\n".join(
        f"{json.dumps(key)}: {lines(one, levels - 1)}"
        for key, one in value.items()
    )
    return f"{{\n{inner}\n}}"


def tables() -> str:
    """A Markdown table for each dataset."""
    return "\n\n".join(
        _table(log, told) for log, told in sorted(_logs().items())
    )


def ablations() -> str:
    """A Markdown table of JUMP less itself without something, of each dataset.

    The mean over the seeds, and from where to where the seeds go: intervals
    over sessions know nothing of the chance of a training.
    """
    made = []
    for log, told in sorted(_logs().items()):
        first, *others = told["rows"]
        rows = [
            [row["title"], *map(_led, METRICS, row["leads"]), _cost(row)]
            for row in others
            if row.get("purpose") == steps.ABLATIONS and "leads" in row
        ]
        if rows:
            made.append(
                _markdown([_head(log, f"{first['title']} less"), *rows])
            )
    return "\n\n".join(made)


def _led(metric, leads) -> str:
    if not leads:
        return ""
    mean = results.number(statistics.mean(leads), metric, signed=True)
    ends = results.interval((min(leads), max(leads)), metric, signed=True)
    return f"{mean} ({ends})"


def _logs() -> Tree:
    logs: Tree = {}
    for path in sorted(FOLDER.glob("*.json")):
        logs |= json.loads(path.read_text())
    return logs


def _table(log, told) -> str:
    first, *others = told["rows"]
    rows = [_head(log), _whole(first)]
    if (seeds := _seeds(first)) > 1:
        for name, of in _OVER_SEEDS.items():
            cells = [
                results.number(of(values), metric)
                for metric, values in zip(
                    METRICS, first["of_seeds"], strict=True
                )
            ]
            rows.append([f"{name} of {seeds} seeds", *cells, ""])
    page_load = _with_intervals(first[schema.PAGE_LOAD])
    rows.append(["the same, at page load", *page_load, ""])
    rows += [
        [row["title"], *_marked(row), _cost(row)]
        for row in others
        if row.get("purpose") != steps.ABLATIONS
    ]
    return _markdown(rows)


def _markdown(rows) -> str:
    rows = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _head(log, what="") -> list[str]:
    names = [results.NAMES[metric] for metric in METRICS]
    return [f"**{log}** {what}".rstrip(), *names, "training"]


def _whole(first) -> list[str]:
    return [first["title"], *_with_intervals(first), _cost(first)]


def _with_intervals(numbers) -> list[str]:
    """With half of a bootstrap's interval over sessions."""
    cells = []
    for metric, value, (low, high) in zip(
        METRICS, numbers["numbers"], numbers["intervals"], strict=True
    ):
        half = results.number((high - low) / 2, metric)
        cells.append(f"{results.number(value, metric)} ± {half}")
    return cells


def _seeds(row) -> int:
    return len(row["of_seeds"][0]) if "of_seeds" in row else 1


def _plain(row) -> list[str]:
    """Numbers, means where there are several seeds; nothing where none is."""
    values = row["numbers"]
    if "of_seeds" in row:
        values = [
            statistics.mean(one) if one else None for one in row["of_seeds"]
        ]
    return [
        "" if value is None else results.number(value, metric)
        for metric, value in zip(METRICS, values, strict=True)
    ]


def _marked(row) -> list[str]:
    """What is better than the first row is bold, what is level has a ~."""
    cells = []
    for metric, text, lead in zip(
        METRICS, _plain(row), row["lead"], strict=True
    ):
        low, high = lead or (None, None)
        if text and (low is None or high is None or low <= 0.0 <= high):
            text += " ~"
        elif text and (low > 0) != (metric in results.HIGHER_IS_BETTER):
            text = f"**{text}**"
        cells.append(text)
    return cells


def _cost(row) -> str:
    if "training_seconds" not in row:
        return ""
    minutes = row["training_seconds"] / 60
    seeds = _seeds(row)
    told = f"{seeds} seeds" if seeds > 1 else f"seed {row['seed']}"
    return f"{minutes:.0f} min, {row['epochs']} epochs, {told}"


def main():
    """Adds a file or prints tables."""
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

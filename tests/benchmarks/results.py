"""Keeps the results of runs as small files, and renders the README's table.

python tests/benchmarks/results.py add NAME --run RUN   # after evaluate
python tests/benchmarks/results.py table
"""

import argparse
import json
import pathlib

from jump_tf import runs
from jump_tf import schema

FOLDER = pathlib.Path(__file__).parent / "results"
NUMBERS = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
    "num_predictions",
    "dwell_mae_seconds",
    "dwell_mae_all_clicks_seconds",
    "dwell_nll",
    "dwell_crps_seconds",
    "num_dwells",
)
HEADER = (
    "log and model",
    "recall@20",
    "MRR@20",
    "NDCG@20",
    "dwell MAE (s)",
    "the same, first clicks too",
    "training",
)


def add(name: str, run: pathlib.Path) -> pathlib.Path:
    """Copies what the README needs out of an evaluated run."""
    data = json.loads((run / runs.DATA_FILE).read_text())["manifest"]
    history = runs.read_history(run)
    kept = {
        "format": data["options"]["format"],
        "split": data["options"]["split"],
        "splits": data["splits"],
        "num_items": data["num_items"],
        "environment": json.loads((run / runs.ENVIRONMENT_FILE).read_text()),
        "config": runs.read_config(run).to_yaml(),
        "epochs": len(history),
        "training_seconds": sum(line["training_seconds"] for line in history),
        "moments": {moment: _numbers(run, moment) for moment in schema.MOMENTS},
    }
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path


def _numbers(run, moment):
    file = run / "evaluation" / f"{schema.TEST}.{moment}.json"
    result = json.loads(file.read_text())
    return {
        **{name: result[name] for name in NUMBERS},
        "intervals": {
            name: result["intervals"][name]
            for name in NUMBERS
            if name in result["intervals"]
        },
        "baselines": {
            baseline: {name: values.get(name) for name in NUMBERS}
            for baseline, values in result["baselines"].items()
        },
    }


def table() -> str:
    """The Markdown table of all results."""
    logs: dict[str, dict] = {}
    for path in sorted(FOLDER.glob("*.json"), reverse=True):
        log, preset = path.stem.rsplit(".", 1)
        logs.setdefault(log, {})[preset] = json.loads(path.read_text())
    rows = [HEADER, ["---"] + ["---:"] * (len(HEADER) - 1)]
    for log in sorted(logs):
        for preset, kept in logs[log].items():
            model = "GRU4Rec" if preset == "gru4rec" else f"JUMP `{preset}`"
            rows += _model_rows(f"{log}, {model}", kept)
        baselines = kept["moments"][schema.PAGE_LEAVE]["baselines"]
        rows += [
            [f"{log}, {name.replace('_', ' ')}", *_cells(values, {}), ""]
            for name, values in baselines.items()
        ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _model_rows(name, kept):
    training = (
        f"{kept['training_seconds'] / 60:.0f} min, "
        f"{kept['epochs']} epochs, seed {kept['environment']['seed']}"
    )
    leave, load = (kept["moments"][moment] for moment in schema.MOMENTS)
    return [
        [f"**{name}**", *_cells(leave, leave["intervals"]), training],
        ["the same, at page load", *_cells(load, load["intervals"]), ""],
    ]


def _cells(values, intervals):
    return [
        _cell(values.get(name), intervals.get(name), digits)
        for name, digits in (
            ("recall_at_20", 4),
            ("mrr_at_20", 4),
            ("ndcg_at_20", 4),
            ("dwell_mae_seconds", 2),
            ("dwell_mae_all_clicks_seconds", 2),
        )
    ]


def _cell(value, interval, digits):
    if value is None:
        return ""
    if interval is None:
        return f"{value:.{digits}f}"
    half = (interval[1] - interval[0]) / 2
    return f"{value:.{digits}f} ± {half:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("add")
    adding.add_argument("name", help="LOG.PRESET")
    adding.add_argument("--run", required=True, type=pathlib.Path)
    verbs.add_parser("table")
    arguments = parser.parse_args()
    if arguments.verb == "add":
        print(add(arguments.name, arguments.run))
    else:
        print(table())


if __name__ == "__main__":
    main()

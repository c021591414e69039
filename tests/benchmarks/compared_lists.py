"""Keeps what `jump-tf reproduce --task lists` found, and renders it.

python -m tests.benchmarks.compared_lists add --results DIR
python -m tests.benchmarks.compared_lists tables   # as the README has them

A list is ordered before anybody has seen it, so that NDCG is of the mode in
which no feedback is known; all else is of the one in which it is.
"""

import argparse
import json
import pathlib
from typing import Any

from jump_tf.evaluate.lists import baselines as list_baselines
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments.reproduction import list_comparison
from jump_tf.experiments.reproduction import results
from tests.benchmarks import reproduced

FILE = pathlib.Path(__file__).parent / "results" / "heroes.json"
COLUMNS = {
    "CTR AUC": ("ctr_auc", list_predictions.KNOWN),
    "CTCVR AUC": ("ctcvr_auc", list_predictions.KNOWN),
    "CTCVR log-loss": ("ctcvr_log_loss", list_predictions.KNOWN),
    "CTR NDCG@10": ("ctr_ndcg_at_10", list_predictions.FREE),
    "CTCVR NDCG@10": ("ctcvr_ndcg_at_10", list_predictions.FREE),
}
Tree = dict[str, Any]


def add(folder: pathlib.Path) -> pathlib.Path:
    """Reduces the results of a comparison to a line for each model."""
    tree = json.loads((folder / results.RESULTS_FILE).read_text())
    tree["data"] = {
        data: _reduced(found, tree["reference"])
        for data, found in tree["data"].items()
    }
    FILE.write_text(reproduced.lines(reproduced.rounded(tree), 4) + "\n")
    return FILE


def _reduced(found: Tree, reference: str) -> Tree:
    first = min(found["runs"][reference].items())[1]
    return {
        **{mode: found[mode] for mode in list_predictions.FEEDBACKS},
        "baselines": found["baselines"],
        "environment": {
            key: first["environment"][key] for key in ("versions", "machine")
        },
        "runs": {
            label: {
                seed: {
                    **{key: run[key] for key in ("epochs", "training_seconds")},
                    "commit": run["environment"]["commit"],
                    "config": reproduced.changed(
                        run["config"], first["config"], run is first
                    ),
                }
                for seed, run in runs.items()
            }
            for label, runs in found["runs"].items()
        },
    }


def tables() -> str:
    """A table for each log, in Markdown."""
    tree = json.loads(FILE.read_text())
    return "\n\n".join(_table(tree, data) for data in tree["data"])


def _table(tree: Tree, data: str) -> str:
    found = tree["data"][data]
    rows = [[f"**{data}**", *COLUMNS], ["---", *["---:"] * len(COLUMNS)]]
    for label in found[list_predictions.KNOWN]:
        numbers = found[list_predictions.KNOWN][label]
        name = tree["models"][label]
        if len(numbers["seeds"]) > 1:
            name += f" ({len(numbers['seeds'])} seeds)"
        cells = [
            list_comparison.cell(found[mode][label], metric)
            for metric, mode in COLUMNS.values()
        ]
        rows.append([name, *cells])
    for name, numbers in found["baselines"].items():
        cells = [
            ""
            if name == list_baselines.SINCE_CLICK
            and mode == list_predictions.FREE
            else list_comparison.number(numbers[metric])
            for metric, mode in COLUMNS.values()
        ]
        rows.append([f"baseline: {name}", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main():
    """Adds a file or prints tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("add")
    adding.add_argument("--results", required=True, type=pathlib.Path)
    verbs.add_parser("tables")
    arguments = parser.parse_args()
    print(add(arguments.results) if arguments.verb == "add" else tables())


if __name__ == "__main__":
    main()

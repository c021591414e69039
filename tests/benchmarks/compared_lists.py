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
from jump_tf.experiments.reproduction import list_comparison_page

FILE = pathlib.Path(__file__).parent / "results" / "heroes.json"
COLUMNS = {
    "CTR AUC": ("ctr_auc", list_predictions.KNOWN),
    "CTCVR AUC": ("ctcvr_auc", list_predictions.KNOWN),
    "CTCVR log-loss": ("ctcvr_log_loss", list_predictions.KNOWN),
    "CTR NDCG@10": ("ctr_ndcg_at_10", list_predictions.FREE),
    "CTCVR NDCG@10": ("ctcvr_ndcg_at_10", list_predictions.FREE),
}
Tree = dict[str, Any]


def add(results: pathlib.Path) -> pathlib.Path:
    """Copies the results of a comparison."""
    tree = json.loads((results / list_comparison.RESULTS_FILE).read_text())
    FILE.write_text(json.dumps(tree, indent=1) + "\n")
    return FILE


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
            list_comparison_page.cell(found[mode][label], metric)
            for metric, mode in COLUMNS.values()
        ]
        rows.append([name, *cells])
    for name, numbers in found["bars"].items():
        cells = [
            ""
            if name == list_baselines.SINCE_CLICK
            and mode == list_predictions.FREE
            else list_comparison_page.number(numbers[metric])
            for metric, mode in COLUMNS.values()
        ]
        rows.append([f"bar: {name}", *cells])
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

"""What a warm start is worth: one epoch on the later half of a log.

    python -m tests.benchmarks.warm_start --log clicks.csv.xz --workdir DIR

Cuts a log in two by the time at which sessions begin, trains on the first half
and then one epoch on the second: cold, and warm from the first. The log is a
csv with `session_id`, `timestamp_ms` and `item_id`. What is done already in the
folder is not done again.
"""

import argparse
import csv
import json
import lzma
import pathlib
import statistics

import numpy as np

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config.run import Config
from jump_tf.config.run import preset
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.metrics import bootstrap
from jump_tf.runs import model_factory
from jump_tf.train import warm_start

HALVES = ("first", "second")
COLUMNS = ("session_id", "timestamp_ms", "item_id")
MEASURED = "recall_at_20"


def split_in_halves(
    log: pathlib.Path, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Writes the halves of a log, whole sessions each.

    Args:
        log: a csv, maybe packed with xz.
        folder: gets `first.csv` and `second.csv`.
    """
    opened = lzma.open if log.suffix == ".xz" else open
    with opened(log, "rt") as lines:
        rows = [
            tuple(row[name] for name in COLUMNS)
            for row in csv.DictReader(lines)
        ]
    begins: dict[str, int] = {}
    for session, time_ms, _ in rows:
        begins[session] = min(int(time_ms), begins.get(session, 2**63))
    middle = statistics.median_low(begins.values())
    paths = []
    for half in HALVES:
        chosen = {
            session
            for session, begin in begins.items()
            if (begin <= middle) == (half == HALVES[0])
        }
        paths.append(folder / f"{half}.csv")
        with paths[-1].open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(row for row in rows if row[0] in chosen)
    return paths


def prepare(log: pathlib.Path, folder: pathlib.Path) -> None:
    """Makes the data folders `first` and `second`."""
    if all((folder / half / schema.MANIFEST_FILE).exists() for half in HALVES):
        return
    for path in split_in_halves(log, folder):
        if cli.main(
            [
                *("prepare", "--format", "csv", "--input", str(path)),
                *("--output", str(path.with_suffix(""))),
            ]
        ):
            raise SystemExit(f"prepare failed on {path}")


def measure(run: pathlib.Path, data: pathlib.Path) -> dict[str, object]:
    """Recall on validation with its interval: of all, of new items, of old."""
    clicks, answers = session_predictions.predictor(
        model_factory.load_run(run)
    )(session_batches.evaluation_batches(data, schema.VALIDATION))
    recall = session_metrics.click_measures(clicks, answers.rank)[MEASURED]
    old = np.isin(clicks.item, _old_ids(data.parent))
    parts = {
        name: recall.within(part)
        for name, part in (("all", clicks.known), ("old", old), ("new", ~old))
    }
    drawn = bootstrap.resampled(
        {name: part.over(clicks.session) for name, part in parts.items()}
    )
    return {
        name: [part.mean(), *bootstrap.interval(drawn[name])]
        for name, part in parts.items()
    }


def _old_ids(folder):
    first, second = (
        folders.read_vocabulary(folder / half / schema.VOCABULARY_FILE)
        for half in HALVES
    )
    known = set(first)
    return [
        number
        for number, item in enumerate(second, schema.FIRST_ITEM_ID)
        if item in known
    ]


def compare(folder: pathlib.Path, config: Config) -> dict[str, object]:
    """Trains what is not trained yet; the measures of both starts."""
    first, second = (folder / half for half in HALVES)
    source = folder / "run-first"
    if not source.exists():
        tasks.train(config, first, source, verbose=2)
    short = config.override(["training.epochs=1", "training.schedule=constant"])
    starts = {"cold": None, "warm": warm_start.WarmStart(source)}
    measured: dict[str, object] = {}
    for name, start in starts.items():
        run = folder / f"run-{name}"
        if not run.exists():
            tasks.train(short, second, run, warm_start=start, verbose=2)
        measured[name] = measure(run, second)
        print(name, json.dumps(measured[name]), flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", required=True, type=pathlib.Path)
    parser.add_argument("--workdir", required=True, type=pathlib.Path)
    parser.add_argument("--preset", default="production")
    parser.add_argument("--set", nargs="+", default=[])
    arguments = parser.parse_args()
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    prepare(arguments.log, arguments.workdir)
    config = preset(arguments.preset).override(arguments.set)
    print(f"{'start':8}  recall@20: all, old items, new items")
    for name, parts in compare(arguments.workdir, config).items():
        print(
            f"{name:8}  "
            + "  ".join(
                f"{value:.4f} [{low:.4f}, {high:.4f}]"
                for value, low, high in parts.values()
            )
        )


if __name__ == "__main__":
    main()

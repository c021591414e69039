"""How fast JUMP and GRU4Rec train on the same data, and to what recall.

    python -m tests.benchmarks.throughput --data DATA --output FILE

JUMP is the preset `production`, GRU4Rec the preset `gru4rec`, with the same
units and negatives. Each is trained by `trainer.train`, as `jump-tf train`
does it, in a process of its own, one after the other.

clicks/s   clicks of the training split by the manifest (both losses are over
           all of them) over the `training_seconds` of an epoch: reading and
           shuffling are in, validation and saving are not. The median over the
           epochs after the first, which also traces.
events/s   the same of next clicks, of which a session has one less. This is
           what GRU4Rec's official code calls events. What it prints itself is
           more by a trifle: it takes its last batches for full ones.
peak MiB   highest resident memory of the process, validation included; on the
           host, whatever the device.
s to ...   training seconds until validation recall@20 is at least `--recall`.
recall@20  on validation, of the best epoch.

Peers run in the same way if they are named. GRU4Rec's official PyTorch code
is under a research licence and not part of this project; fetch it yourself:

    git clone https://github.com/hidasib/GRU4Rec_PyTorch_Official FOLDER
    python -m venv TORCH && TORCH/bin/pip install torch pandas
    python -m tests.benchmarks.throughput --data DATA \
        --gru4rec-pytorch FOLDER --peer-python TORCH/bin/python

It trains on the same split, in the order of its sessions' starts, with a batch
of 64, and its own evaluation counts the recall: ties lost, as ours, and clicks
on unknown items taken out of the sessions.

RecBole is not among the peers: its last release, 1.2.1, sets NumPy aliases that
NumPy 2 has no more, and wants a ray that only Python up to 3.11 has.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.data import folders
from jump_tf.runs import folder as run_folder
from jump_tf.train import callbacks
from tests import records
from tests.benchmarks import processes

PRESETS = {"jump": "production", "gru4rec": "gru4rec"}
REFERENCE = "gru4rec"
OFFICIAL = "gru4rec, official PyTorch"
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Training:
    """What it took to train a model.

    Attributes:
        name: of the model.
        epochs: `seconds` of training and `recall_at_20` on validation of each.
        peak_bytes: highest resident memory.
        about: what ran, on what.
    """

    name: str
    epochs: list[dict[str, float]]
    peak_bytes: int
    about: dict[str, Any]

    @property
    def epoch_seconds(self) -> float:
        """The median over the epochs after the first; of one, that one."""
        seconds = [epoch["seconds"] for epoch in self.epochs]
        return statistics.median(seconds[1:] or seconds)

    @property
    def recall(self) -> float:
        """Of the best epoch."""
        return max(epoch["recall_at_20"] for epoch in self.epochs)

    def seconds_to(self, recall: float) -> float | None:
        """Training seconds until the recall is reached; None if it is not."""
        seconds = 0.0
        for epoch in self.epochs:
            seconds += epoch["seconds"]
            if epoch["recall_at_20"] >= recall:
                return seconds
        return None


def main(argv: list[str] | None = None) -> None:
    """Trains all that is asked for; prints the table, writes the file."""
    arguments = _parser().parse_args(argv)
    if arguments.worker:
        train_here(arguments.data, arguments.worker)
        return
    split = folders.read_manifest(arguments.data)["splits"][schema.TRAIN]
    print(
        f"training: {split['sessions']} sessions, {split['clicks']} clicks",
        flush=True,
    )
    ours = {name: _config(name, arguments) for name in arguments.models}
    trainings = [
        train(name, config, arguments.data) for name, config in ours.items()
    ]
    if arguments.gru4rec_pytorch:
        trainings.append(train_official(arguments))
    result = summary(trainings, split, arguments.recall)
    print(table(result))
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def train(name: str, config: configs.Config, data: pathlib.Path) -> Training:
    """Trains one of our models in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder)
        (workdir / run_folder.CONFIG_FILE).write_text(config.to_yaml())
        command = [sys.executable, "-m", "tests.benchmarks.throughput"]
        return _run(
            name,
            [*command, "--data", str(data), "--worker", folder],
            workdir,
            os.environ,
        )


def train_here(data: pathlib.Path, workdir: pathlib.Path) -> None:
    """Trains by the `config.yaml` in a folder; writes `result.json` there."""
    run = workdir / "run"
    config = configs.load(workdir / run_folder.CONFIG_FILE)
    tasks.train(config, data, run, verbose=2)
    result = {
        "epochs": [
            {
                "seconds": record["training_seconds"],
                "recall_at_20": record[callbacks.MONITORED],
            }
            for record in run_folder.read_history(run)
        ],
        "peak_bytes": processes.peak_bytes(),
        "about": {
            **json.loads((run / run_folder.ENVIRONMENT_FILE).read_text()),
            "config": (run / run_folder.CONFIG_FILE).read_text(),
        },
    }
    (workdir / "result.json").write_text(json.dumps(result))


def train_official(arguments: argparse.Namespace) -> Training:
    """Trains the official code on the same splits."""
    with tempfile.TemporaryDirectory() as folder:
        workdir = pathlib.Path(folder)
        for split in (schema.TRAIN, schema.VALIDATION):
            export(arguments.data, split, workdir / f"{split}.tsv")
        command = [
            *(arguments.peer_python, "-m", "tests.benchmarks.official_gru4rec"),
            *("--workdir", folder, "--units", str(arguments.units)),
            *("--negatives", str(arguments.negatives)),
            *("--epochs", str(arguments.peer_epochs)),
        ]
        path = str(arguments.gru4rec_pytorch.resolve())
        environment = {**os.environ, "PYTHONPATH": path}
        return _run(OFFICIAL, command, workdir, environment)


def export(data: pathlib.Path, split: str, path: pathlib.Path) -> None:
    """Writes a split as the official code reads it.

    Times are only what it sorts by: a session's start, a millisecond a click.
    Items count from 0, as PyTorch reads no `pandas.Series` without a label 0;
    the unknown item is then -1, of which its training has none.
    """
    sessions = records.read_sessions(folders.shards(data, split))
    with path.open("w") as file:
        file.write("SessionId\tItemId\tTime\n")
        for number, session in enumerate(sessions):
            file.writelines(
                f"{number}\t{item - schema.FIRST_ITEM_ID}"
                f"\t{session.start_ms + place}\n"
                for place, item in enumerate(session.items)
            )


def _run(name, command, workdir, environment) -> Training:
    print(f"== {name}", flush=True)
    subprocess.run(command, check=True, env=environment)
    result = json.loads((workdir / "result.json").read_text())
    return Training(name, **result)


def summary(
    trainings: list[Training], split: dict[str, int], recall: float
) -> dict[str, Any]:
    """All numbers, as they are kept.

    Args:
        trainings: one for each model.
        split: `sessions` and `clicks` of the training split.
        recall: to be reached.
    """
    events = split["clicks"] - split["sessions"]
    seconds = {made.name: made.epoch_seconds for made in trainings}
    reference = seconds.get(REFERENCE)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "training_split": split,
        "recall_to_reach": recall,
        "models": {
            made.name: {
                "clicks_per_second": split["clicks"] / made.epoch_seconds,
                "events_per_second": events / made.epoch_seconds,
                "ratio": reference and reference / made.epoch_seconds,
                "peak_mib": made.peak_bytes / MIB,
                "seconds_to_recall": made.seconds_to(recall),
                "recall_at_20": made.recall,
                "epochs": made.epochs,
                "about": made.about,
            }
            for made in trainings
        },
    }


def table(result: dict[str, Any]) -> str:
    """A line for each model."""
    reached = f"s to {result['recall_to_reach']:g}"
    rows = [
        f"{'':26}{'clicks/s':>9}{'events/s':>10}{'ratio':>7}"
        f"{'peak MiB':>10}{reached:>13}{'recall@20':>11}"
    ]
    for name, model in result["models"].items():
        ratio, seconds = model["ratio"], model["seconds_to_recall"]
        rows.append(
            f"{name:26}{model['clicks_per_second']:>9,.0f}"
            f"{model['events_per_second']:>10,.0f}"
            f"{'-' if ratio is None else f'{ratio:.2f}':>7}"
            f"{model['peak_mib']:>10,.0f}"
            f"{'not reached' if seconds is None else f'{seconds:.1f}':>13}"
            f"{model['recall_at_20']:>11.4f}"
        )
    return "\n".join(rows)


def _config(name, arguments) -> configs.Config:
    sizes = [
        f"model.units={arguments.units}",
        f"model.negatives={arguments.negatives}",
    ]
    if arguments.epochs:
        sizes.append(f"training.epochs={arguments.epochs}")
    return configs.preset(PRESETS[name]).override([*sizes, *arguments.set])


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument(
        "--models", nargs="+", choices=PRESETS, default=list(PRESETS)
    )
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument(
        "--epochs", type=int, help="of ours; where left out, the presets'"
    )
    parser.add_argument("--recall", type=float, default=0.50)
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="changes single values of all our models",
    )
    parser.add_argument("--output", type=pathlib.Path, help="a JSON file")
    parser.add_argument(
        "--gru4rec-pytorch",
        type=pathlib.Path,
        metavar="FOLDER",
        help="a checkout of the official code",
    )
    parser.add_argument(
        "--peer-python",
        default=sys.executable,
        help="interpreter that has PyTorch and pandas",
    )
    parser.add_argument("--peer-epochs", type=int, default=2)
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()

"""Times the official GRU4Rec in PyTorch on splits that `throughput` exported.

Runs under any Python with PyTorch and pandas, a checkout of the official code
in its PYTHONPATH, and imports nothing else of ours than `processes`. The epoch
is timed as the official code does it: from its first batch to the last update.
"""

import argparse
import hashlib
import json
import pathlib
import platform
import time

import evaluation
import gru4rec_pytorch
import numpy as np
import pandas as pd
import torch

from tests.benchmarks import processes

# What its authors publish for 100 units and cross-entropy, but for the batch,
# which is theirs of 32 doubled.
OPTIONS = {
    "loss": "cross-entropy",
    "constrained_embedding": True,
    "batch_size": 64,
    "dropout_p_hidden": 0.4,
    "learning_rate": 0.2,
    "momentum": 0.2,
    "sample_alpha": 0.5,
    "logq": 1.0,
}
EVALUATED_SESSIONS = 512  # At a time.


def main() -> None:
    """Trains, then evaluates each epoch; writes `result.json`."""
    arguments = _parser().parse_args()
    workdir = arguments.workdir
    # As TensorFlow does it for ours. Otherwise its early steps on a CPU, whose
    # softmax is full of tiny numbers, take five times as long.
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    gru = gru4rec_pytorch.GRU4Rec(
        layers=[arguments.units],
        n_sample=arguments.negatives,
        n_epochs=arguments.epochs,
        device=torch.device("cuda:0" if torch.cuda.is_available() else "cpu"),
        **OPTIONS,
    )
    seconds = fit(gru, pd.read_csv(workdir / "train.tsv", sep="\t"), workdir)
    validation = pd.read_csv(workdir / "validation.tsv", sep="\t")
    result = {
        "epochs": [
            {"seconds": taken, "recall_at_20": recall(gru, path, validation)}
            for path, taken in seconds.items()
        ],
        "peak_bytes": processes.peak_bytes(),
        "about": about(gru),
    }
    (workdir / "result.json").write_text(json.dumps(result))


def fit(gru, training, workdir) -> dict[pathlib.Path, float]:
    """The weights after each epoch as a file, and the seconds it took."""
    seconds = {}

    class Timed(gru4rec_pytorch.SessionDataIterator):
        def __call__(self, *args, **kwargs):
            start = time.perf_counter()
            yield from super().__call__(*args, **kwargs)
            path = workdir / f"epoch-{len(seconds) + 1}.pt"
            seconds[path] = time.perf_counter() - start
            torch.save(gru.model.state_dict(), path)

    # `fit` makes its iterator by this name; `evaluation` has the original.
    gru4rec_pytorch.SessionDataIterator = Timed
    # The other mode draws first weights by NumPy, and fails with NumPy 2.
    gru.fit(training, compatibility_mode=False)
    return seconds


def recall(gru, path, validation) -> float:
    """Recall@20 by the official evaluation, ties lost."""
    gru.model.load_state_dict(torch.load(path))
    recalls, _ = evaluation.batch_eval(
        gru,
        validation,
        cutoff=[20],
        batch_size=min(EVALUATED_SESSIONS, validation["SessionId"].nunique()),
        mode="conservative",
    )
    return float(recalls[20])


def about(gru) -> dict:
    """Which code ran, on what, and how it was set."""
    code = pathlib.Path(gru4rec_pytorch.__file__).read_bytes()
    return {
        "options": OPTIONS,
        "device": str(gru.device),
        "threads": torch.get_num_threads(),
        "code_sha256": hashlib.sha256(code).hexdigest(),
        "versions": {
            "numpy": np.__version__,
            "pandas": pd.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


def _parser():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--units", type=int, required=True)
    parser.add_argument("--negatives", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    return parser


if __name__ == "__main__":
    main()

"""Small trainings in other processes, and how two runs are compared."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from jump_tf import tasks
from jump_tf.config.run import preset
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory

ROOT = pathlib.Path(__file__).parents[1]
SETTINGS = (
    "model.units=6",
    "model.micro_step_seconds=1500",
    "training.epochs=2",
    "training.patience=9",
    "training.learning_rate=0.01",
)
EVERY_STEP = "training.checkpoint_seconds=0"  # Saves a checkpoint.
# Of the run that several test modules share, see `conftest.finished_run`.
SHARED = (
    "model.negatives=9",
    "model.item_bias=true",
    "training.batch_sessions=20",
)
NOT_COMPARED = {"training_seconds"}


def small_config(settings=SHARED):
    """The production preset with every size turned down."""
    return preset("production").override([*SETTINGS, *settings])


def train_here(data, run, settings=SHARED, **options):
    """Trains in this process."""
    return tasks.train(small_config(settings), data, run, verbose=0, **options)


def train_there(data, run, settings, *flags, cluster=None, index=0):
    """Starts `jump-tf train` in a process of its own."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if cluster is not None:
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": cluster}, "task": task}
        )
    command = ["-m", "jump_tf.cli", "train", "--preset", "production"]
    folders = ["--data", str(data), "--run", str(run)]
    changes = ["--set", *SETTINGS, *settings]
    return subprocess.Popen(
        [sys.executable, *command, *folders, *flags, *changes],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def two_workers(data, run, settings, *flags):
    """Starts two processes that train together."""
    cluster = [f"localhost:{port}" for port in _free_ports(2)]
    flags = ("--strategy", "multiworker", *flags)
    return [
        train_there(data, run, settings, *flags, cluster=cluster, index=index)
        for index in range(2)
    ]


def finish(process, timeout=240):
    """Waits; returns exit code and what was said."""
    said = process.communicate(timeout=timeout)[1]
    return process.returncode, said


def assert_same_run(ours, theirs, rel=1e-5):
    """Both runs recorded the same and chose the same weights."""
    histories = run_folder.read_history(ours), run_folder.read_history(theirs)
    for mine, other in zip(*histories, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - NOT_COMPARED:
            assert mine[name] == pytest.approx(other[name], rel=rel), name
    for mine, other in zip(
        model_factory.load_run(ours).weights,
        model_factory.load_run(theirs).weights,
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=rel, atol=rel)


def _free_ports(number):
    sockets = [socket.create_server(("localhost", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports

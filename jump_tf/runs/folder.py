"""The run folder: what a training leaves behind, and how it is read."""

import contextlib
import fcntl
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import jump_tf
from jump_tf import schema
from jump_tf.config import run as configs
from jump_tf.data import folders
from jump_tf.reporting import files

CONFIG_FILE = "config.yaml"
DATA_FILE = "data.json"
ENVIRONMENT_FILE = "environment.json"
METRICS_FILE = "metrics.jsonl"
LOAD_TEST_FILE = "load-test.json"  # If `jump-tf load-test` wrote it there.
TENSORBOARD_FOLDER = "tensorboard"


def is_new(folder: pathlib.Path) -> bool:
    """Whether a folder is not there yet, or empty."""
    if not folder.exists():
        return True
    return folder.is_dir() and not any(folder.iterdir())


@contextlib.contextmanager
def alone(lock_file: pathlib.Path) -> Iterator[None]:
    """Keeps a second process out of a folder while this one works in it.

    Args:
        lock_file: a file of the folder; it is made if it is not there, and
            free when the process ends, however that is.

    Raises:
        InputError: another process works in the folder.
    """
    with lock_file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise schema.InputError(
                "One process at a time must work in a folder. Received: "
                f"{lock_file.parent}, which another one uses"
            ) from None
        yield


def open_run(
    run: pathlib.Path,
    config: configs.Config,
    data: pathlib.Path,
    vocabulary: Sequence[str],
    warm_start: dict[str, str] | None = None,
) -> None:
    """Makes a run folder that says what will be trained on what.

    Args:
        run: the folder to make.
        config: of model and training.
        data: the data folder.
        vocabulary: raw item ids of the model, in the order of ids: those of
            the data, and maybe more behind.
        warm_start: where its weights come from, if not from chance.

    Raises:
        InputError: the folder holds something already.
    """
    if not is_new(run):
        raise schema.InputError(
            "`--run` must be a new or empty folder unless `--resume` is given. "
            f"Received: {run}"
        )
    manifest = folders.read_manifest(data)
    # Beside, then renamed: a run folder is whole from its first moment.
    beside = run.with_name(f".{run.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    folders.write_vocabulary(beside / schema.VOCABULARY_FILE, vocabulary)
    (beside / CONFIG_FILE).write_text(config.to_yaml())
    _write_json(
        beside / DATA_FILE,
        {
            "folder": str(data.resolve()),
            "manifest": manifest,
            "warm_start": warm_start,
        },
    )
    _write_json(beside / ENVIRONMENT_FILE, _environment(config))
    beside.replace(run)


def reopen_run(
    run: pathlib.Path, config: configs.Config, data: pathlib.Path
) -> list[dict[str, Any]]:
    """The history of a run that shall go on.

    Raises:
        InputError: it is not a run, or one with another configuration or
            vocabulary.
    """
    check_vocabulary(run, data)
    if read_config(run) != config:
        raise schema.InputError(
            "`--resume` must keep the configuration of the run. "
            f"Received: another one than {run / CONFIG_FILE}"
        )
    return read_history(run)


def check_vocabulary(run: pathlib.Path, data: pathlib.Path) -> None:
    """Refuses a data folder whose item ids mean other items than the run's.

    Raises:
        InputError: so it is, or either has no vocabulary.
    """
    folders.read_manifest(data)
    check_run(run)
    mine, theirs = run / schema.VOCABULARY_FILE, data / schema.VOCABULARY_FILE
    # Behind the ids of its data, a run may have kept items of an older one.
    if not mine.read_bytes().startswith(theirs.read_bytes()):
        raise schema.InputError(
            "The data folder must have the vocabulary that the run was "
            f"trained with. Received: {theirs}, which is not {mine}"
        )


def check_run(run: pathlib.Path) -> None:
    """Refuses a folder that is not the folder of a run.

    Raises:
        InputError: so it is.
    """
    if not (run / CONFIG_FILE).is_file():
        raise schema.InputError(
            "A run must be a folder that `jump-tf train` made. "
            f"Received: {run}, which has no {CONFIG_FILE}"
        )


def read_config(run: pathlib.Path) -> configs.Config:
    """The configuration of a run.

    Raises:
        InputError: it is not the folder of a run, or of another version.
    """
    check_run(run)
    return configs.load(run / CONFIG_FILE)


def read_vocabulary(run: pathlib.Path) -> list[str]:
    """The raw item ids that the run's model knows, in the order of ids."""
    return folders.read_vocabulary(run / schema.VOCABULARY_FILE)


def read_data_folder(run: pathlib.Path) -> pathlib.Path:
    """The data folder that the run was trained on."""
    return pathlib.Path(json.loads((run / DATA_FILE).read_text())["folder"])


def read_manifest(run: pathlib.Path) -> dict[str, Any]:
    """The manifest of the data that the run was trained on."""
    return json.loads((run / DATA_FILE).read_text())["manifest"]


def read_environment(run: pathlib.Path) -> dict[str, Any]:
    """Versions, commit, seed and machine of the run."""
    return json.loads((run / ENVIRONMENT_FILE).read_text())


def read_warm_start(run: pathlib.Path) -> dict[str, str] | None:
    """Where the run's weights came from, if not from chance."""
    return json.loads((run / DATA_FILE).read_text()).get("warm_start")


def read_history(run: pathlib.Path) -> list[dict[str, Any]]:
    """The metrics of each finished epoch."""
    path = run / METRICS_FILE
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_training(run: pathlib.Path) -> dict[str, Any]:
    """How long the run was trained, where, and with what configuration."""
    history = read_history(run)
    return {
        "epochs": len(history),
        "training_seconds": sum(line["training_seconds"] for line in history),
        "environment": read_environment(run),
        "config": read_config(run).flat(),
    }


def read_load_test(run: pathlib.Path) -> dict[str, float] | None:
    """Milliseconds that the served model took, by name of the quantile.

    Of the first load that a load test wrote to `LOAD_TEST_FILE`; None where
    none did.
    """
    path = run / LOAD_TEST_FILE
    if not path.is_file():
        return None
    return json.loads(path.read_text())["results"][0]["latency_ms"]


def write_history(run: pathlib.Path, history: list[dict[str, Any]]) -> None:
    """Replaces the metrics of the finished epochs."""
    with files.whole(run / METRICS_FILE) as out:
        out.writelines(json.dumps(line) + "\n" for line in history)


def _write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")


def _environment(config: configs.Config) -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=pathlib.Path(__file__).parent,
    )
    return {
        "versions": {
            "jump_tf": jump_tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": sys.version.split()[0],
            "tensorflow": tf.__version__,
        },
        "commit": commit.stdout.strip() or None,
        "seed": config.training.seed,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "devices": [
                d.device_type for d in tf.config.list_physical_devices()
            ],
            "cores": os.cpu_count(),
        },
    }

"""Flags that several verbs share, and the configuration they ask for.

The verbs themselves import the libraries, so that `--help` answers at once.
"""

import argparse
import pathlib

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import run as configs


def add_task(parser: argparse.ArgumentParser) -> None:
    """Declares the flag that says which task is meant."""
    parser.add_argument(
        "--task",
        choices=schema.TASKS,
        help="sessions: next click and dwell; lists: clicks and conversions on "
        "lists of shown items (default: that of the run or the preset, else "
        "sessions)",
    )


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf report`, which other verbs share."""
    parser.add_argument(
        "--run",
        dest="run_folder",
        required=True,
        type=pathlib.Path,
        help="folder of the run",
    )
    add_task(parser)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of a configuration, which other verbs share."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        help="a configuration that ships with the package (default: "
        + ", ".join(f"{t.preset} for {t.name}" for t in tasks.TASKS.values())
        + f"): {', '.join(configs.presets())}",
    )
    group.add_argument("--config", help="a YAML file of your own")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="changes single values, e.g. model.units=64",
    )


def config_of(
    arguments: argparse.Namespace, preset: str | None = None
) -> configs.Config:
    """The configuration that the flags of `add_config` ask for.

    Args:
        arguments: the parsed flags.
        preset: if none is named; else the task's default.

    Raises:
        InputError: it is refused, or not one of the task `--task`.
    """
    if arguments.config:
        config = configs.load(arguments.config)
    else:
        default = tasks.TASKS[arguments.task or schema.SESSIONS].preset
        config = configs.preset(arguments.preset or preset or default)
    check_task(arguments, config)
    return config.override(arguments.set)


def check_task(arguments: argparse.Namespace, config: configs.Config) -> None:
    """Refuses a configuration of another task than `--task` names.

    Raises:
        InputError: so it is.
    """
    if arguments.task not in (None, config.task):
        raise schema.InputError(
            f"`--task {arguments.task}` must be given a model of "
            f"{arguments.task}. Received: {config.architecture}, a model of "
            f"{config.task}"
        )


def config_of_run(arguments: argparse.Namespace) -> configs.Config:
    """The configuration of the run `--run`.

    Raises:
        InputError: it is no run, or not one of the task `--task`.
    """
    from jump_tf.runs import folder as run_folder

    config = run_folder.read_config(arguments.run_folder)
    check_task(arguments, config)
    return config

"""The verbs on data, `prepare`, `inspect` and `load-test`, and their flags."""

import argparse
import pathlib

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import arguments as cli_arguments


def add_prepare_arguments(
    parser: argparse.ArgumentParser, task: str = schema.SESSIONS
) -> None:
    """Declares the flags of `jump-tf prepare`, which differ by `--task`."""
    cli_arguments.add_task(parser)
    tasks.TASKS[task].add_prepare_arguments(parser)


def run_prepare(arguments: argparse.Namespace) -> int:
    """Turns a log into a data folder."""
    task = tasks.TASKS[arguments.task or schema.SESSIONS]
    options = task.prepare_options(arguments)
    print(task.prepare(options, arguments.rest))
    return 0


def add_inspect_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf inspect`."""
    parser.add_argument("data", type=pathlib.Path, help="data folder")
    parser.add_argument(
        "--against",
        type=pathlib.Path,
        metavar="OTHER",
        help="data folder of before, to say what changed since",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="folder for the numbers, inspection.json, and a picture of the "
        "lengths and dwells, inspection.png",
    )
    parser.add_argument(
        "--dwell",
        action="store_true",
        help="say what can be known of the dwells: how much of their variance "
        "is the session's and the item's, and the error of a gradient booster "
        "that knows the past, and of one that knows the future, too (minutes)",
    )
    parser.add_argument(
        "--split",
        choices=(schema.VALIDATION, schema.TEST),
        help="on which --dwell measures errors (default: validation)",
    )


def run_inspect(arguments: argparse.Namespace) -> int:
    """Says what a data folder holds, and what changed against another."""
    if arguments.split and not arguments.dwell:
        raise schema.InputError(
            "`--split` must be given with `--dwell`. Received: "
            f"--split={arguments.split}"
        )
    floor = arguments.split or schema.VALIDATION
    for text in tasks.inspect(
        arguments.data,
        arguments.against,
        arguments.output,
        floor if arguments.dwell else None,
    ):
        print(text)
    return 0


def run_load_test(arguments: argparse.Namespace) -> int:
    """Measures how fast a server answers under load."""
    from serving.load_test import command as load_command

    visits = None
    if arguments.data:
        from jump_tf.data import click_log
        from serving.load_test import traffic

        log = click_log.read(arguments.data, schema.TEST)
        visits = traffic.Visits(log.length, log.item, log.dwell_seconds)
    return load_command.run(arguments, visits)

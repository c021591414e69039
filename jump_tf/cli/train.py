"""The verbs that train: `train` and `tune`."""

import argparse
import pathlib

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import arguments as cli_arguments


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf train`."""
    parser.add_argument("--data", type=pathlib.Path, help="data folder")
    cli_arguments.add_report_arguments(parser)
    cli_arguments.add_config(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run after its last checkpoint; data and "
        "configuration are its own",
    )
    start.add_argument(
        "--warm-start",
        type=pathlib.Path,
        metavar="RUN",
        help="start with the weights of another run, whose configuration is "
        "the default; the data may have other items",
    )
    parser.add_argument(
        "--removed-items",
        choices=("drop", "keep"),
        help="what a warm start does with items that the data no longer has: "
        "forget them (default) or go on recommending them",
    )
    parser.add_argument(
        "--profile",
        type=_batches,
        metavar="FIRST,LAST",
        help="profile these batches, counted from 1, for TensorBoard",
    )
    parser.add_argument(
        "--strategy",
        default="none",
        choices=("none", "mirrored", "multiworker"),
        help="none: one device (default); mirrored: all GPUs of this machine; "
        "multiworker: those of all processes that TF_CONFIG lists, each of "
        "which runs this command on a run folder that all of them see",
    )
    parser.add_argument(
        "--logical-cpus",
        type=int,
        help="split the processor into so many devices, to try a strategy out",
    )


def _batches(text: str) -> tuple[int, int]:
    """`FIRST,LAST`; the parser makes a refusal of a `ValueError`."""
    first, last = (int(number) for number in text.split(","))
    if not 1 <= first <= last:
        raise ValueError
    return first, last


def run_train(arguments: argparse.Namespace) -> int:
    """Trains a model on a data folder."""
    from jump_tf.runs import folder as run_folder
    from jump_tf.train import distribution
    from jump_tf.train import warm_start

    if arguments.logical_cpus:
        distribution.split_cpu(arguments.logical_cpus)
    run, data = arguments.run_folder, arguments.data
    named = arguments.preset or arguments.config
    start = None
    if arguments.warm_start:
        start = warm_start.WarmStart(
            arguments.warm_start, arguments.removed_items or warm_start.DROP
        )
    elif arguments.removed_items:
        raise schema.InputError(
            "`--removed-items` must come with `--warm-start`. "
            f"Received: --removed-items={arguments.removed_items} alone"
        )
    if arguments.resume and not (named or arguments.set):
        config = cli_arguments.config_of_run(arguments)
    elif start and not named:
        config = run_folder.read_config(start.run)
        cli_arguments.check_task(arguments, config)
        config = config.override(arguments.set)
    else:
        config = cli_arguments.config_of(arguments)
    if data is None:
        if not arguments.resume:
            raise schema.InputError(
                "`--data` must be given unless a run is resumed. Received: none"
            )
        data = run_folder.read_data_folder(run)
    best = tasks.train(
        config,
        data,
        run,
        resume=arguments.resume,
        warm_start=start,
        strategy=arguments.strategy,
        profile=arguments.profile,
    )
    print(f"best {tasks.task_of(config).one_line(best)}")
    return 0


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf tune`."""
    parser.add_argument(
        "--data", required=True, type=pathlib.Path, help="data folder"
    )
    parser.add_argument(
        "--study",
        required=True,
        type=pathlib.Path,
        help="folder of the study; one that is there goes on",
    )
    cli_arguments.add_task(parser)
    cli_arguments.add_config(parser)
    parser.add_argument(
        "--space",
        metavar="FILE",
        help="what to search, in YAML: `section.name: {low: 1, high: 9}` or "
        "`{choices: [a, b]}` (default: one that ships with the package)",
    )
    parser.add_argument(
        "--trials", type=int, help="how many the study shall have in all"
    )
    parser.add_argument(
        "--minutes", type=float, help="after which to stop at the next epoch"
    )


def run_tune(arguments: argparse.Namespace) -> int:
    """Searches for a better configuration."""
    from jump_tf.train import search_space
    from jump_tf.train import trials as train_trials

    config = cli_arguments.config_of(arguments)
    task = tasks.task_of(config)
    rows = tasks.tune(
        config,
        arguments.data,
        arguments.study,
        search_space.load(arguments.space or task.space, config),
        trials=arguments.trials,
        minutes=arguments.minutes,
    )
    best = arguments.study / train_trials.BEST_FILE
    print(train_trials.format_table(rows))
    print(f"best: {best}" if best.is_file() else "no trial is complete yet")
    return 0

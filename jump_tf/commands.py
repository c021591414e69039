"""What the verbs of the command line are told and what they call.

The libraries are imported in the verbs, so that the flags can be listed
without them.
"""

import argparse
import pathlib
import sys

from jump_tf import config as configs
from jump_tf import schema

MODEL_NAME = "jump"
STOPPED = 143  # As a shell names a process that SIGTERM ended.


def add_prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf prepare`."""
    from beam_jobs import options

    options.add_arguments(parser)


def run_prepare(arguments: argparse.Namespace) -> int:
    """Turns a click log into a data folder."""
    from beam_jobs import options

    request = options.PrepareOptions.from_arguments(arguments)
    from beam_jobs import build_sessions
    from beam_jobs import manifest

    print(manifest.describe(build_sessions.run(request, arguments.rest)))
    return 0


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf report`, which other verbs share."""
    parser.add_argument(
        "--run",
        dest="run_folder",
        required=True,
        type=pathlib.Path,
        help="folder of the run",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of a configuration, which other verbs share."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        help="a configuration that ships with the package: production "
        "(default), paper, demo, gru4rec, gru, igru, narm, dtgru, sasrec, "
        "rmtpp, atrp or nsr",
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
    arguments: argparse.Namespace, preset: str = "production"
) -> configs.Config:
    """The configuration that the flags of `add_config` ask for."""
    if arguments.config:
        config = configs.load(arguments.config)
    else:
        config = configs.preset(arguments.preset or preset)
    return config.override(arguments.set)


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf train`."""
    parser.add_argument("--data", type=pathlib.Path, help="data folder")
    add_report_arguments(parser)
    add_config(parser)
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
        "the default; items may have come and gone since",
    )
    parser.add_argument(
        "--gone-items",
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
    from jump_tf import distribution
    from jump_tf import interruptions
    from jump_tf import runs
    from jump_tf import training
    from jump_tf import warm_start

    if arguments.logical_cpus:
        distribution.split_cpu(arguments.logical_cpus)
    run, data = arguments.run_folder, arguments.data
    named = arguments.preset or arguments.config
    start = None
    if arguments.warm_start:
        gone = arguments.gone_items or warm_start.DROP
        start = warm_start.WarmStart(arguments.warm_start, gone_items=gone)
    elif arguments.gone_items:
        raise schema.InputError(
            "`--gone-items` must come with `--warm-start`. "
            f"Received: --gone-items={arguments.gone_items} alone"
        )
    if arguments.resume and not (named or arguments.set):
        config = runs.read_config(run)
    elif start and not named:
        config = runs.read_config(start.run).override(arguments.set)
    else:
        config = config_of(arguments)
    if data is None:
        if not arguments.resume:
            raise schema.InputError(
                "`--data` must be given unless a run is resumed. Received: none"
            )
        data = runs.read_data_folder(run)
    try:
        best = training.train(
            config,
            data,
            run,
            resume=arguments.resume,
            warm_start=start,
            strategy=arguments.strategy,
            profile=arguments.profile,
        )
    except interruptions.TrainingStopped as stopped:
        print(f"jump-tf: {stopped}", file=sys.stderr)
        return STOPPED
    print(f"best {training.one_line(best)}")
    return 0


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf evaluate`."""
    add_report_arguments(parser)
    parser.add_argument("--split", default=schema.TEST, choices=schema.SPLITS)
    parser.add_argument(
        "--moment",
        default=schema.PAGE_LEAVE,
        choices=schema.MOMENTS,
        help="page_leave: the dwell of the last click is known (default); "
        "page_load: it is not",
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        help="data folder (default: the one that the run was trained on)",
    )


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Measures a run, and says what beats it."""
    from jump_tf import evaluation
    from jump_tf import evaluation_table
    from jump_tf import model_factory
    from jump_tf import runs

    run = arguments.run_folder
    model = model_factory.load_run(run)
    data = arguments.data or runs.read_data_folder(run)
    runs.check_vocabulary(run, data)
    result, table = evaluation.evaluate_clicks(
        model, data, arguments.split, arguments.moment
    )
    path = evaluation.write_evaluation(run, result, table)
    print(f"{evaluation_table.format_table(result)}\n\nwritten to {path}")
    return 0


def run_report(arguments: argparse.Namespace) -> int:
    """Writes a run's report."""
    from jump_tf import report

    print(f"written to {report.write_report(arguments.run_folder)}")
    return 0


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf export`."""
    add_report_arguments(parser)
    parser.add_argument(
        "--output",
        required=True,
        type=pathlib.Path,
        help="models folder; gets <name>/<version>/",
    )
    parser.add_argument("--name", default=MODEL_NAME, help="%(default)s")
    parser.add_argument(
        "--model-version", type=int, help="default: one more than the last"
    )
    parser.add_argument(
        "--top", type=int, default=20, help="recommendations in an answer"
    )


def run_export(arguments: argparse.Namespace) -> int:
    """Writes a run's model as SavedModel."""
    from jump_tf import export
    from jump_tf import model_factory
    from jump_tf import runs
    from serving import warmup

    folder = export.export_model(
        model_factory.load_run(arguments.run_folder),
        runs.read_vocabulary(arguments.run_folder),
        arguments.output,
        name=arguments.name,
        version=arguments.model_version,
        top_k=arguments.top,
        finish=warmup.write_warmup_requests,
    )
    print(f"written to {folder}")
    return 0

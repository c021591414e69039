"""The verbs that run others: `reproduce` and `demo`."""

import argparse
import functools
import pathlib

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import arguments as cli_arguments


def add_reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf reproduce`."""
    cli_arguments.add_task(parser)
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        type=pathlib.Path,
        help="data folders, each with its split, made by `jump-tf prepare`",
    )
    parser.add_argument(
        "--plan",
        type=pathlib.Path,
        metavar="FILE",
        help="YAML of logs to prepare, models, ablations and sweeps; what it "
        "leaves out is as in the plan that ships with the package, paper.yaml "
        "(heroes.yaml with --task lists); the format is explained in "
        "jump_tf/experiments/reproduction/plans/paper.yaml",
    )
    parser.add_argument(
        "--results",
        required=True,
        type=pathlib.Path,
        metavar="DIR",
        help="folder of everything; one that is there goes on",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        help="of the plan's models; the first in the plan is compared with "
        "all others (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, default=1, help="of each model (default: 1)"
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=0,
        help="of a search for each model, on the validation split of the "
        "first log; 0 takes the presets as they are (default)",
    )
    parser.add_argument("--epochs", type=int, help="of every training, at most")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="HOURS",
        help="after which no further run is begun",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("tables", "figures", "ablations"),
        help="parts of the whole (default: all)",
    )


def run_reproduce(arguments: argparse.Namespace) -> int:
    """Trains the paper's tables and figures, or HEROES beside others."""
    from jump_tf.experiments.reproduction import plan as plans
    from jump_tf.experiments.reproduction import runner
    from jump_tf.experiments.reproduction import steps

    plan = plans.load(
        arguments.plan,
        arguments.data,
        arguments.models,
        arguments.epochs,
        shipped=tasks.TASKS[arguments.task or schema.SESSIONS].plan,
    )
    report = runner.reproduce(
        plan,
        arguments.results,
        trials=arguments.trials,
        seeds=arguments.seeds,
        hours=arguments.budget,
        only=arguments.only or tuple(steps.PARTS),
        say=functools.partial(print, flush=True),
    )
    print(f"written to {report}")
    return 0


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf demo`."""
    cli_arguments.add_task(parser)
    parser.add_argument(
        "--workdir",
        required=True,
        type=pathlib.Path,
        help="a new or empty folder for everything that is made",
    )
    parser.add_argument(
        "--format",
        help="with --input: run on a real log; all flags of `jump-tf prepare` "
        "are taken (default: a simulated log whose oracle is known)",
    )
    parser.add_argument("--input", nargs="+", help="files of the real log")
    cli_arguments.add_config(parser)


def run_demo(arguments: argparse.Namespace) -> int:
    """Runs all of the above in order."""
    from jump_tf.experiments import demo

    if bool(arguments.format) != bool(arguments.input):
        raise schema.InputError(
            "`--format` and `--input` must be given together. Received: "
            f"--format={arguments.format}, --input={arguments.input}"
        )
    simulated = not arguments.input
    task = tasks.TASKS[arguments.task or schema.SESSIONS]
    config = cli_arguments.config_of(
        arguments, task.demo_preset if simulated else None
    )
    task = tasks.task_of(config)
    if simulated:
        if arguments.rest:
            raise schema.InputError(
                "`jump-tf demo` must get flags that it knows. "
                f"Received: {' '.join(arguments.rest)}"
            )
        demo.on_simulated_log(arguments.workdir, config)
    else:
        demo.on_real_log(
            arguments.workdir, config, _demo_request(arguments, task)
        )
    return 0


def _demo_request(arguments, task):
    """What `prepare` is asked in a demo on a real log."""
    parser = argparse.ArgumentParser(prog="jump-tf demo", allow_abbrev=False)
    task.add_prepare_arguments(parser)
    known, beam_arguments = parser.parse_known_args(
        [
            *("--format", arguments.format, "--input", *arguments.input),
            *("--output", str(arguments.workdir / "data"), *arguments.rest),
        ]
    )
    return task.prepare_options(known), beam_arguments

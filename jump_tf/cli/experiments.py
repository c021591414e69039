"""The verbs that run others: `tune`, `reproduce` and `demo`.

The libraries are imported in the verbs, so that the flags can be listed
without them.
"""

import argparse
import pathlib
import sys

from jump_tf import schema
from jump_tf.cli import arguments as cli_arguments


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
    cli_arguments.add_model(parser)
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
    from jump_tf.train import tuning

    config = cli_arguments.config_of(arguments)
    shipped = "lists" if config.kind == schema.LISTS else "default"
    rows = tuning.tune(
        config,
        arguments.data,
        arguments.study,
        search_space.load(arguments.space or shipped, config),
        trials=arguments.trials,
        minutes=arguments.minutes,
    )
    best = arguments.study / train_trials.BEST_FILE
    print(train_trials.format_table(rows))
    print(f"best: {best}" if best.is_file() else "no trial is complete yet")
    return 0


def add_reproduce_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf reproduce`."""
    cli_arguments.add_model(parser)
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
        "(heroes.yaml with --model heroes); the format is explained in "
        "jump_tf/plans/paper.yaml",
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
    """Trains what the paper's tables and figures need, and writes them."""
    from jump_tf.experiments.reproduction import plan as plans
    from jump_tf.experiments.reproduction import runner
    from jump_tf.experiments.reproduction import steps
    from jump_tf.train import interruptions

    heroes = arguments.model == cli_arguments.HEROES
    plan = plans.load(
        arguments.plan,
        arguments.data,
        arguments.models,
        arguments.epochs,
        shipped=cli_arguments.HEROES if heroes else "paper",
    )
    options = {
        "seeds": arguments.seeds,
        "hours": arguments.budget,
        "only": arguments.only or tuple(steps.PARTS),
        "say": lambda line: print(line, flush=True),
    }
    try:
        report = runner.reproduce(
            plan, arguments.results, trials=arguments.trials, **options
        )
    except interruptions.TrainingStopped as stopped:
        print(f"jump-tf: {stopped}", file=sys.stderr)
        return cli_arguments.STOPPED
    print(f"written to {report}")
    return 0


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of `jump-tf demo`."""
    cli_arguments.add_model(parser)
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
    """Runs everything in order."""
    from jump_tf.experiments import demo

    if bool(arguments.format) != bool(arguments.input):
        raise schema.InputError(
            "`--format` and `--input` must be given together. Received: "
            f"--format={arguments.format}, --input={arguments.input}"
        )
    simulated = not arguments.input
    heroes = arguments.model == cli_arguments.HEROES
    small = demo.DEMOS[schema.LISTS if heroes else schema.SESSIONS].preset
    config = cli_arguments.config_of(arguments, small if simulated else None)
    if (config.kind == schema.LISTS) != heroes:
        raise schema.InputError(
            "A model of lists must be given with `--model heroes`. "
            f"Received: {config.architecture}"
        )
    if simulated:
        if arguments.rest:
            raise schema.InputError(
                "`jump-tf demo` must get flags that it knows. "
                f"Received: {' '.join(arguments.rest)}"
            )
        demo.on_simulated_log(arguments.workdir, config)
    else:
        demo.on_real_log(arguments.workdir, config, _demo_request(arguments))
    return 0


def _demo_request(arguments):
    """What `prepare` is asked in a demo on a real log."""
    parser = argparse.ArgumentParser(prog="jump-tf demo", allow_abbrev=False)
    cli_arguments.add_prepare_arguments(parser, arguments.model)
    known, beam_arguments = parser.parse_known_args(
        [
            *("--format", arguments.format, "--input", *arguments.input),
            *("--output", str(arguments.workdir / "data"), *arguments.rest),
        ]
    )
    if arguments.model == cli_arguments.HEROES:
        from beam_jobs.options import lists as list_options

        return list_options.ListOptions.from_arguments(known), beam_arguments
    from beam_jobs.options import sessions as session_options

    return session_options.PrepareOptions.from_arguments(known), beam_arguments

"""What several verbs are told, and the verbs on data.

The libraries are imported in the verbs, so that the flags can be listed
without them.
"""

import argparse
import pathlib

from jump_tf import schema
from jump_tf.config import run as configs

JUMP = "jump"
HEROES = "heroes"
MODEL_KINDS = {JUMP: schema.SESSIONS, HEROES: schema.LISTS}
STOPPED = 143  # As a shell names a process that SIGTERM ended.


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declares the flag that says which family of models is meant."""
    parser.add_argument(
        "--model",
        choices=tuple(MODEL_KINDS),
        help="jump: next click and dwell of sessions; heroes: clicks and "
        "conversions on lists of shown items (default: what the run or the "
        "preset is of, else jump)",
    )


def add_prepare_arguments(
    parser: argparse.ArgumentParser, model: str = JUMP
) -> None:
    """Declares the flags of `jump-tf prepare`, which differ by `--model`."""
    add_model(parser)
    if model == HEROES:
        from beam_jobs.options import lists as list_options

        list_options.add_arguments(parser)
    else:
        from beam_jobs.options import sessions as session_options

        session_options.add_arguments(parser)


def run_prepare(arguments: argparse.Namespace) -> int:
    """Turns a log into a data folder."""
    if arguments.model == HEROES:
        return _prepare_lists(arguments)
    from beam_jobs.options import sessions as session_options

    request = session_options.PrepareOptions.from_arguments(arguments)
    from beam_jobs import build_sessions
    from beam_jobs.output import manifest

    print(manifest.describe(build_sessions.run(request, arguments.rest)))
    return 0


def _prepare_lists(arguments):
    from beam_jobs.options import lists as list_options

    request = list_options.ListOptions.from_arguments(arguments)
    from beam_jobs import build_lists

    print(build_lists.describe(build_lists.run(request, arguments.rest)))
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


def run_inspect(arguments: argparse.Namespace) -> int:
    """Says what a data folder holds, and what changed against another."""
    from jump_tf.data import input_pipeline
    from jump_tf.data import inspection

    data, against = arguments.data, arguments.against
    manifests = [
        input_pipeline.read_manifest(one) for one in (data, against) if one
    ]
    if any(one.get("kind") == schema.LISTS for one in manifests):
        if against or arguments.output:
            raise schema.InputError(
                "`--against` and `--output` must be given for folders of "
                f"sessions only. Received: {data}, {against}"
            )
        print(inspection.describe_lists(manifests[0]))
        return 0
    folder = inspection.read(data)
    before = inspection.read(against) if against else None
    print(inspection.describe(folder.manifest, folder.statistics))
    changes = {}
    if before:
        changes = inspection.compare(before, folder)
        print(f"\nagainst {against}:\n{inspection.describe_changes(changes)}")
    if arguments.output:
        for path in inspection.write(arguments.output, folder, before, changes):
            print(f"written to {path}")
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
    add_model(parser)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of a configuration, which other verbs share."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        help="a configuration that ships with the package: production "
        "(default), paper, demo, gru4rec, gru, igru, narm, dtgru, sasrec, "
        "rmtpp, atrp, nsr or heroes_sessions; of lists heroes (default with "
        "--model heroes), heroes_released, heroes_demo, list_lstm, list_rrn, "
        "dnn, esmm, esmm2 or mmoe",
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
        preset: if none is named; else the family's default.

    Raises:
        InputError: it is refused, or not one of the family `--model`.
    """
    if arguments.config:
        config = configs.load(arguments.config)
    else:
        heroes = arguments.model == HEROES
        default = preset or ("heroes" if heroes else "production")
        config = configs.preset(arguments.preset or default)
    check_model(arguments, config)
    return config.override(arguments.set)


def check_model(arguments: argparse.Namespace, config: configs.Config) -> None:
    """Refuses a configuration of another family than `--model` names.

    Raises:
        InputError: so it is.
    """
    if arguments.model and MODEL_KINDS[arguments.model] != config.kind:
        raise schema.InputError(
            f"`--model {arguments.model}` must be given a model of "
            f"{MODEL_KINDS[arguments.model]}. Received: {config.architecture}, "
            f"a model of {config.kind}"
        )


def config_of_run(arguments: argparse.Namespace) -> configs.Config:
    """The configuration of the run `--run`.

    Raises:
        InputError: it is no run, or not one of the family `--model`.
    """
    from jump_tf.runs import folder as run_folder

    config = run_folder.read_config(arguments.run_folder)
    check_model(arguments, config)
    return config


def run_load_test(arguments: argparse.Namespace) -> int:
    """Puts load on a server, of sessions like those of a data folder."""
    from serving.load_test import command as load_command

    visits = None
    if arguments.data:
        from jump_tf.data import click_log
        from serving.load_test import traffic

        log = click_log.read(arguments.data, schema.TEST)
        visits = traffic.Visits(log.length, log.item, log.dwell_seconds)
    return load_command.run(arguments, visits)

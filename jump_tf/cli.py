"""The command `jump-tf`: each verb reads its flags and calls the library.

Exit codes: 0 done; 2 the request or its input is wrong; 1 it failed
otherwise. What a verb needs is imported in the verb, so that `--help` answers
at once and an extra that is not installed is missed only where it is needed.
"""

import argparse
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence

import jump_tf
from jump_tf import config as configs
from jump_tf import schema

MODEL_NAME = "jump"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("beam_jobs").setLevel(logging.INFO)
    # Says at every import that the `gcp` extra is not installed.
    logging.getLogger("apache_beam.io.gcp").setLevel(logging.ERROR)
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments, rest = make_parser().parse_known_args(argv)
    try:
        if rest and not arguments.takes_beam_options:
            raise schema.InputError(
                f"`jump-tf {arguments.verb}` must get flags that it knows. "
                f"Received: {' '.join(rest)}"
            )
        arguments.rest = rest
        if arguments.needs_tensorflow:
            _start_tensorflow()
        return arguments.run(arguments)
    except schema.InputError as error:
        return _fail(error, 2)
    except ModuleNotFoundError as error:
        return _fail(_missing(error), 2)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        logging.getLogger(__name__).debug("failed", exc_info=True)
        if os.environ.get("JUMP_TF_TRACEBACK"):
            raise
        return _fail(f"{type(error).__name__}: {error}", 1)


def _start_tensorflow() -> None:
    """Imports TensorFlow without the notes that no setting turns off.

    They are about processors and drivers, and are shown only if it fails.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            notes.seek(0)
            os.write(shown, notes.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="jump-tf",
        description="From a click log to a served model of what a visitor "
        "clicks next and how long they stay.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=jump_tf.__version__
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name, run, text, **properties):
        sub = verbs.add_parser(
            name, help=text, description=text, allow_abbrev=False
        )
        defaults = {"takes_beam_options": False, "needs_tensorflow": True}
        sub.set_defaults(run=run, **{**defaults, **properties})
        return sub

    _add_prepare(
        verb(
            "prepare",
            _prepare,
            "Turn a click log into a data folder.",
            takes_beam_options=True,
        )
    )
    _add_train(verb("train", _train, "Train a model on a data folder."))
    _add_evaluate(
        verb("evaluate", _evaluate, "Measure a run beside simple baselines.")
    )
    _add_run(verb("report", _report, "Write a run's report.html."))
    _add_export(verb("export", _export, "Write a run's model as SavedModel."))
    _add_serve(verb("serve", _serve, "Serve exported models over gRPC."))
    _add_predict(verb("predict", _predict, "Ask a server about a session."))
    _add_demo(
        verb(
            "demo",
            _demo,
            "Run all of the above in order.",
            takes_beam_options=True,
        )
    )
    return parser


def _add_prepare(parser):
    from beam_jobs import options

    options.add_arguments(parser)


def _prepare(arguments) -> int:
    from beam_jobs import options

    request = options.PrepareOptions.from_arguments(arguments)
    from beam_jobs import build_sessions

    manifest = build_sessions.run(request, arguments.rest)
    print(describe_data(manifest))
    return 0


def describe_data(manifest) -> str:
    """What a prepared data folder holds, in a few lines."""
    dropped = {**manifest["rejected"], **manifest["filtered"]}
    lines = [
        f"{manifest['rows']} rows, {manifest['clicks']} clicks kept"
        + "".join(f", {n} dropped: {why}" for why, n in dropped.items())
    ]
    lines += [
        f"{split}: {part['sessions']} sessions, {part['clicks']} clicks"
        for split, part in manifest["splits"].items()
    ]
    return "\n".join([*lines, f"vocabulary: {manifest['num_items']} items"])


def _add_run(parser):
    parser.add_argument(
        "--run",
        dest="run_folder",
        required=True,
        type=pathlib.Path,
        help="folder of the run",
    )


def _add_config(parser):
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        default="production",
        help="a configuration that ships with the package: production "
        "(default) or paper",
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


def _config(arguments) -> configs.Config:
    if arguments.config:
        config = configs.load(arguments.config)
    else:
        config = configs.preset(arguments.preset)
    return config.override(arguments.set)


def _add_train(parser):
    parser.add_argument(
        "--data", required=True, type=pathlib.Path, help="data folder"
    )
    _add_run(parser)
    _add_config(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run after its last finished epoch",
    )


def _train(arguments) -> int:
    config = _config(arguments)
    from jump_tf import training

    best = training.train(
        config,
        arguments.data,
        arguments.run_folder,
        resume=arguments.resume,
    )
    print(f"best {training.one_line(best)}")
    return 0


def _add_evaluate(parser):
    _add_run(parser)
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


def _evaluate(arguments) -> int:
    from jump_tf import evaluation
    from jump_tf import runs
    from jump_tf import training

    run = arguments.run_folder
    model = training.load_run(run)
    result = evaluation.evaluate(
        model,
        arguments.data or runs.read_data_folder(run),
        arguments.split,
        arguments.moment,
    )
    path = evaluation.write_evaluation(run, result)
    print(f"{evaluation.format_table(result)}\n\nwritten to {path}")
    return 0


def _report(arguments) -> int:
    from jump_tf import report

    print(f"written to {report.write_report(arguments.run_folder)}")
    return 0


def _add_export(parser):
    _add_run(parser)
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


def _export(arguments) -> int:
    from jump_tf import export
    from jump_tf import runs
    from jump_tf import training
    from serving import warmup

    folder = export.export_model(
        training.load_run(arguments.run_folder),
        runs.read_vocabulary(arguments.run_folder),
        arguments.output,
        name=arguments.name,
        version=arguments.model_version,
        top_k=arguments.top,
        finish=warmup.write_warmup_requests,
    )
    print(f"written to {folder}")
    return 0


def _add_serve(parser):
    from serving import commands

    commands.add_serve_arguments(parser)


def _serve(arguments) -> int:
    from serving import commands

    return commands.run_serve(arguments)


def _add_predict(parser):
    from serving import commands

    commands.add_predict_arguments(parser)


def _predict(arguments) -> int:
    from serving import commands

    return commands.run_predict(arguments)


def _add_demo(parser):
    parser.add_argument(
        "--workdir",
        required=True,
        type=pathlib.Path,
        help="a new or empty folder for everything that is made",
    )
    parser.add_argument(
        "--format",
        help="with --input: run on a real log; all flags of `jump-tf prepare` "
        "are taken (default: a simulated log whose truth is known)",
    )
    parser.add_argument("--input", nargs="+", help="files of the real log")
    _add_config(parser)
    parser.set_defaults(preset=None)


def _demo(arguments) -> int:
    from jump_tf import demo

    if bool(arguments.format) != bool(arguments.input):
        raise schema.InputError(
            "`--format` and `--input` must be given together. Received: "
            f"--format={arguments.format}, --input={arguments.input}"
        )
    simulated = not arguments.input
    if arguments.preset is None and not arguments.config:
        arguments.preset = "demo" if simulated else "production"
    config = _config(arguments)
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
    _add_prepare(parser)
    known, beam_arguments = parser.parse_known_args(
        [
            *("--format", arguments.format, "--input", *arguments.input),
            *("--output", str(arguments.workdir / "data"), *arguments.rest),
        ]
    )
    from beam_jobs import options

    return options.PrepareOptions.from_arguments(known), beam_arguments


_EXTRAS = {
    "apache_beam": "beam",
    "grpc": "serving",
    "tensorflow_serving": "serving",
    "matplotlib": "report",
}


def _missing(error: ModuleNotFoundError) -> str:
    module = (error.name or "").split(".")[0]
    if module not in _EXTRAS:
        return f"The module {error.name} must be installed."
    return (
        f"This needs {module}. Install it with: "
        f"pip install 'jump-tf[{_EXTRAS[module]}]'"
    )


def _fail(error: object, code: int) -> int:
    print(f"jump-tf: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""The command `jump-tf`: each verb reads its flags and calls the library.

Exit codes: 0 done; 2 the request or its input is wrong; 1 it failed
otherwise. What a verb needs is imported in the verb, so that `--help` answers
at once and an extra that is not installed is missed only where it is needed.
"""

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Sequence

import jump_tf
from jump_tf import schema
from jump_tf.cli import arguments as cli_arguments
from jump_tf.cli import data
from jump_tf.cli import experiments
from jump_tf.cli import runs
from jump_tf.cli import train
from serving.cli import predict as predict_command
from serving.cli import serve as serve_command
from serving.load_test import command as load_command

# Name, flags, and what the verb does, whose docstring is its help.
_VERBS: dict[str, tuple[Callable[..., None], Callable[..., int]]] = {
    "prepare": (data.add_prepare_arguments, data.run_prepare),
    "inspect": (data.add_inspect_arguments, data.run_inspect),
    "train": (train.add_train_arguments, train.run_train),
    "tune": (train.add_tune_arguments, train.run_tune),
    "evaluate": (runs.add_evaluate_arguments, runs.run_evaluate),
    "report": (cli_arguments.add_report_arguments, runs.run_report),
    "export": (runs.add_export_arguments, runs.run_export),
    "serve": (serve_command.add_serve_arguments, serve_command.run_serve),
    "predict": (
        predict_command.add_predict_arguments,
        predict_command.run_predict,
    ),
    "load-test": (load_command.add_arguments, data.run_load_test),
    "reproduce": (
        experiments.add_reproduce_arguments,
        experiments.run_reproduce,
    ),
    "demo": (experiments.add_demo_arguments, experiments.run_demo),
}
_TAKE_BEAM_OPTIONS = ("prepare", "demo")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("beam_jobs").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments, rest = make_parser(_task(argv)).parse_known_args(argv)
    try:
        if rest and arguments.verb not in _TAKE_BEAM_OPTIONS:
            raise schema.InputError(
                f"`jump-tf {arguments.verb}` must get flags that it knows. "
                f"Received: {' '.join(rest)}"
            )
        arguments.rest = rest
        _start_tensorflow()
        return arguments.run(arguments)
    except schema.InputError as error:
        return _fail(error, 2)
    except ModuleNotFoundError as error:
        return _fail(_missing(error), 2)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if code := getattr(error, "exit_code", None):  # Training was stopped.
            return _fail(error, code)
        logging.getLogger(__name__).debug("failed", exc_info=True)
        if os.environ.get("JUMP_TF_TRACEBACK"):
            raise
        if type(error).__name__ == "DataLossError":  # TensorFlow's own.
            what = str(error).rpartition("}} ")[2].partition(" [Op:")[0]
            return _fail(f"A record file must be whole. Received: {what}", 2)
        return _fail(f"{type(error).__name__}: {error}", 1)


def _is_news(record: logging.LogRecord) -> bool:
    """Beam says at every import that its `gcp` extra is not installed."""
    return not record.getMessage().startswith("apitools not found")


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


def _task(argv: Sequence[str]) -> str:
    """What `--task` says, by which the flags of `prepare` differ."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--task", default=schema.SESSIONS)
    task = early.parse_known_args(argv)[0].task
    return task if task in schema.TASKS else schema.SESSIONS


def make_parser(task: str = schema.SESSIONS) -> argparse.ArgumentParser:
    """Returns the parser of all verbs for a task."""
    parser = argparse.ArgumentParser(
        prog="jump-tf",
        description="From a click log to a served model of what a visitor "
        "clicks next and how long they stay; or of what they click and buy of "
        "a list.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=jump_tf.__version__
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    for name, (add_arguments, run) in _VERBS.items():
        text = (run.__doc__ or "").partition("\n")[0]
        verb = verbs.add_parser(
            name, help=text, description=text, allow_abbrev=False
        )
        verb.set_defaults(run=run)
        if name == "prepare":  # The only one whose flags differ by it.
            data.add_prepare_arguments(verb, task)
        else:
            add_arguments(verb)
    return parser


_EXTRAS = {
    "apache_beam": "beam",
    "aiohttp": "serving",
    "grpc": "serving",
    "tensorflow_serving": "serving",
    "matplotlib": "report",
    "optuna": "tune",
    "sklearn": "evaluate",
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

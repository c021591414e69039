"""What the demos of all kinds of models have in common."""

import pathlib

from jump_tf import runs
from jump_tf import schema

REPORT_FILE = "report.html"


def make(workdir: pathlib.Path) -> None:
    """Makes the folder of a demo.

    Raises:
        InputError: it holds something.
    """
    if not runs.is_new(workdir):
        raise schema.InputError(
            f"`--workdir` must be a new or empty folder. Received: {workdir}"
        )
    workdir.mkdir(parents=True, exist_ok=True)


def say(text: str) -> None:
    """Prints the heading of a step."""
    print(f"\n== {text}", flush=True)


def summarize(workdir: pathlib.Path, model_name: str) -> None:
    """Prints where all that was made is."""
    run = workdir / "run"
    say("where things are")
    print(
        f"report       {run / REPORT_FILE}\n"
        f"TensorBoard  tensorboard --logdir {run / runs.TENSORBOARD_FOLDER}\n"
        f"SavedModel   {workdir / 'models' / model_name}\n"
        f"serve it     jump-tf serve --models {workdir / 'models'}"
    )

"""What the demos of all kinds of models have in common."""

import pathlib
import time
from typing import Any

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import Config
from jump_tf.evaluate import report_sections
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from serving import warmup


def make(workdir: pathlib.Path) -> None:
    """Makes the folder of a demo.

    Raises:
        InputError: it holds something.
    """
    if not run_folder.is_new(workdir):
        raise schema.InputError(
            f"`--workdir` must be a new or empty folder. Received: {workdir}"
        )
    workdir.mkdir(parents=True, exist_ok=True)


def say(text: str) -> None:
    """Prints the heading of a step."""
    print(f"\n== {text}", flush=True)


def train(config: Config, workdir: pathlib.Path) -> Any:
    """Trains on `data` into `run`; returns the model of the best epoch."""
    say("3. train")
    run = workdir / "run"
    started = time.monotonic()
    best = tasks.train(config, workdir / "data", run)
    print(
        f"trained in {time.monotonic() - started:.0f} s; "
        f"best {tasks.task_of(config).one_line(best)}"
    )
    return model_factory.load_run(run)


def export_run(workdir: pathlib.Path, model: Any, model_name: str) -> None:
    """Exports the model of `run` into `models`."""
    say("5. export")
    print(
        tasks.export_model(
            model,
            run_folder.read_vocabulary(workdir / "run"),
            workdir / "models",
            name=model_name,
            finish=warmup.writer(model.config),
        )
    )


def summarize(workdir: pathlib.Path, model_name: str) -> None:
    """Prints where all that was made is."""
    run = workdir / "run"
    say("where things are")
    print(
        f"report       {run / report_sections.REPORT_FILE}\n"
        "TensorBoard  tensorboard --logdir "
        f"{run / run_folder.TENSORBOARD_FOLDER}\n"
        f"SavedModel   {workdir / 'models' / model_name}\n"
        f"serve it     jump-tf serve --models {workdir / 'models'}"
    )

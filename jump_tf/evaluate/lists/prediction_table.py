"""What a model says of every item, `evaluation/<split>.items.npz`.

With it, others compute the numbers of an evaluation again, and two models are
compared on the same items.
"""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.evaluate.lists import evaluation
from jump_tf.evaluate.lists.columns import Answers
from jump_tf.evaluate.lists.columns import Shown
from jump_tf.reporting import files as evaluation_files

SUFFIX = ".items.npz"


def path(run: pathlib.Path, split: str) -> pathlib.Path:
    """The file of a run's split."""
    return run / evaluation_files.EVALUATION_FOLDER / f"{split}{SUFFIX}"


def evaluate_run(
    run: pathlib.Path,
    model: Any,
    data: pathlib.Path,
    split: str = schema.TEST,
) -> dict[str, Any]:
    """Evaluates a run's model: writes the evaluation file, then the table.

    Returns:
        The content of the evaluation file.

    Raises:
        InputError: see `evaluation.evaluate_items`.
    """
    result, shown, answers = evaluation.evaluate_items(model, data, split)
    evaluation.write_evaluation(run, result)
    write(run, split, shown, answers)
    return result


def write(
    run: pathlib.Path, split: str, shown: Shown, answers: dict[str, Answers]
) -> pathlib.Path:
    """Writes what was shown and what was said of it, by what was known.

    Returns:
        The path of the file, whose arrays are named as the fields of `Shown`,
        and `<feedback>.<field>` as those of `Answers`.
    """
    file = path(run, split)
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = _fields(shown)
    for feedback, said in answers.items():
        mine = _fields(said)
        arrays |= {f"{feedback}.{name}": mine[name] for name in mine}
    beside = file.with_suffix(".partial")
    with beside.open("wb") as out:
        np.savez_compressed(out, allow_pickle=False, **arrays)
    return beside.replace(file)


def read(run: pathlib.Path, split: str) -> tuple[Shown, dict[str, Answers]]:
    """What `write` wrote."""
    with np.load(path(run, split)) as arrays:
        shown = Shown(**{name: arrays[name] for name in _names(Shown)})
        known = {name.partition(".")[0] for name in arrays.files if "." in name}
        answers = {
            feedback: Answers(
                *(arrays[f"{feedback}.{name}"] for name in _names(Answers))
            )
            for feedback in known
        }
    return shown, answers


def _names(kind) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _fields(columns) -> dict[str, np.ndarray]:
    return {name: getattr(columns, name) for name in _names(type(columns))}

"""What a model says of every item, `evaluation/<split>.items.npz`.

With it, others compute the numbers of an evaluation again, and two models are
compared on the same items.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.reporting import files

SUFFIX = ".items.npz"


def path(run: pathlib.Path, split: str) -> pathlib.Path:
    """The file of a run's split."""
    return run / files.EVALUATION_FOLDER / f"{split}{SUFFIX}"


def write(
    run: pathlib.Path, split: str, shown: Shown, answers: Mapping[str, Answers]
) -> pathlib.Path:
    """Writes what was shown and what was said of it, by what was known.

    Returns:
        The path of the file, whose arrays are named as the fields of `Shown`,
        and `<feedback>.<field>` as those of `Answers`.
    """
    columns = dict(_fields(shown))
    for feedback, said in answers.items():
        mine = _fields(said)
        columns |= {f"{feedback}.{name}": mine[name] for name in mine}
    return files.write_columns(path(run, split), columns)


def read(run: pathlib.Path, split: str) -> tuple[Shown, dict[str, Answers]]:
    """Reads what `write` wrote.

    Raises:
        InputError: the file is missing, or none of ours.
    """
    columns = files.read_columns(path(run, split))
    known = {name.partition(".")[0] for name in columns if "." in name}
    try:
        shown = Shown(**{name: columns[name] for name in _names(Shown)})
        answers = {
            feedback: Answers(
                *(columns[f"{feedback}.{name}"] for name in _names(Answers))
            )
            for feedback in known
        }
    except KeyError as error:
        raise files.not_a_table(path(run, split), error) from error
    return shown, answers


def _names(kind) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _fields(columns: Any) -> dict[str, np.ndarray]:
    return {name: getattr(columns, name) for name in _names(type(columns))}

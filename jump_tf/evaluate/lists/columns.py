"""What a log says of shown items, and what a predictor does: flat columns."""

import dataclasses
from typing import Any
from typing import NamedTuple

import numpy as np

from jump_tf import schema

# What is predicted, each of its own items, see `target`.
CTR = "ctr"
CVR = "cvr"
CTCVR = "ctcvr"
TARGETS = (CTR, CVR, CTCVR)


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the log says of N shown items, by list and position.

    Attributes:
        lists: index of the item's list, from 0, as the files have them.
        position: of the item in its list, from 1; of a list that was cut, in
            what is left.
        length: items of its list.
        clicked: bool.
        converted: bool.
        since_click: places since the last click before it in its list, 0 if
            there is none.
        features: `[N, F]` ids, or `[N, 0]` of items with bags of features.
    """

    lists: np.ndarray
    position: np.ndarray
    length: np.ndarray
    clicked: np.ndarray
    converted: np.ndarray
    since_click: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.lists)

    @property
    def num_lists(self) -> int:
        """How many lists there are."""
        return int(self.lists[-1]) + 1 if len(self) else 0


@dataclasses.dataclass(frozen=True)
class Answers:
    """What a predictor says of N shown items.

    Attributes:
        log_click: `[N]`, log of pCTR.
        log_conversion: `[N]`, log of r, the probability that an item is
            converted if it is clicked.
    """

    log_click: np.ndarray
    log_conversion: np.ndarray


class Target(NamedTuple):
    """Labels and what a predictor says of them, as `lists.metrics` takes it.

    Attributes:
        labels: `[M]` bool.
        log_probabilities: `[M]`.
        lists: `[M]` index of each one's list.
        num_lists: L of the split.
    """

    labels: np.ndarray
    log_probabilities: np.ndarray
    lists: np.ndarray
    num_lists: int


def target(
    shown: Shown, answers: Answers, name: str, part: np.ndarray | None = None
) -> Target:
    """A part of the items, as one target sees them.

    Args:
        shown: N items.
        answers: to them.
        name: `ctr`, whether an item is clicked; `cvr`, whether a clicked item
            is converted, by r; `ctcvr`, whether an item is clicked and
            converted, by pCTR * r.
        part: `[N]` bool, which items; all if None.
    """
    counted = np.ones(len(shown), bool) if part is None else part
    if name == CTR:
        labels, logs = shown.clicked, answers.log_click
    elif name == CVR:
        labels, logs = shown.converted, answers.log_conversion
        counted = counted & shown.clicked
    else:
        labels = shown.converted
        logs = answers.log_click + answers.log_conversion
    return Target(
        labels[counted], logs[counted], shown.lists[counted], shown.num_lists
    )


def from_probabilities(click: np.ndarray, conversion: np.ndarray) -> Answers:
    """Answers of a predictor that knows pCTR and r, `[N]` in (0, 1)."""
    return Answers(np.log(click), np.log(conversion))


def of_batch(
    inputs: Any, targets: Any, weights: Any, num_fields: int
) -> tuple[np.ndarray, Shown]:
    """The raw number of each item's list, and the items of one batch.

    Args:
        inputs: see `lists.pipeline`, as are the others.
        targets: with `list`.
        weights: zero on padding.
        num_fields: F, features of an item that are kept.
    """
    weights = np.asarray(weights)
    row, place = np.nonzero(weights)
    clicked = np.asarray(targets[schema.CLICKED]) > 0
    lengths = np.sum(weights > 0, 1)
    at = np.arange(1, weights.shape[1] + 1)
    last = np.maximum.accumulate(np.where(clicked, at, 0), 1)
    before = np.pad(last, [[0, 0], [1, 0]])[row, place]
    features = np.asarray(inputs[schema.FEATURES])
    return np.asarray(targets[schema.LIST])[row], Shown(
        lists=row,
        position=place + 1,
        length=lengths[row],
        clicked=clicked[row, place],
        converted=np.asarray(targets[schema.CONVERTED])[row, place] > 0,
        since_click=np.where(before, place + 1 - before, 0),
        features=features[row, place, :num_fields],
    )


def joined(
    parts: list[tuple[np.ndarray, Shown]],
) -> tuple[Shown, np.ndarray]:
    """The items of all batches by list and position, and their old places.

    Args:
        parts: of each batch, see `of_batch`.

    Raises:
        InputError: there are none.
    """
    if not parts:
        raise schema.InputError("The split must hold at least one list.")
    numbers = np.concatenate([number for number, _ in parts])
    columns = {
        field.name: np.concatenate(
            [getattr(shown, field.name) for _, shown in parts]
        )
        for field in dataclasses.fields(Shown)
    }
    order = np.lexsort((columns["position"], numbers))
    columns = {name: column[order] for name, column in columns.items()}
    columns["lists"] = np.unique(numbers[order], return_inverse=True)[1]
    return Shown(**columns), order

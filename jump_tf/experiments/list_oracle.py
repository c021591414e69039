"""What the oracle of a simulated log of lists scores.

It knows the probabilities that the log was drawn from, and the feedback on all
items before.
"""

import dataclasses
from typing import Any

import numpy as np

from jump_tf.evaluate.lists import metrics as list_metrics
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.experiments.list_simulator import Simulation


def best_possible(
    simulation: Simulation, among: np.ndarray | None = None
) -> dict[str, Any]:
    """What the oracle scores on the log; none is expected to do more.

    Args:
        simulation: of S lists.
        among: `[S]` bool, of which lists; of all if None.

    Returns:
        The numbers of `evaluate.lists.metrics`: `ctr_auc`, `ctr_log_loss`, ....
    """
    counted = np.ones(len(simulation.items), bool)
    if among is not None:
        counted = among[simulation.lists]
    log = shown(simulation)
    columns = {
        field.name: getattr(log, field.name)[counted]
        for field in dataclasses.fields(Shown)
    }
    columns["lists"] = np.unique(columns["lists"], return_inverse=True)[1]
    answers = Answers(
        np.log(simulation.click[counted]),
        np.log(simulation.conversion[counted]),
    )
    scores, counts = list_metrics.scores(Shown(**columns), answers)
    return {name: score.value() for name, score in scores.items()} | counts


def shown(simulation: Simulation) -> Shown:
    """The log; its features are the items' numbers."""
    start = np.flatnonzero(simulation.position == 1)[simulation.lists]
    at = np.arange(len(simulation.items))
    last = np.maximum.accumulate(np.where(simulation.clicked, at, -1))
    before = np.append(-1, last[:-1])
    return Shown(
        lists=simulation.lists,
        position=simulation.position,
        length=simulation.lengths[simulation.lists],
        clicked=simulation.clicked,
        converted=simulation.converted,
        since_click=np.where(before >= start, at - before, 0),
        features=simulation.items[:, np.newaxis],
    )

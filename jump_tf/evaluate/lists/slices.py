"""The same numbers over parts of the shown items, and rates by position."""

from typing import Any

import numpy as np

from jump_tf.evaluate.lists import metrics
from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.evaluate.lists.predictions import Shown
from jump_tf.metrics.slicing import range_masks

LENGTHS = (1, 2, 4, 6, 11, 21, 51)
POSITIONS = (1, 2, 3, 4, 6, 11, 21, 51)
MOST_POSITIONS = 50
_TWO_SIDED_95 = 1.959963984540054


def slices(
    shown: Shown, answers: Answers
) -> dict[str, dict[str, dict[str, Any]]]:
    """By what, which part -> a few numbers there; empty parts left out.

    Ranking metrics are by list, so that parts by position have none.
    """
    return {
        "list_length": _by(shown, answers, shown.length, LENGTHS, True),
        "position": _by(shown, answers, shown.position, POSITIONS, False),
    }


def by_position(shown: Shown, answers: Answers) -> dict[str, Any]:
    """Shares of positives observed and predicted, by place in the list.

    Returns:
        `position`, from 1 up to `MOST_POSITIONS`, and for each target
        `num_items`, `observed`, `predicted` and `intervals`, a list each; NaN
        where nothing counts. A list has one item at a place at most: intervals
        are Wilson's, of independent items.

    Reference: Wilson, JASA 22(158), 1927.
    """
    last = min(int(shown.position.max(initial=0)), MOST_POSITIONS)
    rates: dict[str, Any] = {"position": np.arange(1, last + 1)}
    near = shown.position <= last
    for name in predictions.TARGETS:
        target = predictions.target(shown, answers, name, near)
        counted = near & shown.clicked if name == predictions.CVR else near
        at = shown.position[counted] - 1
        count = np.bincount(at, minlength=last)
        happened = np.bincount(at, target.labels, last)
        said = np.bincount(at, np.exp(target.log_probabilities), last)
        with np.errstate(invalid="ignore", divide="ignore"):
            rates[name] = {
                "num_items": count,
                "observed": happened / count,
                "predicted": said / count,
                "intervals": np.stack(wilson(happened, count), 1),
            }
    return rates


def wilson(
    successes: np.ndarray, trials: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of 95 % intervals of shares, NaN of no trial."""
    squared = _TWO_SIDED_95**2
    share = successes / trials
    middle = (share + squared / (2 * trials)) / (1 + squared / trials)
    spread = share * (1 - share) / trials + squared / (4 * trials**2)
    half = _TWO_SIDED_95 * np.sqrt(spread) / (1 + squared / trials)
    return middle - half, middle + half


def _by(shown, answers, values, starts, whole_lists):
    return {
        label: metrics.slice_scores(
            shown, answers, part, whole_lists=whole_lists
        )
        for label, part in range_masks(values, starts).items()
        if part.any()
    }

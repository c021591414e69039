"""What a session shows of its dwells, as columns of numbers for each click.

A log is flat columns, session by session, with positions from 1. Dwells are
told by their logs, 0 or more, one cut at c1 as c1; `UNKNOWN` stands where there
is none. The last click of a session leaves no dwell.
"""

import numpy as np

from jump_tf import schema
from jump_tf.baselines.dwell import asked
from jump_tf.baselines.dwell import log_dwells
from jump_tf.baselines.dwell import window_sums

UNKNOWN = -1.0
LAGS = 4  # Dwells before that are told one by one.
LEADS = 3  # And after.


def past(
    items: np.ndarray,
    positions: np.ndarray,
    seconds: np.ndarray,
    *,
    hidden: int = 0,
) -> np.ndarray:
    """What is known when the dwell of each click is asked for.

    The position; the latest dwells known, one by one; mean and deviation of all
    that are known, and their seconds together; how many clicks ago the item was
    clicked, 0 if it never was; the latest dwell known on it.

    Args:
        items: `[N]` ids of clicks.
        positions: `[N]`.
        seconds: `[N]` dwells.
        hidden: how many clicks before each have a dwell not known yet: 0 at
            page leave, 1 at page load.

    Returns:
        `[N, 10]`.
    """
    known = asked(items, positions, seconds, hidden=hidden)
    logs, count = log_dwells(seconds), known.count
    rows = np.arange(len(items))
    start = rows - (positions - 1)
    squares = window_sums(logs**2, start, count)
    before = _click_before(items, positions)
    told = (before < rows - hidden) | (before < 0)
    told = np.where(told, before, before[before])
    return np.column_stack(
        [
            positions,
            *(
                _where(count >= lag, logs, start + count - lag)
                for lag in range(1, LAGS + 1)
            ),
            *_mean_and_deviation(known.total, squares, count),
            window_sums(np.exp(logs), start, count),
            np.where(before >= 0, rows - before, 0),
            _where(told >= 0, logs, told),
        ]
    )


def future(
    items: np.ndarray, positions: np.ndarray, seconds: np.ndarray
) -> np.ndarray:
    """What the whole session tells of each dwell, all but the dwell itself.

    The number of later clicks; the next dwells, one by one; mean and deviation
    of all others of the session; how many clicks later the item is clicked
    again, 0 if it never is; the dwell on it then.

    Args:
        items: `[N]` ids of clicks.
        positions: `[N]`.
        seconds: `[N]` dwells.

    Returns:
        `[N, 8]`.
    """
    logs = log_dwells(seconds)
    rows = np.arange(len(items))
    start = rows - (positions - 1)
    last = np.append(positions[1:] == 1, True)[: len(items)]
    length = positions[last][np.cumsum(positions == 1) - 1]
    later = length - positions
    own = np.where(last, 0.0, logs)
    total = window_sums(logs, start, length - 1) - own
    squares = window_sums(logs**2, start, length - 1) - own**2
    before = _click_before(items, positions)
    after = np.full(len(items), -1)
    after[before[before >= 0]] = rows[before >= 0]
    return np.column_stack(
        [
            later,
            *(
                _where(later > lead, logs, rows + lead)
                for lead in range(1, LEADS + 1)
            ),
            *_mean_and_deviation(total, squares, length - 1 - ~last),
            np.where(after >= 0, after - rows, 0),
            _where((after >= 0) & ~last[after], logs, after),
        ]
    )


def _click_before(items, positions):
    """`[N]` row of the session's click before on the same item, -1 if none.

    Unknown items share an id, and are no item that one returns to.
    """
    session = np.cumsum(positions == 1)
    order = np.lexsort((items, session))
    same = np.diff(session[order]) == 0
    same &= np.diff(items[order]) == 0
    same &= items[order[1:]] >= schema.FIRST_ITEM_ID
    before = np.full(len(items), -1)
    before[order[1:][same]] = order[:-1][same]
    return before


def _mean_and_deviation(total, squares, count):
    """`[N]` each, of `count` logs with these sums."""
    mean = total / np.maximum(count, 1)
    variance = squares / np.maximum(count, 1) - mean**2
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return (
        np.where(count > 0, mean, UNKNOWN),
        np.where(count > 1, deviation, UNKNOWN),
    )


def _where(known, logs, rows):
    """`[N]` logs of these rows, where they are known."""
    return np.where(known, logs[np.where(known, rows, 0)], UNKNOWN)

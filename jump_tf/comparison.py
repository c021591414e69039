"""Two models on the same clicks: is one better, or is it chance?"""

import numpy as np

from jump_tf import metrics
from jump_tf import schema
from jump_tf.click_table import ClickTable

Compared = dict[str, dict[str, float | list[float]]]


def compare(
    mine: ClickTable, theirs: ClickTable, replicates: int = 500, seed: int = 0
) -> Compared:
    """Differences of the measures that both have, over the same sessions.

    Args:
        mine: of one model.
        theirs: of the other, on the same split.
        replicates: draws of the sessions.
        seed: of the draws.

    Returns:
        For each measure `mine`, `theirs`, `difference` (mine - theirs), its
        95 % `interval` and the two-sided bootstrap `p_value`.

    Raises:
        InputError: the tables are of other clicks.
    """
    if not np.array_equal(mine.session, theirs.session):
        raise schema.InputError(
            "Two models must be compared on the same clicks. Received: "
            f"{len(mine.session)} and {len(theirs.session)} other ones"
        )
    names = [name for name in mine.measures if name in theirs.measures]
    flat = {
        (who, name): table.measures[name]
        for who, table in (("mine", mine), ("theirs", theirs))
        for name in names
    }
    means = metrics.resampled_means(flat, mine.session, replicates, seed)
    return {
        name: _compared(
            flat["mine", name].mean(),
            flat["theirs", name].mean(),
            means["mine", name] - means["theirs", name],
        )
        for name in names
    }


def _compared(mine, theirs, drawn):
    tail = min(np.mean(drawn <= 0), np.mean(drawn >= 0))
    return {
        "mine": mine,
        "theirs": theirs,
        "difference": mine - theirs,
        "interval": metrics.interval(drawn),
        "p_value": float(min(1.0, 2.0 * max(tail, 1.0 / (len(drawn) + 1)))),
    }

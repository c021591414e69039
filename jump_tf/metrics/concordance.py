"""How often the longer of two dwells was predicted to be the longer one."""

import numpy as np


def concordance(
    predicted: np.ndarray, seconds: np.ndarray, censored: np.ndarray
) -> float:
    """The share of comparable pairs of dwells in the right order.

    A pair is comparable where the shorter dwell was seen to its end: one that
    is censored is longer than all up to its bound, and says nothing of others.
    Equal predictions count as half a pair, equal dwells as none. One number
    stands for each law, so that the order does not depend on the time.

    Args:
        predicted: `[N]`, such as medians.
        seconds: `[N]`, a lower bound where censored.
        censored: `[N]` bool.

    Returns:
        0.5 for a guess, 1 for the right order, NaN where no pair is
        comparable; in O(N log N).

    Reference: Harrell et al., JAMA 247(18), 1982.
    """
    times = np.unique(seconds, return_inverse=True)[1]
    # A dwell censored at t lasts longer than one that ended at t.
    times = 2 * times + censored
    ranks = np.unique(predicted, return_inverse=True)[1]
    ended = ~np.asarray(censored, bool)
    comparable = _ended_before(times, ended).sum()
    if not comparable:
        return float("nan")
    # Pairs of equal times are put into the order that does not count.
    ascending = np.lexsort((-ranks, times))
    descending = np.lexsort((ranks, times))
    right = _ascents(ranks[ascending], ended[ascending])
    wrong = _ascents(-ranks[descending] + ranks.max(), ended[descending])
    return float(0.5 + 0.5 * (right - wrong) / comparable)


def _ended_before(times, ended):
    """`[N]`: of how many others the end was seen at an earlier time."""
    count = np.bincount(times, ended, times.max(initial=0) + 1)
    return (np.cumsum(count) - count)[times]


def _ascents(ranks, ended) -> float:
    """How many pairs i < j have `ended[i]` and `ranks[i] < ranks[j]`.

    Two different ranks part at one bit, at which the smaller one has a 0.
    Before it they agree, and are in one block of a stable sort by these bits.
    """
    total = 0.0
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        order = np.argsort(ranks >> (bit + 1), kind="stable")
        block = ranks[order] >> (bit + 1)
        high = (ranks[order] >> bit) & 1
        low_before = np.cumsum(np.where(high, 0.0, ended[order]))
        starts = np.flatnonzero(np.diff(block, prepend=-1))
        before_block = np.concatenate([[0.0], low_before])[starts]
        sizes = np.diff(np.append(starts, len(block)))
        inside = low_before - np.repeat(before_block, sizes)
        total += inside[high > 0].sum()
    return total

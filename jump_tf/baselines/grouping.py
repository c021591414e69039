"""Sums over groups of flat arrays: sort, find where runs of equals start, add.

Keys are int64 and hold several numbers, the first to sort by in the highest
digits.
"""

import numpy as np


def expand(
    starts: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ranges `starts[r], starts[r] + 1, ...`, one after another.

    Args:
        starts: `[R]` of each range.
        counts: `[R]` lengths, 0 allowed.

    Returns:
        Of each element the number r of its range, and its value.
    """
    which = np.repeat(np.arange(len(counts)), counts)
    shift = starts - (np.cumsum(counts) - counts)
    return which, np.arange(len(which)) + shift[which]


def starts(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals starts in sorted `keys`."""
    return np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))


def ends(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals ends in sorted `keys`: its last element."""
    return np.flatnonzero(np.diff(keys, append=keys[-1:] + 1))


def places(keys: np.ndarray) -> np.ndarray:
    """From 0, the place of each element in its run, in sorted `keys`."""
    return np.arange(len(keys)) - np.searchsorted(keys, keys)


def sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of each run of `values`, from one start to the next."""
    # `reduceat` refuses to start nowhere.
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def sorted_pairs(
    keys: np.ndarray, low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both by `keys`, of equals by `low`, which must not be negative."""
    # One sort of plain integers is several times faster than an argsort.
    bits = int(low.max(initial=0)).bit_length()
    packed = np.sort((keys << bits) | low)
    return packed >> bits, packed & ((1 << bits) - 1)


def levels(values: np.ndarray) -> np.ndarray:
    """int64, 0 for the lowest value, 1 for the next and so on."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)

"""Groups of equal keys in flat columns, without loops."""

import numpy as np


def distinct(
    session: np.ndarray, item: np.ndarray, vocabulary_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Session, item and number of clicks of each pair, in that order."""
    keys, clicks = np.unique(
        session * vocabulary_size + item, return_counts=True
    )
    return keys // vocabulary_size, keys % vocabulary_size, clicks


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


def run_starts(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals starts in sorted `keys`."""
    return np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))


def run_ends(keys: np.ndarray) -> np.ndarray:
    """Where each run of equals ends in sorted `keys`: its last element."""
    return np.flatnonzero(np.diff(keys, append=keys[-1:] + 1))


def places(keys: np.ndarray) -> np.ndarray:
    """From 0, the place of each element in its run, in sorted `keys`."""
    return np.arange(len(keys)) - np.searchsorted(keys, keys)


def run_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sum of each run of `values`, from one start to the next."""
    # `reduceat` refuses to start nowhere.
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def run_maxima(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Largest of each run of `values`, from one start to the next."""
    if not len(starts):
        return np.zeros(0)
    return np.maximum.reduceat(values, starts)


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


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values, ascending, and which of them each value is."""
    # A plain sort takes a fraction of the time of `np.unique`.
    ascending = np.sort(values)
    new = ascending[1:] != ascending[:-1]
    ascending = np.concatenate([ascending[:1], ascending[1:][new]])
    return ascending, np.searchsorted(ascending, values)

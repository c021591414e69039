"""What the simulators of sessions and of lists have in common."""

import abc
import csv
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

FIRST_START_MS = 1_700_000_000_000
_MS_PER_DAY = 86_400_000


class SimulatedLog(abc.ABC):
    """A log as `jump-tf prepare` reads it.

    Attributes:
        header: names of the columns.
    """

    header: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def rows(self) -> Iterator[tuple[str | int, ...]]:
        """The values of `header`, of one event after another."""

    def write_log(self, path: str | pathlib.Path) -> None:
        """Writes the log as CSV."""
        with pathlib.Path(path).open("w", newline="", encoding="utf-8") as log:
            writer = csv.writer(log)
            writer.writerow(self.header)
            writer.writerows(self.rows())


def popularity(config, generator) -> np.ndarray:
    """`[I]` probabilities by `rank ** -config.popularity_exponent`."""
    ranks = np.arange(1, config.num_items + 1.0)
    weights = ranks**-config.popularity_exponent
    # Shuffled, lest an item's number tell how popular it is.
    return generator.permutation(weights / weights.sum())


def lengths(config, number, shortest, generator) -> np.ndarray:
    """`[number]` geometric lengths, cut at `config.max_length`."""
    more = generator.geometric(
        1.0 / (config.mean_length - shortest + 1.0), number
    )
    return np.minimum(shortest + more - 1, config.max_length)


def starts(config, number, generator) -> np.ndarray:
    """`[number]` instants, in milliseconds, within `config.days`."""
    return FIRST_START_MS + generator.integers(
        0, config.days * _MS_PER_DAY, number
    )

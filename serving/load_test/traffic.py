"""What visitors send: sessions at all moments of a visit."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from jump_tf import schema
from serving.client.sessions import Session

_UNKNOWN_ITEM = "not in the vocabulary"
_CLICKS = 20_000  # Of visits that are made up.
_LEAVING = 0.25  # After each of their clicks: four clicks on average.
_LOG_SECONDS = (4.0, 1.5)  # Mean and deviation of their log dwells.
_BISECTIONS = 50
_EXPONENTS = (0.0, 8.0)


@dataclasses.dataclass(frozen=True)
class Visits:
    """`S` sessions of `N` clicks in all, session by session.

    Attributes:
        lengths: `[S]` clicks of each.
        items: `[N]` ids as in a data folder, by falling popularity.
        dwell_seconds: `[N]`.

    Raises:
        InputError: there is no click.
    """

    lengths: np.ndarray
    items: np.ndarray
    dwell_seconds: np.ndarray

    def __post_init__(self):
        if not len(self.items):
            raise schema.InputError(
                "Sessions must have clicks. Received: none at all"
            )

    def sessions(
        self, vocabulary: Sequence[str], count: int, seed: int
    ) -> list[Session]:
        """Draws sessions to ask about: every click is equally likely the last.

        The dwell on that click is not known yet; some of it has elapsed.

        Args:
            vocabulary: raw ids, in the order of their numbers.
            count: how many.
            seed: of the choice.
        """
        random = np.random.default_rng(seed)
        ends = np.cumsum(self.lengths)
        last = random.integers(len(self.items), size=count)
        session = np.searchsorted(ends, last, side="right")
        first = (ends - self.lengths)[session]
        elapsed = random.uniform(size=count) * self.dwell_seconds[last]
        return [
            Session(
                [
                    _raw(vocabulary, item)
                    for item in self.items[begin : end + 1]
                ],
                self.dwell_seconds[begin:end].tolist(),
                float(seconds),
            )
            for begin, end, seconds in zip(first, last, elapsed, strict=True)
        ]

    def with_power_law(
        self, num_items: int, exponent: float, seed: int
    ) -> "Visits":
        """Returns visits of the same lengths and dwells, with items drawn anew.

        Args:
            num_items: size of the catalogue.
            exponent: item of rank r is drawn in proportion to `r**-exponent`.
            seed: of the draws.
        """
        ranks = np.arange(1, num_items + 1, dtype=np.float64)
        cumulative = np.cumsum(ranks**-exponent)
        uniform = np.random.default_rng(seed).uniform(
            high=cumulative[-1], size=len(self.items)
        )
        items = schema.FIRST_ITEM_ID + np.searchsorted(cumulative, uniform)
        return dataclasses.replace(self, items=items)

    def fitted_exponent(self) -> float:
        """Returns the exponent of greatest likelihood of the known items.

        There the expected log rank equals the mean log rank of the clicks; it
        falls with the exponent, so that bisection finds it.
        """
        known = self.items[self.items >= schema.FIRST_ITEM_ID]
        if not len(known):
            raise schema.InputError(
                "`--exponent` must be given where no click is on a known item."
            )
        ranks = known - schema.FIRST_ITEM_ID + 1
        observed = np.log(ranks).mean()
        log_ranks = np.log(np.arange(1, ranks.max() + 1))
        low, high = _EXPONENTS
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            weights = np.exp(-middle * log_ranks)
            if weights @ log_ranks / weights.sum() > observed:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def made_up(seed: int) -> Visits:
    """Returns visits without a log: of four clicks of a minute, on average.

    All clicks are on one item; `Visits.with_power_law` spreads them.
    """
    random = np.random.default_rng(seed)
    lengths = random.geometric(_LEAVING, int(_CLICKS * _LEAVING))
    clicks = int(lengths.sum())
    seconds = np.exp(random.normal(*_LOG_SECONDS, clicks))
    return Visits(
        lengths,
        np.full(clicks, schema.FIRST_ITEM_ID),
        np.minimum(seconds, schema.MAX_DWELL_SECONDS).astype(np.float32),
    )


def read_vocabulary(path: pathlib.Path) -> list[str]:
    """Raw ids, one a line.

    Raises:
        InputError: there is no such file, or nothing in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise schema.InputError(
            f"The vocabulary must be a file of UTF-8 text. Received: {path}"
        ) from error
    vocabulary = text.removesuffix("\n").split("\n") if text else []
    if not vocabulary:
        raise schema.InputError(
            f"The vocabulary must hold an item. Received: {path}, empty"
        )
    return vocabulary


def _raw(vocabulary: Sequence[str], item: int) -> str:
    place = item - schema.FIRST_ITEM_ID
    known = 0 <= place < len(vocabulary)
    return vocabulary[place] if known else _UNKNOWN_ITEM

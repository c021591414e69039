"""Chooses the split of a session or a list: the same one in every run."""

from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import Protocol

import apache_beam as beam
import numpy as np

from beam_jobs import columns
from beam_jobs.options.base import RANDOM
from beam_jobs.options.base import JobOptions
from jump_tf import schema

TEST_PERCENT = 20
VALIDATION_PERCENT = 10  # Of the sessions that are not in the test split.

_DAY_MS = 86_400_000
_SPLIT_DIGITS = 10_000  # The last four digits choose the split.
_NUMBERS = {split: number for number, split in enumerate(schema.SPLITS)}


class Grouped(Protocol):
    """A batch of sessions or lists."""

    @property
    def digests(self) -> np.ndarray:
        """`[S, 4]` of their ids, see `columns.digests`."""

    def instants(self) -> np.ndarray:
        """`[S]` ms UTC, by which each is split."""

    def take(self, rows: np.ndarray) -> Any:
        """Returns some of them, in the order given."""


def random_splits(digests: np.ndarray) -> np.ndarray:
    """Returns `[S]` places in `schema.SPLITS`: 20 % test, 8 % validation."""
    digits = _modulo(digests, _SPLIT_DIGITS)
    return np.select(
        [digits % 100 < TEST_PERCENT, digits // 100 < VALIDATION_PERCENT],
        [_NUMBERS[schema.TEST], _NUMBERS[schema.VALIDATION]],
        _NUMBERS[schema.TRAIN],
    )


def temporal_splits(
    instants_ms: np.ndarray,
    end_ms: int,
    test_days: float,
    validation_days: float,
) -> np.ndarray:
    """Returns `[S]` places in `schema.SPLITS`, by time.

    Args:
        instants_ms: `[S]`: a session's last click, a list's first item.
        end_ms: the last such instant of all that are kept.
        test_days: days before `end_ms` (included) that are test.
        validation_days: days before those that are validation.
    """
    days = (end_ms - instants_ms) / _DAY_MS
    return np.select(
        [days <= test_days, days <= test_days + validation_days],
        [_NUMBERS[schema.TEST], _NUMBERS[schema.VALIDATION]],
        _NUMBERS[schema.TRAIN],
    )


def shards(digests: np.ndarray, number: int) -> np.ndarray:
    """Returns `[S]`, the file of its split, of `number`, that holds each."""
    return _modulo(digests, _SPLIT_DIGITS * number) // _SPLIT_DIGITS


def shuffled(digests: np.ndarray) -> np.ndarray:
    """Returns `[S]` rows in the order in which a file has them: by digest.

    By digest, not by time, files are shuffled already.
    """
    return np.lexsort(digests.T[::-1])


def by_shard(grouped: Grouped, number: int) -> Iterator[tuple[int, Any]]:
    """Yields what belongs to each of the `number` files of a split."""
    of_each = shards(grouped.digests, number)
    for shard, rows in columns.groups(of_each):
        yield shard, grouped.take(rows)


class Split(beam.PTransform):
    """Splits `Grouped`s into `(split, Grouped)`s.

    Args:
        options: `split`, `test_days` and `validation_days` of them.
    """

    def __init__(self, options: JobOptions):
        super().__init__()
        self.options = options

    def expand(self, grouped):
        if self.options.split == RANDOM:
            return grouped | "Random" >> beam.FlatMap(_by_digest)
        end_ms = (
            grouped
            | "Latest" >> beam.Map(lambda some: some.instants().max(initial=0))
            | "End" >> beam.CombineGlobally(latest)
        )
        return grouped | "Temporal" >> beam.FlatMap(
            _by_time,
            beam.pvalue.AsSingleton(end_ms),
            self.options.test_days,
            self.options.validation_days or self.options.test_days,
        )


def latest(instants: Iterable[int]) -> int:
    """Returns the last of some instants in ms UTC; 0 where there is none."""
    return int(max(instants, default=0))


def check_latest(stage: str, instants_ms: np.ndarray, end_ms: int) -> None:
    """Checks that a stage knows the last instant of all.

    Raises:
        RuntimeError: an instant is later, so that the last one was lost.
    """
    last_ms = int(instants_ms.max(initial=0))
    if last_ms > end_ms:
        raise RuntimeError(
            f"Stage `{stage}` must know the last instant of all. "
            f"Received: {end_ms} ms, and {last_ms} ms"
        )


def _by_digest(grouped):
    return _apart(grouped, random_splits(grouped.digests))


def _by_time(grouped, end_ms, test_days, validation_days):
    instants_ms = grouped.instants()
    check_latest("split", instants_ms, end_ms)
    of_each = temporal_splits(instants_ms, end_ms, test_days, validation_days)
    return _apart(grouped, of_each)


def _apart(grouped, of_each):
    for number, rows in columns.groups(of_each):
        yield schema.SPLITS[number], grouped.take(rows)


def _modulo(digests: np.ndarray, divisor: int) -> np.ndarray:
    """`[S]` remainders of 256-bit integers; the divisor has 31 bits at most."""
    word = np.uint64(2**64 % divisor)
    left = np.zeros(len(digests), np.uint64)
    for words in digests.T:
        left = (left * word + words % np.uint64(divisor)) % np.uint64(divisor)
    return left.astype(np.int64)

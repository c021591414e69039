"""Which split a session or a list belongs to: always one, in every run.

What is said of sessions holds for lists; both begin with their id.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import apache_beam as beam

from beam_jobs.job_options import RANDOM
from jump_tf import schema

TEST_PERCENT = 20
VALIDATION_PERCENT = 10  # Of the sessions that are not in the test split.

_DAY_MS = 86_400_000


def digest(session_id: str) -> int:
    """SHA-256 of the id (UTF-8) as a big-endian integer.

    Python's own `hash` is salted: each worker would split differently.
    """
    raw = hashlib.sha256(session_id.encode()).digest()
    return int.from_bytes(raw, "big")


def random_split(session_id: str) -> str:
    """The split of a session by its digest: 20 % test, 8 % validation."""
    hundred = digest(session_id)
    if hundred % 100 < TEST_PERCENT:
        return schema.TEST
    if hundred // 100 % 100 < VALIDATION_PERCENT:
        return schema.VALIDATION
    return schema.TRAIN


def shard(session_id: str, shards: int) -> int:
    """Which of `shards` files of its split a session is written to."""
    # The last four digits have already chosen the split.
    return digest(session_id) // 10_000 % shards


def temporal_split(instant_ms: int, end_ms: int, test_days: float) -> str:
    """The split of a session by its last click, of a list by its first item.

    Args:
        instant_ms: that instant.
        end_ms: the last such instant of all that are kept.
        test_days: days before `end_ms` (included) that are test; as many
            before those are validation.
    """
    days = (end_ms - instant_ms) / _DAY_MS
    if days <= test_days:
        return schema.TEST
    if days <= 2 * test_days:
        return schema.VALIDATION
    return schema.TRAIN


def last_click_ms(visit) -> int:
    """The instant by which a `Visit` is split."""
    return visit[2][-1]


class Split(beam.PTransform):
    """`Visit`s to `(split, Visit)`s, and the like.

    Args:
        split: `random` or `temporal`.
        test_days: see `temporal_split`.
        instant: of what is split, ms UTC.
    """

    def __init__(
        self,
        split: str,
        test_days: float,
        instant: Callable[[Any], int] = last_click_ms,
    ):
        super().__init__()
        self.split = split
        self.test_days = test_days
        self.instant = instant

    def expand(self, grouped):
        if self.split == RANDOM:
            return grouped | "Random" >> beam.Map(
                lambda each: (random_split(each[0]), each)
            )
        end_ms = (
            grouped
            | "Instants" >> beam.Map(self.instant)
            | "End" >> beam.CombineGlobally(_latest)
        )
        return grouped | "Temporal" >> beam.Map(
            _by_time,
            beam.pvalue.AsSingleton(end_ms),
            self.test_days,
            self.instant,
        )


def _by_time(each, end_ms, test_days, instant):
    return temporal_split(instant(each), end_ms, test_days), each


def _latest(instants) -> int:
    return max(instants, default=0)

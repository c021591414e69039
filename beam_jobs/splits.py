"""Which split a session belongs to: always one, and the same in every run."""

import hashlib

import apache_beam as beam

from beam_jobs.options import RANDOM
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


def temporal_split(last_ms: int, end_ms: int, test_days: float) -> str:
    """The split of a session by its last click.

    Args:
        last_ms: instant of the session's last click.
        end_ms: instant of the last click of all sessions that are kept.
        test_days: days before `end_ms` (included) that are test; as many
            before those are validation.
    """
    days = (end_ms - last_ms) / _DAY_MS
    if days <= test_days:
        return schema.TEST
    if days <= 2 * test_days:
        return schema.VALIDATION
    return schema.TRAIN


class Split(beam.PTransform):
    """`Visit`s to `(split, Visit)`s."""

    def __init__(self, split: str, test_days: float):
        super().__init__()
        self.split = split
        self.test_days = test_days

    def expand(self, visits):
        if self.split == RANDOM:
            return visits | "Random" >> beam.Map(
                lambda visit: (random_split(visit[0]), visit)
            )
        end_ms = (
            visits
            | "LastClicks" >> beam.Map(lambda visit: visit[2][-1])
            | "End" >> beam.CombineGlobally(_latest)
        )
        return visits | "Temporal" >> beam.Map(
            _by_time, beam.pvalue.AsSingleton(end_ms), self.test_days
        )


def _by_time(visit, end_ms, test_days):
    return temporal_split(visit[2][-1], end_ms, test_days), visit


def _latest(instants) -> int:
    return max(instants, default=0)

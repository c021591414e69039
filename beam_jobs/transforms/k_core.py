"""The k-core of a log: its largest part in which nothing is rare or short.

Dropping a rare item shortens sessions, and dropping a short session makes
items rarer; so both are dropped in rounds until a round drops nothing. What is
left does not depend on the order: it is the largest set of clicks in which
every item has `min_item_clicks` and every session `min_session_clicks`.

A round needs nothing of the rounds before it but the items that they left: a
session that was too short with more items is too short with fewer. So every
round reads the same sessions, and only lists of items go from one to the next.

Reference: Seidman, Network structure and minimum degree, Social Networks 5(3),
1983; with a bound for each of the two sides of the graph of items and sessions.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa

from beam_jobs import counting
from beam_jobs.transforms import sessions
from beam_jobs.transforms import vocabulary
from beam_jobs.transforms.sessions import Sessions
from jump_tf import schema

ROUNDS = 32  # A pipeline's steps are fixed before it runs.


class _Left(NamedTuple):
    """The items that some rounds left.

    Attributes:
        items: raw ids.
        dropped: how many the last round dropped; None before the first.
    """

    items: pa.Array
    dropped: int | None = None


class CoreItems(beam.PTransform):
    """Turns `(sessions, frequent)` into the items of the k-core.

    The sessions are `Sessions`; `frequent` is one array of the items that have
    enough clicks in all of them.

    Args:
        min_item_clicks: that every item must have in the sessions that stay.
        min_session_clicks: that a session must have on the items that stay.

    Raises:
        schema.InputError: the items still change after `ROUNDS` rounds.
    """

    def __init__(self, min_item_clicks: int, min_session_clicks: int):
        super().__init__()
        self.min_item_clicks = min_item_clicks
        self.min_session_clicks = min_session_clicks

    def expand(self, sessions_and_frequent):
        grouped, frequent = sessions_and_frequent
        left = frequent | "All" >> beam.Map(_Left)
        for number in range(1, ROUNDS + 1):
            one = beam.pvalue.AsSingleton(left)
            counts = (
                grouped
                | f"Count{number}"
                >> beam.FlatMap(_counts_in_core, one, self.min_session_clicks)
                | f"Add{number}"
                >> beam.CombineGlobally(vocabulary.CountTexts())
            )
            left = counts | f"Frequent{number}" >> beam.Map(
                _narrowed, one, self.min_item_clicks
            )
        return left | "Stable" >> beam.Map(_stable)


def _counts_in_core(
    grouped: Sessions, left: _Left, min_session_clicks: int
) -> Iterator[Mapping[str, int]]:
    """Yields the clicks of each item in the sessions that stay."""
    if left.dropped == 0:
        return
    core = sessions.with_items(sessions.forward(grouped), left.items)
    core = sessions.at_least(core, min_session_clicks)
    counting.counter(counting.TO_COUNT).inc(core.num_clicks)
    yield sessions.item_counts(core)


def _narrowed(
    counts: Mapping[str, int], left: _Left, min_item_clicks: int
) -> _Left:
    if left.dropped == 0:
        return left
    items = vocabulary.frequent(counts, min_item_clicks)
    return _Left(items, len(left.items) - len(items))


def _stable(left: _Left) -> pa.Array:
    if left.dropped:
        raise schema.InputError(
            f"`k_core` must be reached within {ROUNDS} rounds of dropping "
            f"rare items and short sessions. Received: {len(left.items)} items "
            f"in round {ROUNDS}, {left.dropped} less than before"
        )
    return left.items

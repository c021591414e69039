"""The record files of lists: ids of features, times since the first item."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from beam_jobs import counting
from beam_jobs.output import shards
from beam_jobs.transforms import vocabulary
from beam_jobs.transforms.lists import Lists
from beam_jobs.transforms.lists import Shown
from jump_tf import schema
from jump_tf.data import encoding


@dataclasses.dataclass(frozen=True)
class ListShards(shards.ShardFormat):
    """Lists as they are written.

    Attributes:
        has_clock: whether times are instants; else lists start at 0.
    """

    has_clock: bool

    counted: ClassVar = (
        (counting.LISTS, schema.LIST_LENGTH, len),
        (counting.ITEMS, schema.LIST_LENGTH, np.sum),
        (counting.CLICKS, schema.CLICKED, np.sum),
        (counting.CONVERSIONS, schema.CONVERTED, np.sum),
    )

    def concatenate(self, batches: Sequence[Lists]) -> Lists:
        return Lists([shown for some in batches for shown in some.shown])

    def columns(self, grouped: Lists) -> Mapping[str, np.ndarray]:
        rows = [row for _, rows in grouped.shown for row in rows]
        return {
            schema.LIST_LENGTH: np.array([len(r) for _, r in grouped.shown]),
            schema.CLICKED: np.array([row[2] for row in rows]),
            schema.CONVERTED: np.array([row[3] for row in rows]),
        }

    def records(self, grouped: Lists, texts: Sequence[str]) -> Iterator[bytes]:
        ids = vocabulary.ids(texts)
        return encoding.encode_lists(
            to_list(shown, ids, self.has_clock) for shown in grouped.shown
        )


def to_list(
    shown: Shown, ids: Mapping[str, int], has_clock: bool
) -> schema.ShownList:
    """A list as it is written.

    Args:
        shown: the list.
        ids: of the vocabulary's features.
        has_clock: whether times are instants; else the list starts at 0.
    """
    list_id, rows = shown
    times, _, clicked, converted, features, values = zip(*rows, strict=True)
    start_ms = times[0]
    # An item without a feature has one that is not in the vocabulary.
    known = [
        [ids.get(text, schema.OOV_ID) for text in texts] or [schema.OOV_ID]
        for texts in features
    ]
    return schema.ShownList(
        list_id,
        start_ms if has_clock else 0,
        [(time_ms - start_ms) / 1000 for time_ms in times],
        known,
        [
            list(told) or [1.0] * len(mine)
            for told, mine in zip(values, known, strict=True)
        ],
        list(clicked),
        list(converted),
    )

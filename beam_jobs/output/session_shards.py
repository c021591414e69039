"""The record files of sessions: ids of items, censored dwells."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs.output import shards
from beam_jobs.transforms import sessions as session_transforms
from beam_jobs.transforms.sessions import Sessions
from jump_tf import schema
from jump_tf.data import encoding


@dataclasses.dataclass(frozen=True)
class SessionShards(shards.ShardFormat):
    """Sessions as they are written.

    Attributes:
        max_dwell_seconds: c1 of eq. 4.
        last_dwell_seconds: c2 of eq. 4.
    """

    max_dwell_seconds: float
    last_dwell_seconds: float

    counted: ClassVar = (
        (counting.SESSIONS, schema.SESSION_LENGTH, len),
        (counting.CLICKS, schema.SESSION_LENGTH, np.sum),
    )

    def concatenate(self, batches: Sequence[Sessions]) -> Sessions:
        return session_transforms.concatenate(batches)

    def columns(self, grouped: Sessions) -> Mapping[str, np.ndarray]:
        return {schema.SESSION_LENGTH: grouped.lengths}

    def records(
        self, grouped: Sessions, texts: Sequence[str]
    ) -> Iterator[bytes]:
        dwell_seconds, dwell_censored = session_transforms.censored_dwell(
            grouped, self.max_dwell_seconds, self.last_dwell_seconds
        )
        return encoding.encode_sessions(
            columns.text_bytes(grouped.ids),
            grouped.lengths,
            {
                schema.START_MS: grouped.time_ms[grouped.starts],
                schema.SESSION_CUT: grouped.session_cut.astype(np.int64),
            },
            {
                schema.ITEMS: _item_ids(grouped.items, texts),
                schema.DWELL_SECONDS: dwell_seconds,
                schema.DWELL_CENSORED: dwell_censored,
            },
        )


def _item_ids(items: pa.DictionaryArray, texts: Sequence[str]) -> np.ndarray:
    known = pc.index_in(items.dictionary, pa.array(texts, pa.string()))
    ids = pc.add(known, schema.FIRST_ITEM_ID).fill_null(schema.OOV_ID)
    return ids.to_numpy()[columns.codes(items)]

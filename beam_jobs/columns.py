"""Clicks as columns: what the stages of the job pass to each other.

A batch of a million clicks is a handful of arrays. Texts, which repeat, are
kept once and numbered.
"""

import dataclasses
import hashlib
import zlib
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclasses.dataclass(frozen=True)
class Clicks:
    """Columns of `n` clicks.

    Attributes:
        visits: `n` raw ids of the session or, in logs without sessions, of
            the visitor; numbers into a dictionary of texts.
        items: `n` raw item ids, likewise.
        time_ms: `[n]` int64 milliseconds since `origin_ms`.
        origin_ms: `[n]` int64 milliseconds UTC, see `fields.Click`; None
            where `time_ms` are instants.
        dwell_seconds: `[n]` float64 as the site measured it, NaN where it did
            not; None for a log without it.
        record_starts: `[n]` bool, True for the first click of a line; None
            where a line is a click. Lines of equal text are copies.
    """

    visits: pa.DictionaryArray
    items: pa.DictionaryArray
    time_ms: np.ndarray
    origin_ms: np.ndarray | None = None
    dwell_seconds: np.ndarray | None = None
    record_starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.time_ms)

    @property
    def num_records(self) -> int:
        """The number of lines of the log that hold the clicks."""
        if self.record_starts is None:
            return len(self)
        return int(self.record_starts.sum())

    def take(self, rows: np.ndarray) -> "Clicks":
        """Returns the clicks in `rows`, with the texts that they use."""
        origin_ms, dwell_seconds, record_starts = (
            None if column is None else column[rows]
            for column in (
                self.origin_ms,
                self.dwell_seconds,
                self.record_starts,
            )
        )
        return Clicks(
            take_texts(self.visits, rows),
            take_texts(self.items, rows),
            self.time_ms[rows],
            origin_ms,
            dwell_seconds,
            record_starts,
        )


def concatenate(batches: Sequence[Clicks]) -> Clicks:
    """Joins batches of one log, at least one, into one batch."""
    if len(batches) == 1:
        return batches[0]
    lengths = list(map(len, batches))
    return Clicks(
        join_texts([batch.visits for batch in batches]),
        join_texts([batch.items for batch in batches]),
        np.concatenate([batch.time_ms for batch in batches]),
        join([batch.origin_ms for batch in batches], 0, lengths),
        join([batch.dwell_seconds for batch in batches], np.nan, lengths),
        join([batch.record_starts for batch in batches], True, lengths),
    )


def first_records(clicks: Clicks) -> Clicks:
    """Returns the clicks of the first line of each visit.

    In logs of one line a visit, later lines of it are copies.
    """
    if clicks.record_starts is None:
        return clicks
    record = np.cumsum(clicks.record_starts)
    _, first, visit = np.unique(
        codes(clicks.visits), return_index=True, return_inverse=True
    )
    return clicks.take(np.flatnonzero(record == record[first][visit]))


def partition(clicks: Clicks, number: int) -> Iterator[tuple[int, Clicks]]:
    """Yields the clicks by visit: all of one visit in the same partition.

    Which one depends on the visit alone, on every worker and in every run.
    """
    names = clicks.visits.dictionary.cast(pa.binary()).to_pylist()
    of_name = np.fromiter((zlib.crc32(name) for name in names), np.int64)
    mine = (of_name % number)[codes(clicks.visits)].astype(np.uint16)
    for part, rows in groups(mine):
        yield part, clicks.take(rows)


def groups(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each key, ascending, and the rows that have it, in order."""
    order = np.argsort(keys, kind="stable")
    present, starts = np.unique(keys[order], return_index=True)
    for key, start, end in zip(
        present, starts, np.append(starts, len(keys))[1:], strict=True
    ):
        yield int(key), order[start:end]


def codes(texts: pa.DictionaryArray) -> np.ndarray:
    """Returns `[n]` int32, the place of each text in the dictionary."""
    return texts.indices.to_numpy()


def of_codes(numbers: np.ndarray, names: pa.Array) -> pa.DictionaryArray:
    """Returns the texts of a dictionary that have these numbers."""
    return pa.DictionaryArray.from_arrays(
        pa.array(numbers.astype(np.int32, copy=False)), names
    )


def take_texts(
    texts: pa.DictionaryArray, rows: np.ndarray
) -> pa.DictionaryArray:
    """Returns the texts in `rows`, in a dictionary of these texts alone."""
    numbers = codes(texts)[rows]
    used = np.zeros(len(texts.dictionary), bool)
    used[numbers] = True
    renumbered = np.cumsum(used, dtype=np.int32) - 1
    names = texts.dictionary.filter(pa.array(used))
    return of_codes(renumbered[numbers], names)


def join_texts(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Joins texts end to end, with one dictionary."""
    joined = pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    # One chunk is a chunked array still, in some versions of pyarrow.
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def text_bytes(texts: pa.Array) -> list[bytes]:
    """Returns the UTF-8 bytes of each text."""
    return pc.cast(texts, pa.binary()).to_pylist()


def digests(ids: Iterable[bytes]) -> np.ndarray:
    """`[S, 4]` uint64: the SHA-256 of each id, as a big-endian integer.

    Python's own `hash` is salted: each worker would split differently.
    """
    raw = b"".join(hashlib.sha256(id_).digest() for id_ in ids)
    return np.frombuffer(raw, ">u8").reshape(-1, 4).astype(np.uint64)


def join(
    parts: Sequence[np.ndarray | None], fill: float, lengths: Sequence[int]
) -> np.ndarray | None:
    """Joins a column; a batch that lacks it gives `length` times `fill`."""
    if all(part is None for part in parts):
        return None
    return np.concatenate(
        [
            np.full(length, fill) if part is None else part
            for part, length in zip(parts, lengths, strict=True)
        ]
    )

"""Parses blocks of lines to columns of clicks and rejected lines.

Nearly all lines are read in bulk. A block that raises `DoubtError` is cut into
smaller ones, and the last few lines are read one by one, which tells what a
line means, or why it is rejected.
"""

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple
from typing import TypeVar

import apache_beam as beam
import numpy as np
import pyarrow as pa

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs.columns import Clicks
from beam_jobs.sources import field_columns
from beam_jobs.sources import fields
from beam_jobs.sources import lines

REJECTS = "rejects"
CLICKS = "clicks"
FEW_LINES = 32
SHOWN = 1000  # Characters of a rejected line.
_PIECES = 8


class Reject(NamedTuple):
    """A line that cannot be read, and why.

    Attributes:
        file_index: its place among the inputs.
        start: bytes; where the range starts in which the line was read.
        line_number: as `lines.Block` counts in that range.
        file: as it was named.
        reason: one of few.
        line: its text.
    """

    file_index: int
    start: int
    line_number: int
    file: str
    reason: str
    line: str


Parsed = tuple[list[Clicks], list[tuple[int, ValueError]]]
Rows = TypeVar("Rows")


class ParseClicks(beam.PTransform):
    """`Block`s to `(place, Clicks)`s, and `Reject`s.

    The place of a batch is `(file_index, start, line_number)`: in its order
    the batches are the log.
    """

    def __init__(self, log_format: fields.LogFormat):
        super().__init__()
        self.log_format = log_format

    def expand(self, blocks):
        return blocks | beam.ParDo(_Parse(self.log_format)).with_outputs(
            REJECTS, main=CLICKS
        )


def parse(
    data: bytes,
    num_lines: int,
    row: fields.Parser,
    column: fields.ColumnParser | None,
) -> Parsed:
    """Returns the clicks of some lines, and the lines that are no clicks.

    Args:
        data: whole lines.
        num_lines: how many.
        row: reads one line.
        column: reads many lines at once; None reads them one by one.

    Returns:
        Batches in the order of the lines; offsets of bad lines, ascending.
    """
    one_by_one = functools.partial(_parse_rows, row=row)
    if column is None:
        return one_by_one(data)
    return in_bulk(data, num_lines, column, one_by_one, _pieces)


def in_bulk(
    rows: Rows,
    number: int,
    column: Callable[[Rows], Clicks],
    one_by_one: Callable[[Rows], Parsed],
    pieces: Callable[[Rows], Iterable[tuple[Rows, int]]],
) -> Parsed:
    """Returns the clicks of some rows, read in pieces as large as possible.

    Args:
        rows: of the log.
        number: how many.
        column: reads many, or raises `field_columns.DoubtError`.
        one_by_one: reads any.
        pieces: cuts rows into fewer, and says how many each time.

    Returns:
        Batches in the order of the rows; offsets of bad rows, ascending.
    """
    if number <= FEW_LINES:
        return one_by_one(rows)
    with contextlib.suppress(field_columns.DoubtError):
        clicks = column(rows)
        if len(clicks) == number:  # Else a quote has joined some.
            return [clicks], []
    found: list[Clicks] = []
    bad: list[tuple[int, ValueError]] = []
    first = 0
    for piece, size in pieces(rows):
        some, wrong = in_bulk(piece, size, column, one_by_one, pieces)
        found += some
        bad += ((first + offset, error) for offset, error in wrong)
        first += size
    return found, bad


def batch(clicks: Sequence[fields.Click]) -> Clicks:
    """Returns the columns of clicks, at least one."""
    visits, items, times, origins, dwells = zip(*clicks, strict=True)
    return Clicks(
        pa.array(visits, pa.string()).dictionary_encode(),
        pa.array(items, pa.string()).dictionary_encode(),
        np.array(times, np.int64),
        np.array(origins, np.int64) if any(origins) else None,
        None if all(map(math.isnan, dwells)) else np.array(dwells),
    )


def reject(block: lines.Block, offset: int, line: bytes, error: ValueError):
    """Counts a line of a block that cannot be read, and keeps it."""
    text = line[:SHOWN].rstrip(b"\r\n").decode(errors="backslashreplace")
    return rejected(
        Reject(
            block.part.file_index,
            block.part.start,
            block.line_number + offset,
            block.part.path,
            str(error),
            text,
        )
    )


def rejected(row: Reject) -> beam.pvalue.TaggedOutput:
    """Counts a row that cannot be read, and keeps it."""
    counting.counter(counting.REJECTED, row.reason).inc()
    return beam.pvalue.TaggedOutput(REJECTS, row)


def count_parsed(clicks: Clicks) -> None:
    """Counts what was read, and from how many lines."""
    counting.counter(counting.PARSED).inc(len(clicks))
    counting.counter(counting.READ_LINES).inc(clicks.num_records)


class _Parse(beam.DoFn):
    def __init__(self, log_format):
        self.log_format = log_format

    def process(self, block):
        block = lines.Block(lines.Range(*block.part), *block[1:])
        head = block.part.path, block.part.first_line
        found, bad = parse(
            block.data,
            block.num_lines,
            self.log_format.parser(*head),
            self.log_format.column_parser(*head),
        )
        if bad:
            rows = lines.split_lines(block.data)
            for offset, error in bad:
                yield reject(block, offset, rows[offset], error)
        if found:
            clicks = columns.concatenate(found)
            count_parsed(clicks)
            place = block.part.file_index, block.part.start, block.line_number
            yield place, clicks


def _parse_rows(data, row):
    clicks, sizes, bad = [], [], []
    for offset, line in enumerate(lines.split_lines(data)):
        try:
            found = row(lines.decode(line))
        except ValueError as error:
            bad.append((offset, error))
            continue
        if isinstance(found, fields.Click):
            clicks.append(found)
        else:
            clicks += found
            sizes.append(len(found))
    if not clicks:
        return [], bad
    return [_with_records(batch(clicks), sizes)], bad


def _with_records(clicks, sizes):
    if not sizes:
        return clicks
    starts = np.zeros(len(clicks), bool)
    starts[np.cumsum([0, *sizes[:-1]])] = True
    return dataclasses.replace(clicks, record_starts=starts)


def _pieces(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields some lines in about `_PIECES` parts of whole lines, counted."""
    ends = [
        data.find(b"\n", place) + 1 or len(data)
        for place in range(0, len(data), math.ceil(len(data) / _PIECES))
    ]
    bounds = sorted({0, len(data), *ends})
    for start, end in itertools.pairwise(bounds):
        piece = data[start:end]
        yield piece, lines.count_lines(piece)

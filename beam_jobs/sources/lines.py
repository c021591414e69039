"""Reads log files as blocks of whole lines, from any byte of a file.

A plain file is read in ranges of bytes, each by any worker; a range holds the
lines that start in it. A packed file is read by one worker from its start.
"""

import codecs
import logging
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import BinaryIO
from typing import NamedTuple

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.sources import unpacking
from jump_tf import schema

BLOCK_BYTES = 16 << 20
LONGEST_LINE = 1 << 20  # Bytes; of a longer line only so much is read.
BLOCKS = "blocks"
LINE_COUNTS = "line counts"
Starts = Callable[[bytes], bool]

_LOGGER = logging.getLogger(__name__)


class Range(NamedTuple):
    """The lines of a file that start in `[start, stop)`.

    Attributes:
        path: the file, as it was named.
        file_index: its place among the inputs.
        first_line: the file's first line, which may name its columns.
        start: bytes.
        stop: bytes; None for all that follows.
    """

    path: str
    file_index: int
    first_line: str
    start: int = 0
    stop: int | None = None


class Block(NamedTuple):
    """Consecutive whole lines of a range.

    Attributes:
        part: the range.
        line_number: of the first line, counted from 1 at the file's start, or
            from 0 after it at the range's; a header has counted as one.
        num_lines: how many there are.
        data: the lines, not decoded; a longer one than `LONGEST_LINE` is a
            block of its own, of which the rest is missing.
    """

    part: Range
    line_number: int
    num_lines: int
    data: bytes


def read_blocks(
    part: Range, has_header: bool, starts: Starts | None = None
) -> Iterator[Block]:
    """Yields the lines of a range, unpacked after the ending of its name.

    Args:
        part: the range.
        has_header: whether the file's first line names the columns.
        starts: whether a line starts a record, where a record is several
            lines; a block then ends with a whole record.

    Raises:
        schema.InputError: the file breaks off or is damaged.
    """
    at_start = part.start == 0
    line_number = has_header + at_start
    try:
        with unpacking.opened(part.path) as log:
            left = _seek(log, part, has_header)
            for data in _blocks(_lines_until(log, left), starts):
                if at_start and line_number == 1:  # No header.
                    data = data.removeprefix(codecs.BOM_UTF8)
                if data:
                    number = count_lines(data)
                    yield Block(part, line_number, number, data)
                    line_number += number
    except unpacking.DAMAGED as error:
        raise schema.InputError(
            f"`input` must name readable files. Received: {part.path}, which "
            f"is damaged after line {line_number - 1}: {error}"
        ) from error


def count_lines(data: bytes) -> int:
    """Returns the number of lines of a block; the last may lack its end."""
    return data.count(b"\n") + (not data.endswith(b"\n"))


def split_lines(data: bytes) -> list[bytes]:
    """Returns the lines of a block, without their ends."""
    lines = data.split(b"\n")
    if data.endswith(b"\n"):
        lines.pop()
    return lines


def decode(line: bytes) -> str:
    """Returns the text of a line, without its end.

    Raises:
        ValueError: it is not UTF-8, or far too long.
    """
    if len(line) > LONGEST_LINE:
        raise ValueError("line too long")
    try:
        return line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


class ReadBlocks(beam.PTransform):
    """Reads ranges to `BLOCKS` of lines, and to their `LINE_COUNTS`.

    The latter are `((file_index, start), lines)` of each range: where a range
    starts is known in bytes alone until all before it has been read.
    """

    def __init__(
        self,
        ranges: Sequence[Range],
        has_header: bool,
        starts: Starts | None = None,
    ):
        super().__init__()
        self.ranges = ranges
        self.read = _Read(has_header, starts)

    def expand(self, root):
        return (
            root
            | "Ranges" >> beam.Create(self.ranges)
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(self.read).with_outputs(LINE_COUNTS, main=BLOCKS)
        )


class _Read(beam.DoFn):
    def __init__(self, has_header, starts):
        self.has_header = has_header
        self.starts = starts
        self.lines = counting.counter(counting.LINES)
        self.ranges = counting.counter(counting.RANGES)

    def process(self, element):
        part = Range(*element)
        total = 0
        for block in read_blocks(part, self.has_header, self.starts):
            self.lines.inc(block.num_lines)
            total += block.num_lines
            yield block
        self.ranges.inc()
        _LOGGER.info("%s from byte %d: %d lines", part.path, part.start, total)
        yield beam.pvalue.TaggedOutput(
            LINE_COUNTS, ((part.file_index, part.start), total)
        )


def _seek(log: BinaryIO, part: Range, has_header: bool) -> int | None:
    """Goes to a range's first line; returns the bytes up to the range's end."""
    position = 0
    if part.start > 0:
        # A line that starts just there has its predecessor's end before it.
        position = part.start - 1
        log.seek(position)
    if part.start > 0 or has_header:
        for piece in _rest_of_line(log):
            position += len(piece)
            if part.stop is not None and position >= part.stop:
                break  # The line may be longer than many ranges.
    return None if part.stop is None else part.stop - position


def _lines_until(log: BinaryIO, left: int | None) -> Iterator[bytes]:
    """Yields what a range holds, up to the end of its last line."""
    last = b"\n"
    while left is None or left > 0:
        size = BLOCK_BYTES if left is None else min(left, BLOCK_BYTES)
        if not (chunk := log.read(size)):
            return
        last = chunk[-1:]
        yield chunk
        left = None if left is None else left - len(chunk)
    if last != b"\n":
        yield from _rest_of_line(log)


def _rest_of_line(log: BinaryIO) -> Iterator[bytes]:
    """Yields what is left of a line, its end included, in pieces."""
    while piece := log.readline(LONGEST_LINE):
        yield piece
        if piece.endswith(b"\n"):
            return


def _blocks(chunks: Iterator[bytes], starts: Starts | None) -> Iterator[bytes]:
    """Yields chunks again, cut where lines or records end."""
    rest = b""
    for chunk in chunks:
        data = rest + chunk
        end = data.rfind(b"\n") + 1
        if end and starts:
            end = _last_start(data[:end], starts)
        rest = data[end:]
        if end:
            yield from _apart(data[:end])
        elif not starts:
            rest = rest[: LONGEST_LINE + 1]
    if rest:
        yield from _apart(rest)


def _last_start(data: bytes, starts: Starts) -> int:
    """Where the last record of some lines starts."""
    end = len(data)
    while begin := data.rfind(b"\n", 0, end - 1) + 1:
        if starts(data[begin:end]):
            return begin
        end = begin
    return 0


def _apart(data: bytes) -> Iterator[bytes]:
    """Yields lines, and those that are far too long on their own, cut."""
    begin = 0
    # A line that is too long lies across a multiple of its least length.
    for middle in range(LONGEST_LINE, len(data), LONGEST_LINE):
        start = data.rfind(b"\n", 0, middle) + 1
        end = data.find(b"\n", middle) + 1 or len(data)
        if start < begin or end - start <= LONGEST_LINE + 1:
            continue
        yield from filter(None, (data[begin:start],))
        yield data[start : start + LONGEST_LINE + 1]
        begin = end
    yield from filter(None, (data[begin:],))

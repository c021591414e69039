"""Log files to clicks: rows are read in blocks, parsed, and never lost.

Beam's own text source knows no `.xz` and no line numbers. Here a file is read
by one worker, and its blocks of lines are then spread over all.
"""

import bz2
import codecs
import collections
import contextlib
import gzip
import itertools
import logging
import lzma
import pathlib
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import BinaryIO
from typing import NamedTuple
from typing import Protocol

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs import counting
from beam_jobs.sources import base
from jump_tf import schema

BLOCK_LINES = 20_000
REJECTS = "rejects"
CLICKS = "clicks"
Starts = Callable[[bytes], bool]

_LOGGER = logging.getLogger(__name__)
_LOG_EVERY_BLOCKS = 25
_FILE_STRIDE = 1 << 40  # No file has more lines.
_UNPACK: dict[str, Any] = {
    ".xz": lzma.open,
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)


class Block(NamedTuple):
    """Consecutive rows of a file.

    Attributes:
        path: the file, as it was named.
        file_index: its place among the inputs.
        first_line: the file's first line, which names its columns.
        line_number: of the first of `rows`, counted from 1.
        rows: lines, not decoded.
    """

    path: str
    file_index: int
    first_line: str
    line_number: int
    rows: list[bytes]


class Reject(NamedTuple):
    """A row that cannot be read, and why."""

    file: str
    line_number: int
    reason: str
    line: str


class LogLayout(Protocol):
    """What has to be known of a log's files before they are read."""

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""

    def parser(self, path: str, first_line: str) -> Callable[..., Any]:
        """Checks the columns of a file, see `base.LogFormat`."""


def check_inputs(paths: Sequence[str], log_format: LogLayout) -> None:
    """Looks at the head of every file before the job starts.

    Raises:
        schema.InputError: a file is missing, empty, not readable, or has
            other columns than its format.
    """
    for path in paths:
        if not FileSystems.exists(path) or pathlib.Path(path).is_dir():
            raise schema.InputError(
                f"`input` must name files that exist. Received: {path}"
            )
        block = next(read_blocks(0, path, log_format.has_header, 1), None)
        if block is None:
            raise schema.InputError(
                f"`input` must hold at least one row. Received: {path}, empty"
            )
        log_format.parser(path, block.first_line)


def read_blocks(
    file_index: int,
    path: str,
    has_header: bool,
    block_lines: int,
    starts: Starts | None = None,
) -> Iterator[Block]:
    """Yields the rows of a file, unpacked after the ending of its name.

    Args:
        file_index: of the file among the inputs.
        path: of the file.
        has_header: whether the first line names the columns.
        block_lines: rows of a block.
        starts: whether a row starts a record, where a record is several rows;
            a block then is longer, so as to end with a whole record.

    Raises:
        schema.InputError: the file breaks off or is damaged.
    """
    line_number = 1 + has_header
    try:
        with _open(path) as log:
            head = next(log, b"").removeprefix(codecs.BOM_UTF8)
            rows = log if has_header or not head else _chain(head, log)
            first_line = _strip(head).decode(errors="backslashreplace")
            next_row: list[bytes] = []
            while some := [*next_row, *itertools.islice(rows, block_lines)]:
                next_row = _complete(some, rows, starts) if starts else []
                yield Block(path, file_index, first_line, line_number, some)
                line_number += len(some)
    except _DAMAGED as error:
        raise schema.InputError(
            f"`input` must name readable files. Received: {path}, which is "
            f"damaged after line {line_number - 1}: {error}"
        ) from error


class ReadBlocks(beam.PTransform):
    """The rows of the log's files as `Block`s."""

    def __init__(
        self,
        paths: Sequence[str],
        has_header: bool,
        starts: Starts | None = None,
    ):
        super().__init__()
        self.paths = paths
        self.read = _Read(has_header, starts)

    def expand(self, root):
        return (
            root
            | "Files" >> beam.Create(list(enumerate(self.paths)))
            | "Read" >> beam.ParDo(self.read)
            | "Spread" >> beam.Reshuffle()
        )


class ParseClicks(beam.PTransform):
    """`Block`s to clicks by visit, and `Reject`s.

    Clicks come as `(visit, [(origin_ms, time_ms, position, item)])`, those of
    a visit within a block together: logs mostly keep a session's rows near
    each other, and fewer, larger elements are what makes Beam fast.
    `position` is the click's place in the log.
    """

    def __init__(self, log_format: base.LogFormat):
        super().__init__()
        self.log_format = log_format

    def expand(self, blocks):
        return blocks | beam.ParDo(_Parse(self.log_format)).with_outputs(
            REJECTS, main=CLICKS
        )


def block_position(block: Block) -> int:
    """The place of a block's first row in the whole log; rows count on."""
    return block.file_index * _FILE_STRIDE + block.line_number


def decode(row: bytes) -> str:
    """The text of a row, without its end.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        return _strip(row).decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def rejected(
    block: Block, offset: int, error: ValueError
) -> beam.pvalue.TaggedOutput:
    """Counts a row of a block that cannot be read, and keeps it."""
    counting.counter(counting.REJECTED, str(error)).inc()
    line = _strip(block.rows[offset]).decode(errors="backslashreplace")
    line_number = block.line_number + offset
    reject = Reject(block.path, line_number, str(error), line)
    return beam.pvalue.TaggedOutput(REJECTS, reject)


class _Read(beam.DoFn):
    def __init__(self, has_header, starts):
        self.has_header = has_header
        self.starts = starts
        self.lines = counting.counter(counting.LINES)

    def process(self, element):
        file_index, path = element
        blocks = read_blocks(
            file_index, path, self.has_header, BLOCK_LINES, self.starts
        )
        for index, block in enumerate(blocks):
            if index % _LOG_EVERY_BLOCKS == 0:
                _LOGGER.info("%s: line %d", block.path, block.line_number)
            self.lines.inc(len(block.rows))
            yield block


class _Parse(beam.DoFn):
    def __init__(self, log_format):
        self.log_format = log_format
        self.parsed = counting.counter(counting.PARSED)

    def process(self, block):
        parse = self.log_format.parser(block.path, block.first_line)
        clicks = collections.defaultdict(list)
        position = block_position(block)
        for offset, row in enumerate(block.rows):
            try:
                click = parse(decode(row))
            except ValueError as error:
                yield rejected(block, offset, error)
                continue
            clicks[click.visit].append(
                (click.origin_ms, click.time_ms, position + offset, click.item)
            )
        self.parsed.inc(sum(map(len, clicks.values())))
        yield from clicks.items()


@contextlib.contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    unpack = _UNPACK.get(pathlib.PurePath(path).suffix, contextlib.nullcontext)
    with (
        FileSystems.open(
            path, compression_type=CompressionTypes.UNCOMPRESSED
        ) as packed,
        unpack(packed) as log,
    ):
        yield log


def _complete(
    rows: list[bytes], following: Iterator[bytes], starts: Starts
) -> list[bytes]:
    """Moves rows over until a record is whole; the next one's first row."""
    for row in following:
        if starts(row):
            return [row]
        rows.append(row)
    return []


def _chain(head: bytes, log: BinaryIO) -> Iterator[bytes]:
    return itertools.chain([head], log)


def _strip(row: bytes) -> bytes:
    return row.rstrip(b"\r\n")

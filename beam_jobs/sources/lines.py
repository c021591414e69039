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
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import BinaryIO
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs import counting
from beam_jobs.sources import base
from jump_tf import schema

BLOCK_LINES = 20_000
REJECTS = "rejects"
CLICKS = "clicks"

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


def check_inputs(paths: Sequence[str], log_format: base.LogFormat) -> None:
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
    file_index: int, path: str, has_header: bool, block_lines: int
) -> Iterator[Block]:
    """Yields the rows of a file, unpacked after the ending of its name.

    Raises:
        schema.InputError: the file breaks off or is damaged.
    """
    line_number = 1 + has_header
    try:
        with _open(path) as log:
            head = next(log, b"").removeprefix(codecs.BOM_UTF8)
            rows = log if has_header or not head else _chain(head, log)
            first_line = _strip(head).decode(errors="backslashreplace")
            while some := list(itertools.islice(rows, block_lines)):
                yield Block(path, file_index, first_line, line_number, some)
                line_number += len(some)
    except _DAMAGED as error:
        raise schema.InputError(
            f"`input` must name readable files. Received: {path}, which is "
            f"damaged after line {line_number - 1}: {error}"
        ) from error


class ReadBlocks(beam.PTransform):
    """The rows of the log's files as `Block`s."""

    def __init__(self, paths: Sequence[str], has_header: bool):
        super().__init__()
        self.paths = paths
        self.has_header = has_header

    def expand(self, root):
        return (
            root
            | "Files" >> beam.Create(list(enumerate(self.paths)))
            | "Read" >> beam.ParDo(_Read(self.has_header))
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


class _Read(beam.DoFn):
    def __init__(self, has_header):
        self.has_header = has_header
        self.rows = counting.counter(counting.ROWS)

    def process(self, element):
        file_index, path = element
        blocks = read_blocks(file_index, path, self.has_header, BLOCK_LINES)
        for index, block in enumerate(blocks):
            if index % _LOG_EVERY_BLOCKS == 0:
                _LOGGER.info("%s: line %d", block.path, block.line_number)
            self.rows.inc(len(block.rows))
            yield block


class _Parse(beam.DoFn):
    def __init__(self, log_format):
        self.log_format = log_format
        self.parsed = counting.counter(counting.PARSED)

    def process(self, block):
        parse = self.log_format.parser(block.path, block.first_line)
        clicks = collections.defaultdict(list)
        position = block.file_index * _FILE_STRIDE + block.line_number
        for offset, row in enumerate(block.rows):
            try:
                click = parse(_decode(row))
            except ValueError as error:
                line_number = block.line_number + offset
                yield _rejected(block.path, line_number, error, row)
                continue
            clicks[click.visit].append(
                (click.origin_ms, click.time_ms, position + offset, click.item)
            )
        self.parsed.inc(sum(map(len, clicks.values())))
        yield from clicks.items()


def _rejected(path, line_number, error, row):
    counting.counter(counting.REJECTED, str(error)).inc()
    line = _strip(row).decode(errors="backslashreplace")
    reject = Reject(path, line_number, str(error), line)
    return beam.pvalue.TaggedOutput(REJECTS, reject)


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


def _chain(head: bytes, log: BinaryIO) -> Iterator[bytes]:
    return itertools.chain([head], log)


def _strip(row: bytes) -> bytes:
    return row.rstrip(b"\r\n")


def _decode(row: bytes) -> str:
    try:
        return _strip(row).decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None

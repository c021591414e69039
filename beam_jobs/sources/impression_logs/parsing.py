"""Parses blocks of logs of shown items to rows and rejected lines."""

import collections
from collections.abc import Iterator

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources.impression_logs import base

ITEMS = "items"
_FILE_STRIDE = 1 << 40  # No file has more lines.
# Time in ms, position in the log, clicked, converted, features, their values.
Row = tuple[int, int, int, int, list[str], list[float]]


class ParseItems(beam.PTransform):
    """`Block`s to `(list key, [Row])`, and `Reject`s.

    Rows of a list within a block stay together: logs mostly keep them near
    each other, and fewer, larger elements are what makes Beam fast. The items
    of a record share its position.

    Args:
        log_format: of the log.
        shown: whether the items are shown ones, which count as rows.
    """

    def __init__(self, log_format: base.ListFormat, shown: bool = True):
        super().__init__()
        self.parse = _Parse(log_format, shown)

    def expand(self, blocks):
        return blocks | beam.ParDo(self.parse).with_outputs(
            parsing.REJECTS, main=ITEMS
        )


class _Parse(beam.DoFn):
    def __init__(self, log_format, shown):
        self.log_format = log_format
        self.shown = shown
        self.read = counting.counter(counting.READ_LINES)
        self.parsed = counting.counter(counting.PARSED)

    def process(self, block):
        part = block.part
        parse = self.log_format.parser(part.path, part.first_line)
        rows = lines.split_lines(block.data)
        found = collections.defaultdict(list)
        dropped: collections.Counter[str] = collections.Counter()
        position = part.file_index * _FILE_STRIDE + block.line_number
        for start, end in _records(rows, self.log_format.starts_record):
            place = f"{part.file_index}/{block.line_number + start}"
            try:
                texts = [lines.decode(row) for row in rows[start:end]]
                record = parse(texts, place)
            except ValueError as error:
                for offset in range(start, end):
                    yield parsing.reject(block, offset, rows[offset], error)
                continue
            self.read.inc(end - start)
            dropped.update(record.dropped)
            for key, time_ms, clicked, converted, texts, values in record.items:
                found[key].append(
                    (
                        time_ms,
                        position + start,
                        clicked,
                        converted,
                        texts,
                        list(values),
                    )
                )
        if self.shown:
            for reason, number in dropped.items():
                counting.count_filtered(reason, number)
            self.parsed.inc(dropped.total() + sum(map(len, found.values())))
        yield from found.items()


def _records(rows, starts) -> Iterator[tuple[int, int]]:
    """[start, end) of each record of a block."""
    if starts is None:
        for offset in range(len(rows)):
            yield offset, offset + 1
        return
    first = 0
    for offset in range(1, len(rows)):
        if starts(rows[offset]):
            yield first, offset
            first = offset
    yield first, len(rows)

"""Logs of shown items to rows: records are parsed, and none is lost."""

import collections
from collections.abc import Iterator

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.list_sources import base
from beam_jobs.sources import lines

ITEMS = "items"
# Time in ms, position in the log, clicked, converted, features, their values.
Row = tuple[int, int, int, int, list[str], list[float]]


class ParseItems(beam.PTransform):
    """`Block`s to `(list key, [Row])`, and `Reject`s.

    Rows of a list within a block stay together, as clicks do in
    `lines.ParseClicks`. The items of a record share its position.

    Args:
        log_format: of the log.
        shown: whether the items are shown ones, which count as rows.
    """

    def __init__(self, log_format: base.ListFormat, shown: bool = True):
        super().__init__()
        self.parse = _Parse(log_format, shown)

    def expand(self, blocks):
        return blocks | beam.ParDo(self.parse).with_outputs(
            lines.REJECTS, main=ITEMS
        )


class _Parse(beam.DoFn):
    def __init__(self, log_format, shown):
        self.log_format = log_format
        self.shown = shown
        self.read = counting.counter(counting.READ_LINES)
        self.parsed = counting.counter(counting.PARSED)

    def process(self, block):
        parse = self.log_format.parser(block.path, block.first_line)
        found = collections.defaultdict(list)
        dropped: collections.Counter[str] = collections.Counter()
        position = lines.block_position(block)
        for start, end in _records(block, self.log_format.starts_record):
            place = f"{block.file_index}/{block.line_number + start}"
            try:
                texts = [lines.decode(row) for row in block.rows[start:end]]
                record = parse(texts, place)
            except ValueError as error:
                for offset in range(start, end):
                    yield lines.rejected(block, offset, error)
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
            rows = dropped.total() + sum(map(len, found.values()))
            self.parsed.inc(rows)
        yield from found.items()


def _records(block, starts) -> Iterator[tuple[int, int]]:
    """[start, end) of each record of a block."""
    if starts is None:
        for offset in range(len(block.rows)):
            yield offset, offset + 1
        return
    first = 0
    for offset in range(1, len(block.rows)):
        if starts(block.rows[offset]):
            yield first, offset
            first = offset
    yield first, len(block.rows)

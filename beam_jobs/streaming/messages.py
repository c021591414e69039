"""Reads clicks from the messages of a stream, a JSON object each."""

import dataclasses

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.options.streaming import StreamOptions
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources import typed_columns
from beam_jobs.sources.click_logs import jsonl
from beam_jobs.sources.click_logs import read as click_logs

CLICKS = "clicks"
ENTRIES = "entries"

# A click of a visitor, the parts by which it is put in order first: time_ms,
# position, item, dwell_seconds (NaN where it was not measured).
Row = tuple[int, int, str, float]

_LARGEST = 2**63


class ParseMessages(beam.PTransform):
    """Parses messages to `(visit, (Row, message))`s and rejected entries."""

    def __init__(self, options: StreamOptions):
        super().__init__()
        self.reader = Reader.of(options)

    def expand(self, messages):
        clicks = tuple[str, tuple[Row, str]]
        parse = beam.ParDo(_Parse(self.reader)).with_output_types(
            clicks, **{ENTRIES: tuple[str, tuple[str, str]]}
        )
        return messages | parse.with_outputs(ENTRIES, main=CLICKS)


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads a click from a JSON object, as `click_logs.jsonl` reads a line.

    Attributes:
        columns: names of the members.
        position: name of the position, if there is one.
    """

    columns: typed_columns.Columns
    position: str | None

    @classmethod
    def of(cls, options: StreamOptions) -> "Reader":
        """Returns the reader that the options ask for."""
        return cls(click_logs.named_columns(options), options.position_column)

    def read(self, message: bytes) -> tuple[str, Row]:
        """Returns the visit and the click of a message.

        Raises:
            ValueError: it is no click; a short reason, one of few.
        """
        found = jsonl.parse_object(lines.decode(message))
        row = [found.value(name) for name in self.columns.names]
        click = typed_columns.click(row, self.columns.time_unit)
        position = self._position(found)
        dwell_seconds = click.dwell_seconds
        return click.visit, (click.time_ms, position, click.item, dwell_seconds)

    def _position(self, found) -> int:
        if self.position is None:
            return 0
        try:
            position = int(found.value(self.position))
        except (ValueError, TypeError, OverflowError):
            raise ValueError("unreadable position") from None
        if not 0 <= position < _LARGEST:
            raise ValueError("position out of range")
        return position


class _Parse(beam.DoFn):
    def __init__(self, reader: Reader):
        self.reader = reader
        self.lines = counting.counter(counting.LINES)

    def process(self, message):
        self.lines.inc()
        text = message.decode(errors="backslashreplace")
        try:
            visit, row = self.reader.read(message)
        except ValueError as error:
            reject = rejected(str(error), text[: parsing.SHOWN])
            yield beam.pvalue.TaggedOutput(ENTRIES, reject)
        else:
            yield visit, (row, text)


def rejected(reason: str, message: str) -> tuple[str, tuple[str, str]]:
    """Counts a message that is in no session, and returns its entry."""
    counting.counter(counting.REJECTED, reason).inc()
    return counting.REJECTED, (reason, message)

"""Delimited text: CSV, TSV and the like."""

import codecs
import csv
import dataclasses
import functools

import pyarrow as pa
import pyarrow.csv as pa_csv

from beam_jobs.columns import Clicks
from beam_jobs.sources import field_columns
from beam_jobs.sources import fields

_LONGEST_SINCE_MS = 366 * 86_400_000


@dataclasses.dataclass(frozen=True)
class Delimited:
    """Reads one click a line; other columns than those named are ignored.

    A field may be quoted, but not hold a line break: a row is a line.

    Attributes:
        visit: name of the column of the session id or visitor id.
        item: name of the column of the item id.
        time: name of the column of the instant or, where there is a day, of
            the milliseconds since that day's start.
        time_unit: `s`, `ms` or `iso8601`.
        delimiter: one ASCII character.
        quote: one ASCII character; empty where nothing is quoted.
        dwell: name of the column of the dwell in seconds, as measured.
        day: name of the column of the day (ISO 8601) that times count from.
        names: of all columns, where no header names them.
    """

    visit: str
    item: str
    time: str
    time_unit: str
    delimiter: str = ","
    quote: str = '"'
    dwell: str | None = None
    day: str | None = None
    names: tuple[str, ...] = ()

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""
        return not self.names

    def parser(self, path: str, first_line: str) -> fields.Parser:
        """Finds the columns in the header, or counts them."""
        positions, count = self._positions(path, first_line)
        return functools.partial(self._parse, positions, count)

    def column_parser(self, path: str, first_line: str) -> fields.ColumnParser:
        """Returns the parser of many lines at once."""
        positions, count = self._positions(path, first_line)
        return functools.partial(self._parse_columns, positions, count)

    def _positions(self, path, first_line):
        wanted = [self.visit, self.item, self.time]
        wanted += [name for name in (self.day, self.dwell) if name]
        if self.has_header:
            return fields.column_positions(
                path, first_line, self.delimiter, wanted, self.quote
            )
        found = first_line.split(self.delimiter)
        if len(found) != len(self.names):
            raise fields.columns_error(path, self.names, found)
        return [self.names.index(name) for name in wanted], len(self.names)

    def _parse(self, positions, count, line: str) -> fields.Click:
        columns = fields.split_columns(line, self.delimiter, self.quote)
        if len(columns) != count:
            raise ValueError("wrong number of columns")
        visit, item, time, *more = (columns[place] for place in positions)
        ids = (
            fields.identifier(visit, "session"),
            fields.identifier(item, "item"),
        )
        origin_ms = 0
        if self.day:
            origin_ms = _midnight_ms(more.pop(0))
            time_ms = _since_midnight_ms(time)
        else:
            time_ms = fields.milliseconds(time, self.time_unit)
        dwell = fields.measured_dwell(more[0] if self.dwell else "")
        return fields.Click(*ids, time_ms, origin_ms, dwell)

    def _parse_columns(self, positions, count, data: bytes) -> Clicks:
        visit, item, time, *more = self._columns(positions, count, data)
        origin_ms = None
        time_ms = field_columns.milliseconds(time, self.time_unit)
        if self.day:
            origin_ms = field_columns.midnights(more.pop(0))
            if time_ms.max(initial=0) >= _LONGEST_SINCE_MS:
                raise field_columns.DoubtError
        return Clicks(
            field_columns.identifiers(visit, "session"),
            field_columns.identifiers(item, "item"),
            time_ms,
            origin_ms,
            field_columns.dwells(more[0]) if self.dwell else None,
        )

    def _columns(self, positions, count, data):
        """The columns at some positions, if every line surely has `count`."""
        if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
            # Which of them ends a line is decided line by line.
            raise field_columns.DoubtError
        # Of the columns that are ignored, too.
        field_columns.require_utf8(data)
        field_columns.require(not data.startswith(codecs.BOM_UTF8))
        if self.quote and self.quote.encode() in data:
            return self._quoted_columns(positions, count, data)
        names = [str(place) for place in range(count)]
        wanted = [names[place] for place in positions]
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(data),
                pa_csv.ReadOptions(
                    column_names=names,
                    use_threads=False,
                    block_size=len(data) + 1,
                ),
                pa_csv.ParseOptions(
                    delimiter=self.delimiter,
                    quote_char=False,
                    ignore_empty_lines=False,
                ),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=wanted,
                ),
            )
        except pa.ArrowInvalid as error:
            raise field_columns.DoubtError from error
        return [table[name].combine_chunks() for name in wanted]

    def _quoted_columns(self, positions, count, data):
        try:
            rows = list(
                csv.reader(
                    data.decode().removesuffix("\n").split("\n"),
                    delimiter=self.delimiter,
                    quotechar=self.quote,
                    strict=True,
                )
            )
        except (csv.Error, UnicodeDecodeError) as error:
            raise field_columns.DoubtError from error
        if any(len(row) != count for row in rows):
            raise field_columns.DoubtError
        return [
            pa.array([row[place] for row in rows], pa.string())
            for place in positions
        ]


@functools.lru_cache(maxsize=4096)  # A log has few days and many rows.
def _midnight_ms(day: str) -> int:
    return fields.milliseconds(day, fields.ISO8601)


def _since_midnight_ms(text: str) -> int:
    elapsed_ms = fields.milliseconds(text, fields.MILLISECONDS)
    if elapsed_ms >= _LONGEST_SINCE_MS:
        raise ValueError("time out of range")
    return elapsed_ms

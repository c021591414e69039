"""Delimited text with a header, one shown item a line, columns by name."""

import dataclasses
import functools

from beam_jobs.sources import fields as sources_fields
from beam_jobs.sources.impression_logs import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Delimited(base.ListFormat):
    """Reads one shown item a line; columns that are not named are ignored.

    Items of a list stand in the order of their times, then of the log. A
    field may be quoted, but not hold a line break.

    Attributes:
        list_column: name of the column of the list id or visitor id.
        time: name of the column of the instant, or None.
        time_unit: `s`, `ms` or `iso8601`.
        click: name of the column of the click, 0 or 1.
        conversion: name of the column of the conversion, 0 or 1, or None:
            nothing converts.
        fields: names of the columns of the features.
        delimiter: one character.
    """

    list_column: str
    time: str | None
    time_unit: str
    click: str
    conversion: str | None
    fields: tuple[str, ...]
    delimiter: str

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Finds the columns in the header."""
        optional = [name for name in (self.time, self.conversion) if name]
        names = [self.list_column, self.click, *optional, *self.fields]
        positions, count = sources_fields.column_positions(
            path, first_line, self.delimiter, names
        )
        places = dict(zip(names, positions, strict=True))
        return functools.partial(self._parse, places=places, count=count)

    def _parse(self, lines, _, *, places, count) -> base.Record:
        columns = base.row(lines[0], self.delimiter, count)

        def read(name):
            return columns[places[name]]

        time_ms = converted = 0
        if self.time:
            time_ms = sources_fields.milliseconds(
                read(self.time), self.time_unit
            )
        if self.conversion:
            converted = base.flag(read(self.conversion), "conversion")
        item = base.Item(
            sources_fields.identifier(read(self.list_column), "list"),
            time_ms,
            base.flag(read(self.click), "click"),
            converted,
            base.features(self.fields, [read(name) for name in self.fields]),
        )
        return base.Record([item])

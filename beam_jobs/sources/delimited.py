"""Delimited text with a header: CSV, TSV and the like, columns by name."""

import dataclasses
import functools

from beam_jobs.sources import base


@dataclasses.dataclass(frozen=True)
class Delimited:
    """Reads one click a line; other columns than the three are ignored.

    A field may be quoted, but not hold a line break: a row is a line.

    Attributes:
        visit: name of the column of the session id or visitor id.
        item: name of the column of the item id.
        time: name of the column of the instant.
        time_unit: `s`, `ms` or `iso8601`.
        delimiter: one character.
    """

    visit: str
    item: str
    time: str
    time_unit: str
    delimiter: str
    has_header: bool = True

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Finds the three columns in the header."""
        positions, count = base.column_positions(
            path, first_line, self.delimiter, [self.visit, self.item, self.time]
        )
        return functools.partial(self._parse, positions=positions, count=count)

    def _parse(self, line: str, positions: list[int], count: int) -> base.Click:
        columns = base.split_columns(line, self.delimiter)
        if len(columns) != count:
            raise ValueError("wrong number of columns")
        visit, item, time = (columns[position] for position in positions)
        return base.Click(
            base.identifier(visit, "session"),
            base.identifier(item, "item"),
            base.milliseconds(time, self.time_unit),
        )

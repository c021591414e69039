"""The RecSys Challenge 2015 log: `session,instant,item,category`, no header."""

from beam_jobs.sources import base

_COLUMNS = ("session", "time", "item", "category")


class Yoochoose:
    """Reads `yoochoose-clicks.dat`: four columns, ISO 8601 instants in UTC."""

    has_header = False

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Checks that the first row has four columns."""
        columns = first_line.split(",")
        if len(columns) != len(_COLUMNS):
            raise base.columns_error(path, _COLUMNS, columns)
        return _parse


def _parse(line: str) -> base.Click:
    columns = base.split_columns(line, ",")
    if len(columns) != len(_COLUMNS):
        raise ValueError("wrong number of columns")
    session, time, item, _ = columns
    return base.Click(
        base.identifier(session, "session"),
        base.identifier(item, "item"),
        base.milliseconds(time, "iso8601"),
    )

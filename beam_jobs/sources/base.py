"""What all log formats share: the click, and how ids and times are read."""

import csv
import datetime
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

from jump_tf import schema

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
_LATEST_MS = 253_402_300_800_000  # Year 10000: seconds times 1000 twice.


class Click(NamedTuple):
    """One row of a log.

    Attributes:
        visit: raw id of the session or, in logs without sessions, of the
            visitor.
        item: raw item id.
        time_ms: int64 milliseconds since `origin_ms`.
        origin_ms: int64 milliseconds UTC. 0 where `time_ms` is an instant; a
            log that counts from each session's start gives the row's day
            here, and the first click's origin is then the session's.
    """

    visit: str
    item: str
    time_ms: int
    origin_ms: int = 0


Parser = Callable[[str], Click]


class LogFormat(Protocol):
    """How the rows of a log are read."""

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""

    def parser(self, path: str, first_line: str) -> Parser:
        """Checks the columns of a file and returns the parser of its rows.

        The parser raises `ValueError` with a short reason for a bad row.
        Reasons are counted, so they are few and do not quote the row.

        Raises:
            schema.InputError: the file has other columns.
        """


def split_columns(line: str, delimiter: str) -> list[str]:
    """The fields of a row; quoting as the standard library's `csv`."""
    if '"' not in line:  # Several times faster, and nearly always so.
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        raise ValueError("bad quoting") from None


def column_positions(
    path: str, header: str, delimiter: str, names: Sequence[str]
) -> tuple[list[int], int]:
    """Where the columns called `names` stand, and how many columns there are.

    Raises:
        schema.InputError: a column is missing, or is there twice.
    """
    found = [name.strip() for name in split_columns(header, delimiter)]
    if any(found.count(name) != 1 for name in names):
        raise columns_error(path, names, found)
    return [found.index(name) for name in names], len(found)


def columns_error(
    path: str, expected: Sequence[str], received: Sequence[str]
) -> schema.InputError:
    """The error for a file whose columns are not those of its format."""
    return schema.InputError(
        f"`input` must have the columns {', '.join(expected)}. "
        f"Received: {path} with {', '.join(received)}"
    )


def identifier(text: str, kind: str) -> str:
    """A raw id without the blanks around it.

    Raises:
        ValueError: it is empty, or would not fit on one line of a file.
    """
    text = text.strip()
    lines = text.splitlines()
    if len(lines) == 1:
        return text
    raise ValueError(f"line break in {kind} id" if lines else f"no {kind} id")


def milliseconds(text: str, unit: str) -> int:
    """An instant as int64 milliseconds UTC.

    Args:
        text: the instant; one without a zone is UTC.
        unit: `s` (may have a fraction), `ms` or `iso8601`.

    Raises:
        ValueError: not a time, or before 1970 or after 9999; the latter is
            how milliseconds that were read as seconds show.
    """
    try:
        if unit == "ms":
            instant = int(text)
        elif unit == "s":
            instant = round(float(text) * 1000)
        else:
            instant = _from_iso8601(text)
    except (ValueError, OverflowError):
        raise ValueError("unreadable time") from None
    if not 0 <= instant < _LATEST_MS:
        raise ValueError("time out of range")
    return instant


def _from_iso8601(text: str) -> int:
    instant = datetime.datetime.fromisoformat(text.strip())
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=datetime.UTC)
    return (instant - _EPOCH) // _MILLISECOND

"""What all log formats share: the click, and how ids and times are read."""

import csv
import datetime
import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

from beam_jobs.columns import Clicks
from jump_tf import schema

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND = datetime.timedelta(milliseconds=1)
LATEST_MS = 253_402_300_800_000  # Year 10000: seconds times 1000 twice.
_SHOWN = 300  # Characters.
SECONDS = "s"
MILLISECONDS = "ms"
ISO8601 = "iso8601"


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
        dwell_seconds: as the site measured it; NaN where it did not.
    """

    visit: str
    item: str
    time_ms: int
    origin_ms: int = 0
    dwell_seconds: float = math.nan


# Reads one line: a click or, in some formats, all clicks of a visit.
Parser = Callable[[str], Click | list[Click]]
# Reads a block of lines, or raises `field_columns.DoubtError`.
ColumnParser = Callable[[bytes], Clicks]


class LogFormat(Protocol):
    """How the lines of a log are read: one by one, and the same in bulk."""

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

    def column_parser(self, path: str, first_line: str) -> ColumnParser | None:
        """Returns the parser of many lines at once, or None."""


def split_columns(line: str, delimiter: str, quote: str = '"') -> list[str]:
    """Returns the fields of a row; quoting as the standard library's `csv`.

    Raises:
        ValueError: the quotes do not match.
    """
    if not quote or quote not in line:  # Several times faster.
        return line.split(delimiter)
    try:
        return next(
            csv.reader(
                [line], delimiter=delimiter, quotechar=quote, strict=True
            )
        )
    except csv.Error:
        raise ValueError("bad quoting") from None


def column_positions(
    path: str,
    header: str,
    delimiter: str,
    names: Sequence[str],
    quote: str = '"',
) -> tuple[list[int], int]:
    """Returns the places of the columns `names`, and the number of columns.

    Raises:
        schema.InputError: a column is missing, or is there twice.
    """
    try:
        found = split_columns(header, delimiter, quote)
    except ValueError:
        found = header.split(delimiter)
    found = [name.strip() for name in found]
    if any(found.count(name) != 1 for name in names):
        raise columns_error(path, names, found)
    return [found.index(name) for name in names], len(found)


def columns_error(
    path: str, expected: Sequence[str], received: Sequence[str]
) -> schema.InputError:
    """Returns the error for a file whose columns are not those expected."""
    return schema.InputError(
        f"`input` must have the columns {', '.join(expected)}. "
        f"Received: {path} with {shown(', '.join(received))}"
    )


def shown(text: str) -> str:
    """Returns a text of a file for an error: short, printable, on one line."""
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}..."
    # Rubbish may do more to a terminal than look like it.
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def identifier(text: str, kind: str) -> str:
    """Returns a raw id without the blanks around it.

    Raises:
        ValueError: it is empty, or would not fit on one line of a file.
    """
    text = text.strip()
    lines = text.splitlines()
    if len(lines) == 1:
        return text
    raise ValueError(f"line break in {kind} id" if lines else f"no {kind} id")


def milliseconds(text: str, unit: str) -> int:
    """Returns an instant in int64 milliseconds UTC.

    Args:
        text: the instant; one without a zone is UTC.
        unit: `s` (may have a fraction), `ms` or `iso8601`.

    Raises:
        ValueError: not a time, or before 1970 or after 9999; the latter is
            how milliseconds that were read as seconds show.
    """
    try:
        if unit == MILLISECONDS:
            instant = int(text)
        elif unit == SECONDS:
            instant = round(float(text) * 1000)
        else:
            instant = _from_iso8601(text)
    except (ValueError, OverflowError):
        raise ValueError("unreadable time") from None
    return checked_instant(instant)


def checked_instant(instant_ms: int) -> int:
    """Returns `instant_ms`, milliseconds UTC, if it may be a click's.

    Raises:
        ValueError: it is before 1970 or after 9999.
    """
    if not 0 <= instant_ms < LATEST_MS:
        raise ValueError("time out of range")
    return instant_ms


def measured_dwell(text: str | float) -> float:
    """Returns the seconds that a site measured; NaN where it did not.

    Args:
        text: a number; nothing is measured where it is empty, negative or
            not finite.

    Raises:
        ValueError: something else.
    """
    try:
        seconds = float("-1" if text == "" else text)
    except OverflowError:
        seconds = math.inf
    except ValueError:
        raise ValueError("unreadable dwell") from None
    return abs(seconds) if 0 <= seconds < math.inf else math.nan


def _from_iso8601(text: str) -> int:
    instant = datetime.datetime.fromisoformat(text.strip())
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=datetime.UTC)
    return (instant - _EPOCH) // _MILLISECOND

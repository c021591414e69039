"""The DIGINETICA log (CIKM Cup 2016), `train-item-views.csv`.

A row gives the day, and the milliseconds since the session's start. A session
that crosses midnight has rows of two days, but its milliseconds go on: clicks
are ordered by (day, milliseconds), and all are counted from the first day.
"""

import functools

from beam_jobs.sources import base

_COLUMNS = ("sessionId", "itemId", "timeframe", "eventdate")
_DELIMITER = ";"
_LONGEST_MS = 366 * 86_400_000


class Diginetica:
    """Reads `sessionId;userId;itemId;timeframe;eventdate` with its header."""

    has_header = True

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Finds the columns; `userId` is not needed."""
        positions, count = base.column_positions(
            path, first_line, _DELIMITER, _COLUMNS
        )
        return functools.partial(_parse, positions=positions, count=count)


def _parse(line: str, positions: list[int], count: int) -> base.Click:
    columns = base.split_columns(line, _DELIMITER)
    if len(columns) != count:
        raise ValueError("wrong number of columns")
    session, item, time, day = (columns[position] for position in positions)
    return base.Click(
        base.identifier(session, "session"),
        base.identifier(item, "item"),
        _since_start(time),
        _midnight_ms(day),
    )


def _since_start(text: str) -> int:
    try:
        elapsed_ms = int(text)
    except ValueError:
        raise ValueError("unreadable time") from None
    if not 0 <= elapsed_ms < _LONGEST_MS:
        raise ValueError("time out of range")
    return elapsed_ms


@functools.lru_cache(maxsize=4096)  # A log has few days and many rows.
def _midnight_ms(day: str) -> int:
    return base.milliseconds(day, "iso8601")

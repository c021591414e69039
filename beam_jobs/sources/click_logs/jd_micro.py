"""JD's micro-behaviours (WSDM 2020), one session a line.

A line holds behaviours `sku+behaviour+category+interval+dwell` with blanks
between them; the interval is the seconds to the next behaviour. Behaviours 1
to 5 enter a product, 6 to 10 happen in it. The dwell is the seconds spent in
the product, which the shop measured; behaviours in one product repeat it.

Consecutive behaviours on one product are one view, and a session's views are
its clicks. Rows are behaviours: the later ones of a view are repeats of its
first, with no dwell of their own, and are merged into it.

There is no clock: times count from the line's start. And there are no ids, but
the published files hold some sessions twice, to the second. A session is
called after its own text, and its copies are dropped: or they would be in
training and in test.
"""

import dataclasses
import hashlib
from typing import NamedTuple

from beam_jobs.sources import fields

_BEHAVIOURS = {str(number) for number in range(1, 11)}
_COLUMNS = ("sku", "behaviour", "category", "interval", "dwell")
_SEPARATOR = "+"
_LONGEST_INTERVAL = 9  # Digits.


class Behaviour(NamedTuple):
    """One behaviour of a session.

    Attributes:
        time_ms: since the session's start.
        sku: raw id of the product.
        kind: one of the numbers 1 to 10.
        category: of the product.
        dwell: seconds, a text.
    """

    time_ms: int
    sku: str
    kind: str
    category: str
    dwell: str


@dataclasses.dataclass(frozen=True)
class JDMicro:
    """Reads one session a line."""

    has_header: bool = False

    def parser(self, path: str, first_line: str) -> fields.Parser:
        """Checks that the first behaviour has five columns."""
        check_columns(path, first_line)
        return _views

    def column_parser(self, path: str, first_line: str) -> None:
        """Returns None: lines are read one by one."""


def check_columns(path: str, first_line: str) -> None:
    """Checks that a file has the layout.

    Raises:
        schema.InputError: its first behaviour has other columns.
    """
    found = first_line.split(" ")[0].split(_SEPARATOR)
    if len(found) != len(_COLUMNS):
        raise fields.columns_error(path, _COLUMNS, found)


def session_id(line: str) -> str:
    """Returns the id of the session on a line: the digest of its text."""
    return hashlib.sha256(line.encode()).hexdigest()[:32]


def behaviours(line: str) -> list[Behaviour]:
    """Returns the behaviours of a session, at least one.

    Raises:
        ValueError: a behaviour is none.
    """
    time_ms, found = 0, []
    # Blanks alone: a line break of another system is no blank.
    for text in filter(None, line.split(" ")):
        columns = text.split(_SEPARATOR)
        if len(columns) != len(_COLUMNS):
            raise ValueError("wrong number of columns")
        sku, kind, category, interval, dwell = columns
        if kind not in _BEHAVIOURS:
            raise ValueError("unknown behaviour")
        if not interval.isdecimal() or len(interval) > _LONGEST_INTERVAL:
            raise ValueError("unreadable interval")
        fields.checked_instant(time_ms)
        found.append(Behaviour(time_ms, sku, kind, category, dwell))
        time_ms += int(interval) * 1000
    if not found:
        raise ValueError("no behaviour")
    return found


def _views(line: str) -> list[fields.Click]:
    session, before, clicks = session_id(line), "", []
    for each in behaviours(line):
        item = fields.identifier(each.sku, "item")
        dwell = 0.0 if item == before else fields.measured_dwell(each.dwell)
        clicks.append(
            fields.Click(session, item, each.time_ms, dwell_seconds=dwell)
        )
        before = item
    return clicks

"""Criteo's log as sequences, the form of Ren et al., arXiv 1808.03737.

A sequence is a line `length label` and as many lines `time click campaign cat1
... cat9`, all of whole numbers but `time`. The label is the conversion of the
sequence's last impression: where that was not clicked, the conversion has no
click, and the impression is dropped later on.

Published files have times of another unit than seconds: say which.
"""

import dataclasses
import functools
import math

from beam_jobs.sources import fields as sources_fields
from beam_jobs.sources.impression_logs import base
from beam_jobs.sources.impression_logs.criteo import Criteo

_HEAD = ("length", "label")
_COLUMNS = ("time", "click", *Criteo.fields)


@dataclasses.dataclass(frozen=True)
class CriteoSequences(base.ListFormat):
    """Reads sequences; one has no id but its place in the log.

    Attributes:
        time_unit: seconds in one unit of `time`.
    """

    time_unit: float
    fields = Criteo.fields
    has_header = False

    @staticmethod
    def starts_record(line: bytes) -> bool:
        """A sequence starts where a line has two columns."""
        return len(line.split()) == len(_HEAD)

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Checks that the first line is that of a sequence."""
        if len(columns := first_line.split()) != len(_HEAD):
            raise sources_fields.columns_error(path, _HEAD, columns)
        return functools.partial(_parse, time_unit=self.time_unit)


def _parse(
    lines: list[str], place: base.Place, *, time_unit: float
) -> base.Record:
    head, *rows = lines
    columns = head.split()
    if len(columns) != len(_HEAD):
        raise ValueError("no line `length label` before it")
    length, label = columns
    if not length.isdecimal() or int(length) != len(rows):
        raise ValueError("other length than its first line says")
    converted = base.flag(label, "label")
    last = len(rows) - 1
    return base.Record(
        [
            _item(row, place, converted if index == last else 0, time_unit)
            for index, row in enumerate(rows)
        ]
    )


def _item(row, place, converted, time_unit):
    columns = row.split()
    if len(columns) != len(_COLUMNS):
        raise ValueError("wrong number of columns")
    time, click, *values = columns
    try:
        seconds = float(time) * time_unit
    except ValueError:
        raise ValueError("unreadable time") from None
    if not 0 <= seconds < math.inf:
        raise ValueError("time out of range")
    return base.Item(
        place,
        round(seconds * 1000),
        base.flag(click, "click"),
        converted,
        base.features(Criteo.fields, values),
    )

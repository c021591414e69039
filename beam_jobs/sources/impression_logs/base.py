"""What all logs of shown items share: the item, and how features are read."""

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import NamedTuple

from beam_jobs.sources import fields as sources_fields

# Of a record without an id of its own: `<file>/<line>`, counted from 0 and 1.
Place = str


class Item(NamedTuple):
    """One shown item.

    Attributes:
        list_key: raw id of the list or of the visitor.
        time_ms: int64 milliseconds UTC; in logs without a clock since any
            origin that the list's items share, 0 where there are no times.
        clicked: 0 or 1.
        converted: 0 or 1.
        features: texts `field=value`. Where the log has fields, one for each
            of them, in their order; "" where it is missing.
        values: what each feature counts; empty where it is 1 for all.
    """

    list_key: str
    time_ms: int
    clicked: int
    converted: int
    features: list[str]
    values: Sequence[float] = ()


class Record(NamedTuple):
    """What a record of the log holds.

    Attributes:
        items: in the order in which they were shown.
        dropped: rows of it that are no item, by reason. Items and these are
            what a data folder counts as rows.
    """

    items: list[Item]
    dropped: Mapping[str, int] = {}


Parser = Callable[[list[str], Place], Record]


class ListFormat:
    """How the records of a log are read; base of all formats.

    Attributes:
        fields: the name of each feature of an item; empty for bags of features.
        has_header: whether the first line names the columns.
        starts_record: whether a line starts a record; None where each line is
            one.
        once: whether records of one list key are copies; the first is kept.
    """

    fields: tuple[str, ...] = ()
    has_header: ClassVar[bool] = True
    starts_record: ClassVar[Any] = None
    once: ClassVar[bool] = False

    def parser(self, path: str, first_line: str) -> Parser:
        """Checks the columns of a file and returns the parser of its records.

        The parser gets the lines of a record and its place. It raises
        `ValueError` with a short reason for a bad record; reasons are counted,
        so they are few and do not quote the record.

        Raises:
            schema.InputError: the file has other columns.
        """
        raise NotImplementedError


def row(line: str, delimiter: str, count: int) -> list[str]:
    """Returns the columns of a line.

    Raises:
        ValueError: there are not `count` of them.
    """
    columns = sources_fields.split_columns(line, delimiter)
    if len(columns) != count:
        raise ValueError("wrong number of columns")
    return columns


# A log repeats its features; so they are texts that are checked and kept once.
@functools.lru_cache(maxsize=1 << 18)
def feature(field: str, value: str) -> str:
    """Returns the text of a feature, `field=value`; "" for an empty value.

    Raises:
        ValueError: it would not fit on one line of a file.
    """
    value = value.strip()
    return (
        f"{field}={sources_fields.identifier(value, 'feature')}"
        if value
        else ""
    )


def features(fields: Sequence[str], values: Sequence[str]) -> list[str]:
    """Returns the texts of an item's features, one a field."""
    return list(map(feature, fields, values))


def flag(text: str, name: str) -> int:
    """Returns the 0 or 1 that a text says.

    Raises:
        ValueError: the text says something else.
    """
    text = text.strip()
    if text not in ("0", "1"):
        raise ValueError(f"{name} is not 0 or 1")
    return int(text)

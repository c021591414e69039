"""Reads clicks from values that have a type, as those of JSON and Parquet.

Texts mean what they mean in delimited logs. Whole numbers may be ids, and any
numbers times and dwells. `click` reads one row, `clicks` whole columns.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.columns import Clicks
from beam_jobs.sources import field_columns
from beam_jobs.sources import fields

LONGEST_ID = 1 << 20  # Characters.


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns that a click is made of.

    Attributes:
        visit: of the session id or visitor id.
        item: of the item id.
        time: of the instant.
        time_unit: `s`, `ms` or `iso8601`.
        dwell: of the dwell in seconds, as measured; None where it is not.
    """

    visit: str
    item: str
    time: str
    time_unit: str
    dwell: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of all columns, in the order in which a row is read."""
        return [
            *(self.visit, self.item, self.time),
            *([self.dwell] if self.dwell else []),
        ]


def click(row: Sequence[Any], time_unit: str) -> fields.Click:
    """Returns the click of a row.

    Args:
        row: values of the columns that `Columns.names` names. None is a value
            that is not there; bytes are UTF-8.
        time_unit: of times that are texts or numbers.

    Raises:
        ValueError: with a short reason for a bad row.
    """
    visit, item, time, *dwell = map(_decoded, row)
    return fields.Click(
        _identifier(visit, "session"),
        _identifier(item, "item"),
        _milliseconds(time, time_unit),
        dwell_seconds=_dwell(dwell[0]) if dwell else math.nan,
    )


def clicks(columns: Sequence[pa.Array], time_unit: str) -> Clicks:
    """Returns the clicks of columns, as `click` reads their rows.

    Raises:
        field_columns.DoubtError: some value must be read by itself.
    """
    visit, item, time, *dwell = columns
    return Clicks(
        field_columns.identifiers(_id_texts(visit), "session"),
        field_columns.identifiers(_id_texts(item), "item"),
        _instants(time, time_unit),
        dwell_seconds=_dwells(dwell[0]) if dwell else None,
    )


def is_text(type_: pa.DataType) -> bool:
    """Whether a column of this type holds texts, perhaps as bytes."""
    return any(
        of_type(type_)
        for of_type in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_binary_view,
        )
    )


def _decoded(value):
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _identifier(value, kind):
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise ValueError(f"{kind} id is neither text nor whole number")
    if len(value) > LONGEST_ID:
        raise ValueError(f"{kind} id too long")
    try:
        value.encode()
    except UnicodeEncodeError:  # Half of a pair, which JSON can escape.
        raise ValueError("not UTF-8") from None
    return fields.identifier(value, kind)


def _milliseconds(value, time_unit):
    if isinstance(value, str):
        return fields.milliseconds(value, time_unit)
    if not _is_number(value) or time_unit == fields.ISO8601:
        raise ValueError("unreadable time")
    scale = 1000 if time_unit == fields.SECONDS else 1
    try:
        instant = round(value * scale)
    except (ValueError, OverflowError):  # Not a number, or infinite.
        raise ValueError("unreadable time") from None
    return fields.checked_instant(instant)


def _dwell(value):
    if value is None or isinstance(value, str):
        return fields.measured_dwell(value or "")
    if not _is_number(value):
        raise ValueError("unreadable dwell")
    return fields.measured_dwell(value)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _id_texts(column):
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    texts = _texts(column)
    field_columns.require(pc.max(pc.binary_length(texts)).as_py() <= LONGEST_ID)
    return texts


def _instants(column, time_unit):
    if not _is_numeric(column):
        return field_columns.milliseconds(_texts(column), time_unit)
    field_columns.require(time_unit != fields.ISO8601 and not column.null_count)
    whole = pa.types.is_integer(column.type)
    numbers = _cast(column, pa.int64() if whole else pa.float64())
    scale = 1000 if time_unit == fields.SECONDS else 1
    return field_columns.instants(numbers.to_numpy(), scale)


def _dwells(column):
    if _is_numeric(column):
        # Beyond 2**53, whole seconds are rounded: as `float` does it.
        column = pc.cast(column, pa.float64(), safe=False)
        return field_columns.measured(column.to_numpy(zero_copy_only=False))
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return field_columns.dwells(_texts(pc.fill_null(column, "")))


def _is_numeric(column):
    return pa.types.is_integer(column.type) or pa.types.is_floating(column.type)


def _texts(column):
    field_columns.require(not column.null_count and is_text(column.type))
    # Only bytes are checked: what calls itself a text may be none.
    return _cast(_cast(column, pa.binary()), pa.string())


def _cast(column, type_):
    try:
        return column.cast(type_)
    except pa.ArrowInvalid as error:
        raise field_columns.DoubtError from error

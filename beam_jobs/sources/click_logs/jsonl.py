"""JSON lines: one object a line, columns by the names of its members."""

import dataclasses
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from beam_jobs.columns import Clicks
from beam_jobs.sources import field_columns
from beam_jobs.sources import fields
from beam_jobs.sources import typed_columns

_LONGEST_NUMBER = 1000  # Digits; Python would refuse some thousands.
_ODD_NUMBERS = (b"Inf", b"-N")  # What pyarrow takes and `json` may not.
_DEEPEST = 500  # Levels that `json` surely reads.
_STEPS = np.zeros(256, np.int8)
_STEPS[[ord("{"), ord("[")]] = 1
_STEPS[[ord("}"), ord("]")]] = -1


@dataclasses.dataclass(frozen=True)
class JsonLines:
    """Reads one click a line; other members than those named are ignored.

    A member that is null, or is not there, is a value that is not there.

    Attributes:
        columns: names of the members.
    """

    columns: typed_columns.Columns
    has_header: bool = False

    def parser(self, path: str, first_line: str) -> fields.Parser:
        """Checks that the first line, if it is an object, names the columns."""
        try:
            found = parse_object(first_line).names
        except ValueError:  # It will be rejected as all the others.
            found = self.columns.names
        if not set(self.columns.names) <= set(found):
            raise fields.columns_error(path, self.columns.names, found)
        return self._parse

    def column_parser(self, path: str, first_line: str) -> fields.ColumnParser:
        """Returns the parser of many lines at once."""
        return self._parse_columns

    def _parse(self, line: str) -> fields.Click:
        found = parse_object(line)
        row = [found.value(name) for name in self.columns.names]
        return typed_columns.click(row, self.columns.time_unit)

    def _parse_columns(self, data: bytes) -> Clicks:
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        data = data.removesuffix(b"\n")
        # Each line starts and ends an object, so it is as many as it holds;
        # and if there are as many as lines, it is one.
        num_lines = data.count(b"\n") + 1
        field_columns.require(data[:1] == b"{" and data[-1:] == b"}")
        field_columns.require(data.count(b"}\n{") == num_lines - 1)
        field_columns.require(not any(odd in data for odd in _ODD_NUMBERS))
        field_columns.require_utf8(data)
        field_columns.require(_depth(data, num_lines) <= _DEEPEST)
        table = self._table(data)
        field_columns.require(len(table) == num_lines)
        return typed_columns.clicks(
            [table[name].combine_chunks() for name in self.columns.names],
            self.columns.time_unit,
        )

    def _table(self, data):
        first_line = data.split(b"\n", 1)[0].decode()
        try:
            return pa_json.read_json(
                pa.BufferReader(data),
                pa_json.ReadOptions(
                    use_threads=False, block_size=len(data) + 1
                ),
                pa_json.ParseOptions(
                    explicit_schema=self._types(parse_object(first_line)),
                    unexpected_field_behavior="ignore",
                ),
            )
        except (pa.ArrowInvalid, ValueError) as error:
            raise field_columns.DoubtError from error

    def _types(self, first):
        """Returns the columns' types, as the values of the first line are."""
        names = self.columns.names
        texts = [isinstance(first.value(name), str) for name in names]
        numbers = [pa.int64(), pa.int64(), pa.float64(), pa.float64()]
        return pa.schema(
            (name, pa.string() if text else number)
            for name, text, number in zip(names, texts, numbers, strict=False)
        )


class JsonObject(list):
    """Pairs of a name and a value."""

    @property
    def names(self) -> list[str]:
        """The names of all pairs, in their order."""
        return [name for name, _ in self]

    def value(self, wanted: str) -> Any:
        """Returns the value of a name, None where there is none.

        Raises:
            ValueError: there are several.
        """
        found = [value for name, value in self if name == wanted]
        if len(found) > 1:
            raise ValueError("column given twice")
        return found[0] if found else None


def parse_object(line: str) -> JsonObject:
    """Returns the object that a line holds.

    Raises:
        ValueError: it holds something else.
    """
    try:
        found = _DECODER.decode(line)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(found, JsonObject):
        raise ValueError("not a JSON object")
    return found


def _whole_number(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


_DECODER = json.JSONDecoder(
    object_pairs_hook=JsonObject, parse_int=_whole_number
)


def _depth(data: bytes, num_lines: int) -> int:
    """Returns a bound on how deep anything in lines of objects is nested."""
    opened = data.count(b"{") + data.count(b"[")
    if opened - num_lines < _DEEPEST:
        return opened - num_lines + 1
    return int(
        _STEPS[np.frombuffer(data, np.uint8)].cumsum(dtype=np.int32).max()
    )

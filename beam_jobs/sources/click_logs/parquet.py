"""Parquet: columns by name; each row group is read by any worker."""

import contextlib
import functools
import itertools
import json
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs import columns as click_columns
from beam_jobs import counting
from beam_jobs.columns import Clicks
from beam_jobs.sources import fields
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources import planning
from beam_jobs.sources import typed_columns
from beam_jobs.sources.parsing import Reject
from jump_tf import schema

BATCH_ROWS = 1 << 18
_PIECES = 8
# Units of a timestamp -> in one of the two that numbers have, and how many of
# them are one of it.
_UNITS = {
    "s": (fields.SECONDS, 1),
    "ms": (fields.MILLISECONDS, 1),
    "us": (fields.MILLISECONDS, 1000),
    "ns": (fields.MILLISECONDS, 1_000_000),
}


class RowGroup(NamedTuple):
    """Consecutive rows of a file.

    Attributes:
        path: the file, as it was named.
        file_index: its place among the inputs.
        row_group: its number in the file.
        first_row: rows before it in the file.
        num_rows: rows in it.
    """

    path: str
    file_index: int
    row_group: int
    first_row: int
    num_rows: int


def plan(
    paths: Sequence[str], columns: typed_columns.Columns
) -> list[RowGroup]:
    """Lists the row groups by the metadata at the end of each file.

    Raises:
        schema.InputError: a file is missing, without rows, not readable, or
            has other columns.
    """
    groups: list[RowGroup] = []
    for file_index, path in enumerate(planning.named_files(paths)):
        with _opened(path) as file:
            _check(path, file.schema_arrow, columns)
            sizes = [
                file.metadata.row_group(index).num_rows
                for index in range(file.metadata.num_row_groups)
            ]
        if not sum(sizes):
            raise schema.InputError(
                f"`input` must hold at least one row. Received: {path}, empty"
            )
        first_row = 0
        for index, size in enumerate(sizes):
            if size:
                groups.append(
                    RowGroup(path, file_index, index, first_row, size)
                )
            first_row += size
    return groups


def read(
    group: RowGroup, columns: typed_columns.Columns
) -> Iterator[tuple[int, Sequence[pa.Array]]]:
    """Yields the place of some rows in their group, and their columns.

    Raises:
        schema.InputError: the file is damaged.
    """
    offset = 0
    with _opened(group.path) as file:
        for batch in file.iter_batches(
            BATCH_ROWS, [group.row_group], columns.names, use_threads=False
        ):
            yield offset, [batch.column(name) for name in columns.names]
            offset += len(batch)


def parse(
    columns: Sequence[pa.Array], time_unit: str
) -> tuple[list[Clicks], list[tuple[int, ValueError]]]:
    """Returns the clicks of some rows, and the rows that are no clicks.

    Args:
        columns: of equal length, see `typed_columns.Columns`.
        time_unit: of times that are texts or numbers.

    Returns:
        Batches in the order of the rows; offsets of bad rows, ascending.
    """
    columns, time_unit = _plain(columns, time_unit)
    return parsing.in_bulk(
        columns,
        len(columns[0]),
        functools.partial(typed_columns.clicks, time_unit=time_unit),
        functools.partial(_one_by_one, time_unit=time_unit),
        _pieces,
    )


class ReadClicks(beam.PTransform):
    """Reads row groups; gives what `lines` and `parsing` give for lines.

    Outputs `parsing.CLICKS`, `parsing.REJECTS` and `lines.LINE_COUNTS`; rows
    stand for lines, and a row group starts at its first row.
    """

    def __init__(
        self, groups: Sequence[RowGroup], columns: typed_columns.Columns
    ):
        super().__init__()
        self.groups = groups
        self.read = _Read(columns)

    def expand(self, root):
        return (
            root
            | "RowGroups" >> beam.Create(self.groups)
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(self.read).with_outputs(
                parsing.REJECTS, lines.LINE_COUNTS, main=parsing.CLICKS
            )
        )


class _Read(beam.DoFn):
    def __init__(self, columns):
        self.columns = columns
        self.rows = counting.counter(counting.LINES)
        self.ranges = counting.counter(counting.RANGES)

    def process(self, element):
        group = RowGroup(*element)
        place = group.file_index, group.first_row
        for offset, columns in read(group, self.columns):
            self.rows.inc(len(columns[0]))
            found, bad = parse(columns, self.columns.time_unit)
            for row, error in bad:
                text = self._text([column[row] for column in columns])
                # The rows of the first group are counted from 1.
                number = offset + row + (group.first_row == 0)
                yield parsing.rejected(
                    Reject(*place, number, group.path, str(error), text)
                )
            if found:
                clicks = click_columns.concatenate(found)
                parsing.count_parsed(clicks)
                yield (*place, offset), clicks
        self.ranges.inc()
        yield beam.pvalue.TaggedOutput(
            lines.LINE_COUNTS, (place, group.num_rows)
        )

    def _text(self, row):
        told = dict(zip(self.columns.names, map(_shown, row), strict=True))
        return json.dumps(told, ensure_ascii=False)[: parsing.SHOWN]


@contextlib.contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    try:
        with (
            FileSystems.open(
                path, compression_type=CompressionTypes.UNCOMPRESSED
            ) as content,
            # The unit: nanoseconds do not reach the year 2263, and wrap.
            pq.ParquetFile(content, coerce_int96_timestamp_unit="us") as file,
        ):
            yield file
    except (pa.ArrowException, OSError) as error:
        raise schema.InputError(
            f"`input` must name readable files. Received: {path}, which is "
            f"damaged or not Parquet: {fields.shown(str(error))}"
        ) from error


def _check(path: str, found: pa.Schema, columns: typed_columns.Columns) -> None:
    if any(found.names.count(name) != 1 for name in columns.names):
        raise fields.columns_error(path, columns.names, found.names)
    is_id = (pa.types.is_integer, typed_columns.is_text)
    is_number = (
        pa.types.is_integer,
        pa.types.is_floating,
        typed_columns.is_text,
    )
    allowed = [is_id, is_id, (*is_number, pa.types.is_timestamp), is_number]
    for name, kinds in zip(columns.names, allowed, strict=False):
        type_ = _value_type(found.field(name).type)
        if not any(is_kind(type_) for is_kind in kinds):
            raise schema.InputError(
                "`input` must have ids that are texts or whole numbers, times "
                "that are texts, numbers or timestamps, and dwells that are "
                f"texts or numbers. Received: {path} with {name} of type "
                f"{found.field(name).type}"
            )


def _value_type(type_):
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def _plain(columns, time_unit):
    """Returns columns of texts in bytes, or numbers, and the unit of times."""
    visit, item, time, *dwell = map(_without_dictionary, columns)
    if pa.types.is_timestamp(time.type):
        time_unit, number = _UNITS[time.type.unit]
        empty = time.is_null().to_numpy(zero_copy_only=False)
        instants = time.cast(pa.int64()).fill_null(0).to_numpy() // number
        time = pa.array(instants, mask=empty)
    return [visit, item, time, *dwell], time_unit


def _without_dictionary(column):
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if typed_columns.is_text(column.type):
        return column.cast(pa.binary())  # Texts that are no UTF-8 are bytes.
    if pa.types.is_floating(column.type):
        return column.cast(pa.float64())
    return column


def _one_by_one(columns, time_unit):
    found, bad = [], []
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    for offset, row in enumerate(rows):
        try:
            found.append(typed_columns.click(row, time_unit))
        except ValueError as error:
            bad.append((offset, error))
    return [parsing.batch(found)] if found else [], bad


def _pieces(columns):
    bounds = np.linspace(0, len(columns[0]), _PIECES + 1).astype(int).tolist()
    for start, stop in itertools.pairwise(bounds):
        if start < stop:
            piece = [column.slice(start, stop - start) for column in columns]
            yield piece, stop - start


def _shown(value: pa.Scalar):
    """Returns a value of a row that JSON can hold."""
    if pa.types.is_timestamp(value.type):
        return str(value)
    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    shown = (
        value.cast(pa.binary()).as_py()
        if typed_columns.is_text(value.type)
        else (value.as_py())
    )
    if isinstance(shown, bytes):
        return shown.decode(errors="backslashreplace")
    return shown

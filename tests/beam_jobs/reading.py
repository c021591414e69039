"""Reads a log as the job reads it, without Beam; and logs of all formats."""

import io
import json
import math
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import columns
from beam_jobs.columns import Clicks
from beam_jobs.options import sessions as session_options
from beam_jobs.sources import fields
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources import planning
from beam_jobs.sources.click_logs import parquet
from beam_jobs.sources.click_logs import read as click_logs


class Log(NamedTuple):
    """What is read.

    Attributes:
        clicks: in the order of the log.
        rejects: (number of a line or row in its range, why)s.
        num_lines: or rows.
        num_records: lines or rows from which clicks were read.
    """

    clicks: list[fields.Click]
    rejects: list[tuple[int, str]]
    num_lines: int
    num_records: int


def request(
    name: str, *paths: Any, **changes: Any
) -> session_options.PrepareOptions:
    inputs = tuple(map(str, paths))
    return session_options.PrepareOptions(name, inputs, "data", **changes)


def read(name: str, *paths: Any, **changes: Any) -> Log:
    """Reads files of a format."""
    asked = request(name, *paths, **changes)
    found, rejects, number = [], [], 0
    for first, size, (some, bad) in _parsed(asked):
        number += size
        found += some
        rejects += [(first + offset, str(error)) for offset, error in bad]
    records = sum(some.num_records for some in found)
    clicks = as_clicks(columns.concatenate(found)) if found else []
    return Log(clicks, rejects, number, records)


def _parsed(asked):
    if asked.format == session_options.PARQUET:
        named = click_logs.named_columns(asked)
        for group in parquet.plan(asked.input, named):
            for offset, arrays in parquet.read(group, named):
                parsed = parquet.parse(arrays, named.time_unit)
                yield offset + 1, len(arrays[0]), parsed
        return
    layout = click_logs.log_format(asked)
    for part in planning.plan(asked.input, layout):
        head = part.path, part.first_line
        row, column = layout.parser(*head), layout.column_parser(*head)
        for block in lines.read_blocks(part, layout.has_header):
            number = block.num_lines
            parsed = parsing.parse(block.data, number, row, column)
            yield block.line_number, number, parsed


def as_clicks(clicks: Clicks) -> list[fields.Click]:
    """Columns as rows."""
    number = len(clicks)
    origins, dwells = clicks.origin_ms, clicks.dwell_seconds
    rows = zip(
        clicks.visits.to_pylist(),
        clicks.items.to_pylist(),
        clicks.time_ms.tolist(),
        [0] * number if origins is None else origins.tolist(),
        [math.nan] * number if dwells is None else dwells.tolist(),
        strict=True,
    )
    return [fields.Click(*row) for row in rows]


def parquet_bytes(table: dict[str, Any] | pa.Table, **settings: Any) -> bytes:
    """A Parquet file of some columns."""
    if not isinstance(table, pa.Table):
        table = pa.table(table)
    with io.BytesIO() as file:
        pq.write_table(table, file, **settings)
        return file.getvalue()


START_MS = 1_396_860_669_277  # 2014-04-07T08:51:09.277Z, a Monday.
Row = tuple[str, str, int]  # Session, item, ms since START_MS, under an hour.


def good_rows(number: int) -> list[Row]:
    """Rows of sessions of four."""
    return [(f"s{n // 4}", f"i{n % 7}", 1000 * n) for n in range(number)]


def encode(name: str, rows: Sequence[Row]) -> bytes:
    """A log in the layout of a format, with the columns' default names."""
    if name == session_options.PARQUET:
        visits, items, times = map(list, zip(*rows, strict=True))
        times = [START_MS + ms for ms in times]
        named = ("session_id", "item_id", "timestamp_ms")
        return parquet_bytes(
            dict(zip(named, (visits, items, times), strict=True)),
            row_group_size=max(1, len(rows) // 3),
        )
    return "".join(f"{line}\n" for line in _LINES[name](rows)).encode()


def iso8601(ms: int) -> str:
    """An instant of the rows' hour."""
    seconds, ms = divmod(9_277 + ms, 1000)
    minutes, seconds = divmod(51 * 60 + seconds, 60)
    hours, minutes = divmod(8 * 60 + minutes, 60)
    return f"2014-04-07T{hours:02d}:{minutes:02d}:{seconds:02d}.{ms:03d}Z"


def _yoochoose(rows, more=",0"):
    return (f"{s},{iso8601(ms)},{i}{more}" for s, i, ms in rows)


def _diginetica(rows):
    yield "sessionId;userId;itemId;timeframe;eventdate"
    yield from (f"{s};NA;{i};{ms};2014-04-07" for s, i, ms in rows)


def _purchases(rows):
    yield "sessionId;userId;timeframe;eventdate;ordernumber;itemId"
    yield from (f"{s};NA;{ms};2014-04-07;17;{i}" for s, i, ms in rows)


def _reddit(rows):
    yield "username,subreddit,utc"
    yield from (f"{s},{i},{(START_MS + ms) / 1000}" for s, i, ms in rows)


def _gru4rec(rows):
    yield "SessionId\tItemId\tTime"
    yield from (f"{s}\t{i}\t{(START_MS + ms) / 1000}" for s, i, ms in rows)


def _delimited(delimiter):
    def write(rows):
        yield delimiter.join(("session_id", "note", "item_id", "timestamp_ms"))
        for s, i, ms in rows:
            yield delimiter.join((s, "note", i, str(START_MS + ms)))

    return write


def _jsonl(rows):
    for s, i, ms in rows:
        yield json.dumps(
            {"session_id": s, "item_id": i, "timestamp_ms": START_MS + ms}
        )


def _jd(rows):
    for s, i, ms in rows:
        yield f"{s}+5+753+{ms // 1000}+9 {s}+6+753+3+9 {i}+1+754+0+0"


_LINES = {
    session_options.YOOCHOOSE: _yoochoose,
    session_options.YOOCHOOSE_BUYS: lambda rows: _yoochoose(rows, ",1046,2"),
    session_options.DIGINETICA: _diginetica,
    session_options.DIGINETICA_PURCHASES: _purchases,
    session_options.REDDIT: _reddit,
    session_options.GRU4REC: _gru4rec,
    session_options.CSV: _delimited(","),
    session_options.TSV: _delimited("\t"),
    session_options.JSONL: _jsonl,
    session_options.JD_MICRO: _jd,
}

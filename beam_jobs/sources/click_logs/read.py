"""Chooses the reader of a click log; all formats give the same columns."""

import math
from typing import NamedTuple

import apache_beam as beam

from beam_jobs.options import sessions as session_options
from beam_jobs.options.sessions import PrepareOptions
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources import planning
from beam_jobs.sources import typed_columns
from beam_jobs.sources.click_logs import delimited
from beam_jobs.sources.click_logs import diginetica
from beam_jobs.sources.click_logs import gru4rec
from beam_jobs.sources.click_logs import jd_micro
from beam_jobs.sources.click_logs import jsonl
from beam_jobs.sources.click_logs import parquet
from beam_jobs.sources.click_logs import reddit
from beam_jobs.sources.click_logs import yoochoose
from beam_jobs.sources.fields import LogFormat

PARTITION_BYTES = 32 << 20  # About a million lines.
PARTITION_ROWS = 1 << 20

_FORMATS: dict[str, LogFormat] = {
    session_options.YOOCHOOSE: yoochoose.CLICKS,
    session_options.YOOCHOOSE_BUYS: yoochoose.BUYS,
    session_options.DIGINETICA: diginetica.CLICKS,
    session_options.DIGINETICA_PURCHASES: diginetica.CLICKS,
    session_options.REDDIT: reddit.CLICKS,
    session_options.GRU4REC: gru4rec.CLICKS,
    session_options.JD_MICRO: jd_micro.JDMicro(),
}


class Log(NamedTuple):
    """What the job reads of a log.

    Attributes:
        clicks: `(place, Clicks)`s, see `parsing.ParseClicks`.
        rejects: `parsing.Reject`s.
        line_counts: of the ranges, as `lines.ReadBlocks` gives them.
        num_ranges: that are to be read.
        partitions: into how many batches the log's size suggests to put it.
    """

    clicks: beam.PCollection
    rejects: beam.PCollection
    line_counts: beam.PCollection
    num_ranges: int
    partitions: int


def read_clicks(options: PrepareOptions, pipeline: beam.Pipeline) -> Log:
    """Adds the steps that read the log to a pipeline.

    Raises:
        schema.InputError: a file is missing or not of its format.
    """
    if options.format == session_options.PARQUET:
        return _read_parquet(options, pipeline)
    layout = log_format(options)
    ranges = planning.plan(options.input, layout)
    read = pipeline | "Read" >> lines.ReadBlocks(ranges, layout.has_header)
    parsed = read[lines.BLOCKS] | "Parse" >> parsing.ParseClicks(layout)
    return Log(
        parsed[parsing.CLICKS],
        parsed[parsing.REJECTS],
        read[lines.LINE_COUNTS],
        len(ranges),
        math.ceil(planning.num_bytes(ranges) / PARTITION_BYTES),
    )


def log_format(options: PrepareOptions) -> LogFormat:
    """Returns the reader of the format that `options` name, one of lines."""
    if options.format in _FORMATS:
        return _FORMATS[options.format]
    columns = named_columns(options)
    if options.format == session_options.JSONL:
        return jsonl.JsonLines(columns)
    return delimited.Delimited(
        visit=columns.visit,
        item=columns.item,
        time=columns.time,
        time_unit=columns.time_unit,
        delimiter="\t"
        if options.format == session_options.TSV
        else options.delimiter,
        quote=""
        if options.quote == session_options.NO_QUOTE
        else options.quote,
        dwell=columns.dwell,
        names=options.columns,
    )


def named_columns(options: PrepareOptions) -> typed_columns.Columns:
    """Returns the names of a click's columns that `options` give."""
    return typed_columns.Columns(
        visit=options.visitor_column or options.session_column or "session_id",
        item=options.item_column,
        time=options.time_column,
        time_unit=options.time_unit,
        dwell=options.dwell_column,
    )


def _read_parquet(options, pipeline):
    columns = named_columns(options)
    groups = parquet.plan(options.input, columns)
    read = pipeline | "Read" >> parquet.ReadClicks(groups, columns)
    return Log(
        read[parsing.CLICKS],
        read[parsing.REJECTS],
        read[lines.LINE_COUNTS],
        len(groups),
        math.ceil(sum(group.num_rows for group in groups) / PARTITION_ROWS),
    )

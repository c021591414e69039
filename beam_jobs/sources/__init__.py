"""Click logs: one format a file, all of them giving the same clicks."""

from beam_jobs.options import PrepareOptions
from beam_jobs.sources import delimited
from beam_jobs.sources import diginetica
from beam_jobs.sources import gru4rec
from beam_jobs.sources import yoochoose
from beam_jobs.sources.base import LogFormat


def log_format(options: PrepareOptions) -> LogFormat:
    """The reader of the log format that `options` name."""
    if options.format == "yoochoose":
        return yoochoose.Yoochoose()
    if options.format == "diginetica":
        return diginetica.Diginetica()
    if options.format == "gru4rec":
        return gru4rec.GRU4REC
    return delimited.Delimited(
        visit=options.csv_visitor_column
        or options.csv_session_column
        or "session_id",
        item=options.csv_item_column,
        time=options.csv_time_column,
        time_unit=options.csv_time_unit,
        delimiter=options.csv_delimiter,
    )

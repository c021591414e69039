"""Options of the job that makes a data folder of sessions."""

import argparse
import dataclasses
import datetime
import math
from typing import ClassVar

from beam_jobs.options import base
from beam_jobs.options.base import option
from jump_tf import schema

YOOCHOOSE = "yoochoose"
YOOCHOOSE_BUYS = "yoochoose-buys"
DIGINETICA = "diginetica"
DIGINETICA_PURCHASES = "diginetica-purchases"
REDDIT = "reddit"
GRU4REC = "gru4rec"
JD_MICRO = "jd-micro"
CSV = "csv"
TSV = "tsv"
JSONL = "jsonl"
PARQUET = "parquet"
FORMATS = (
    YOOCHOOSE,
    YOOCHOOSE_BUYS,
    DIGINETICA,
    DIGINETICA_PURCHASES,
    REDDIT,
    GRU4REC,
    JD_MICRO,
    CSV,
    TSV,
    JSONL,
    PARQUET,
)
DELIMITED = (CSV, TSV)
NAMED_COLUMNS = (CSV, TSV, JSONL, PARQUET)
NO_QUOTE = "none"
REDDIT_GAP_SECONDS = 3600.0  # As the paper cuts its visitors.
RANDOM = base.RANDOM
LENGTH_FLAGS = (
    *("min_session_clicks", "max_session_length"),
    *("max_dwell_seconds", "last_dwell_seconds"),
)
COLUMN_FLAGS = (
    *("session_column", "visitor_column", "item_column"),
    *("time_column", "dwell_column"),
)


@dataclasses.dataclass(frozen=True)
class PrepareOptions(base.JobOptions):
    """One request to turn a click log into a data folder, checked at birth.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str = option(choices=FORMATS)
    split: str = option(
        RANDOM,
        "test on a random fifth of the sessions, or on the last days",
    )
    delimiter: str = option(",", formats=(CSV,))
    time_unit: str = option("ms", formats=NAMED_COLUMNS)
    # An instant that names no zone is UTC.
    until: str | None = option(
        None,
        "drop sessions that do not end before this instant, such as a log's "
        "last strays (ISO 8601)",
        metavar="INSTANT",
    )
    session_gap: float | None = option(
        None,
        "a visitor's pause of at least this many seconds starts a new session "
        f"(logs of visitors; reddit: {REDDIT_GAP_SECONDS:.0f} by default)",
        metavar="SECONDS",
    )
    merge_repeats: bool = option(
        False, "make consecutive clicks on one item one click"
    )
    min_item_clicks: int = option(
        3, "drop items with fewer clicks, first", at_least=1
    )
    min_session_clicks: int = option(
        2, "then drop shorter sessions", at_least=2
    )
    k_core: bool = option(
        False,
        "go on dropping rare items and short sessions until none is left, "
        "so that what stays is the log's k-core",
    )
    max_session_length: int | None = option(
        None,
        "then keep the last clicks of longer sessions",
        metavar="CLICKS",
    )
    # c1 and c2 of eq. 4.
    max_dwell_seconds: float = option(
        schema.MAX_DWELL_SECONDS,
        "c1: a longer dwell counts as 'at least this'",
        positive=True,
    )
    last_dwell_seconds: float = option(
        schema.LAST_DWELL_SECONDS,
        "c2: the last dwell of a session counts as 'at least this'",
        positive=True,
    )
    session_column: str | None = option(
        None,
        "name of the session id (session_id where no visitor is named)",
        formats=NAMED_COLUMNS,
    )
    visitor_column: str | None = option(
        None,
        "name of the visitor id, for logs without sessions",
        formats=NAMED_COLUMNS,
    )
    item_column: str = option(
        "item_id", "name of the item id", formats=NAMED_COLUMNS
    )
    time_column: str = option(
        "timestamp_ms", "name of the click's instant", formats=NAMED_COLUMNS
    )
    dwell_column: str | None = option(
        None,
        "name of the dwell in seconds, if the site measured it",
        formats=NAMED_COLUMNS,
    )
    columns: tuple[str, ...] = option(
        (),
        "names of all columns of csv and tsv files without a header line",
        metavar="NAME",
        formats=DELIMITED,
    )
    quote: str = option(
        '"',
        f"one character, or {NO_QUOTE}: what csv fields stand in",
        formats=DELIMITED,
    )

    groups: ClassVar = {
        "log and data folder": base.LOG_FLAGS,
        "sessions and splits": (
            *("session_gap", "merge_repeats", "until", "min_item_clicks"),
            *("k_core", *LENGTH_FLAGS, *base.SPLIT_FLAGS),
        ),
        "columns (csv, tsv, jsonl and parquet logs)": (
            *(*COLUMN_FLAGS, *base.CSV_FLAGS, "columns", "quote"),
        ),
    }

    def __post_init__(self):
        super().__post_init__()
        self._check_numbers()
        self._check_columns()
        self._check_gap()
        self._check_clock()
        try:
            _ = self.until_ms
        except ValueError:
            self._require(False, "until", "be an instant in ISO 8601")

    @property
    def until_ms(self) -> int | None:
        """`until` in ms UTC."""
        if self.until is None:
            return None
        instant = datetime.datetime.fromisoformat(self.until)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=datetime.UTC)
        return round(instant.timestamp() * 1000)

    @property
    def gap_seconds(self) -> float | None:
        """The pause that cuts sessions; None where the log has sessions."""
        if self.format == REDDIT and self.session_gap is None:
            return REDDIT_GAP_SECONDS
        return self.session_gap

    @property
    def merges_repeats(self) -> bool:
        """Whether consecutive clicks on one item become one."""
        return self.merge_repeats or self.format == JD_MICRO

    def _check_numbers(self):
        least, longest = self.min_session_clicks, self.max_session_length
        enough = longest is None or longest >= least
        self._require(enough, "max_session_length", f"be at least {least}")
        ordered = self.last_dwell_seconds <= self.max_dwell_seconds
        self._require(
            ordered,
            "last_dwell_seconds",
            f"be at most max_dwell_seconds={self.max_dwell_seconds}",
        )

    def _check_columns(self):
        quote = self.quote == NO_QUOTE or (
            len(self.quote) == 1
            and self.quote.isascii()
            and self.quote not in f"{self.delimiter}\r\n"
        )
        must = f"be one ASCII character, not the delimiter, or {NO_QUOTE}"
        self._require(quote, "quote", must)
        once = len(set(self.columns)) == len(self.columns)
        self._require(once, "columns", "name each column once")
        either = not (self.session_column and self.visitor_column)
        must = "not be given beside session_column"
        self._require(either, "visitor_column", must)

    def _check_gap(self):
        by_visitor = self.format == REDDIT or self.visitor_column is not None
        if not by_visitor:
            must = "be given for logs of visitors only (visitor_column)"
            self._require(self.session_gap is None, "session_gap", must)
            return
        gap = self.gap_seconds is not None and 0 < self.gap_seconds < math.inf
        must = "be positive seconds where a visitor's clicks are cut"
        self._require(gap, "session_gap", must)

    def _check_clock(self):
        if self.format == JD_MICRO:
            must = "be random where the log has no clock"
            self._require(self.split == RANDOM, "split", must)
            must = "be given where the log has a clock only"
            self._require(self.until is None, "until", must)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `PrepareOptions` to a parser."""
    base.add_arguments(parser, PrepareOptions)

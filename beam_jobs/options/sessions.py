"""What `jump-tf prepare` can be asked for; needs neither Beam nor TensorFlow.

A flag and a field share one name: `--min-item-clicks` is `min_item_clicks`.
Defaults are set once, on the fields.
"""

import argparse
import dataclasses
import datetime
import math
from typing import ClassVar

from beam_jobs.options import base
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
TEMPORAL = base.TEMPORAL


@dataclasses.dataclass(frozen=True)
class PrepareOptions(base.JobOptions):
    """One request to turn a click log into a data folder, checked at birth.

    Attributes:
        until: ISO 8601 instant, UTC where it names no zone; sessions that do
            not end before it are dropped.
        session_gap: seconds; a pause of a visitor at least this long starts
            a new session. For logs of visitors; reddit's has a default.
        merge_repeats: consecutive clicks on one item become one; those of
            jd-micro always do.
        min_item_clicks: items with fewer clicks are dropped, first.
        min_session_clicks: then sessions with fewer clicks are dropped.
        max_session_length: longer sessions then keep their last clicks.
        max_dwell_seconds: c1 of eq. 4.
        last_dwell_seconds: c2 of eq. 4.
        session_column: name; `session_id` where no visitor column either.
        visitor_column: name, instead of a session column.
        item_column: name.
        time_column: name.
        dwell_column: name, for logs whose site measured dwells, in seconds.
        columns: names of all columns, for files without a header line.
        quote: one character, or `none` where nothing is quoted.

    Raises:
        schema.InputError: a value is out of its range.
    """

    until: str | None = None
    session_gap: float | None = None
    merge_repeats: bool = False
    min_item_clicks: int = 3
    min_session_clicks: int = 2
    max_session_length: int | None = None
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS
    last_dwell_seconds: float = schema.LAST_DWELL_SECONDS
    session_column: str | None = None
    visitor_column: str | None = None
    item_column: str = "item_id"
    time_column: str = "timestamp_ms"
    dwell_column: str | None = None
    columns: tuple[str, ...] = ()
    quote: str = '"'

    formats: ClassVar[tuple[str, ...]] = FORMATS

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
        self._require_at_least(1, "min_item_clicks")
        self._require_at_least(2, "min_session_clicks")
        if self.max_session_length is not None:
            self._require_at_least(
                self.min_session_clicks, "max_session_length"
            )
        self._require_positive("max_dwell_seconds", "last_dwell_seconds")
        ordered = self.last_dwell_seconds <= self.max_dwell_seconds
        self._require(
            ordered,
            "last_dwell_seconds",
            f"be at most max_dwell_seconds={self.max_dwell_seconds}",
        )

    def _check_columns(self):
        names = [name for name in self._named("") if name.endswith("_column")]
        self._require_format([*names, "time_unit"], NAMED_COLUMNS)
        self._require_format(["columns", "quote"], DELIMITED)
        self._require_format(["delimiter"], [CSV])
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

    def group(title):
        return base.Adder(PrepareOptions, parser.add_argument_group(title))

    base.add_job_arguments(group("log and data folder"))

    add = group("sessions and splits")
    add(
        "session_gap",
        "a visitor's pause of at least this many seconds starts a new session "
        f"(logs of visitors; reddit: {REDDIT_GAP_SECONDS:.0f} by default)",
        type=float,
        metavar="SECONDS",
    )
    add(
        "merge_repeats",
        "make consecutive clicks on one item one click",
        action="store_true",
    )
    add(
        "until",
        "drop sessions that do not end before this instant, such as a log's "
        "last strays (ISO 8601)",
        metavar="INSTANT",
    )
    add("min_item_clicks", "drop items with fewer clicks, first", type=int)
    add_session_arguments(add)
    base.add_split_arguments(add, "sessions")

    add = group("columns (csv, tsv, jsonl and parquet logs)")
    add_column_arguments(add)
    base.add_csv_arguments(add)
    add(
        "columns",
        "names of all columns of csv and tsv files without a header line",
        nargs="+",
        metavar="NAME",
    )
    add("quote", f"one character, or {NO_QUOTE}: what csv fields stand in")


def add_session_arguments(add: base.Adder) -> None:
    """Adds the flags of how long sessions and dwells may be."""
    add("min_session_clicks", "then drop shorter sessions", type=int)
    add(
        "max_session_length",
        "then keep the last clicks of longer sessions",
        type=int,
        metavar="CLICKS",
    )
    add(
        "max_dwell_seconds",
        "c1: a longer dwell counts as 'at least this'",
        type=float,
    )
    add(
        "last_dwell_seconds",
        "c2: the last dwell of a session counts as 'at least this'",
        type=float,
    )


def add_column_arguments(add: base.Adder) -> None:
    """Adds the flags that name what a click is made of."""
    add(
        "session_column",
        "name of the session id (session_id where no visitor is named)",
    )
    add("visitor_column", "name of the visitor id, for logs without sessions")
    add("item_column", "name of the item id")
    add("time_column", "name of the click's instant")
    add("dwell_column", "name of the dwell in seconds, if the site measured it")

"""What `jump-tf prepare` can be asked for; needs neither Beam nor TensorFlow.

A flag and a field share one name: `--min-item-clicks` is `min_item_clicks`.
Defaults are set once, on the fields.
"""

import argparse
import dataclasses
import datetime
import math
from typing import ClassVar

from beam_jobs import job_options
from jump_tf import schema

FORMATS = ("yoochoose", "diginetica", "gru4rec", "csv")
RANDOM = job_options.RANDOM
TEMPORAL = job_options.TEMPORAL


@dataclasses.dataclass(frozen=True)
class PrepareOptions(job_options.JobOptions):
    """One request to turn a click log into a data folder, checked at birth.

    Attributes:
        until: ISO 8601 instant, UTC where it names no zone; sessions that do
            not end before it are dropped.
        session_gap: seconds; a pause of a visitor at least this long starts
            a new session. Only for logs with a visitor column.
        min_item_clicks: items with fewer clicks are dropped, first.
        min_session_clicks: then sessions with fewer clicks are dropped.
        max_dwell_seconds: c1 of eq. 4.
        last_dwell_seconds: c2 of eq. 4.
        csv_session_column: name; `session_id` where no visitor column either.
        csv_visitor_column: name, instead of a session column.
        csv_item_column: name.
        csv_time_column: name.

    Raises:
        schema.InputError: a value is out of its range.
    """

    until: str | None = None
    session_gap: float | None = None
    min_item_clicks: int = 3
    min_session_clicks: int = 2
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS
    last_dwell_seconds: float = schema.LAST_DWELL_SECONDS
    csv_session_column: str | None = None
    csv_visitor_column: str | None = None
    csv_item_column: str = "item_id"
    csv_time_column: str = "timestamp_ms"

    formats: ClassVar[tuple[str, ...]] = FORMATS

    def __post_init__(self):
        super().__post_init__()
        self._check_numbers()
        self._check_gap()
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

    def _check_numbers(self):
        self._require_at_least(1, "min_item_clicks")
        self._require_at_least(2, "min_session_clicks")
        self._require_positive("max_dwell_seconds", "last_dwell_seconds")
        ordered = self.last_dwell_seconds <= self.max_dwell_seconds
        self._require(
            ordered,
            "last_dwell_seconds",
            f"be at most max_dwell_seconds={self.max_dwell_seconds}",
        )

    def _check_gap(self):
        either = not (self.csv_session_column and self.csv_visitor_column)
        self._require(
            either,
            "csv_visitor_column",
            "not be given beside csv_session_column",
        )
        by_visitor = self.csv_visitor_column is not None
        if not by_visitor:
            self._require(
                self.session_gap is None,
                "session_gap",
                "be given with csv_visitor_column only",
            )
        else:
            self._require(
                self.session_gap is not None
                and 0 < self.session_gap < math.inf,
                "session_gap",
                "be positive seconds where sessions are cut from a visitor's "
                "clicks",
            )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `PrepareOptions` to a parser."""

    def group(title):
        return job_options.Adder(
            PrepareOptions, parser.add_argument_group(title)
        )

    job_options.add_job_arguments(group("log and data folder"))

    add = group("sessions and splits")
    add(
        "session_gap",
        "a visitor's pause of at least this many seconds starts a new session "
        "(csv logs with --csv-visitor-column only)",
        type=float,
        metavar="SECONDS",
    )
    add(
        "until",
        "drop sessions that do not end before this instant, such as a log's "
        "last strays (ISO 8601)",
        metavar="INSTANT",
    )
    add("min_item_clicks", "drop items with fewer clicks, first", type=int)
    add("min_session_clicks", "then drop shorter sessions", type=int)
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
    job_options.add_split_arguments(add, "sessions")

    add = group("csv logs (--format csv)")
    job_options.add_csv_arguments(add)
    add(
        "csv_session_column",
        "column of the session id (session_id where no visitor is named)",
    )
    add(
        "csv_visitor_column",
        "column of the visitor id, for logs without sessions",
    )
    add("csv_item_column", "column of the item id")
    add("csv_time_column", "column of the click's instant")

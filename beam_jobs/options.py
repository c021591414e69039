"""What `jump-tf prepare` can be asked for; needs neither Beam nor TensorFlow.

A flag and a field share one name: `--min-item-clicks` is `min_item_clicks`.
Defaults are set once, on the fields.
"""

import argparse
import dataclasses
import datetime
import math
from typing import Any

from jump_tf import schema

FORMATS = ("yoochoose", "diginetica", "gru4rec", "csv")
RANDOM = "random"
TEMPORAL = "temporal"
TIME_UNITS = ("s", "ms", "iso8601")


@dataclasses.dataclass(frozen=True)
class PrepareOptions:
    """One request to turn a click log into a data folder, checked at birth.

    Attributes:
        format: layout of the log, one of `FORMATS`.
        input: paths of the log's files; `.xz`, `.gz` and `.bz2` are unpacked.
        output: the data folder to make.
        overwrite: replaces the data folder that stands at `output`.
        split: `random` (by session) or `temporal` (the last days).
        test_days: days of the test split, and again of the validation split.
        until: ISO 8601 instant, UTC where it names no zone; sessions that do
            not end before it are dropped.
        session_gap: seconds; a pause of a visitor at least this long starts
            a new session. Only for logs with a visitor column.
        min_item_clicks: items with fewer clicks are dropped, first.
        min_session_clicks: then sessions with fewer clicks are dropped.
        max_dwell_seconds: c1 of eq. 4.
        last_dwell_seconds: c2 of eq. 4.
        max_reject_share: share of unreadable rows above which the job fails.
        shards_per_split: files of each split.
        csv_delimiter: one character.
        csv_session_column: name; `session_id` where no visitor column either.
        csv_visitor_column: name, instead of a session column.
        csv_item_column: name.
        csv_time_column: name.
        csv_time_unit: one of `TIME_UNITS`.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str
    input: tuple[str, ...]
    output: str
    overwrite: bool = False
    split: str = RANDOM
    test_days: float = 1.0
    until: str | None = None
    session_gap: float | None = None
    min_item_clicks: int = 3
    min_session_clicks: int = 2
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS
    last_dwell_seconds: float = schema.LAST_DWELL_SECONDS
    max_reject_share: float = 0.01
    shards_per_split: int = 4
    csv_delimiter: str = ","
    csv_session_column: str | None = None
    csv_visitor_column: str | None = None
    csv_item_column: str = "item_id"
    csv_time_column: str = "timestamp_ms"
    csv_time_unit: str = "ms"

    def __post_init__(self):
        self._check_names()
        self._check_numbers()
        self._check_csv()
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

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> "PrepareOptions":
        """The options that `add_arguments` defined, after parsing."""
        names = [field.name for field in dataclasses.fields(cls)]
        values = {name: getattr(arguments, name) for name in names}
        return cls(**{**values, "input": tuple(arguments.input)})

    def _require(self, holds: bool, name: str, must: str) -> None:
        if not holds:
            raise schema.InputError(
                f"`{name}` must {must}. Received: {getattr(self, name)!r}"
            )

    def _check_names(self):
        require = self._require
        require(self.format in FORMATS, "format", f"be one of {FORMATS}")
        splits = (RANDOM, TEMPORAL)
        require(self.split in splits, "split", f"be one of {splits}")
        require(len(self.input) > 0, "input", "name at least one file")
        unique = len(set(self.input)) == len(self.input)
        require(unique, "input", "name each file once")
        require(bool(self.output.strip("/")), "output", "name a folder")

    def _check_numbers(self):
        require = self._require
        for name in ("min_item_clicks", "shards_per_split"):
            require(getattr(self, name) >= 1, name, "be at least 1")
        enough = self.min_session_clicks >= 2
        require(enough, "min_session_clicks", "be at least 2")
        for name in ("test_days", "max_dwell_seconds", "last_dwell_seconds"):
            positive = 0 < getattr(self, name) < math.inf
            require(positive, name, "be positive and finite")
        ordered = self.last_dwell_seconds <= self.max_dwell_seconds
        require(
            ordered,
            "last_dwell_seconds",
            f"be at most max_dwell_seconds={self.max_dwell_seconds}",
        )
        share = 0 <= self.max_reject_share <= 1
        require(share, "max_reject_share", "lie between 0 and 1")

    def _check_csv(self):
        require = self._require
        for field in dataclasses.fields(self):
            if field.name.startswith("csv_") and self.format != "csv":
                default = getattr(self, field.name) == field.default
                require(default, field.name, "be given with format=csv only")
        one = len(self.csv_delimiter) == 1 and self.csv_delimiter not in '"\r\n'
        require(one, "csv_delimiter", "be one character, and no quote")
        unit = self.csv_time_unit in TIME_UNITS
        require(unit, "csv_time_unit", f"be one of {TIME_UNITS}")
        either = not (self.csv_session_column and self.csv_visitor_column)
        require(
            either,
            "csv_visitor_column",
            "not be given beside csv_session_column",
        )

    def _check_gap(self):
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
    add = _Adder(parser.add_argument_group("log and data folder"))
    add("format", "layout of the log", choices=FORMATS)
    add("input", "files of the log (.xz, .gz, .bz2 or plain)", nargs="+")
    add("output", "data folder to make", metavar="DIR")
    add(
        "overwrite",
        "replace the data folder that stands at --output",
        action="store_true",
    )
    add("shards_per_split", "files of each split", type=int)
    add(
        "max_reject_share",
        "fail when a larger share of the rows cannot be read",
        type=float,
    )

    add = _Adder(parser.add_argument_group("sessions and splits"))
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
    add(
        "split",
        "test on a random fifth of the sessions, or on the last days",
        choices=(RANDOM, TEMPORAL),
    )
    add(
        "test_days",
        "with --split temporal: days of the test split, and as many before "
        "for validation",
        type=float,
    )

    add = _Adder(parser.add_argument_group("csv logs (--format csv)"))
    add("csv_delimiter", "one character; \\t is a tab", type=_delimiter)
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
    add("csv_time_unit", "how instants are written", choices=TIME_UNITS)


class _Adder:
    """Adds one flag for one field of `PrepareOptions`, with its default."""

    def __init__(self, group):
        self.group = group

    def __call__(self, name: str, text: str, **settings: Any):
        default = PrepareOptions.__dataclass_fields__[name].default
        if default is dataclasses.MISSING:
            settings["required"] = True
        else:
            settings["default"] = default
            if default is not None and default is not False:
                text += f" (default: {default})"
        flag = "--" + name.replace("_", "-")
        self.group.add_argument(flag, help=text, **settings)


def _delimiter(text: str) -> str:
    return text.replace("\\t", "\t")

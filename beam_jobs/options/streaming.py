"""What `beam_jobs.stream_sessions` can be asked for.

A stream's request is one to `prepare` a JSON log whose end never comes: what
needs the end is not asked for.
"""

import argparse
import dataclasses

from beam_jobs.options import base
from beam_jobs.options import sessions

_LONGEST_SECONDS = 366 * 86_400
_DURATIONS = ("session_gap", "allowed_lateness", "remember")
_SOURCES = ("input_subscription", "input_topic", "input_lines")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamOptions(sessions.PrepareOptions):
    """One request to turn a stream of clicks into data folders.

    Clicks are JSON objects, a message or a line each, whose members are named
    as the columns of a log.

    Attributes:
        input_subscription: of Pub/Sub, `projects/P/subscriptions/S`.
        input_topic: of Pub/Sub, `projects/P/topics/T`.
        input_lines: files of JSON lines, replayed as a stream in their order.
        vocabulary: a data folder; its items have ids, all others are unknown.
        session_gap: seconds; a pause this long ends a session, be the clicks
            known by their visitor or by their session.
        allowed_lateness: seconds that a click may come behind the watermark.
        window: seconds; sessions that are complete in one such stretch of
            time are one data folder.
        remember: seconds that is known of a visitor without open sessions
            which clicks would be too late.
        position_column: name of whole numbers that order the clicks of one
            visitor at one instant; two at one instant with one position and
            item are the same click.
        timestamp_attribute: of Pub/Sub messages, that the watermark follows
            instead of the time of publishing.
        id_attribute: of Pub/Sub messages, that tells doubles (Dataflow).

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str = sessions.JSONL
    input: tuple[str, ...] = ("stream",)
    split: str = sessions.RANDOM
    max_reject_share: float = 1.0
    min_item_clicks: int = 1
    input_subscription: str | None = None
    input_topic: str | None = None
    input_lines: tuple[str, ...] = ()
    vocabulary: str
    session_gap: float = 1800.0
    allowed_lateness: float = 600.0
    window: int = 3600
    remember: float = 604_800.0
    position_column: str | None = None
    timestamp_attribute: str | None = None
    id_attribute: str | None = None

    def __post_init__(self):
        super().__post_init__()
        self._require_at_least(1, "window")
        given = [name for name in _SOURCES if getattr(self, name)]
        must = f"be given alone of {', '.join(_SOURCES)}"
        self._require(len(given) == 1, (given or _SOURCES)[-1], must)
        if self.input_lines:
            for name in ("timestamp_attribute", "id_attribute"):
                must = "be given with messages of Pub/Sub only"
                self._require(getattr(self, name) is None, name, must)

    @property
    def gap_ms(self) -> int:
        """`session_gap`; instants are whole milliseconds, so it is rounded."""
        return round(self.session_gap * 1000)

    @property
    def lateness_ms(self) -> int:
        """`allowed_lateness`."""
        return round(self.allowed_lateness * 1000)

    def _check_gap(self):
        for name in _DURATIONS:
            least = 0 if name == "allowed_lateness" else 0.001
            within = least <= getattr(self, name) <= _LONGEST_SECONDS
            must = f"lie between {least} and {_LONGEST_SECONDS} seconds"
            self._require(within, name, must)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `StreamOptions` to a parser."""
    parser.set_defaults(
        **{
            field.name: field.default
            for field in dataclasses.fields(StreamOptions)
            if field.default is not dataclasses.MISSING
        }
    )

    def group(title):
        return base.Adder(StreamOptions, parser.add_argument_group(title))

    _add_stream_arguments(group("stream and data folders"))
    _add_session_arguments(group("sessions"))
    _add_column_arguments(group("members of a click's JSON object"))


def _add_stream_arguments(add: base.Adder) -> None:
    add("input_subscription", "Pub/Sub: projects/P/subscriptions/S")
    add("input_topic", "Pub/Sub: projects/P/topics/T")
    add(
        "input_lines",
        "JSON lines to replay as a stream, on this machine",
        nargs="+",
        metavar="FILE",
    )
    add("output", "new folder for data folders, one a window", metavar="DIR")
    add(
        "vocabulary",
        "data folder whose items have ids; others are unknown items",
        metavar="DATA",
    )
    add("window", "seconds of the stream in one data folder", type=int)
    add("shards_per_split", "files of each split in a data folder", type=int)
    add(
        "timestamp_attribute",
        "Pub/Sub attribute that the watermark follows (else: publishing time)",
    )
    add(
        "id_attribute",
        "Pub/Sub attribute that tells doubles (Dataflow only)",
    )


def _add_session_arguments(add: base.Adder) -> None:
    add(
        "session_gap",
        "a pause of at least this many seconds ends a session",
        type=float,
        metavar="SECONDS",
    )
    add(
        "allowed_lateness",
        "wait this many seconds longer for clicks that come late",
        type=float,
        metavar="SECONDS",
    )
    add(
        "remember",
        "after this many seconds without open sessions a visitor is forgotten",
        type=float,
        metavar="SECONDS",
    )
    add(
        "merge_repeats",
        "make consecutive clicks on one item one click",
        action="store_true",
    )
    sessions.add_session_arguments(add)


def _add_column_arguments(add: base.Adder) -> None:
    sessions.add_column_arguments(add)
    add(
        "time_unit",
        "how instants are written",
        choices=base.TIME_UNITS,
    )
    add(
        "position_column",
        "name of a whole number that orders clicks of one instant",
    )

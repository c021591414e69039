"""Options of `beam_jobs.stream_sessions`.

They are those of `prepare` for a JSON log, without those that need the end of
the log.
"""

import argparse
import dataclasses
from typing import ClassVar

from beam_jobs.options import base
from beam_jobs.options import sessions
from beam_jobs.options.base import option

_LONGEST_SECONDS = 366 * 86_400
_DURATIONS = ("session_gap", "allowed_lateness", "remember")
_SOURCES = ("input_subscription", "input_topic", "input_lines")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamOptions(sessions.PrepareOptions):
    """One request to turn a stream of clicks into data folders.

    Clicks are JSON objects, a message or a line each, whose members are named
    as the columns of a log.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str = sessions.JSONL
    input: tuple[str, ...] = ("stream",)
    output: str = option(text="new folder for data folders, one a window")
    split: str = sessions.RANDOM
    max_reject_share: float = 1.0
    shards_per_split: int = option(4, "files of each split in a data folder")
    min_item_clicks: int = 1
    input_subscription: str | None = option(
        None, "Pub/Sub: projects/P/subscriptions/S"
    )
    input_topic: str | None = option(None, "Pub/Sub: projects/P/topics/T")
    input_lines: tuple[str, ...] = option(
        (),
        "JSON lines to replay as a stream, on this machine",
        metavar="FILE",
    )
    vocabulary: str = option(
        text="data folder whose items have ids; others are unknown items",
        metavar="DATA",
    )
    # Whether the clicks are known by their visitor or by their session.
    session_gap: float = option(
        1800.0, "a pause of at least this many seconds ends a session"
    )
    # A click may be so far behind the watermark.
    allowed_lateness: float = option(
        600.0,
        "wait this many seconds longer for clicks that come late",
        metavar="SECONDS",
    )
    # Sessions that are complete in one such stretch are one data folder.
    window: int = option(
        3600, "seconds of the stream in one data folder", at_least=1
    )
    # So long it is known of a visitor which clicks would be too late.
    remember: float = option(
        604_800.0,
        "after this many seconds without open sessions a visitor is forgotten",
        metavar="SECONDS",
    )
    # Two at one instant with one position and item are the same click.
    position_column: str | None = option(
        None, "name of a whole number that orders clicks of one instant"
    )
    timestamp_attribute: str | None = option(
        None,
        "Pub/Sub attribute that the watermark follows (else: publishing time)",
    )
    id_attribute: str | None = option(
        None, "Pub/Sub attribute that tells doubles (Dataflow only)"
    )

    groups: ClassVar = {
        "stream and data folders": (
            *(*_SOURCES, "output", "vocabulary", "window"),
            *("shards_per_split", "timestamp_attribute", "id_attribute"),
        ),
        "sessions": (*_DURATIONS, "merge_repeats", *sessions.LENGTH_FLAGS),
        "members of a click's JSON object": (
            *(*sessions.COLUMN_FLAGS, "time_unit", "position_column"),
        ),
    }

    def __post_init__(self):
        super().__post_init__()
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
        """`allowed_lateness` in whole milliseconds."""
        return round(self.allowed_lateness * 1000)

    def _check_gap(self):
        for name in _DURATIONS:
            least = 0 if name == "allowed_lateness" else 0.001
            within = least <= getattr(self, name) <= _LONGEST_SECONDS
            must = f"lie between {least} and {_LONGEST_SECONDS} seconds"
            self._require(within, name, must)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `StreamOptions` to a parser."""
    base.add_arguments(parser, StreamOptions)

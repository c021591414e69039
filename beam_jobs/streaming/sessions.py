"""Turns clicks of a stream into sessions, as soon as these are complete.

A session is complete when the watermark has passed its last click by the gap
and the allowed lateness: then all clicks that could join it are there, or are
too late. It is put in order and cut by the same functions as a log's.

What it costs: a click is put into a bag without a look at what is in there.
The bag is read when a timer says that a session may be complete, which for a
visitor who goes on clicking is once in about the gap and the lateness.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam import coders
from apache_beam.transforms import userstate
from apache_beam.utils.timestamp import Timestamp

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs.columns import Clicks
from beam_jobs.options.streaming import StreamOptions
from beam_jobs.streaming import messages
from beam_jobs.streaming.messages import Row
from beam_jobs.transforms import sessionize
from beam_jobs.transforms import sessions as session_transforms
from beam_jobs.transforms.sessions import Sessions

TOO_LATE = "too late"
DUPLICATE = "duplicate"

# What a data folder is made of: `SESSION`, its id and its `Row`s in order;
# `counting.FILTERED`, a reason and how many clicks; or `counting.REJECTED`, a
# reason and a message.
Entry = tuple[str, tuple[str, Any]]
SESSION = "session"

_ROW = coders.TupleCoder(
    [
        coders.VarIntCoder(),
        coders.VarIntCoder(),
        coders.StrUtf8Coder(),
        coders.FloatCoder(),
    ]
)


def _value(name, coder):
    spec = userstate.ReadModifyWriteStateSpec(name, coder)
    return beam.DoFn.StateParam(spec)


_TIMER = userstate.TimerSpec("complete", userstate.TimeDomain.WATERMARK)
_WAKE = beam.DoFn.TimerParam(_TIMER)
_CLICKS = beam.DoFn.StateParam(userstate.BagStateSpec("clicks", _ROW))
_DUE = _value("due", coders.VarIntCoder())
_DONE = _value("done", coders.VarIntCoder())
_ID = _value("id", coders.StrUtf8Coder())


class CompleteSessions(beam.DoFn):
    """Turns `(visit, (Row, message))`s into `Entry`s: sessions and the rest.

    State of a visit: its clicks that are in no complete session; the instant
    that the timer is set to; the instant before which all is done, so that
    other clicks are too late; and the id of an open session whose first clicks
    are no longer kept, as `max_session_length` is surely exceeded.
    """

    def __init__(self, options: StreamOptions):
        self.wait_ms = options.gap_ms + options.lateness_ms
        self.lateness_ms = options.lateness_ms
        self.remember_ms = round(options.remember * 1000)
        self.gap_seconds = options.gap_ms / 1000
        self.has_visitors = options.visitor_column is not None
        self.has_positions = options.position_column is not None
        self.merge_repeats = options.merge_repeats
        self.longest = options.max_session_length
        self.grouped = counting.counter(counting.GROUPED)

    def process(
        self,
        click,
        clicks=_CLICKS,
        due=_DUE,
        done=_DONE,
        timer=_WAKE,
    ):
        _, (row, message) = click
        time_ms = row[0]
        if time_ms < (done.read() or 0):
            yield messages.rejected(TOO_LATE, message)
            return
        clicks.add(row)
        _wake(time_ms + self.wait_ms, due, timer)

    @userstate.on_timer(_TIMER)
    def complete(
        self,
        visit=beam.DoFn.KeyParam,
        fired=beam.DoFn.TimestampParam,
        clicks=_CLICKS,
        due=_DUE,
        done=_DONE,
        kept_id=_ID,
        timer=_WAKE,
    ):
        now_ms = fired.micros // 1000
        due.clear()
        rows, doubles = self._in_order(list(clicks.read()))
        if not rows:
            done.clear()  # The visitor is forgotten.
            return
        found = self._cut(visit, rows, kept_id.read())
        number = int((found.last_ms + self.wait_ms <= now_ms).sum())
        ids = found.ids.to_pylist()
        ends = np.cumsum([0, *found.lengths.tolist()]).tolist()
        for name, start, end in zip(ids[:number], ends, ends[1:], strict=False):
            yield SESSION, (name, rows[start:end])
        gone, wake_ms = ends[number], now_ms + self.remember_ms
        if number:
            kept_id.clear()
        if number < len(found):
            wake_ms = int(found.last_ms[number]) + self.wait_ms
            is_next = found.take(np.array([number]))
            surplus = self._surplus(is_next, now_ms - self.lateness_ms)
            if surplus:
                kept_id.write(ids[number])
                gone += sum(surplus.values())
            for dropped in surplus.items():
                yield counting.FILTERED, dropped
        if doubles:
            yield counting.FILTERED, (DUPLICATE, doubles)
        if gone:
            # The watermark is past it by more than the allowed lateness.
            done.write(now_ms - self.lateness_ms)
        if gone or doubles:
            self.grouped.inc(gone + doubles)
            clicks.clear()
            for row in rows[gone:]:
                clicks.add(row)
        _wake(wake_ms, due, timer)

    def _in_order(self, rows: list[Row]) -> tuple[list[Row], int]:
        """Returns rows by time, position and item; and how many doubles."""
        received = len(rows)
        if self.has_positions:
            rows = list({row[:3]: row for row in rows}.values())
        return sorted(rows, key=lambda row: row[:3]), received - len(rows)

    def _cut(self, visit, rows, first_id) -> Sessions:
        found = session_transforms.cut_sessions(
            to_clicks([(visit, rows)]), self.gap_seconds, log_end_ms=0
        )
        ids = found.ids.to_pylist()
        if first_id is not None:
            ids[0] = first_id
        if not self.has_visitors:
            ids = [visit] * len(ids)
        return dataclasses.replace(found, ids=pa.array(ids, pa.string()))

    def _surplus(self, session: Sessions, final_ms: int) -> dict[str, int]:
        """Counts, by reason, clicks that an open session will surely drop.

        They are its first ones: no click will come before `final_ms`.
        """
        final = session.keep(session.time_ms < final_ms)
        if self.longest is None or final.num_clicks <= self.longest:
            return {}
        kept = session_transforms.last_clicks(self._merged(final), self.longest)
        surplus = final.keep(final.time_ms < kept.time_ms[0])
        early = self._merged(surplus).num_clicks
        counts = {
            sessionize.TOO_EARLY: early,
            sessionize.REPEAT: surplus.num_clicks - early,
        }
        return {reason: number for reason, number in counts.items() if number}

    def _merged(self, found: Sessions) -> Sessions:
        return (
            session_transforms.merge_repeats(found)
            if self.merge_repeats
            else found
        )


def to_clicks(visits: Sequence[tuple[str, Sequence[Row]]]) -> Clicks:
    """Returns the columns of visits' rows, in order; names may repeat."""
    names = pa.array([name for name, _ in visits], pa.string())
    lengths = np.array([len(rows) for _, rows in visits], int)
    rows = [row for _, mine in visits for row in mine]
    items = pa.array([row[2] for row in rows], pa.string())
    return Clicks(
        columns.of_codes(np.repeat(np.arange(len(visits)), lengths), names),
        items.dictionary_encode(),
        np.array([row[0] for row in rows], np.int64),
        dwell_seconds=np.array([row[3] for row in rows], np.float64),
    )


def _wake(wake_ms: int, due, timer) -> None:
    """Sets the timer, unless it will go off before that."""
    set_to = due.read()
    if set_to is None or wake_ms < set_to:
        due.write(wake_ms)
        timer.set(Timestamp(micros=wake_ms * 1000))

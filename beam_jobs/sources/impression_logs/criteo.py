"""Criteo Attribution Modeling for Bidding (AdKDD 2017), the published log.

Tab-separated with a header, one impression a row, `timestamp` in seconds since
the log's start. A list is all that one `uid` was shown, unless it is cut at
pauses. Features are the campaign and the nine categories; what only the
outcome tells (cost, positions of clicks, times of conversions) is none.

The log says of an impression whether the visitor bought within 30 days
(`conversion`), clicked or not, and whether that purchase was put down to
Criteo (`attribution`). Here a conversion is an impression that was clicked and
has the label; so one purchase after several clicks converts each of them.
"""

import dataclasses
import functools

from beam_jobs.sources import fields as sources_fields
from beam_jobs.sources.impression_logs import base

_FIELDS = ("campaign", *(f"cat{number}" for number in range(1, 10)))
_DELIMITER = "\t"


@dataclasses.dataclass(frozen=True)
class Criteo(base.ListFormat):
    """Reads `criteo_attribution_dataset.tsv`.

    Attributes:
        label: `attribution` or `conversion`, the column of the label.
    """

    label: str
    fields = _FIELDS

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Finds the columns that are needed."""
        names = ["timestamp", "uid", "click", self.label, *self.fields]
        positions, count = sources_fields.column_positions(
            path, first_line, _DELIMITER, names
        )
        return functools.partial(self._parse, positions=positions, count=count)

    def _parse(self, lines, _, *, positions, count) -> base.Record:
        columns = base.row(lines[0], _DELIMITER, count)
        time, visitor, click, label, *values = (
            columns[position] for position in positions
        )
        clicked = base.flag(click, "click")
        item = base.Item(
            sources_fields.identifier(visitor, "visitor"),
            sources_fields.milliseconds(time, "s"),
            clicked,
            clicked * base.flag(label, self.label),
            base.features(self.fields, values),
        )
        return base.Record([item])

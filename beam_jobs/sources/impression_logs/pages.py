"""Sessions with result pages, in the layout of trivago's RecSys Challenge 2019.

Comma-separated with a header, one step a row. A step whose `action_type` is
`clickout item` has the page on which the visitor clicked: `impressions`, item
ids with `|` between them, and their `prices`; `reference` is the item that was
clicked, `timestamp` in seconds. Each such page is a list, whose items are all
shown at once. Other steps show none; each counts as a dropped row.

An item's features are its id and the rank of its price on its page, 1 for the
cheapest; equal prices share the better rank.
"""

import bisect
import dataclasses
import functools
import math

from beam_jobs.sources import fields as sources_fields
from beam_jobs.sources.impression_logs import base

OTHER_STEP = "step without a page"
_CLICKOUT = "clickout item"
_COLUMNS = (
    "session_id",
    "timestamp",
    "action_type",
    "reference",
    "impressions",
    "prices",
)
_DELIMITER = ","
_SEPARATOR = "|"


@dataclasses.dataclass(frozen=True)
class Impressions(base.ListFormat):
    """Reads steps; a page is called `session/place in the log`.

    Attributes:
        conversion: name of a column that says of the clicked item whether it
            converted, or None: nothing does.
    """

    conversion: str | None
    fields = ("item", "price_rank")

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Finds the columns in the header."""
        names = [*_COLUMNS, *([self.conversion] if self.conversion else [])]
        positions, count = sources_fields.column_positions(
            path, first_line, _DELIMITER, names
        )
        return functools.partial(self._parse, positions=positions, count=count)

    def _parse(self, lines, place, *, positions, count) -> base.Record:
        columns = base.row(lines[0], _DELIMITER, count)
        session, time, action, reference, shown, prices, *label = (
            columns[position] for position in positions
        )
        if action.strip() != _CLICKOUT:
            return base.Record([], {OTHER_STEP: 1})
        page = f"{sources_fields.identifier(session, 'session')}/{place}"
        time_ms = sources_fields.milliseconds(time, "s")
        converts = base.flag(label[0], "conversion") if label else 0
        ids = [
            sources_fields.identifier(id_, "item")
            for id_ in shown.split(_SEPARATOR)
        ]
        ranks = _ranks(prices)
        if len(ranks) != len(ids):
            raise ValueError("not as many prices as impressions")
        items = []
        for id_, rank in zip(ids, ranks, strict=True):
            clicked = int(id_ == reference.strip())
            texts = base.features(self.fields, (id_, str(rank)))
            items.append(
                base.Item(page, time_ms, clicked, clicked * converts, texts)
            )
        return base.Record(items)


def _ranks(text):
    try:
        prices = [float(price) for price in text.split(_SEPARATOR)]
    except ValueError:
        prices = [math.nan]
    if not all(map(math.isfinite, prices)):
        raise ValueError("unreadable prices")
    ordered = sorted(prices)
    return [1 + bisect.bisect_left(ordered, price) for price in prices]

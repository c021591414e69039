"""JD's micro-behaviours (WSDM 2020), one session a line.

The layout is that of `beam_jobs.sources.click_logs.jd_micro`. Behaviours 1 to 5
enter a product: from the home page, a category, a sale page, the cart or a
search. 6 to 10 happen in it: comments and specification read, bottom of the
page reached, put in the cart, ordered.

Consecutive behaviours on one product are one view, and a session's views are
a list of shown items. A view is clicked if a behaviour of it engages, and
converted, which is to be engaged as well, if one satisfies. Features are what
is known when the view begins: the product, its category and how it was
entered. The dwell and the behaviours in the product are outcomes, and no
features. A view that begins without an entry is dropped: that its entry is
missing would tell of the engagement it begins with.

Rows are behaviours: those that continue a view count as dropped.

A list is called after the text of its session, whose copies are dropped.
"""

import dataclasses
import functools
import itertools

from beam_jobs.sources.click_logs import jd_micro as click_jd_micro
from beam_jobs.sources.impression_logs import base

CONTINUED = "continues a view"
NOT_ENTERED = "view without entry"
_ENTRANCES = {
    "1": "home",
    "2": "category",
    "3": "sale",
    "4": "cart",
    "5": "search",
}


@dataclasses.dataclass(frozen=True)
class JDMicro(base.ListFormat):
    """Reads sessions; one has no id but its own text.

    Attributes:
        engaged: behaviours that count as a click.
        satisfied: behaviours that count as a conversion, and as a click.
    """

    engaged: tuple[int, ...]
    satisfied: tuple[int, ...]
    fields = ("sku", "category", "entrance")
    has_header = False
    once = True

    def parser(self, path: str, first_line: str) -> base.Parser:
        """Checks that the first behaviour has five columns."""
        click_jd_micro.check_columns(path, first_line)
        return functools.partial(
            self._parse,
            engaged=set(map(str, self.engaged)),
            satisfied=set(map(str, self.satisfied)),
        )

    def _parse(self, lines, _, *, engaged, satisfied) -> base.Record:
        found = click_jd_micro.behaviours(lines[0])
        key = click_jd_micro.session_id(lines[0])
        items = []
        dropped = {CONTINUED: 0, NOT_ENTERED: 0}
        for sku, behaviours in itertools.groupby(found, lambda one: one.sku):
            view = list(behaviours)
            time_ms, _, entrance, category, _ = view[0]
            if entrance not in _ENTRANCES:
                dropped[NOT_ENTERED] += len(view)
                continue
            dropped[CONTINUED] += len(view) - 1
            done = {behaviour.kind for behaviour in view}
            converted = int(not done.isdisjoint(satisfied))
            clicked = int(converted or not done.isdisjoint(engaged))
            values = (sku, category, _ENTRANCES[entrance])
            texts = base.features(self.fields, values)
            items.append(base.Item(key, time_ms, clicked, converted, texts))
        return base.Record(items, dropped)

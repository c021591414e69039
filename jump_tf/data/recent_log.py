"""The clicks of a log by item and time, as arrays."""

import dataclasses

import numpy as np

POPULAR = 50


@dataclasses.dataclass(frozen=True)
class RecentClicks:
    """Transitions of a log by item and time, and what was popular when.

    Minutes count from the log's first click.

    Attributes:
        starts: `[V + 1]`, where the transitions from each id begin.
        followers: `[E]` ids that were clicked next, by item and time.
        minutes: `[E]` by the end of which they were.
        popular_ids: `[periods, POPULAR]` ids that were clicked most before each
            period, a click's weight falling by e in an hour; `PAD_ID` for none.
        log_shares: `[periods, POPULAR]`, log of their share of the weights.
        origin_minute: of the first click, since 1970.
        end_minute: after the last one.
        period_minutes: of each period.
    """

    starts: np.ndarray
    followers: np.ndarray
    minutes: np.ndarray
    popular_ids: np.ndarray
    log_shares: np.ndarray
    origin_minute: int
    end_minute: int
    period_minutes: int

"""Names, units and special ids: the one vocabulary that all parts share.

A quantity has one name from the log to the endpoint. Dwell times are float32
seconds, instants are int64 milliseconds UTC.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

PAD_ID = 0  # No click here.
OOV_ID = 1  # A click on an item that is not in the vocabulary.
# Items are 2, 3, ... by (count descending, raw id ascending).
FIRST_ITEM_ID = 2

SESSION_ID = "session_id"
START_MS = "start_ms"
SESSION_LENGTH = "session_length"
ITEMS = "items"
DWELL_SECONDS = "dwell_seconds"
DWELL_CENSORED = "dwell_censored"  # The paper's delta: 1 = only a lower bound.
SESSION_END = "session_end"  # 1 on the last click of a session.
SESSION_CUT = "session_cut"  # 1 = the log ended, not the visit.
SESSION = "session"  # A number for each session of a split.
ELAPSED_SECONDS = "elapsed_seconds"

# Lists of shown items: all lengths of a list m, one entry an item, in the order
# in which the visitor came upon them.
LIST_ID = "list_id"
LIST_LENGTH = "list_length"
OFFSET_SECONDS = "offset_seconds"  # Since the list's first item was shown.
FEATURES = "features"  # Ids of an item's features, see `ShownList`.
FEATURE_VALUES = "feature_values"  # What each counts; 1 for a category.
FEATURES_LENGTH = "features_length"
CLICKED = "clicked"  # The click label y^c.
CONVERTED = "converted"  # The conversion label y^v, at most y^c.
LIST = "list"  # A number for each list of a split.
UNKNOWN_FEEDBACK = -1.0  # As `clicked` of an input: nobody knows yet.

# What a data folder holds; its manifest says so as `kind`.
SESSIONS = "sessions"
LISTS = "lists"
TASKS = (SESSIONS, LISTS)

# The served signatures, and what goes in and out of them beside the above.
SERVING_DEFAULT = "serving_default"
RECOMMEND = "recommend"
DWELL = "dwell"
EXAMPLES = "examples"
START = "start"
STEP = "step"
K = "k"
EXCLUDE_SEEN = "exclude_seen"
ALLOW = "allow"
DENY = "deny"
CANDIDATES = "candidates"
TIMES_SECONDS = "times_seconds"
PROBABILITIES = "probabilities"
SURVIVAL = "survival"
DWELL_MEDIAN_SECONDS = "dwell_median_seconds"
DWELL_QUANTILES_SECONDS = "dwell_quantiles_seconds"
QUANTILE_LEVELS = "quantile_levels"
PAGE_DWELL_MEDIAN_SECONDS = "page_dwell_median_seconds"
PAGE_REMAINING_QUANTILES_SECONDS = "page_remaining_quantiles_seconds"
PAGE_REMAINING_SURVIVAL = "page_remaining_survival"
SESSION_END_PROBABILITY = "session_end_probability"
ITEM = "item"
# Not the c2 of eq. 4, which has the name `LAST_DWELL_SECONDS`.
LAST_PAGE_DWELL_SECONDS = "last_dwell_seconds"
STATE_PREFIX = "state_"
CLICK_PROBABILITY = "click_probability"  # pCTR of a shown item.
CONVERSION_PROBABILITY = "conversion_probability"  # If it is clicked.
CLICK_CONVERSION_PROBABILITY = "click_conversion_probability"  # pCTCVR.

UNKNOWN_DWELL = -1.0  # Any negative or NaN dwell reads as "not known".
UNKNOWN_END = -1.0  # As `session_end` of the last click, where it is cut.

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)

PAGE_LEAVE = "page_leave"  # The dwell of the last click is known (the paper).
PAGE_LOAD = "page_load"  # The visitor is still on the page.
MOMENTS = (PAGE_LEAVE, PAGE_LOAD)

VOCABULARY_FILE = "vocabulary.txt"
MANIFEST_FILE = "manifest.json"
REJECTS_FILE = "rejects.jsonl"

MAX_DWELL_SECONDS = 2000.0  # c1 of eq. 4: longer dwells are censored here.
LAST_DWELL_SECONDS = 30.0  # c2 of eq. 4: the last click lasts longer than this.
# Of one input of a request: a few bytes can claim a tensor that fills memory.
MOST_REQUEST_VALUES = 2**22


class InputError(ValueError):
    """The request or its input is wrong; one sentence says what and where.

    Command lines turn it into exit code 2.
    """


@dataclasses.dataclass(frozen=True)
class Session:
    """A visitor's clicks in their order, with the censored dwell of each.

    Attributes:
        session_id: the raw id in the log.
        start_ms: instant of the first click, milliseconds UTC.
        items: `l` item ids: numbers (`OOV_ID` or at least `FIRST_ITEM_ID`), or
            the raw ids of the log where there is no vocabulary yet.
        dwell_seconds: `l` dwells tau after eq. 4; the last one is c2, or less
            where the log ended sooner, unless the site measured it.
        dwell_censored: `l` flags delta in {0, 1}; 1 where the dwell is only a
            lower bound (at least c1, or the session's last click).
        session_cut: 1 where the log ended before it was sure that the visitor
            had left: the last click need not be the session's end.
    """

    session_id: str
    start_ms: int
    items: Sequence[Any]
    dwell_seconds: Sequence[float]
    dwell_censored: Sequence[int]
    session_cut: int = 0

    def __post_init__(self):
        lengths = {
            len(self.items),
            len(self.dwell_seconds),
            len(self.dwell_censored),
        }
        if len(lengths) > 1:
            raise ValueError(
                "`items`, `dwell_seconds` and `dwell_censored` must have the "
                f"same length. Received: {self}"
            )

    def __len__(self) -> int:
        return len(self.items)


@dataclasses.dataclass(frozen=True)
class ShownList:
    """Items that a visitor was shown one after the other, and what they did.

    Features are those of the data folder's vocabulary, whose entries are
    texts `field=value`: 0 is padding, 1 a feature that training never saw,
    2... the entries by (count descending, text ascending).

    Attributes:
        list_id: the raw id in the log.
        start_ms: instant of the first item, milliseconds UTC; 0 where the log
            has no clock.
        offset_seconds: `m` times since `start_ms`, ascending; zeros where the
            log has none.
        features: `m` sequences of feature ids, none of them empty.
        feature_values: `m` sequences of numbers, one for each feature id.
        clicked: `m` flags in {0, 1}.
        converted: `m` flags in {0, 1}; nothing is converted without a click.
    """

    list_id: str
    start_ms: int
    offset_seconds: Sequence[float]
    features: Sequence[Sequence[int]]
    feature_values: Sequence[Sequence[float]]
    clicked: Sequence[int]
    converted: Sequence[int]

    def __post_init__(self):
        columns = (
            self.offset_seconds,
            self.features,
            self.feature_values,
            self.clicked,
            self.converted,
        )
        if len({len(column) for column in columns}) > 1:
            raise ValueError(
                "All columns of a list must have the same length. "
                f"Received: {self}"
            )

    def __len__(self) -> int:
        return len(self.clicked)

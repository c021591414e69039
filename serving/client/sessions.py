"""What a client asks of a model of sessions, and what it is answered."""

import dataclasses
import math
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jump_tf import schema
from serving.protocol import tensors

DEFAULT_K = 20  # Of a request with filters; as many as an export answers.

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Session:
    """A visitor's clicks so far.

    Attributes:
        items: raw ids, oldest first; may be empty.
        dwell_seconds: of the first clicks; negative, NaN or left out on the
            right where unknown, as for the page on screen.
        elapsed_seconds: already spent on the page on screen.
    """

    items: Sequence[str]
    dwell_seconds: Sequence[float] = ()
    elapsed_seconds: float = 0.0

    def __post_init__(self):
        if len(self.dwell_seconds) > len(self.items):
            raise schema.InputError(
                "`dwell_seconds` must not be longer than `items`. Received: "
                f"{len(self.dwell_seconds)} for {len(self.items)} items"
            )
        if math.isinf(self.elapsed_seconds):
            raise schema.InputError(
                "`elapsed_seconds` must be finite, or NaN if unknown. "
                f"Received: {self.elapsed_seconds}"
            )


@dataclasses.dataclass(frozen=True)
class RequestOptions:
    """What a request asks for; by default what the model was exported for.

    Attributes:
        k: recommendations, at most what the export allows.
        exclude_seen: whether items of the session are left out.
        allow: the only items to recommend; all where it is empty.
        deny: items never to recommend.
        times_seconds: at which survivals are told.
    """

    k: int | None = None
    exclude_seen: bool = False
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    times_seconds: Sequence[float] = ()

    def __post_init__(self):
        if self.k is not None and self.k < 1:
            raise schema.InputError(
                f"`k` must be at least 1. Received: {self.k}"
            )

    @property
    def signature(self) -> str:
        """The signature that answers: the default one unless `recommend`."""
        special = (
            self.k is not None
            or self.exclude_seen
            or self.allow
            or self.deny
            or self.times_seconds
        )
        return schema.RECOMMEND if special else schema.SERVING_DEFAULT


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """An item that may be clicked next.

    Attributes:
        item: its raw id.
        probability: of being the next click, among the whole catalogue.
        dwell_median_seconds: of the dwell on it, if it is clicked next.
        dwell_quantiles_seconds: the same by level, e.g. 0.9.
        survival: probability of staying longer, by the seconds asked about;
            None where none were.
    """

    item: str
    probability: float
    dwell_median_seconds: float
    dwell_quantiles_seconds: dict[float, float]
    survival: dict[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What follows a session; None is what the model does not tell.

    Attributes:
        recommendations: the likeliest next clicks, best first.
        page_dwell_median_seconds: of the total dwell on the page on screen,
            given that it exceeds the seconds elapsed; 0 without a click.
        page_remaining_quantiles_seconds: of what is left of it, by level.
        page_remaining_survival: probability that more is left, by the seconds
            asked about.
        session_end_probability: that no click follows the one on screen.
    """

    recommendations: list[Recommendation]
    page_dwell_median_seconds: float
    page_remaining_quantiles_seconds: dict[float, float] | None = None
    page_remaining_survival: dict[float, float] | None = None
    session_end_probability: float | None = None


@dataclasses.dataclass(frozen=True)
class DwellForecast:
    """How long an item would be looked at as the next click.

    Attributes:
        item: its raw id.
        survival: probability of staying longer, by the seconds asked about;
            as the model was trained, on the page or until the next click if
            one follows.
        dwell_median_seconds: of the dwell.
        dwell_quantiles_seconds: the same by level.
    """

    item: str
    survival: dict[float, float]
    dwell_median_seconds: float
    dwell_quantiles_seconds: dict[float, float]


def clicks(sessions: Sequence[Session]) -> dict[str, np.ndarray]:
    """Returns the inputs that hold clicks, which all signatures share."""
    items = tensors.padded([s.items for s in sessions], "", object)
    dwell_seconds = np.full(items.shape, schema.UNKNOWN_DWELL, np.float32)
    for row, session in enumerate(sessions):
        dwell_seconds[row, : len(session.dwell_seconds)] = session.dwell_seconds
    return {schema.ITEMS: items, schema.DWELL_SECONDS: dwell_seconds}


def inputs(
    sessions: Sequence[Session], options: RequestOptions
) -> dict[str, np.ndarray]:
    """Returns the inputs of `options.signature` for a batch of sessions."""
    elapsed = np.array([s.elapsed_seconds for s in sessions], np.float32)
    arrays = {**clicks(sessions), schema.ELAPSED_SECONDS: elapsed}
    if options.signature == schema.SERVING_DEFAULT:
        return arrays
    rows = len(sessions)
    k = DEFAULT_K if options.k is None else options.k
    return {
        **arrays,
        schema.K: np.full(rows, k, np.int32),
        schema.EXCLUDE_SEEN: np.full(rows, options.exclude_seen, bool),
        schema.ALLOW: _rows(options.allow, rows, object),
        schema.DENY: _rows(options.deny, rows, object),
        schema.TIMES_SECONDS: _rows(options.times_seconds, rows, np.float32),
    }


def step_inputs(
    item: str, last_dwell_seconds: float, elapsed_seconds: float, state: Arrays
) -> dict[str, np.ndarray]:
    """Returns the inputs of `step` for one session.

    Args:
        item: the click that follows; "" for none.
        last_dwell_seconds: on the page before it.
        elapsed_seconds: on its own page.
        state: of `state_of`.
    """
    return {
        schema.ITEM: np.array([item], object),
        schema.LAST_PAGE_DWELL_SECONDS: np.array(
            [last_dwell_seconds], np.float32
        ),
        schema.ELAPSED_SECONDS: np.array([elapsed_seconds], np.float32),
        **state,
    }


def state_of(outputs: Arrays) -> Arrays:
    """Returns the state in an answer of `start` or `step`, for the next."""
    return {
        name: array
        for name, array in outputs.items()
        if name.startswith(schema.STATE_PREFIX)
    }


def _rows(values, rows, dtype):
    columns = np.array(list(values), dtype)
    return np.broadcast_to(columns, (rows, len(columns)))


def read_answer(
    outputs: Arrays, row: int, times_seconds: Sequence[float] = ()
) -> Answer:
    """Returns the answer for one session of a batch.

    Args:
        outputs: of a signature that recommends.
        row: of the session in the batch.
        times_seconds: at which survivals were asked for.
    """
    levels = _levels(outputs, row)
    left = outputs.get(schema.PAGE_REMAINING_QUANTILES_SECONDS)
    end = outputs.get(schema.SESSION_END_PROBABILITY)
    return Answer(
        [
            Recommendation(
                item.decode(),
                float(outputs[schema.PROBABILITIES][row, column]),
                float(outputs[schema.DWELL_MEDIAN_SECONDS][row, column]),
                _quantiles(outputs, row, column),
                _survival(outputs, schema.SURVIVAL, times_seconds, row, column),
            )
            for column, item in enumerate(outputs[schema.ITEMS][row])
            if item  # Filters left fewer than were asked for.
        ],
        float(outputs[schema.PAGE_DWELL_MEDIAN_SECONDS][row]),
        None if left is None else _by_key(levels, left[row]),
        _survival(outputs, schema.PAGE_REMAINING_SURVIVAL, times_seconds, row),
        None if end is None else float(end[row]),
    )


def read_forecasts(
    outputs: Arrays, candidates: Sequence[str], times_seconds: Sequence[float]
) -> list[DwellForecast]:
    """Returns a forecast for each candidate, after the one session sent."""
    return [
        DwellForecast(
            item,
            _by_key(times_seconds, outputs[schema.SURVIVAL][0, column]),
            float(outputs[schema.DWELL_MEDIAN_SECONDS][0, column]),
            _quantiles(outputs, 0, column),
        )
        for column, item in enumerate(candidates)
    ]


def _survival(outputs, name, times_seconds, *place):
    if not times_seconds or name not in outputs:
        return None
    return _by_key(times_seconds, outputs[name][place])


def _quantiles(outputs, row: int, column: int) -> dict[float, float]:
    seconds = outputs[schema.DWELL_QUANTILES_SECONDS][row, column]
    return _by_key(_levels(outputs, row), seconds)


def _levels(outputs, row: int) -> list[float]:
    # Levels cross the wire as float32: 0.1 must not come back as 0.10000000149.
    return [round(float(x), 6) for x in outputs[schema.QUANTILE_LEVELS][row]]


def _by_key(keys: Sequence[float], values: np.ndarray) -> dict[float, float]:
    # A batching server may have padded the columns of a smaller request.
    return dict(zip(keys, map(float, values), strict=False))

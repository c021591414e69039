"""Counters of the stages, and the check that no row is lost between them.

Beam counters are shown live by runners that have a user interface.
"""

from collections.abc import Mapping
from collections.abc import Sequence

from apache_beam import metrics
from apache_beam.runners import runner

from jump_tf import schema

PLANNED = "planned ranges"  # Of the log, each to be read by some worker.
RANGES = "read ranges"
LINES = "lines"  # Lines of the log, without headers.
READ_LINES = "read lines"  # Those that could be read.
PARSED = "parsed"  # Clicks, or rows of lists, read from them.
REJECTED = "rejected"  # Lines that could not be read, by reason.
LISTED = "listed"  # Lines in the file of rejects.
FILTERED = "filtered"  # Clicks or rows that were dropped, by reason.
JOINED = "joined"  # Lists that got features which their items share.
GROUPED = "grouped"  # Clicks in sessions, before any is dropped.
TO_COUNT = "to count"  # Clicks in sessions, before rare items are dropped.
COUNTED = "counted"  # Clicks in the counts that tell which items are rare.
KEPT = "kept"  # Clicks or items that passed the filters.
RANKED = "ranked"  # Training clicks by which the vocabulary is in order.

# In the written files, by split.
SESSIONS = "sessions"
CLICKS = "clicks"
LISTS = "lists"
ITEMS = "items"
CONVERSIONS = "conversions"
READ_BACK = "read back "  # The same, counted in the files once written.

# Stage, what comes in, what must go out of it.
Stage = tuple[str, str, tuple[str, ...]]
# A line is a click, but in some formats it holds many.
SESSION_STAGES: tuple[Stage, ...] = (
    ("read", PLANNED, (RANGES,)),
    ("parse", LINES, (READ_LINES, REJECTED)),
    ("list rejects", REJECTED, (LISTED,)),
    ("group", PARSED, (GROUPED,)),
    ("count items", TO_COUNT, (COUNTED,)),
    ("filter", GROUPED, (KEPT, FILTERED)),
    ("write", KEPT, (CLICKS,)),
    ("vocabulary", f"{CLICKS}: {schema.TRAIN}", (RANKED,)),
    ("read back", CLICKS, (READ_BACK + CLICKS,)),
    ("read back", SESSIONS, (READ_BACK + SESSIONS,)),
)
# Of what became complete in a window of a stream's time.
WINDOW_STAGES: tuple[Stage, ...] = (
    ("filter", PARSED, (KEPT, FILTERED)),
    ("write", KEPT, (CLICKS,)),
    ("read back", CLICKS, (READ_BACK + CLICKS,)),
    ("read back", SESSIONS, (READ_BACK + SESSIONS,)),
)
# A line may hold many rows, or none.
LIST_STAGES: tuple[Stage, ...] = (
    ("read", PLANNED, (RANGES,)),
    ("parse", LINES, (READ_LINES, REJECTED)),
    ("list rejects", REJECTED, (LISTED,)),
    ("group and filter", PARSED, (KEPT, FILTERED)),
    ("write", KEPT, (ITEMS,)),
    ("read back", ITEMS, (READ_BACK + ITEMS,)),
    ("read back", LISTS, (READ_BACK + LISTS,)),
)

_NAMESPACE = "prepare"
_SEPARATOR = ": "

Counts = Mapping[str, Mapping[str, int]]


def counter(name: str, part: str = ""):
    """A Beam counter of one part (a reason, a split) of a quantity."""
    return metrics.Metrics.counter(_NAMESPACE, f"{name}{_SEPARATOR}{part}")


def count_filtered(reason: str, number: int) -> None:
    """Counts clicks or rows that are dropped for a reason, if there are any."""
    if number:
        counter(FILTERED, reason).inc(number)


def collect(result: runner.PipelineResult) -> dict[str, dict[str, int]]:
    """Returns quantity -> part -> number of a finished job."""
    filters = metrics.MetricsFilter().with_namespace(_NAMESPACE)
    counts: dict[str, dict[str, int]] = {}
    for counted in result.metrics().query(filters)["counters"]:
        name, part = counted.key.metric.name.split(_SEPARATOR, 1)
        parts = counts.setdefault(name, {})
        # One counter may be kept by several steps.
        parts[part] = parts.get(part, 0) + counted.result
    return counts


def total(counts: Counts, name: str) -> int:
    """Returns the sum of a quantity's parts, or one part: `quantity: part`."""
    quantity, _, part = name.partition(_SEPARATOR)
    parts = counts.get(quantity, {})
    return parts.get(part, 0) if part else sum(parts.values())


def check(counts: Counts, stages: Sequence[Stage] = SESSION_STAGES) -> None:
    """Checks that each stage passed on, or counted, all that it received.

    Together the stages' sums are rows = clicks + rejected + filtered, or
    rows = items + rejected + filtered.

    Raises:
        RuntimeError: a stage lost or doubled something; says which.
    """
    for stage, incoming, outgoing in stages:
        received = total(counts, incoming)
        passed = sum(total(counts, name) for name in outgoing)
        if received != passed:
            raise RuntimeError(
                f"Stage `{stage}` must pass on or count everything. "
                f"Received: {received} in, {passed} out"
            )

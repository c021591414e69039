"""What the stages counted, and the law that no row gets lost between them.

Beam counters are shown live by runners that have a user interface.
"""

from collections.abc import Mapping

from apache_beam import metrics
from apache_beam.runners import runner

ROWS = "rows"  # Lines of the log, without headers.
PARSED = "parsed"  # Clicks read from them.
REJECTED = "rejected"  # Rows that could not be read, by reason.
FILTERED = "filtered"  # Clicks that the filters dropped, by reason.
KEPT = "kept"  # Clicks that passed the filters.
SESSIONS = "sessions"  # Sessions in the written files, by split.
CLICKS = "clicks"  # Clicks in the written files, by split.

_NAMESPACE = "prepare"
_SEPARATOR = ": "

Counts = Mapping[str, Mapping[str, int]]


def counter(name: str, part: str = ""):
    """A Beam counter of one part (a reason, a split) of a quantity."""
    return metrics.Metrics.counter(_NAMESPACE, f"{name}{_SEPARATOR}{part}")


def collect(result: runner.PipelineResult) -> dict[str, dict[str, int]]:
    """Quantity -> part -> number, of a job that is done."""
    filters = metrics.MetricsFilter().with_namespace(_NAMESPACE)
    counts: dict[str, dict[str, int]] = {}
    for counted in result.metrics().query(filters)["counters"]:
        name, part = counted.key.metric.name.split(_SEPARATOR, 1)
        parts = counts.setdefault(name, {})
        # One counter may be kept by several steps.
        parts[part] = parts.get(part, 0) + counted.result
    return counts


def total(counts: Counts, name: str) -> int:
    """The sum over the parts of a quantity."""
    return sum(counts.get(name, {}).values())


def check(counts: Counts) -> None:
    """Holds the job to rows = clicks + rejected + filtered, stage by stage.

    Raises:
        RuntimeError: a stage lost or doubled clicks; says which.
    """
    _check_stage(counts, "parse", ROWS, (PARSED, REJECTED))
    _check_stage(counts, "group and filter", PARSED, (KEPT, FILTERED))
    _check_stage(counts, "write", KEPT, (CLICKS,))


def _check_stage(counts, stage, incoming, outgoing):
    received = total(counts, incoming)
    passed = sum(total(counts, name) for name in outgoing)
    if received != passed:
        raise RuntimeError(
            f"Stage `{stage}` must pass on or count every click. "
            f"Received: {received} in, {passed} out"
        )

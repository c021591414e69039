"""What a load test found, as numbers and as text."""

import collections
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import numpy as np

from jump_tf import schema
from serving.load_test.senders import OK

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
_HELD_SHARE = 0.95  # Answered in time, of what was asked: the backlog is none.
_BUSY = 0.9  # Of a core: the generator can hardly send more.
_LATE_SHARE = 0.5  # Of the p99: it is more our lateness than the server.
_EDGES_MS = np.array([1, 2, 3, 5, 7, 10, 15, 20, 50, 100, 200, 500, 1000, 5000])
_BAR = 50


@dataclasses.dataclass(frozen=True)
class Slo:
    """Limits of the latency, a service level objective; None is no limit.

    Attributes:
        p90_ms: at most this p90 of the latency.
        p99_ms: at most this p99.

    Raises:
        InputError: one is not positive.
    """

    p90_ms: float | None = None
    p99_ms: float | None = None

    def __post_init__(self):
        for name, limit in (("p90", self.p90_ms), ("p99", self.p99_ms)):
            if limit is not None and not limit > 0:
                raise schema.InputError(
                    f"`--slo-{name}-ms` must be positive. Received: {limit}"
                )


@dataclasses.dataclass(frozen=True)
class Result:
    """What one load found; the warm-up is left out of all but the CPU.

    Attributes:
        rate: that was asked for, a second.
        seconds: for how long.
        answered_rate: of good answers before the time was over, a second.
        latency_ms: by name of the quantile, and `max`; of good answers, from
            the moment a request was due to its answer. NaN if there is none.
        late_ms: `p50`, `p99` and `max` of how late requests were sent.
        statuses: requests by status.
        cpu_share: cores that the generator itself took.
        histogram: good answers by latency, up to each edge in milliseconds
            and above the last.
    """

    rate: float
    seconds: float
    answered_rate: float
    latency_ms: dict[str, float]
    late_ms: dict[str, float]
    statuses: dict[str, int]
    cpu_share: float
    histogram: list[int]

    @classmethod
    def of(
        cls,
        rate: float,
        seconds: float,
        due: np.ndarray,
        sent: np.ndarray,
        done: np.ndarray,
        statuses: Sequence[str],
        cpu_share: float,
    ) -> Self:
        """Returns the result of requests.

        Args:
            rate: that was asked for, a second.
            seconds: for how long.
            due: `[N]` seconds at which each was due; negative ones warm up.
            sent: `[N]` seconds at which each was sent.
            done: `[N]` seconds at which each was answered.
            statuses: of each.
            cpu_share: cores that the generator itself took.
        """
        counts = due >= 0
        status = np.array(statuses, object)[counts]
        good = status == OK
        latency = 1000 * (done - due)[counts][good]
        late = 1000 * (sent - due)[counts]
        return cls(
            rate,
            seconds,
            float(np.count_nonzero(done[counts][good] <= seconds) / seconds),
            _quantiles(latency, QUANTILES),
            _quantiles(late, {"p50": 0.5, "p99": 0.99}),
            dict(collections.Counter(status.tolist())),
            cpu_share,
            np.bincount(
                np.searchsorted(_EDGES_MS, latency),
                minlength=len(_EDGES_MS) + 1,
            ).tolist(),
        )

    @property
    def errors(self) -> int:
        """The number of requests without a good answer."""
        return sum(self.statuses.values()) - self.statuses.get(OK, 0)

    @property
    def generator_was_the_bottleneck(self) -> bool:
        """Whether the generator, not the server, set the latencies."""
        late = self.late_ms["p99"] > _LATE_SHARE * self.latency_ms["p99"]
        return late or self.cpu_share > _BUSY

    def meets(self, slo: Slo) -> bool:
        """Returns whether the latencies are within the limits."""
        return all(
            limit is None or self.latency_ms[name] <= limit
            for name, limit in (("p90", slo.p90_ms), ("p99", slo.p99_ms))
        )

    def holds(self, slo: Slo) -> bool:
        """Returns whether the server keeps up, without errors, in time."""
        keeps_up = self.answered_rate >= _HELD_SHARE * self.rate
        return keeps_up and not self.errors and self.meets(slo)

    def to_json(self) -> dict[str, Any]:
        """Returns all numbers, for a file of JSON."""
        return {
            **dataclasses.asdict(self),
            "errors": self.errors,
            "histogram_edges_ms": _EDGES_MS.tolist(),
            "generator_was_the_bottleneck": self.generator_was_the_bottleneck,
        }


def _quantiles(values, quantiles: Mapping[str, float]) -> dict[str, float]:
    """The smallest value that such a share does not exceed, and the largest."""
    if not len(values):
        return dict.fromkeys((*quantiles, "max"), float("nan"))
    found = np.quantile(values, list(quantiles.values()), method="higher")
    return {
        **dict(zip(quantiles, found.tolist(), strict=True)),
        "max": float(values.max()),
    }


HEAD = (
    "   asked/s  answered/s"
    + "".join(f"{name:>9}" for name in (*QUANTILES, "max"))
    + "  errors   late p99     CPU"
)


def line(result: Result) -> str:
    """Returns a result in the columns of `HEAD`; times in milliseconds."""
    times = "".join(f"{value:9.2f}" for value in result.latency_ms.values())
    return (
        f"{result.rate:10,.1f}{result.answered_rate:12,.1f}{times}"
        f"{result.errors:8,}{result.late_ms['p99']:11.2f}"
        f"{result.cpu_share:8.2f}"
    )


def details(result: Result) -> str:
    """Returns the histogram, the errors by status, and what to doubt."""
    names = [f"<= {edge:,}" for edge in _EDGES_MS] + [f"> {_EDGES_MS[-1]:,}"]
    filled = np.flatnonzero(result.histogram)
    lines = ["latency, ms   answers"]
    if len(filled):
        for place in range(filled[0], filled[-1] + 1):
            count = result.histogram[place]
            bar = "#" * round(_BAR * count / max(result.histogram))
            lines.append(f"{names[place]:>11}{count:10,}  {bar}".rstrip())
    lines.extend(
        f"{status}: {count:,}"
        for status, count in sorted(result.statuses.items())
        if status != OK
    )
    if result.generator_was_the_bottleneck:
        lines.append(
            "The generator itself was the bottleneck: it took "
            f"{result.cpu_share:.2f} of a core and sent 1 % of the requests "
            f"{result.late_ms['p99']:.1f} ms late or more."
        )
    return "\n".join(lines)


def capacity(results: Sequence[Result], slo: Slo) -> float:
    """Returns the highest rate up to which all of a ramp were held; else 0."""
    held = 0.0
    for result in results:
        if not result.holds(slo):
            break
        held = result.rate
    return held

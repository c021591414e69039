"""What a server counts, under TF Serving's names, and its Prometheus text.

A dashboard made for tensorflow_model_server reads it unchanged: `/` of a name
is `:`, nothing is added to it. Names that begin with `:jump_tf:` are ours.
"""

import bisect
import itertools
import threading
from collections.abc import Iterator

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_LABELS = 1000
_OTHER = "other"
_TF = ":tensorflow:serving:"
_JUMP = ":jump_tf:serving:"


def exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """The upper limits of `count` buckets; one without a limit is implied."""
    return tuple(scale * growth**k for k in range(count))


# Of the same name in TF Serving's sources.
_MICROS = exponential(10, 1.8, 33)  # 10 us to 24 minutes.
_QUEUED_MICROS = exponential(100, 1.2, 52)
_EXAMPLES = exponential(1, 2, 15)


class _Family:
    """Values of one name by the values of its labels.

    A client may ask for models that do not exist; after `MAX_LABELS` values
    the others are counted together, so that it cannot fill the memory.
    """

    kind = "counter"

    def __init__(self, name: str, *labels: str):
        self.name = name
        self._labels = labels
        self._cells: dict[tuple[str, ...], list[float]] = {}

    def add(self, labels: tuple[str, ...], value: float = 1) -> None:
        self._cell(labels)[0] += value

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """Suffix of the name, text of the labels, value."""
        for labels, (value,) in self._cells.items():
            yield "", self._text(labels), value

    def _cell(self, labels: tuple[str, ...]) -> list[float]:
        cell = self._cells.get(labels)
        if cell is None:
            if len(self._cells) >= MAX_LABELS:
                labels = (_OTHER,) * len(labels)
            cell = self._cells.setdefault(labels, self._new())
        return cell

    def _new(self) -> list[float]:
        return [0]

    def _text(self, values: tuple[str, ...]) -> str:
        return ",".join(
            f'{label}="{_escaped(value)}"'
            for label, value in zip(self._labels, values, strict=True)
        )


class _Histogram(_Family):
    """A cell holds the count of each bucket and, last, the sum."""

    kind = "histogram"

    def __init__(self, name: str, limits: tuple[float, ...], *labels: str):
        super().__init__(name, *labels)
        self._limits = limits
        self._texts = [*(f"{limit:g}" for limit in limits), "+Inf"]

    def add(self, labels: tuple[str, ...], value: float = 1) -> None:
        cell = self._cell(labels)
        cell[bisect.bisect_left(self._limits, value)] += 1
        cell[-1] += value

    def samples(self) -> Iterator[tuple[str, str, float]]:
        for labels, (*counts, total) in self._cells.items():
            text = self._text(labels)
            cumulative = list(itertools.accumulate(counts))
            for limit, count in zip(self._texts, cumulative, strict=True):
                yield "_bucket", f'{text},le="{limit}"', count
            yield "_sum", text, total
            yield "_count", text, cumulative[-1]

    def _new(self) -> list[float]:
        return [0] * (len(self._limits) + 2)


class Metrics:
    """Counters and histograms of a server; methods may be called anywhere.

    Latencies and waits are in microseconds.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._requests = _Family(f"{_TF}request_count", "model_name", "status")
        self._request_micros = _Histogram(
            f"{_TF}request_latency", _MICROS, "model_name", "API", "entrypoint"
        )
        self._runtime_micros = _Histogram(
            f"{_TF}runtime_latency", _MICROS, "model_name", "API", "runtime"
        )
        self._examples = _Histogram(
            f"{_TF}request_example_counts", _EXAMPLES, "model"
        )
        self._examples_total = _Family(
            f"{_TF}request_example_count_total", "model"
        )
        self._warmup_micros = _Histogram(
            f"{_TF}model_warmup_latency", _MICROS, "model_path", "status"
        )
        self._queued_micros = _Histogram(
            f"{_TF}batching_session:queuing_latency",
            _QUEUED_MICROS,
            "thread_pool_name",
        )
        self._batch_size = _Histogram(
            f"{_JUMP}batch_size", _EXAMPLES, "model_name"
        )

    def request(
        self,
        model: str,
        status: str,
        api: str,
        entrypoint: str,
        latency_micros: float,
    ) -> None:
        """Counts an answer; as TF Serving, times only those that are OK.

        Args:
            model: its name.
            status: the name of a gRPC code.
            api: "Predict", over REST "predict", and so on.
            entrypoint: "GRPC" or "REST".
            latency_micros: from the request to the answer.
        """
        with self._lock:
            self._requests.add((model, status))
            if status == "OK":
                self._request_micros.add(
                    (model, api, entrypoint), latency_micros
                )

    def runtime(self, model: str, api: str, micros: float) -> None:
        """Times one run of a graph."""
        with self._lock:
            self._runtime_micros.add((model, api, "TF1"), micros)

    def batch(self, model: str, size: int, queued_micros: float) -> None:
        """Counts the rows of a batch, and how long its first one waited."""
        with self._lock:
            self._batch_size.add((model,), size)
            self._queued_micros.add((model,), queued_micros)

    def warmup(self, model: str, micros: float) -> None:
        """Times the warm-up of a version."""
        with self._lock:
            self._warmup_micros.add((model, "OK"), micros)

    def examples(self, model: str, rows: int) -> None:
        """Counts the rows of a request."""
        with self._lock:
            self._examples.add((model,), rows)
            self._examples_total.add((model,), rows)

    def text(self) -> str:
        """All of it in Prometheus' text format 0.0.4."""
        lines = []
        with self._lock:
            for family in vars(self).values():
                if isinstance(family, _Family):
                    lines.append(f"# TYPE {family.name} {family.kind}")
                    lines += [
                        f"{family.name}{suffix}{{{labels}}} {value:.15g}"
                        for suffix, labels, value in family.samples()
                    ]
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

"""What a server counts, under TF Serving's names, for Prometheus.

A dashboard made for tensorflow_model_server reads it unchanged: `/` of a name
is `:`, nothing is added to it. Names that begin with `:jump_tf:` are ours.
"""

import re
from collections.abc import Iterator
from typing import Any

import prometheus_client
from prometheus_client import exposition
from prometheus_client import metrics_core

CONTENT_TYPE = exposition.CONTENT_TYPE_PLAIN_0_0_4
MAX_LABELS = 1000
OTHER = "other"  # Models that nobody serves.
_TF = ":tensorflow:serving:"
_JUMP = ":jump_tf:serving:"
# The library adds `_total` to the names of counters; TF Serving does not.
_COUNTER = f"{_TF}request_count"
_ADDED = re.compile(rf"^((?:# \w+ )?{_COUNTER})_total\b", re.MULTILINE)


def _exponential(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Returns the upper limits of `count` buckets, but for the infinite one.

    They have six digits, as TF Serving prints them.
    """
    return tuple(float(f"{scale * growth**k:g}") for k in range(count))


# The buckets of TF Serving's sources.
_MICROS = _exponential(10, 1.8, 33)  # 10 us to 24 minutes.
_QUEUED_MICROS = _exponential(100, 1.2, 52)
_ROWS = _exponential(1, 2, 15)


class _Registry(prometheus_client.CollectorRegistry):
    """Leaves out the `_created` samples, which TF Serving does not have."""

    def collect(self) -> Iterator[metrics_core.Metric]:
        for family in super().collect():
            family.samples = [
                sample
                for sample in family.samples
                if sample.name != f"{family.name}_created"
            ]
            yield family


class _Labelled:
    """A counter or a histogram with a bounded number of label values.

    A client may ask for models that do not exist; after `MAX_LABELS` values
    the others are counted together, so that it cannot fill the memory.
    """

    def __init__(self, metric: Any):
        self._metric = metric
        self._children: dict[tuple[str, ...], Any] = {}

    def __call__(self, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            if len(self._children) >= MAX_LABELS:
                labels = (OTHER,) * len(labels)
            child = self._children[labels] = self._metric.labels(*labels)
        return child


class Metrics:
    """Counters and histograms of a server; methods may be called anywhere.

    Latencies and waits are in microseconds.
    """

    def __init__(self):
        self._registry = _Registry()
        self._requests = _Labelled(
            prometheus_client.Counter(
                _COUNTER,
                "Requests",
                ("model_name", "status"),
                registry=self._registry,
            )
        )
        self._request_micros = self._histogram(
            f"{_TF}request_latency",
            "Microseconds from a request to its answer",
            _MICROS,
            "model_name",
            "API",
            "entrypoint",
        )
        self._runtime_micros = self._histogram(
            f"{_TF}runtime_latency",
            "Microseconds that a run of a graph took",
            _MICROS,
            "model_name",
            "API",
            "runtime",
        )
        self._warmup_micros = self._histogram(
            f"{_TF}model_warmup_latency",
            "Microseconds that the warm-up of a version took",
            _MICROS,
            "model_path",
            "status",
        )
        self._queued_micros = self._histogram(
            f"{_TF}batching_session:queuing_latency",
            "Microseconds that the first request of a run waited",
            _QUEUED_MICROS,
            "thread_pool_name",
        )
        self._batch_size = self._histogram(
            f"{_JUMP}batch_size", "Rows of a run", _ROWS, "model_name"
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
        self._requests(model, status).inc()
        if status == "OK":
            self._request_micros(model, api, entrypoint).observe(latency_micros)

    def runtime(self, model: str, api: str, micros: float) -> None:
        """Records how long a run of a graph took.

        Args:
            model: its name.
            api: "Predict".
            micros: of the run.
        """
        self._runtime_micros(model, api, "TF1").observe(micros)

    def batch(self, model: str, size: int, queued_micros: float) -> None:
        """Records a batch that runs.

        Args:
            model: its name.
            size: rows.
            queued_micros: that its first request waited.
        """
        self._batch_size(model).observe(size)
        self._queued_micros(model).observe(queued_micros)

    def warmup(self, model: str, micros: float) -> None:
        """Records how long all warm-up requests of a version took."""
        self._warmup_micros(model, "OK").observe(micros)

    def text(self) -> str:
        """Returns all metrics in Prometheus' text format 0.0.4."""
        text = exposition.generate_latest(self._registry).decode()
        return _ADDED.sub(r"\1", text)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> _Labelled:
        return _Labelled(
            prometheus_client.Histogram(
                name, text, labels, buckets=buckets, registry=self._registry
            )
        )

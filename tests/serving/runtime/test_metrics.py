"""The text is read back by Prometheus' own parser."""

import re
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.runtime import metrics

LATENCY = ":tensorflow:serving:request_latency"


@pytest.fixture
def counted():
    return metrics.Metrics()


def samples(counted):
    """{(name, labels): value}; the parser itself ends counters in _total."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(counted.text())
        for sample in family.samples
    }


def value(counted, name, **labels):
    return samples(counted)[name, frozenset(labels.items())]


def test_each_number_is_under_tf_servings_name(counted):
    counted.request("jump", "OK", "Predict", "GRPC", 700.0)
    counted.request("jump", "NOT_FOUND", "Predict", "GRPC", 30.0)
    counted.runtime("jump", "Predict", 400.0)
    counted.runtime("jump", "Predict", 500.0)
    counted.warmup("jump", 2.5e6)
    counted.batch("jump", 11, 250.0)
    prefix = ":tensorflow:serving:"
    expected = {
        ("request_count_total", ("model_name", "status"), ("jump", "OK")): 1,
        (
            "request_count_total",
            ("model_name", "status"),
            ("jump", "NOT_FOUND"),
        ): 1,
        (
            "request_latency_sum",
            ("model_name", "API", "entrypoint"),
            ("jump", "Predict", "GRPC"),
        ): 700,
        (
            "runtime_latency_sum",
            ("model_name", "API", "runtime"),
            ("jump", "Predict", "TF1"),
        ): 900,
        (
            "model_warmup_latency_sum",
            ("model_path", "status"),
            ("jump", "OK"),
        ): 2.5e6,
        (
            "batching_session:queuing_latency_sum",
            ("thread_pool_name",),
            ("jump",),
        ): 250,
    }
    found = samples(counted)
    for (name, labels, values), number in expected.items():
        key = frozenset(zip(labels, values, strict=True))
        assert found[prefix + name, key] == number, name
    jump = {"model_name": "jump"}
    assert value(counted, ":jump_tf:serving:batch_size_sum", **jump) == 11


def test_nothing_is_added_to_the_name_of_a_counter(counted):
    counted.request("jump", "OK", "Predict", "GRPC", 700.0)
    counted.request("jump", "OK", "Predict", "GRPC", 700.0)
    name = ":tensorflow:serving:request_count"
    line = f'{name}{{model_name="jump",status="OK"}} 2.0'
    lines = counted.text().splitlines()
    assert line in lines
    assert f"# TYPE {name} counter" in lines


def test_no_other_name_is_told(counted):
    counted.request("jump", "OK", "Predict", "GRPC", 700.0)
    lines = counted.text().splitlines()
    names = {re.split(r"[{ ]", x)[0] for x in lines if x[0] != "#"}
    assert names == {
        ":tensorflow:serving:request_count",
        *(f"{LATENCY}_{suffix}" for suffix in ("bucket", "sum", "count")),
    }


def test_types(counted):
    kinds = {
        family.name: family.type
        for family in text_string_to_metric_families(counted.text())
    }
    assert kinds[":tensorflow:serving:request_count"] == "counter"
    assert kinds[LATENCY] == "histogram"


def test_buckets_are_cumulative_and_thirty_three_with_a_limit(counted):
    micros = [3.0, 10.0, 10.5, 18.5, 1e12]
    for number in micros:
        counted.request("jump", "OK", "Predict", "REST", number)
    buckets = {
        dict(labels)["le"]: count
        for (name, labels), count in samples(counted).items()
        if name == f"{LATENCY}_bucket"
    }
    assert len(buckets) == 34
    limits = [float(limit) for limit in buckets]
    assert limits[:3] == [10.0, 18.0, 32.4]
    assert limits[32] == pytest.approx(10 * 1.8**32, rel=1e-5)
    assert limits[33] == float("inf")
    for limit, count in buckets.items():
        assert count == sum(x <= float(limit) for x in micros), limit
    labels = {"model_name": "jump", "API": "Predict", "entrypoint": "REST"}
    assert value(counted, f"{LATENCY}_count", **labels) == 5
    assert value(counted, f"{LATENCY}_sum", **labels) == pytest.approx(
        sum(micros), rel=1e-12
    )


def test_failures_are_counted_but_not_timed(counted):
    counted.request("jump", "UNAVAILABLE", "Predict", "GRPC", 9.0)
    assert not [key for key in samples(counted) if LATENCY in key[0]]


def test_hostile_names_come_back_as_they_went(counted):
    name = 'a"b\\c\nd{}e=,\\n\n:tensorflow:serving:request_count_total'
    for _ in range(3):
        counted.request(name, "OK", "Predict", "GRPC", 1.0)
    total = ":tensorflow:serving:request_count_total"
    assert value(counted, total, model_name=name, status="OK") == 3


def test_names_without_end_do_not_fill_the_memory(counted, monkeypatch):
    monkeypatch.setattr(metrics, "MAX_LABELS", 4)
    for number in range(11):
        counted.request(f"no-{number}", "NOT_FOUND", "Predict", "GRPC", 1.0)
    counts = samples(counted)
    assert len(counts) == 5
    assert sum(counts.values()) == 11


def test_concurrent_updates_lose_nothing(counted):
    def count(number):
        for _ in range(2000):
            counted.request("jump", "OK", "Predict", "GRPC", number)
            counted.batch("jump", number, 1.0)

    threads = [threading.Thread(target=count, args=(n,)) for n in (2, 3, 7)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counted.text()
    labels = {"model_name": "jump", "API": "Predict", "entrypoint": "GRPC"}
    assert value(counted, f"{LATENCY}_count", **labels) == 6000
    assert value(counted, f"{LATENCY}_sum", **labels) == 24_000
    size = ":jump_tf:serving:batch_size_sum"
    assert value(counted, size, model_name="jump") == 24_000

"""What a core counts and logs of requests."""

import json
import logging
import types

import pytest
from tensorflow_serving.apis import predict_pb2

from serving.protocol import errors
from serving.runtime import logs
from serving.runtime.core import Core
from serving.runtime.limits import Limits
from serving.runtime.metrics import Metrics


@pytest.fixture
def core():
    manager = types.SimpleNamespace(knows=lambda name: name == "jump")
    return Core(manager, Metrics(), Limits())


def ask(core, name, signature=""):
    """Asks for a model that is refused."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    with (
        pytest.raises(errors.ServingError),
        core.counted(request, request.model_spec, "Predict"),
    ):
        raise errors.not_found("It is not served")


def test_names_that_nobody_serves_are_counted_together(core):
    """Or whoever asks fills the memory with names of his own."""
    for number in range(20):
        ask(core, f"{number}" * 1_000_000)
    ask(core, "jump")
    text = core.metrics.text()
    assert 'model_name="other",status="NOT_FOUND"} 20.0' in text
    assert 'model_name="jump",status="NOT_FOUND"} 1.0' in text
    assert len(text) < 10_000


def test_a_log_line_is_short_whatever_it_was_asked(core, caplog):
    with caplog.at_level(logging.INFO, logger="serving"):
        ask(core, "n" * 1_000_000, "s" * 1_000_000)
        ask(core, "jump")
    long, short = map(logs.JsonFormatter().format, caplog.records)
    assert len(long) < 1_000
    assert json.loads(long)["model"].endswith("... (1000000 characters)")
    assert json.loads(short)["model"] == "jump"

"""What surrounds predictions: health, reflection, limits, time, stopping."""

import asyncio
import concurrent.futures
import threading
import time

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc
from tensorflow_serving.apis import classification_pb2
from tensorflow_serving.apis import inference_pb2
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis import regression_pb2

from serving.protocol import tensors
from serving.protocol.errors import ServingError
from serving.runtime.batching_options import BatchingOptions
from serving.runtime.limits import Limits
from serving.runtime.saved_model import LoadedModel
from serving.server import Server
from serving.settings import Settings
from tests.serving import tiny_saved_model

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
EXHAUSTED = "RESOURCE_EXHAUSTED"
WAS_PREDICT = "Was: tensorflow/serving/predict"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny").mkdir()
    tiny_saved_model.write(folder / "tiny" / "5")
    return folder


def server_of(folder, **settings):
    settings = Settings(port=0, rest_port=-1, **settings)
    return Server.of_folder(folder, settings, poll_seconds=0)


LIMITS = Limits(
    max_message_bytes=50_000,
    max_concurrent_requests=3,
    max_rows=6,
    max_clicks=8,
)


@pytest.fixture(scope="module")
def channel(folder):
    with (
        server_of(folder, limits=LIMITS) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield channel


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture
def gate(monkeypatch):
    """Runs wait for `open`; `entered` counts those that began."""

    class Gate:
        entered = threading.Semaphore(0)
        open = threading.Event()
        runs = 0

    run = LoadedModel.run

    def gated(self, signature, inputs):
        Gate.runs += 1
        Gate.entered.release()
        assert Gate.open.wait(30)
        return run(self, signature, inputs)

    monkeypatch.setattr(LoadedModel, "run", gated)
    yield Gate
    Gate.open.set()


@pytest.fixture
def gated(folder, gate):
    """Predictions whose runs wait for the gate."""
    with (
        server_of(folder, limits=LIMITS) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(shape=(1, 2), signature="", **changed):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "tiny"
    message.model_spec.signature_name = signature
    inputs = {
        "names": np.full(shape, "n", object),
        "values": np.full(shape, 3.0, np.float32),
        **changed,
    }
    for name, array in inputs.items():
        message.inputs[name].CopyFrom(tensors.to_proto(array))
    return message


def refusal(call, message, timeout=30.0):
    with pytest.raises(grpc.RpcError) as caught:
        call(message, timeout=timeout)
    return caught.value.code().name, caught.value.details()


def health(channel, name):
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "PredictionService",
        "ModelService",
    ],
)
def test_health(channel, name):
    assert health(channel, name) == "SERVING"


def test_reflection(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**question):
        message = reflection_pb2.ServerReflectionRequest(**question)
        return next(stub.ServerReflectionInfo(iter([message]), timeout=30))

    listed = ask(list_services="").list_services_response.service
    assert {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    } <= {service.name for service in listed}
    found = ask(file_containing_symbol="tensorflow.serving.PredictRequest")
    assert found.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize(
    ("shape", "changed"),
    [((7, 1), {}), ((1, 9), {}), ((1, 1), {"values": np.ones((1, 9), "f")})],
)
def test_too_large_inputs(predictions, shape, changed):
    predictions.Predict(request((6, 8)), timeout=30)
    code, text = refusal(predictions.Predict, request(shape, **changed))
    assert code == "INVALID_ARGUMENT"
    assert "must have at most 6 rows, 8 values in a row" in text


def test_a_few_bytes_cannot_claim_the_memory():
    limits = Limits(max_rows=10**6, max_clicks=10**6)
    limits.check("x", (1, 10**6))
    with pytest.raises(ServingError, match="and 4194304 in all"):
        limits.check("x", (10_000, 999))


def test_too_long_messages(predictions):
    code, _ = refusal(
        predictions.Predict,
        request(names=np.array([["x" * 60_000, ""]], object)),
    )
    assert code == EXHAUSTED


def test_too_many_requests_at_once(gated, gate):
    calls = [gated.Predict.future(request()) for _ in range(3)]
    assert gate.entered.acquire(timeout=30)
    # The fourth waits as they do, or finds that they are three already.
    wait_until(lambda: refusal(gated.Predict, request(), 0.2)[0] == EXHAUSTED)
    assert refusal(gated.Predict, request()) == (
        EXHAUSTED,
        "There are 3 requests under way already",
    )
    gate.open.set()
    for call in calls:
        assert call.result(timeout=30).outputs["sum"].float_val == [6.0]
    gated.Predict(request(), timeout=30)


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_callers_deadline(gated, gate):
    under_way = gated.Predict.future(request())
    assert gate.entered.acquire(timeout=30)
    code, _ = refusal(gated.Predict, request((2, 2)), timeout=0.2)
    assert code == "DEADLINE_EXCEEDED"
    waiting = gated.Predict.future(request((3, 2)))
    gate.open.set()
    assert len(under_way.result(timeout=30).outputs["sum"].float_val) == 1
    assert len(waiting.result(timeout=30).outputs["sum"].float_val) == 3
    assert gate.runs == 2  # What nobody waited for any more was not run.


def test_a_default_for_an_input(predictions):
    message = request(signature="scaled", names=np.float32(2.0))
    message.inputs["factor"].CopyFrom(message.inputs.pop("names"))
    given = predictions.Predict(message, timeout=30)
    assert given.outputs["scaled"].float_val == [6.0, 6.0]
    del message.inputs["factor"]
    default = predictions.Predict(message, timeout=30)
    assert default.outputs["scaled"].float_val == [9.0, 9.0]
    del message.inputs["values"]
    assert refusal(predictions.Predict, message) == (
        "INVALID_ARGUMENT",
        "Signature input alias: values(feed name: scaled_values:0) not found "
        "in request and no default value provided. Inputs expected to be in "
        "the request {}, or default input alias set: factor",
    )


def test_an_initializer_is_no_prediction(predictions):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "tiny"
    message.model_spec.signature_name = "__saved_model_init_op"
    assert refusal(predictions.Predict, message) == (
        "INTERNAL",
        "Expected prediction signature method_name to be one of "
        "{tensorflow/serving/predict, tensorflow/serving/classify, "
        "tensorflow/serving/regress}. Was: ",
    )


@pytest.mark.parametrize(
    ("method", "message", "kind", "path"),
    [
        (
            "Classify",
            classification_pb2.ClassificationRequest,
            "classification",
            CLASSIFY,
        ),
        ("Regress", regression_pb2.RegressionRequest, "regression", REGRESS),
    ],
)
def test_classify_and_regress(predictions, method, message, kind, path):
    call, message = getattr(predictions, method), message()
    assert refusal(call, message) == ("INVALID_ARGUMENT", "Missing ModelSpec")
    message.model_spec.name = "jump"
    assert refusal(call, message) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(jump)",
    )
    message.model_spec.name = "tiny"
    assert refusal(call, message) == (
        "INVALID_ARGUMENT",
        f"Expected {kind} signature method_name to be {path}. {WAS_PREDICT}",
    )
    message.model_spec.signature_name = "none"
    assert refusal(call, message) == (
        "INVALID_ARGUMENT",
        "No signature was found with the name: none",
    )


def tasks(*specs):
    message = inference_pb2.MultiInferenceRequest()
    for name, signature, method in specs:
        task = message.tasks.add(method_name=method)
        task.model_spec.name = name
        task.model_spec.signature_name = signature
    return message


@pytest.mark.parametrize(
    ("specs", "code", "text"),
    [
        ([], "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            [("jump", "", CLASSIFY)],
            "NOT_FOUND",
            "Servable not found for request: Latest(jump)",
        ),
        (
            [("tiny", "", CLASSIFY)],
            "INVALID_ARGUMENT",
            "Expected classification signature method_name to be "
            f"{CLASSIFY}. {WAS_PREDICT}",
        ),
        (
            [("tiny", "whole", REGRESS)],
            "INVALID_ARGUMENT",
            f"Expected regression signature method_name to be {REGRESS}. "
            f"{WAS_PREDICT}",
        ),
        (
            [("tiny", "none", REGRESS)],
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: none",
        ),
        (
            [("tiny", "", "predict")],
            "UNIMPLEMENTED",
            "Unsupported signature method_name: predict",
        ),
    ],
)
def test_multi_inference(predictions, specs, code, text):
    assert refusal(predictions.MultiInference, tasks(*specs)) == (code, text)


def test_reload(folder, tmp_path):
    other = tmp_path / "other"
    other.symlink_to(folder / "tiny")
    with (
        server_of(folder, allow_reload=True) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        call = model_service_pb2_grpc.ModelServiceStub(
            channel
        ).HandleReloadConfigRequest
        predict = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        message = model_management_pb2.ReloadConfigRequest()
        assert refusal(call, message)[0] == "INVALID_ARGUMENT"
        message.config.model_config_list.config.add(
            name="renamed", base_path=str(other), model_platform="tensorflow"
        )
        assert call(message, timeout=60).status.error_code == 0
        question = request()
        question.model_spec.name = "renamed"
        answer = predict.Predict(question, timeout=30)
        assert answer.model_spec.name == "renamed"
        assert answer.model_spec.version.value == 5
        assert ':batch_size_count{model_name="renamed"} 1' in (
            server.core.metrics.text()
        )


def test_nobody_replaces_the_models_unless_it_is_allowed(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    message = model_management_pb2.ReloadConfigRequest()
    message.config.model_config_list.config.add(
        name="tiny", base_path="/", model_platform="tensorflow"
    )
    code, text = refusal(stub.HandleReloadConfigRequest, message)
    assert code == "PERMISSION_DENIED"
    assert "--allow-reload" in text


def test_stopping_lets_requests_finish(folder, gate):
    server = server_of(folder, grace_seconds=30.0)
    server.__enter__()
    with (
        grpc.insecure_channel(server.address) as channel,
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        under_way = predictions.Predict.future(request())
        assert gate.entered.acquire(timeout=30)
        stopping = threads.submit(server.__exit__)
        wait_until(
            lambda: (
                refusal(predictions.Predict, request(), 0.3)[0] == "UNAVAILABLE"
            )
        )
        assert not stopping.done()
        gate.open.set()
        assert under_way.result(timeout=30).outputs["sum"].float_val == [6.0]
        stopping.result(timeout=30)


def test_stopping_does_not_wait_for_ever(folder, gate):
    server = server_of(folder, grace_seconds=0.1)
    server.__enter__()
    with grpc.insecure_channel(server.address) as channel:
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        under_way = predictions.Predict.future(request())
        assert gate.entered.acquire(timeout=30)
        threading.Timer(0.3, gate.open.set).start()
        server.__exit__()
        with pytest.raises(grpc.RpcError):
            under_way.result(timeout=30)


def test_health_while_draining(folder, gate):
    async def main():
        server = server_of(folder, grace_seconds=30.0)
        await server.start()
        async with grpc.aio.insecure_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="")
            )
            first = (await watch.read()).status
            stopping = asyncio.create_task(server.stop())
            second = (await watch.read()).status
            watch.cancel()
            await stopping
        return first, second

    status = health_pb2.HealthCheckResponse
    assert asyncio.run(main()) == (status.SERVING, status.NOT_SERVING)


def test_batches_over_the_wire(folder, gate):
    options = BatchingOptions(max_batch_size=4)
    with (
        server_of(folder, batching=options) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        predictions = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        first = predictions.Predict.future(request())
        assert gate.entered.acquire(timeout=30)
        shapes = [(1, 3), (2, 1), (1, 4), (3, 2)]
        waiting = [predictions.Predict.future(request(s)) for s in shapes]
        time.sleep(0.3)
        gate.open.set()
        first.result(timeout=30)
        for (rows, length), call in zip(shapes, waiting, strict=True):
            outputs = call.result(timeout=30).outputs
            assert outputs["sum"].float_val == [3.0 * length] * rows
            assert outputs["joined"].string_val == [b"n" * length] * rows
        assert gate.runs < 1 + len(shapes)

"""The server against TF Serving's contract: answers, codes and texts."""

import logging
import os
import shutil
import signal
import subprocess
import sys

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from serving import tensors
from serving.models import load_models
from serving.server import Server

INPUTS = {
    "items": np.array([["item-3", "item-1"], ["item-2", ""]], object),
    "dwell_seconds": np.float32([[5.0, -1.0], [70.0, 0.0]]),
    "elapsed_seconds": np.float32([3.0, 0.0]),
}
OUTPUTS = {
    "items",
    "probabilities",
    "dwell_median_seconds",
    "dwell_quantiles_seconds",
    "quantile_levels",
    "page_dwell_median_seconds",
}


@pytest.fixture(scope="module")
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def statuses(channel):
    return model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(inputs=INPUTS, **spec):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.pop("name", "jump")
    if "version" in spec:
        request.model_spec.version.value = spec.pop("version")
    for field, value in spec.items():
        setattr(request.model_spec, field, value)
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensors.to_proto(array))
    return request


def values(response):
    return {
        name: tf.make_ndarray(proto) for name, proto in response.outputs.items()
    }


def refusal(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=30)
    return caught.value.code().name, caught.value.details()


@pytest.fixture
def answers_afterwards(predictions):
    """Whatever a test sends, a good request is answered as before it."""
    before = values(predictions.Predict(predict_request(), timeout=30))
    yield
    after = values(predictions.Predict(predict_request(), timeout=30))
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


def test_answers_are_those_of_the_signature(predictions, models_folder, name):
    response = predictions.Predict(predict_request(name=name), timeout=30)
    loaded = tf.saved_model.load(str(models_folder / name / "7"))
    expected = loaded.signatures["serving_default"](
        **{key: tf.constant(value) for key, value in INPUTS.items()}
    )
    received = values(response)
    assert received.keys() == OUTPUTS
    for key, value in expected.items():
        np.testing.assert_array_equal(received[key], value.numpy(), key)
    # As TF Serving does by default, values are in typed fields.
    assert len(response.outputs["probabilities"].float_val) == 8
    assert not response.outputs["probabilities"].tensor_content


@pytest.mark.parametrize("spec", [{}, {"version": 7}])
def test_says_which_version_and_signature_answered(predictions, spec):
    response = predictions.Predict(predict_request(**spec), timeout=30)
    assert response.model_spec.name == "jump"
    assert response.model_spec.version.value == 7
    assert response.model_spec.signature_name == "serving_default"


def test_output_filter(predictions):
    request = predict_request()
    request.output_filter.append("probabilities")
    response = predictions.Predict(request, timeout=30)
    assert set(response.outputs) == {"probabilities"}


def test_tensor_content_is_read_too(predictions):
    request = predict_request()
    for name in ("dwell_seconds", "elapsed_seconds"):
        request.inputs[name].CopyFrom(tf.make_tensor_proto(INPUTS[name]))
        assert request.inputs[name].tensor_content
    expected = values(predictions.Predict(predict_request(), timeout=30))
    for name, value in values(predictions.Predict(request, timeout=30)).items():
        np.testing.assert_array_equal(value, expected[name])


def without(*names_):
    return {name: INPUTS[name] for name in INPUTS if name not in names_}


REFUSED = [
    (
        predict_request(name="jmup"),
        "NOT_FOUND",
        "Servable not found for request: Latest(jmup)",
    ),
    (
        predict_request(version=8),
        "NOT_FOUND",
        "Servable not found for request: Specific(jump, 8)",
    ),
    (
        predict_request(name="jmup", version=7),
        "NOT_FOUND",
        "Servable not found for request: Specific(jmup, 7)",
    ),
    (
        predict_request(version_label="canary"),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    ),
    (
        predict_request(name=""),
        "INVALID_ARGUMENT",
        "ModelSpec has no name specified.",
    ),
    (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    (
        predict_request(signature_name="recommend"),
        "FAILED_PRECONDITION",
        'Serving signature key "recommend" not found.',
    ),
    (
        predict_request(without("elapsed_seconds")),
        "INVALID_ARGUMENT",
        "input size does not match signature: 2!=3 "
        "len({dwell_seconds,items}) != "
        "len({dwell_seconds,elapsed_seconds,items}). Sent extra: {}. "
        "Missing but required: {elapsed_seconds}.",
    ),
    (
        predict_request({**INPUTS, "user": np.float32([1.0])}),
        "INVALID_ARGUMENT",
        "input size does not match signature: 4!=3 "
        "len({dwell_seconds,elapsed_seconds,items,user}) != "
        "len({dwell_seconds,elapsed_seconds,items}). Sent extra: {user}. "
        "Missing but required: {}.",
    ),
    (
        predict_request({**without("items"), "item": INPUTS["items"]}),
        "INVALID_ARGUMENT",
        "Signature input alias: items(feed name: serving_default_items:0) not "
        "found in request and no default value provided. Inputs expected to "
        "be in the request {dwell_seconds,elapsed_seconds,item}, or default "
        "input alias set: ",
    ),
    (
        predict_request({**INPUTS, "items": np.float32([[1.0], [2.0]])}),
        "INVALID_ARGUMENT",
        "Input `items` must be of type string. Received: float32",
    ),
    (
        predict_request({**INPUTS, "dwell_seconds": np.float64([[1.0]])}),
        "INVALID_ARGUMENT",
        "Input `dwell_seconds` must be of type float32. Received: float64",
    ),
    (
        predict_request({**INPUTS, "items": np.array(["item-1"], object)}),
        "INVALID_ARGUMENT",
        "Input `items` must have shape (None, None). Received: [1]",
    ),
]


@pytest.mark.parametrize(
    ("request_", "code", "text"), REFUSED, ids=range(len(REFUSED))
)
def test_refusals(predictions, answers_afterwards, request_, code, text):
    assert refusal(predictions.Predict, request_) == (code, text)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"dwell_seconds": np.float32([[1.0], [2.0]])},
            "`items` and `dwell_seconds` must have the same shape",
        ),
        (
            {"elapsed_seconds": np.float32([1.0])},
            "`elapsed_seconds` must have as many rows as `items`",
        ),
    ],
)
def test_what_the_graph_refuses(
    predictions, answers_afterwards, changed, words
):
    code, text = refusal(
        predictions.Predict, predict_request({**INPUTS, **changed})
    )
    assert code == "INVALID_ARGUMENT"
    assert words in text
    assert "\n" not in text


def test_a_tensor_that_does_not_parse(predictions, answers_afterwards):
    request = predict_request()
    request.inputs["dwell_seconds"].ClearField("float_val")
    request.inputs["dwell_seconds"].tensor_content = b"123"
    assert refusal(predictions.Predict, request) == (
        "INVALID_ARGUMENT",
        "tensor parsing error: dwell_seconds",
    )
    request.inputs["dwell_seconds"].tensor_shape.dim[0].size = -1
    code, text = refusal(predictions.Predict, request)
    assert (code, text.split(".")[0]) == (
        "INVALID_ARGUMENT",
        "Input `dwell_seconds` must have shape (None, None)",
    )
    request.inputs["dwell_seconds"].dtype = 99
    assert refusal(predictions.Predict, request) == (
        "INVALID_ARGUMENT",
        "Input `dwell_seconds` must be of type float32. Received: type 99",
    )


@pytest.mark.parametrize("example", [b"not an example", b"\xff\xff"])
def test_an_example_that_does_not_parse(
    predictions, answers_afterwards, example
):
    request = predict_request(
        {"examples": np.array([example], object)}, signature_name="examples"
    )
    code, text = refusal(predictions.Predict, request)
    assert code == "INVALID_ARGUMENT"
    assert "Could not parse example input" in text


def test_requests_at_the_same_time(predictions):
    lengths = [1, 2, 5, 9] * 8
    requests = [
        predict_request(
            {
                "items": np.array([["item-1", "item-4"] * length], object),
                "dwell_seconds": np.full((1, 2 * length), 5.0, np.float32),
                "elapsed_seconds": np.float32([length]),
            }
        )
        for length in lengths
    ]
    alone = {
        length: values(predictions.Predict(request, timeout=30))
        for length, request in zip(lengths[:4], requests, strict=False)
    }
    under_way = [
        predictions.Predict.future(request, timeout=30) for request in requests
    ]
    for length, answer in zip(lengths, under_way, strict=True):
        for name, value in values(answer.result()).items():
            np.testing.assert_array_equal(value, alone[length][name])


def test_bad_output_filters(predictions, answers_afterwards):
    request = predict_request(
        {
            **without("elapsed_seconds"),
            "candidates": np.array([["item-1"]] * 2, object),
            "times_seconds": np.float32([[5.0]] * 2),
        },
        signature_name="dwell",
    )
    request.output_filter.append("hazard")
    assert refusal(predictions.Predict, request) == (
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: hazard Outputs expected "
        "to be in the set {dwell_median_seconds,dwell_quantiles_seconds,"
        "quantile_levels,survival}.",
    )
    request.output_filter[:] = ["survival", "survival"]
    assert refusal(predictions.Predict, request) == (
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: survival",
    )


def test_metadata(predictions, models_folder):
    request = get_model_metadata_pb2.GetModelMetadataRequest()
    assert refusal(predictions.GetModelMetadata, request) == (
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    )
    request.model_spec.name = "jump"
    assert refusal(predictions.GetModelMetadata, request) == (
        "INVALID_ARGUMENT",
        "GetModelMetadataRequest must specify at least one metadata_field",
    )
    request.metadata_field.append("weights")
    assert refusal(predictions.GetModelMetadata, request) == (
        "INVALID_ARGUMENT",
        "Metadata field weights is not supported",
    )
    request.metadata_field[:] = ["signature_def"]
    response = predictions.GetModelMetadata(request, timeout=30)
    assert response.model_spec.version.value == 7
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {
        "serving_default",
        "dwell",
        "examples",
        "__saved_model_init_op",
    }
    recommend = signatures.signature_def["serving_default"]
    assert set(recommend.inputs) == set(INPUTS)
    assert set(recommend.outputs) == OUTPUTS
    # Every tensor leads with a batch of any size.
    for signature in schema.SERVING_DEFAULT, schema.DWELL, schema.EXAMPLES:
        tensors_ = signatures.signature_def[signature]
        for info in *tensors_.inputs.values(), *tensors_.outputs.values():
            assert info.tensor_shape.dim[0].size == -1
    request.model_spec.name = "jmup"
    assert refusal(predictions.GetModelMetadata, request) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(jmup)",
    )


def test_status(statuses):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "jump"
    for version in (None, 7):
        if version is not None:
            request.model_spec.version.value = version
        (status,) = statuses.GetModelStatus(
            request, timeout=30
        ).model_version_status
        assert status.version == 7
        assert status.state == status.AVAILABLE
        assert status.HasField("status")
        assert status.status.error_code == 0
    request.model_spec.version.value = 8
    assert refusal(statuses.GetModelStatus, request) == (
        "NOT_FOUND",
        "Could not find version 8 of model jump",
    )
    request.model_spec.Clear()
    request.model_spec.name = "jmup"
    assert refusal(statuses.GetModelStatus, request) == (
        "NOT_FOUND",
        "Could not find any versions of model jmup",
    )


def test_classify_is_not_offered(predictions):
    request = classification_pb2.ClassificationRequest()
    code, _ = refusal(predictions.Classify, request)
    assert code == "UNIMPLEMENTED"


def test_the_log_names_no_item(predictions, caplog):
    with caplog.at_level(logging.DEBUG, logger="serving"):
        predictions.Predict(predict_request(), timeout=30)
    lines = [r for r in caplog.records if r.name == "serving.server"]
    assert len(lines) == 1
    assert '"code": "OK"' in lines[0].getMessage()
    assert "item-3" not in lines[0].getMessage()
    with caplog.at_level(logging.INFO, logger="serving"):
        predictions.Predict(predict_request(), timeout=30)
    assert len([r for r in caplog.records if r.name == "serving.server"]) == 1


def test_a_port_is_not_shared(served, address):
    port = int(address.rpartition(":")[2])
    with pytest.raises(schema.InputError, match="must be free to listen on"):
        Server(served, port=port)


def test_loads_the_latest_version_only(models_folder, tmp_path):
    base = tmp_path / "models" / "jump"
    base.mkdir(parents=True)
    (base / "9").symlink_to(models_folder / "jump" / "7")
    (base / "10").symlink_to(models_folder / "jump" / "7")
    # What is half written, or something else, is no version.
    (base / ".11-abc").symlink_to(models_folder / "jump" / "7")
    (base / "12").write_text("not a folder")
    (tmp_path / "models" / "notes.txt").write_text("not a model")
    loaded = load_models(tmp_path / "models")
    assert [(m.name, m.version) for m in loaded.values()] == [("jump", 10)]


def test_refuses_folders_without_models(tmp_path):
    with pytest.raises(schema.InputError, match=r"must exist\. Received: .*no"):
        load_models(tmp_path / "no")
    (tmp_path / "jump" / "latest").mkdir(parents=True)
    with pytest.raises(schema.InputError, match="which has none"):
        load_models(tmp_path)
    (tmp_path / "jump" / "3").mkdir()
    with pytest.raises(schema.InputError, match="must hold a SavedModel"):
        load_models(tmp_path)


@pytest.mark.slow
def test_serves_until_it_is_told_to_stop(models_folder, tmp_path):
    shutil.copytree(models_folder / "jump" / "7", tmp_path / "jump" / "7")
    code = (
        "import sys, pathlib; from serving.server import serve;"
        "serve(pathlib.Path(sys.argv[1]), port=0,"
        " ready=lambda address: print(address, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        address = process.stdout.readline().strip()
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            response = stub.Predict(predict_request(), timeout=30)
        assert response.model_spec.version.value == 7
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("port", [-1, 99999])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(schema.InputError, match=f"0 to 65535. .*: {port}"):
        Server({}, port=port)

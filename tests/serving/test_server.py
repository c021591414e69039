"""The server against TF Serving's contract: answers, codes and texts."""

import contextlib
import json
import logging

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from serving import warmup
from serving.protocol import tensors
from serving.runtime import logs
from serving.server import Server
from serving.settings import Settings

INPUTS = {
    "items": np.array([["item-3", "item-1"], ["item-2", ""]], object),
    "dwell_seconds": np.float32([[5.0, -1.0], [70.0, 0.0]]),
    "elapsed_seconds": np.float32([3.0, 0.0]),
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


def assert_close(actual, expected):
    if actual.dtype == object:
        np.testing.assert_array_equal(actual, expected)
    else:  # Another batch or graph adds up in another order.
        np.testing.assert_allclose(actual, expected, 1e-4)


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


def test_answers_are_those_of_the_signatures(
    predictions, models_folder, in_python, name
):
    folder = models_folder / name / "7"
    signatures = in_python[name].signatures
    asked = set()
    for request in warmup.read_warmup_requests(folder):
        key = request.model_spec.signature_name
        expected = signatures[key](
            **{
                alias: tf.constant(tf.make_ndarray(proto))
                for alias, proto in request.inputs.items()
            }
        )
        response = predictions.Predict(request, timeout=30)
        received = values(response)
        assert received.keys() == expected.keys()
        for alias, value in expected.items():
            assert_close(received[alias], value.numpy())
            # As TF Serving does by default, values are in typed fields.
            assert not response.outputs[alias].tensor_content
        asked.add(key)
    assert {schema.SERVING_DEFAULT, schema.DWELL, schema.EXAMPLES} <= asked


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
        predict_request(signature_name="recommended"),
        "FAILED_PRECONDITION",
        'Serving signature key "recommended" not found.',
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
            assert_close(value, alone[length][name])


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
    assert {
        "serving_default",
        "dwell",
        "examples",
        "__saved_model_init_op",
    } <= set(signatures.signature_def)
    recommend = signatures.signature_def["serving_default"]
    assert set(recommend.inputs) == set(INPUTS)
    assert {"items", "probabilities"} <= set(recommend.outputs)
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


def test_the_log_names_no_item(predictions, caplog):
    def ask(request):
        with contextlib.suppress(grpc.RpcError):
            predictions.Predict(request, timeout=30)
        lines = [r for r in caplog.records if r.name == "serving.runtime.core"]
        caplog.clear()
        formatted = [logs.JsonFormatter().format(line) for line in lines]
        assert not any("item-" in line for line in formatted)
        return [json.loads(line) for line in formatted]

    wrong = predict_request({**INPUTS, "dwell_seconds": np.float32([[1.0]])})
    with caplog.at_level(logging.DEBUG, logger="serving"):
        (line,) = ask(predict_request())
    assert line["code"] == "OK"
    assert line["model"] == "jump"
    with caplog.at_level(logging.INFO, logger="serving"):
        assert ask(predict_request()) == []
        (line,) = ask(wrong)
    assert line["code"] == "INVALID_ARGUMENT"


def test_a_port_is_not_shared(models_folder, address):
    taken = Settings(port=int(address.rpartition(":")[2]), rest_port=-1)
    with (
        pytest.raises(schema.InputError, match="must be free to listen on"),
        Server.of_folder(models_folder, taken),
    ):
        pass


def test_refuses_folders_without_models(tmp_path):
    with pytest.raises(schema.InputError, match=r"must exist\. Received: .*no"):
        Server.of_folder(tmp_path / "no")
    (tmp_path / "jump" / "latest").mkdir(parents=True)
    with pytest.raises(schema.InputError, match="which has none"):
        Server.of_folder(tmp_path)
    (tmp_path / "jump" / "3").mkdir()
    free = Settings(port=0, rest_port=0)
    with (
        pytest.raises(schema.InputError, match="must hold a SavedModel"),
        Server.of_folder(tmp_path, free),
    ):
        pass

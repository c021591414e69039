"""Requests bent and damaged at random, alone and among those of others."""

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from serving.protocol import tensors
from serving.server import Server
from serving.settings import Settings
from tests.serving import tiny_saved_model

METHOD = "/tensorflow.serving.PredictionService/Predict"
# INTERNAL is TF Serving's for bytes that are no message, and for a signature
# that is no question.
STATUSES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "INTERNAL",
}


@pytest.fixture(scope="module")
def predict(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny").mkdir()
    tiny_saved_model.write(folder / "tiny" / "5")
    settings = Settings(port=0, rest_port=-1)
    with (
        Server.of_folder(folder, settings, poll_seconds=0) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        yield channel.unary_unary(METHOD)


def good():
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tiny"
    request.inputs["names"].CopyFrom(
        tensors.to_proto(np.array([["a", "b"]], object))
    )
    request.inputs["values"].CopyFrom(tensors.to_proto(np.float32([[1, 2]])))
    return request


def answer(predict, message):
    """The status, and of OK the response."""
    try:
        data = predict(message, timeout=30)
    except grpc.RpcError as error:
        return error.code().name, None
    return "OK", predict_pb2.PredictResponse.FromString(data)


def bent(random):
    """A good request with one thing or more made odd."""
    request = good()
    for _ in range(random.integers(1, 4)):
        random.choice(BENDS)(request, random)
    return request.SerializeToString()


def any_tensor(request, random):
    name = str(random.choice(["names", "values", "other", "größe"]))
    return request.inputs[name]


def bend_type(request, random):
    any_tensor(request, random).dtype = int(random.integers(0, 110))


def bend_shape(request, random):
    sizes = any_tensor(request, random).tensor_shape.dim
    del sizes[:]
    for _ in range(random.integers(0, 5)):
        sizes.add(size=int(random.choice([-5, -1, 0, 1, 2, 3, 2**20, 2**62])))


def bend_values(request, random):
    tensor = any_tensor(request, random)
    tensor.float_val.extend([np.nan, -1.0, np.inf, 3e38])
    tensor.string_val.extend([b"\xff\x00", b"", "größe".encode(), b"x" * 999])
    tensor.half_val.append(7)


def bend_content(request, random):
    size = int(random.integers(0, 20))
    any_tensor(request, random).tensor_content = random.bytes(size)


def bend_spec(request, random):
    spec = request.model_spec
    spec.name = str(random.choice(["", "tiny", "t\x00", "../tiny", "größe"]))
    spec.signature_name = str(
        random.choice(["", "whole", "scaled", "__saved_model_init_op", "%s"])
    )
    spec.version.value = int(random.choice([5, 0, -1, 2**63 - 1]))


def bend_label(request, random):
    request.model_spec.version_label = str(random.choice(["", "stable"]))


def bend_filter(request, random):
    request.output_filter.append(str(random.choice(["sum", "joined", "no"])))


def drop_input(request, random):
    request.inputs.pop(str(random.choice(["names", "values"])), None)


BENDS = [
    bend_type,
    bend_shape,
    bend_values,
    bend_content,
    bend_spec,
    bend_label,
    bend_filter,
    drop_input,
]


def damaged(random):
    """The bytes of a good request, some of them changed or cut off."""
    data = bytearray(good().SerializeToString())
    for _ in range(random.integers(1, 6)):
        data[random.integers(len(data))] = random.integers(256)
    return bytes(data[: random.integers(1, len(data) + 1)])


@pytest.mark.parametrize("make", [bent, damaged])
def test_each_gets_a_status_and_does_no_harm(predict, make):
    random = np.random.default_rng(11)
    message = good().SerializeToString()
    _, before = answer(predict, message)
    seen = {}
    for _ in range(500):
        status, response = answer(predict, make(random))
        assert status in STATUSES
        seen[status] = seen.get(status, 0) + 1
        if response is not None:
            assert response.model_spec.name == "tiny"
    assert len(seen) > 1, seen
    assert seen["INVALID_ARGUMENT"] > 5
    assert answer(predict, message) == ("OK", before)


def test_hostile_requests_do_not_spoil_the_batches_of_others(predict):
    random = np.random.default_rng(12)
    message = good().SerializeToString()
    _, expected = answer(predict, message)
    for _ in range(20):
        calls = [
            (own, predict.future(message if own else bent(random), timeout=30))
            for own in random.random(30) < 0.5
        ]
        for own, call in calls:
            if own:
                response = predict_pb2.PredictResponse.FromString(call.result())
                assert response == expected
            else:
                assert call.code().name in STATUSES

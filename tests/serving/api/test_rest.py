"""TF Serving's REST API, over HTTP, on a core that answers what it is asked."""

import asyncio
import base64
import gzip
import json
import math
from urllib import request

import grpc
import hypothesis
import numpy as np
import pytest
from aiohttp import test_utils
from hypothesis import strategies
from tensorflow.core.framework import types_pb2

from serving.api import rest
from serving.api import rest_answers
from serving.api import rest_requests
from serving.protocol import errors
from tests.serving.fake_core import Core

FLOAT = types_pb2.DT_FLOAT
INT = types_pb2.DT_INT32
STRING = types_pb2.DT_STRING
SIGNATURES = {
    "serving_default": {"items": STRING, "dwell": FLOAT, "k": INT},
    "one": {"x": FLOAT},
    "names": {"raw_bytes": STRING},
    "types": {
        "bool": types_pb2.DT_BOOL,
        "double": types_pb2.DT_DOUBLE,
        "int64": types_pb2.DT_INT64,
        "uint8": types_pb2.DT_UINT8,
    },
    "halves": {"x": types_pb2.DT_HALF},
}
ROWS = [
    {"items": ["a", "größe"], "dwell": [1.5, -1], "k": 3},
    {"items": ["", "c"], "dwell": [0.1, 2e9], "k": -5},
]
COLUMNS = {
    "items": [["a", "größe"], ["", "c"]],
    "dwell": [[1.5, -1.0], [0.1, 2e9]],
    "k": [3, -5],
}
PREDICT = "/v1/models/jump:predict"


@pytest.fixture
def core():
    return Core(SIGNATURES, lambda arrays: arrays)


def call(core, path, body=None, method=None, headers=None, **options):
    """(status, content type, body) of one request over a socket."""

    async def ask():
        server = test_utils.TestServer(rest.application(core, **options))
        async with test_utils.TestClient(server) as client:
            data = body if isinstance(body, bytes | None) else json.dumps(body)
            verb = method or ("GET" if body is None else "POST")
            async with client.request(
                verb, path, data=data, headers=headers
            ) as answer:
                text = await answer.text()
                return answer.status, answer.headers["Content-Type"], text

    return asyncio.run(ask())


def answered(core, body, path=PREDICT):
    status, kind, text = call(core, path, body)
    assert (status, kind) == (200, "application/json"), text
    return json.loads(text)


def refused(core, path, body=None, **options):
    status, kind, text = call(core, path, body, **options)
    assert kind == "application/json"
    document = json.loads(text)
    assert list(document) == ["error"]
    return status, document["error"]


def test_rows_and_columns_ask_and_are_answered_the_same(core):
    assert answered(core, {"instances": ROWS}) == {"predictions": ROWS}
    assert answered(core, {"inputs": COLUMNS}) == {"outputs": COLUMNS}
    by_row, by_column = core.asked
    assert by_row == by_column
    assert by_row.inputs["k"].tensor_shape.dim[0].size == 2
    assert [x.size for x in by_row.inputs["items"].tensor_shape.dim] == [2, 2]


def test_a_single_input_and_output_need_no_name(core):
    for rows in ([1.0, 2.5, -3.0], [[1.0], [2.0]], [[], [], []]):
        body = {"signature_name": "one", "instances": rows}
        assert answered(core, body) == {"predictions": rows}
    body = {"signature_name": "one", "instances": [{"x": 4.0}]}
    assert answered(core, body) == {"predictions": [4.0]}
    body = {"signature_name": "one", "inputs": {"x": [4.0]}}
    assert answered(core, body) == {"outputs": [4.0]}
    body = {"signature_name": "one", "inputs": 2.0}
    assert answered(core, body) == {"outputs": 2.0}


def test_numbers_that_are_not_finite(core):
    text = b'{"signature_name": "one", "instances": [NaN, Infinity, -Infinity]}'
    status, _, answer = call(core, PREDICT, text)
    assert status == 200
    assert answer == '{"predictions":[NaN,Infinity,-Infinity]}'
    large = {"signature_name": "one", "instances": [1e39]}
    assert answered(core, large) == {"predictions": [math.inf]}


def test_floats_are_written_short(core):
    text = b'{"signature_name": "one", "instances": [0.1, 5, 0.33333334, 1e-7]}'
    _, _, answer = call(core, PREDICT, text)
    assert answer == '{"predictions":[0.1,5.0,0.333333343,1e-07]}'


@hypothesis.settings(deadline=None)
@hypothesis.given(
    strategies.lists(strategies.floats(width=32), min_size=1, max_size=50)
)
def test_written_floats_read_back_as_they_were(values):
    values = np.float32(values)
    printed = json.dumps(rest_answers.short_decimals(values).tolist())
    np.testing.assert_array_equal(np.float32(json.loads(printed)), values)


def test_all_types_come_back(core):
    columns = {
        "bool": [True, False],
        "double": [0.1 + 0.2, 1e300],
        "int64": [-(2**63), 2**63 - 1],
        "uint8": [0, 255],
    }
    body = {"signature_name": "types", "inputs": columns}
    assert answered(core, body) == {"outputs": columns}


def test_bytes_in_base64_both_ways(core):
    raw = [b"\xff\x00", b"plain"]
    coded = [{"b64": base64.b64encode(x).decode()} for x in raw]
    body = {"signature_name": "names", "instances": coded}
    # A name in _bytes: all; another: what is not text.
    assert answered(core, body) == {"predictions": coded}
    assert list(core.asked[0].inputs["raw_bytes"].string_val) == raw
    row = {"items": coded, "dwell": [1.0], "k": 1}
    (answer,) = answered(core, {"instances": [row]})["predictions"]
    assert answer["items"] == [coded[0], "plain"]
    unpadded = {"signature_name": "names", "instances": [{"b64": "/wA"}]}
    assert answered(core, unpadded)["predictions"] == [{"b64": "/wA="}]


@pytest.mark.parametrize(
    ("path", "version", "label"),
    [
        ("/v1/models/jump:predict", 0, ""),
        ("/V1/Models/jump/Versions/12:predict", 12, ""),
        ("/v1/models/jump/labels/canary:predict", 0, "canary"),
        ("/v1/models/j%75mp/labels/a%20b:predict?x=1", 0, "a b"),
    ],
)
def test_paths_name_model_version_and_label(core, path, version, label):
    answered(core, {"instances": ROWS}, path)
    spec = core.asked[0].model_spec
    assert (spec.name, spec.version.value) == ("jump", version)
    assert spec.version_label == label


def test_signature_name_is_passed_on(core):
    answered(core, {"signature_name": "one", "instances": [1.0]})
    assert core.asked[0].model_spec.signature_name == "one"


def test_status(core):
    status, kind, text = call(core, "/v1/models/jump")
    assert (status, kind) == (200, "application/json")
    (version,) = json.loads(text)["model_version_status"]
    assert version == {
        "version": "7",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }


def test_metadata(core):
    _, _, text = call(core, "/v1/models/jump/versions/7/metadata")
    document = json.loads(text)
    assert document["model_spec"] == {
        "name": "jump",
        "version": "7",
        "signature_name": "",
    }
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == set(SIGNATURES)
    assert signatures["one"]["inputs"]["x"]["dtype"] == "DT_FLOAT"


ONE = {"signature_name": "one"}
MIXED = {"items": ["a"], "dwell": ["a"], "k": 1}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The document is empty"),
        (b"instances = [1]", "JSON Parse error: Expecting value at offset: 0"),
        (b'{"instances": "\xff"}', "JSON Parse error: 'utf-8'"),
        (b'{"instances": ' + b"[" * 5000, "JSON Parse error"),
        (b'{"instances": [' + b"9" * 5000 + b"]}", "JSON Parse error"),
        ([1], "JSON Value: [1] Is not object"),
        ({"inputs": 1, "instances": 1}, "expecting only one of"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": 5}, "'signature_name' key must be a string"),
        ({"instances": {"k": 1}}, "to be an list/array"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": [1]}, "expecting list of objects"),
        ({"inputs": [1]}, "expecting an object as multiple"),
        ({"inputs": {"k": 1}}, "Missing named input: dwell in 'inputs'"),
        ({"instances": [ROWS[0], [1]]}, "object but got list at item 1"),
        ({**ONE, "instances": [1, {}]}, "value/list but got object at item 1"),
        ({"instances": [{"k": 1}]}, "keys must be equal to: dwell,items,k"),
        ({"instances": [{**ROWS[0], "z": 1}]}, "keys must be equal to"),
        ({"instances": [MIXED]}, "element: 0 key: dwell"),
        ({"instances": [MIXED]}, '"a" Type: String is not of expected type'),
        ({**ONE, "instances": [[1, 2], [3]]}, "tensor size: 2 but got: 1"),
        ({**ONE, "instances": [[1, 2], [[3, 4]]]}, "shape [2] but got: [1, 2]"),
        ({**ONE, "instances": [1, [2]]}, "element: 1 of 'instances'"),
        ({**ONE, "inputs": [[1, 2], [3]]}, "unexpected size: 1 at level: 1"),
        ({**ONE, "inputs": [[1], 2]}, "2 found where a list of 1 was expected"),
        ({**ONE, "inputs": [1, [2]]}, "unexpected level: 1 expected < 1"),
        (
            {**ONE, "inputs": [None]},
            "Type: Null is not of expected type: float",
        ),
        (
            {**ONE, "inputs": [True]},
            "Type: Bool is not of expected type: float",
        ),
        ({**ONE, "inputs": [{"b64": ""}]}, "Type: Object is not of expected"),
        ({**ONE, "inputs": [10**400]}, "out of the range of type: float"),
        ({"inputs": {**COLUMNS, "k": [1.0]}}, "not of expected type: int32"),
        ({"inputs": {**COLUMNS, "k": [2**31]}}, "out of the range of type"),
        ({"inputs": {**COLUMNS, "items": [5]}}, "not of expected type: string"),
        ({"inputs": {**COLUMNS, "items": [{"b": 1}]}}, "for base64 data"),
        ({"inputs": {**COLUMNS, "items": [{"b64": "?"}]}}, "Unable to base64"),
        ({"inputs": {**COLUMNS, "items": ["\ud800"]}}, "surrogate pair"),
        ({"signature_name": "no", "inputs": 1}, 'name: "no" not found in sign'),
    ],
)
def test_wrong_bodies_are_refused_with_the_reason(core, body, sentence):
    status, error = refused(core, PREDICT, body)
    assert status == 400
    assert sentence in error
    assert not core.asked


def test_lists_nested_deeper_than_arrays_go(core):
    inputs = json.loads("[" * 70 + "]" * 70)
    status, error = refused(core, PREDICT, {**ONE, "inputs": inputs})
    assert status == 400
    assert error == "JSON lists must not be nested more than 64 times"


@pytest.mark.parametrize("wrong", ['"signature_name": 5', '"inputs": 1'])
def test_brackets_without_end(core, wrong):
    inputs = core.signature_defs["one"].inputs
    for depth in range(100, 1200, 7):
        text = f'{{{wrong}, "instances": {"[" * depth}{"]" * depth}}}'
        with pytest.raises(errors.ServingError, match="JSON"):
            document = rest_requests.parse(text.encode())
            rest_requests.signature_name(document)
            rest_requests.fill(document, inputs, {})


def test_types_that_json_has_not(core):
    body = {"signature_name": "halves", "inputs": [1.0]}
    assert refused(core, PREDICT, body) == (
        501,
        "Conversion of JSON Value to type: DT_HALF",
    )
    core = Core(SIGNATURES, lambda _: {"y": np.complex64([1])})
    body = {"signature_name": "one", "instances": [1.0]}
    status, error = refused(core, PREDICT, body)
    assert status == 400
    assert "tensor type: complex64" in error


def test_rows_need_one_batch_size(core):
    core = Core(
        SIGNATURES, lambda _: {"a": np.float32([1]), "b": np.float32([1, 2])}
    )
    body = {"signature_name": "one", "instances": [1.0]}
    assert "inconsistent batch size: 2" in refused(core, PREDICT, body)[1]
    body = {"signature_name": "one", "inputs": [1.0]}
    assert answered(core, body) == {"outputs": {"a": [1], "b": [1, 2]}}
    core = Core(SIGNATURES, lambda _: {"a": np.float32(1)})
    body = {"signature_name": "one", "instances": [1.0]}
    assert "no shape information" in refused(core, PREDICT, body)[1]


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ("GET", "/v1/foo", "Malformed request: GET /v1/foo"),
        ("GET", PREDICT, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/jump", "Malformed request: POST"),
        ("POST", "/v1/models/jump/metadata", "Malformed request"),
        ("DELETE", "/v1/models/jump", "Malformed request: DELETE"),
        ("POST", "/v1/models/jump:PREDICT", "Malformed request"),
        ("POST", "/v1/models/jump/versions/x:predict", "Malformed request"),
        ("POST", "/v1/models/a/versions/1/labels/b:predict", "Malformed"),
        ("GET", f"/v1/models/jump/versions/{2**64}", "convert version: 1844"),
        ("GET", "/v1/models", "Missing model name in request."),
    ],
)
def test_malformed_paths(core, method, path, sentence):
    status, error = refused(core, path, method=method)
    assert status == 400
    assert sentence in error


def test_paths_beside_the_api(core):
    assert refused(core, "/")[0] == 404
    assert refused(core, "/v2/models/jump")[0] == 404
    assert refused(core, "/monitoring/prometheus/metrics")[0] == 404
    options = {"monitoring_path": "/metrics"}
    assert refused(core, "/metrics", {}, **options)[0] == 405
    core.metrics.request("jump", "OK", "Predict", "GRPC", 3.0)
    status, kind, text = call(core, "/metrics", **options)
    assert (status, kind[:25]) == (200, "text/plain; version=0.0.4")
    assert text == core.metrics.text()


def test_models_that_are_not_served(core):
    body = {"instances": ROWS}
    path = "/v1/models/jmup:predict"
    sentence = "Servable not found for request: Latest(jmup)"
    assert refused(core, path, body) == (404, sentence)
    assert refused(core, "/v1/models/jmup")[0] == 404
    assert refused(core, "/v1/models/jmup/metadata")[0] == 404


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_signatures_that_do_not_fit(core, method):
    path = f"/v1/models/jump:{method}"
    body = {"examples": [{"items": ["a"]}]}
    status, error = refused(core, path, body)
    assert status == 400
    assert f"method_name to be tensorflow/serving/{method}" in error


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("CANCELLED", 499),
        ("UNKNOWN", 500),
        ("INVALID_ARGUMENT", 400),
        ("DEADLINE_EXCEEDED", 504),
        ("NOT_FOUND", 404),
        ("ALREADY_EXISTS", 409),
        ("PERMISSION_DENIED", 403),
        ("RESOURCE_EXHAUSTED", 429),
        ("FAILED_PRECONDITION", 400),
        ("ABORTED", 409),
        ("OUT_OF_RANGE", 400),
        ("UNIMPLEMENTED", 501),
        ("INTERNAL", 500),
        ("UNAVAILABLE", 503),
        ("DATA_LOSS", 500),
        ("UNAUTHENTICATED", 401),
    ],
)
def test_codes(code, status):
    def fail(_):
        raise errors.ServingError(grpc.StatusCode[code], "as it is")

    found = refused(Core(SIGNATURES, fail), PREDICT, {"instances": ROWS})
    assert found == (status, "as it is")


def test_a_fault_of_ours_is_500_and_says_nothing(caplog):
    def fail(_):
        raise KeyError("secret")

    core = Core(SIGNATURES, fail)
    status, error = refused(core, PREDICT, {"instances": ROWS})
    assert status == 500
    assert "secret" not in error
    assert "secret" in caplog.text


def test_late_answers_are_504(core):
    async def never(*_):
        await asyncio.sleep(60)

    core.predict = never
    body = {"instances": ROWS}
    status, error = refused(core, PREDICT, body, timeout_seconds=0.05)
    assert (status, error) == (504, "No answer within 0.05 seconds")


def test_large_bodies_are_413(core):
    body = {"instances": ROWS}
    size = len(json.dumps(body))
    assert call(core, PREDICT, body, max_bytes=size)[0] == 200
    status, error = refused(core, PREDICT, body, max_bytes=size - 1)
    assert status == 413
    assert str(size - 1) in error


def test_a_damaged_gzip_body_is_the_clients_fault(core):
    whole = gzip.compress(json.dumps({"instances": ROWS}).encode())
    packed = {"Content-Encoding": "gzip"}
    assert call(core, PREDICT, whole, headers=packed)[0] == 200
    for body in (b"no gzip", whole[:-20], whole[:20] + b"damage" + whole[20:]):
        status, error = refused(core, PREDICT, body, headers=packed)
        assert status == 400
    assert error.startswith("The body cannot be read")


def test_what_never_reaches_the_core_is_counted(core):
    refused(core, PREDICT, {"instances": []})
    refused(core, PREDICT, {"instances": 3})
    answered(core, {"instances": ROWS})
    counts = [line for line in core.metrics.text().splitlines() if "{" in line]
    labels = 'model_name="jump",status="INVALID_ARGUMENT"'
    assert counts == [f":tensorflow:serving:request_count{{{labels}}} 2.0"]


def test_a_real_server_answers_as_over_grpc(server, client, name):
    rows = [
        {"items": ["item-3", "größe 10"], "dwell_seconds": [12.0, -1.0]},
        {"items": ["", "never seen"], "dwell_seconds": [0.0, 4.5]},
    ]
    for row in rows:
        row["elapsed_seconds"] = 3.5
    arrays = {
        "items": np.array([row["items"] for row in rows], object),
        "dwell_seconds": np.float32([row["dwell_seconds"] for row in rows]),
        "elapsed_seconds": np.float32([3.5, 3.5]),
    }
    expected = client.predict("serving_default", arrays)
    base = f"http://{server.http_address}/v1/models/{name}"
    body = json.dumps({"instances": rows}).encode()
    with request.urlopen(f"{base}:predict", body) as found:
        predictions = json.load(found)["predictions"]
    assert len(predictions) == 2
    assert predictions[0].keys() == expected.keys()
    for key, array in expected.items():
        values = [row[key] for row in predictions]
        if array.dtype == object:
            assert values == [[x.decode() for x in row] for row in array]
        else:
            np.testing.assert_allclose(values, array, 1e-6, err_msg=key)
    with request.urlopen(f"{base}/metadata") as found:
        signatures = json.load(found)["metadata"]["signature_def"]
    assert "recommend" in signatures["signature_def"]
    with request.urlopen(f"http://{server.http_address}/metrics") as found:
        page = found.read().decode()
    assert f'{{API="predict",entrypoint="REST",model_name="{name}"' in page


JSON = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text()
    | strategies.binary().map(lambda x: {"b64": base64.b64encode(x).decode()}),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.sampled_from(["items", "dwell", "k", "x", "b64"]), inner
        )
    ),
    max_leaves=12,
)


@hypothesis.settings(deadline=None)
@hypothesis.given(
    key=strategies.sampled_from(["instances", "inputs"]),
    name=strategies.sampled_from(list(SIGNATURES)),
    value=JSON,
)
def test_anything_is_read_or_refused(key, name, value):
    core = Core(SIGNATURES, None)
    inputs = core.signature_defs[name].inputs
    document = rest_requests.parse(json.dumps({key: value}).encode())
    asked = rest.predict_pb2.PredictRequest()
    try:
        rest_requests.fill(document, inputs, asked.inputs)
    except errors.ServingError as error:
        assert error.code in (
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNIMPLEMENTED,
        )
    else:
        assert set(asked.inputs) == set(inputs)

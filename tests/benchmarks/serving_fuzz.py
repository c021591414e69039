"""Requests that are wrong in every way, and the status each must get.

A case is a request's bytes, where they go and the statuses that the protocol
has for it: one, where it says which; several, where bytes are cut or flipped
and may by chance still be a request.
"""

import collections
import dataclasses
import http.client
import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from serving.protocol import tensors

PREDICT = "/tensorflow.serving.PredictionService/Predict"
# Objects: NumPy's own strings lose the zeros at their end.
HOSTILE = np.array(
    [
        "\0",
        "item-1\0",
        "../../../etc/passwd",
        "%s%n%x",
        "'; DROP TABLE items; --",
        "\u202eitem-1\ufeff",
        "😀" * 50,
        "x" * 100_000,
        "<script>alert(1)</script>",
        "${jndi:ldap://localhost/a}",
        "\n\r\t",
    ],
    object,
)
NUMBERS = [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0, 0.0, 2000.0]
_ALPHABET = np.array([f"item-{number}" for number in range(12)], object)
# What a few bytes that are cut or flipped may be: nothing (INTERNAL, as gRPC
# has it), a request that is wrong, or by chance a good one.
_BY_CHANCE = (
    "OK",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
)
_WRONG = ("INVALID_ARGUMENT",)
_TOO_LARGE = 1000  # One of so many requests.


@dataclasses.dataclass(frozen=True)
class Case:
    """A request.

    Attributes:
        kind: what is wrong with it.
        body: its bytes.
        allowed: statuses that are right.
        path: where it goes; of HTTP with its method.
    """

    kind: str
    body: bytes
    allowed: tuple[str, ...]
    path: str = PREDICT


def good_inputs(random: np.random.Generator) -> dict[str, np.ndarray]:
    """Those of `serving_default`, of some sessions."""
    shape = random.integers(1, 4), random.integers(1, 9)
    return {
        "items": random.choice(_ALPHABET, shape),
        "dwell_seconds": random.uniform(-5, 300, shape).astype(np.float32),
        "elapsed_seconds": random.uniform(0, 60, shape[0]).astype(np.float32),
    }


def grpc_cases(
    model: str, count: int, seed: int, large_bytes: int = 65 * 2**20
) -> Iterator[Case]:
    """Wrong requests over gRPC.

    Args:
        model: that is served, with sessions' signatures.
        count: how many.
        seed: of them all.
        large_bytes: of a request beyond the server's limit.
    """
    random = np.random.default_rng(seed)
    makers = _grpc_makers(large_bytes)
    for number in range(count):
        # Every kind comes in turn; the largest, which is slow, now and then.
        last = number % _TOO_LARGE == _TOO_LARGE - 1
        make = makers[-1] if last else makers[number % (len(makers) - 1)]
        inputs = good_inputs(random)
        request = tensors.predict_request(model, "serving_default", inputs)
        made = make(random, request, inputs)
        yield dataclasses.replace(made, kind=make.__name__.lstrip("_"))


def _grpc_makers(large_bytes) -> list[Callable[..., Case]]:
    def _too_large(random, request, inputs):
        _set(request, "items", np.array([["x" * large_bytes]], object))
        return _case(request, "RESOURCE_EXHAUSTED")

    return [
        _good,
        _wrong_rank,
        _wrong_rows,
        _wrong_dtype,
        _missing_input,
        _extra_input,
        _unknown_model,
        _unknown_version,
        _unknown_label,
        _unknown_signature,
        _no_model,
        _truncated,
        _flipped,
        _noise,
        _huge_shape,
        _negative_shape,
        _unknown_type,
        _cut_content,
        _hostile_items,
        _invalid_utf8,
        _hostile_numbers,
        _many_clicks,
        _no_clicks,
        _unknown_output,
        _wrong_examples,
        _unknown_method,
        _too_large,
    ]


def _case(request, *allowed) -> Case:
    return Case("", request.SerializeToString(), allowed)


def _set(request, name, array) -> None:
    request.inputs[name].CopyFrom(tensors.to_proto(array))


def _any_input(random, inputs) -> str:
    return str(random.choice(sorted(inputs)))


def _good(random, request, inputs):
    return _case(request, "OK")


def _wrong_rank(random, request, inputs):
    name = _any_input(random, inputs)
    array = inputs[name]
    wrong = [array[..., None], array[None], array.ravel()[:1].reshape(())]
    _set(request, name, wrong[random.integers(len(wrong))])
    return _case(request, *_WRONG)


def _wrong_rows(random, request, inputs):
    name = _any_input(random, inputs)
    _set(request, name, np.concatenate([inputs[name]] * 2))
    return _case(request, *_WRONG)


def _wrong_dtype(random, request, inputs):
    name = _any_input(random, inputs)
    of_numbers = [np.float64, np.int32, np.bool_, np.complex64, np.uint8]
    dtype = of_numbers[random.integers(len(of_numbers))]
    _set(request, name, np.zeros(inputs[name].shape, dtype))
    return _case(request, *_WRONG)


def _missing_input(random, request, inputs):
    del request.inputs[_any_input(random, inputs)]
    return _case(request, *_WRONG)


def _extra_input(random, request, inputs):
    _set(request, random.choice(HOSTILE[2:5]), np.float32([1.0]))
    return _case(request, *_WRONG)


def _unknown_model(random, request, inputs):
    request.model_spec.name = random.choice(HOSTILE)
    return _case(request, "NOT_FOUND")


def _unknown_version(random, request, inputs):
    request.model_spec.version.value = int(random.choice([-1, 0, 2**62]))
    return _case(request, "NOT_FOUND")


def _unknown_label(random, request, inputs):
    request.model_spec.version_label = random.choice(HOSTILE)
    return _case(request, *_WRONG)


def _unknown_signature(random, request, inputs):
    request.model_spec.signature_name = random.choice(HOSTILE)
    return _case(request, "FAILED_PRECONDITION")


def _no_model(random, request, inputs):
    if random.integers(2):
        request.ClearField("model_spec")
    else:
        request.model_spec.name = ""
    return _case(request, *_WRONG)


def _truncated(random, request, inputs):
    body = request.SerializeToString()
    return Case("", body[: random.integers(len(body))], _BY_CHANCE)


def _flipped(random, request, inputs):
    body = np.frombuffer(request.SerializeToString(), np.uint8).copy()
    places = random.integers(len(body), size=random.integers(1, 9))
    body[places] ^= random.integers(1, 256, len(places)).astype(np.uint8)
    # A flip may turn a wire tag into that of a field that is not served.
    return Case("", body.tobytes(), (*_BY_CHANCE, "UNIMPLEMENTED"))


def _noise(random, request, inputs):
    body = random.bytes(int(random.integers(1, 2000)))
    return Case("", body, _BY_CHANCE[1:])


def _huge_shape(random, request, inputs):
    name = _any_input(random, inputs)
    sizes = [2**62, 2**40, 2**31, 10**9]
    for dim in request.inputs[name].tensor_shape.dim:
        dim.size = sizes[random.integers(len(sizes))]
    return _case(request, *_WRONG)


def _negative_shape(random, request, inputs):
    dims = request.inputs[_any_input(random, inputs)].tensor_shape.dim
    dims[random.integers(len(dims))].size = int(random.choice([-1, -(2**60)]))
    return _case(request, *_WRONG)


def _unknown_type(random, request, inputs):
    request.inputs[_any_input(random, inputs)].dtype = int(
        random.choice([0, 21, 99, 122, 2**30])
    )
    return _case(request, *_WRONG)


def _cut_content(random, request, inputs):
    name = ("dwell_seconds", "elapsed_seconds")[random.integers(2)]
    proto = request.inputs[name]
    proto.ClearField("float_val")
    content = inputs[name].tobytes()
    proto.tensor_content = content[: random.integers(1, len(content))]
    return _case(request, *_WRONG)


def _hostile_items(random, request, inputs):
    chosen = random.choice(HOSTILE, inputs["items"].shape)
    _set(request, "items", chosen)
    return _case(request, "OK")


def _invalid_utf8(random, request, inputs):
    array = np.empty(inputs["items"].shape, object)
    for place in np.ndindex(array.shape):
        array[place] = b"\xff" + random.bytes(int(random.integers(0, 30)))
    _set(request, "items", array)
    return _case(request, "OK")


def _hostile_numbers(random, request, inputs):
    for name in ("dwell_seconds", "elapsed_seconds"):
        chosen = random.choice(NUMBERS, inputs[name].shape)
        _set(request, name, chosen.astype(np.float32))
    return _case(request, "OK")


def _many_clicks(random, request, inputs):
    shape = 1, int(random.integers(200, 10_001))
    _set(request, "items", random.choice(_ALPHABET, shape))
    _set(request, "dwell_seconds", np.full(shape, 5.0, np.float32))
    _set(request, "elapsed_seconds", np.zeros(1, np.float32))
    return _case(request, "OK")


def _no_clicks(random, request, inputs):
    rows = len(inputs["items"])
    _set(request, "items", np.empty((rows, 0), object))
    _set(request, "dwell_seconds", np.empty((rows, 0), np.float32))
    return _case(request, "OK")


def _unknown_output(random, request, inputs):
    request.output_filter.append(random.choice(HOSTILE))
    return _case(request, *_WRONG)


def _wrong_examples(random, request, inputs):
    wrong = predict_pb2.PredictRequest(model_spec=request.model_spec)
    wrong.model_spec.signature_name = "examples"
    example = b"\xff" + random.bytes(int(random.integers(0, 50)))
    _set(wrong, "examples", np.array([example], object))
    return _case(wrong, *_WRONG)


def _unknown_method(random, request, inputs):
    body = request.SerializeToString()
    return Case("", body, ("UNIMPLEMENTED",), PREDICT + "Nothing")


def rest_cases(model: str, count: int, seed: int) -> Iterator[Case]:
    """Wrong requests over HTTP; statuses are codes.

    Args:
        model: that is served, with sessions' signatures.
        count: how many.
        seed: of them all.
    """
    random = np.random.default_rng(seed)
    path = f"POST /v1/models/{model}:predict"
    for number in range(count):
        kinds = _rest_kinds(random, good_inputs(random), model)
        kind, body, code, *elsewhere = kinds[number % len(kinds)]
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        allowed = (code,) if isinstance(code, str) else code
        yield Case(kind, body, allowed, elsewhere[0] if elsewhere else path)


def _rest_kinds(random, inputs, model) -> list[tuple[Any, ...]]:
    columns = {name: array.tolist() for name, array in inputs.items()}
    good = {"inputs": columns}
    text = json.dumps(good).encode()
    hostile = random.choice(HOSTILE, inputs["items"].shape)
    name = _any_input(random, inputs)
    # A cut may leave nothing but blanks missing, which is none here.
    cut = text[: random.integers(len(text))]
    ragged = {**columns, "items": [["a"], ["b", "c"]]}
    digits = b'{"inputs": ' + b"9" * int(random.integers(1, 10_000)) + b"}"
    deep = b'{"inputs": ' + b"[" * int(random.integers(100, 100_000))
    flip = bytearray(text)
    flip[random.integers(len(flip))] ^= int(random.integers(1, 256))
    return [
        ("good", good, "200"),
        ("cut", cut, "400"),
        ("flipped", bytes(flip), ("200", "400", "404")),
        ("noise", random.bytes(int(random.integers(1, 2000))), "400"),
        ("empty", b"", "400"),
        ("no object", [1, 2], "400"),
        ("neither", {"signature_name": "serving_default"}, "400"),
        ("both", {**good, "instances": []}, "400"),
        ("no instances", {"instances": []}, "400"),
        ("signature", {**good, "signature_name": "none"}, "400"),
        ("signature is none", {**good, "signature_name": 7}, "400"),
        ("missing", {"inputs": {name: columns[name]}}, "400"),
        ("extra", {"inputs": {**columns, "user": [1]}}, "200"),
        ("ragged", {"inputs": ragged}, "400"),
        ("wrong type", {"inputs": {**columns, name: [[{}]]}}, "400"),
        ("null", {"inputs": {**columns, name: None}}, "400"),
        ("number for text", {"inputs": {**columns, "items": [[7]]}}, "400"),
        ("digits", digits, "400"),
        ("deep", deep, "400"),
        ("hostile", {"inputs": {**columns, "items": hostile.tolist()}}, "200"),
        ("model", good, "404", "POST /v1/models/jmup:predict"),
        ("version", good, "404", f"POST /v1/models/{model}/versions/0:predict"),
        ("path", good, "400", "POST /v1/nothing"),
        ("outside", good, "404", "POST /../../etc/passwd"),
        ("method", good, "400", f"GET /v1/models/{model}:predict"),
    ]


def send_grpc(channel: grpc.Channel, case: Case, timeout: float = 60.0) -> str:
    """The status of an answer."""
    try:
        channel.unary_unary(case.path)(case.body, timeout=timeout)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def send_rest(address: str, case: Case, timeout: float = 60.0) -> str:
    """The status of an answer; the body must be JSON."""
    method, path = case.path.split(" ")
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, path, case.body)
        answer = connection.getresponse()
        json.loads(answer.read())
        return str(answer.status)
    finally:
        connection.close()


@dataclasses.dataclass
class Found:
    """What became of the cases.

    Attributes:
        statuses: by kind, how many got each status.
        wrong: those that got one that is not theirs, with it.
    """

    statuses: dict[str, collections.Counter[str]]
    wrong: list[tuple[Case, str]]


def run(cases: Iterator[Case], send: Callable[[Case], str]) -> Found:
    """Sends all; each failure of the server's is a status, too."""
    found = Found(collections.defaultdict(collections.Counter), [])
    for case in cases:
        try:
            status = send(case)
        except (OSError, http.client.HTTPException, ValueError) as error:
            status = type(error).__name__
        found.statuses[case.kind][status] += 1
        if status not in case.allowed:
            found.wrong.append((case, status))
    return found

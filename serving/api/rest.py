"""TF Serving's REST API, and beside it the page of metrics.

Paths, status codes and texts are those of tensorflow_model_server: see
`model_servers/http_rest_api_handler.cc` and `http_server.cc`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import typing
from urllib import parse

import grpc
from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving.api import playground as api_playground
from serving.api import rest_answers
from serving.api import rest_requests
from serving.protocol import errors
from serving.runtime import core as runtime_core
from serving.runtime import metrics as runtime_metrics
from serving.runtime import servable as runtime_servable

_LOGGER = logging.getLogger(__name__)
_CHOICE = r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_ASKED = re.compile(
    f"/v1/models/([^/:]+){_CHOICE}:(classify|regress|predict)",
    re.ASCII | re.IGNORECASE,
)
_DESCRIBED = re.compile(
    f"/v1/models(?:/([^/:]+))?{_CHOICE}(?:/(metadata))?",
    re.ASCII | re.IGNORECASE,
)
_INT64_MAX = 2**63 - 1
_JSON = "application/json"
_METHODS = {
    "classify": runtime_servable.CLASSIFY,
    "predict": runtime_servable.PREDICT,
    "regress": runtime_servable.REGRESS,
}
_CODES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}  # The others are 500.


def application(
    core: runtime_core.Core,
    *,
    monitoring_path: str | None = None,
    playground: str | None = None,
    timeout_seconds: float = 30.0,
    max_bytes: int = 64 * 2**20,
) -> web.Application:
    """Returns the application that answers HTTP.

    Args:
        core: answers.
        monitoring_path: of the page of metrics; None for none.
        playground: name of the model to play with at `/playground/`; None for
            no such page. With it, only a browser on this machine is answered.
        timeout_seconds: of a prediction; then it is 504.
        max_bytes: of a request's body; beyond it is 413.
    """
    app = web.Application(
        middlewares=[_failures_as_json], client_max_size=max_bytes
    )
    api = _Api(core, timeout_seconds)
    app.router.add_route("*", "/{v:[vV]1}/{rest:.*}", api.answer)
    if monitoring_path is not None:
        app.router.add_get(monitoring_path, api.metrics)
    if playground is not None:
        api_playground.add(app, core.manager, playground)
    return app


class _Api:
    def __init__(self, core: runtime_core.Core, timeout_seconds: float):
        self._core = core
        self._timeout_seconds = timeout_seconds

    async def answer(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        if request.method == "POST" and (found := _ASKED.fullmatch(path)):
            *model, method = found.groups()
            if method in _METHODS:
                return await self._ask(request, _spec(*model), method)
        elif request.method == "GET" and (found := _DESCRIBED.fullmatch(path)):
            *model, part = found.groups()
            describe = self._metadata if part == "metadata" else self._status
            # Indented, as TF Serving does, since people read it.
            body = json.dumps(describe(_spec(*model)), indent=1).encode()
            return web.Response(body=body, content_type=_JSON)
        raise errors.invalid_argument(
            f"Malformed request: {request.method} {path}"
        )

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._core.metrics.text().encode(),
            headers={"Content-Type": runtime_metrics.CONTENT_TYPE},
        )

    async def _ask(self, request, spec, method) -> web.Response:
        started = asyncio.get_running_loop().time()
        body = await request.read()
        message = predict_pb2.PredictRequest(model_spec=spec)
        try:
            rows = self._read(body, message, method)
        except errors.ServingError:
            # The core itself counts what reaches it.
            with self._core.counted(message, spec, method, "REST"):
                raise
        deadline = started + self._timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._core.predict(message, deadline, "REST")
        except TimeoutError as error:
            raise errors.ServingError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"No answer within {self._timeout_seconds:g} seconds",
            ) from error
        body = rest_answers.write(response.outputs, rows)
        return web.Response(body=body, content_type=_JSON)

    def _read(self, body: bytes, message, method: str) -> bool:
        """Fills a request from its JSON; returns whether it came as rows."""
        document = rest_requests.parse(body)
        name = rest_requests.signature_name(document)
        message.model_spec.signature_name = name
        with self._core.manager.use(message.model_spec) as servable:
            signatures = servable.signature_defs
        if method != "predict":
            runtime_core.refuse_inference(signatures, name, _METHODS[method])
        signature = signatures.get(name or schema.SERVING_DEFAULT)
        if signature is None:
            raise errors.invalid_argument(
                f'Serving signature name: "{name or schema.SERVING_DEFAULT}" '
                "not found in signature def"
            )
        return rest_requests.fill(document, signature.inputs, message.inputs)

    def _status(self, spec: model_pb2.ModelSpec) -> dict[str, typing.Any]:
        response = get_model_status_pb2.GetModelStatusResponse(
            model_version_status=self._core.manager.status(spec)
        )
        return json_format.MessageToDict(
            response, always_print_fields_with_no_presence=True
        )

    def _metadata(self, spec: model_pb2.ModelSpec) -> dict[str, typing.Any]:
        with self._core.manager.use(spec) as servable:
            spec = model_pb2.ModelSpec(name=spec.name)
            spec.version.value = servable.version
            signatures = get_model_metadata_pb2.SignatureDefMap(
                signature_def=servable.signature_defs
            )
        return {
            "model_spec": _fields(spec),
            "metadata": {"signature_def": _fields(signatures)},
        }


def _spec(
    name: str | None, version: str | None, label: str | None
) -> model_pb2.ModelSpec:
    if name is None:
        raise errors.invalid_argument("Missing model name in request.")
    spec = model_pb2.ModelSpec(name=parse.unquote(name))
    if version is not None:
        if int(version) > _INT64_MAX:
            raise errors.invalid_argument(
                f"Failed to convert version: {version} to numeric."
            )
        spec.version.value = int(version)
    if label is not None:
        spec.version_label = parse.unquote(label)
    return spec


def _fields(message) -> dict[str, typing.Any]:
    return json_format.MessageToDict(
        message,
        always_print_fields_with_no_presence=True,
        preserving_proto_field_name=True,
    )


@web.middleware
async def _failures_as_json(request, handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except errors.ServingError as error:
        return _failure(_CODES.get(error.code, 500), error.details)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {k: v for k, v in error.headers.items() if k == "Allow"}
        return _failure(error.status, error.text or error.reason, allow)
    except web.RequestPayloadError as error:
        return _failure(400, f"The body cannot be read: {error}")
    except Exception:
        _LOGGER.exception("a request over HTTP failed")
        return _failure(500, "The server failed; its log says why")


def _failure(
    status: int, text: str, headers: dict[str, str] | None = None
) -> web.Response:
    body = json.dumps({"error": text}).encode()
    return web.Response(
        status=status, body=body, content_type=_JSON, headers=headers
    )

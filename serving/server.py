"""TF Serving's gRPC API over SavedModel folders, in this process.

The local default and the stand-in for tests: names, status codes and texts
are those of tensorflow_model_server, which takes the same folder. It answers
Predict, GetModelMetadata and GetModelStatus; the rest is UNIMPLEMENTED.
"""

import json
import logging
import pathlib
import signal
import time
from collections.abc import Callable
from collections.abc import Mapping
from concurrent import futures

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from serving import errors
from serving import lookup
from serving.models import ServedModel
from serving.models import load_models

_LOGGER = logging.getLogger(__name__)
_SIGNATURE_DEF = "signature_def"
MAX_MESSAGE_BYTES = 64 * 2**20
LAST_PORT = 2**16 - 1


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata."""

    def __init__(self, models: lookup.Models):
        self._models = models

    def Predict(self, request, context):  # noqa: N802
        return _answer(
            lambda: self._models.find(request).predict(request),
            request,
            context,
        )

    def GetModelMetadata(self, request, context):  # noqa: N802
        return _answer(lambda: self._metadata(request), request, context)

    def _metadata(self, request):
        lookup.model_spec(request)
        if not request.metadata_field:
            raise errors.invalid_argument(
                "GetModelMetadataRequest must specify at least one "
                "metadata_field"
            )
        for field in request.metadata_field:
            if field != _SIGNATURE_DEF:
                raise errors.invalid_argument(
                    f"Metadata field {field} is not supported"
                )
        model = self._models.find(request)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = model.name
        response.model_spec.version.value = model.version
        signatures = get_model_metadata_pb2.SignatureDefMap(
            signature_def=model.signature_defs
        )
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, models: lookup.Models):
        self._models = models

    def GetModelStatus(self, request, context):  # noqa: N802
        return _answer(lambda: self._status(request), request, context)

    def _status(self, request):
        model = self._models.find_for_status(request)
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(
            version=model.version,
            state=get_model_status_pb2.ModelVersionStatus.AVAILABLE,
            status={},
        )
        return response


class Server:
    """A running server; a context manager that stops it.

    Args:
        models: what is served, by name.
        host: where it listens; others than 127.0.0.1 reach the network, and
            there is no authentication.
        port: 0 picks a free one.
        workers: requests answered at the same time.

    Attributes:
        address: "host:port" for clients.

    Raises:
        InputError: the address cannot be bound.
    """

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        workers: int = 8,
    ):
        if not 0 <= port <= LAST_PORT:  # gRPC would wrap it around.
            raise schema.InputError(
                f"`port` must be 0 to {LAST_PORT}. Received: {port}"
            )
        self._server = grpc.server(
            futures.ThreadPoolExecutor(workers, thread_name_prefix="predict"),
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                # Two servers on one port would share its requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        served = lookup.Models(models)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(served), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(served), self._server
        )
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise schema.InputError(
                "`host` and `port` must be free to listen on. "
                f"Received: {host}:{port}"
            ) from error
        self.address = f"{host}:{bound}"

    def __enter__(self) -> "Server":
        self._server.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def wait(self) -> None:
        """Blocks until the server is stopped or a signal interrupts."""
        self._server.wait_for_termination()

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Refuses new requests and lets those under way finish."""
        self._server.stop(grace_seconds).wait()


def serve(
    models: str | pathlib.Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8500,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves the latest version of each model until SIGINT or SIGTERM.

    Args:
        models: the folder that holds `<name>/<version>/`.
        host: see `Server`.
        port: see `Server`.
        ready: called with the address once requests are answered.

    Raises:
        InputError: there is nothing to serve, or nowhere.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Server(load_models(models), host=host, port=port) as server:
            _LOGGER.info("serving at %s", server.address)
            ready(server.address)
            server.wait()
    except KeyboardInterrupt:  # Raised by both signals.
        _LOGGER.info("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


def _answer(answer, request, context):
    """The answer or its status, and a line in the log that names no item."""
    started = time.perf_counter()
    status = errors.ServingError(grpc.StatusCode.OK, "")
    try:
        return answer()
    except errors.ServingError as error:
        status = error
    finally:
        if _LOGGER.isEnabledFor(logging.DEBUG):
            _log(request, status.code, time.perf_counter() - started)
    return context.abort(status.code, status.details)


def _log(request, code, seconds):
    spec = request.model_spec
    line = {
        "request": type(request).__name__,
        "model": spec.name,
        "signature": spec.signature_name,
        "bytes": request.ByteSize(),
        "code": code.name,
        "milliseconds": round(1000 * seconds, 3),
    }
    _LOGGER.debug("%s", json.dumps(line))

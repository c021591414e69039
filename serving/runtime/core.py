"""Answers requests of gRPC and REST alike; counts and bounds them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from collections.abc import Mapping
from typing import NoReturn

import grpc
from google.protobuf import message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving.protocol import errors
from serving.runtime import logs
from serving.runtime import metrics as counting
from serving.runtime import model_config
from serving.runtime import servable as runtime_servable
from serving.runtime.limits import Limits
from serving.runtime.manager import Manager
from serving.runtime.metrics import Metrics

_LOGGER = logging.getLogger(__name__)
_SIGNATURE_DEF = "signature_def"
_LONGEST_NAME = 100  # In the log.
_INFERENCES = {
    runtime_servable.CLASSIFY: "classification",
    runtime_servable.REGRESS: "regression",
}


class Core:
    """Answers requests of any protocol. Its methods belong to one event loop.

    Every method raises `ServingError` where TF Serving answers a status that
    is not OK.

    Args:
        manager: has the models.
        metrics: counts.
        limits: of what is asked.
        allow_reload: whether a request may replace the set of models.
    """

    def __init__(
        self,
        manager: Manager,
        metrics: Metrics,
        limits: Limits,
        allow_reload: bool = False,
    ):
        self.manager = manager
        self._allow_reload = allow_reload
        self.metrics = metrics
        self.limits = limits
        self._under_way = 0

    async def predict(
        self,
        request: predict_pb2.PredictRequest,
        deadline: float | None,
        entrypoint: str,
    ) -> predict_pb2.PredictResponse:
        """Answers a request for predictions.

        Args:
            request: as TF Serving takes it.
            deadline: in `loop.time()`; None where whoever waits cancels.
            entrypoint: "GRPC" or "REST".
        """
        api = "Predict" if entrypoint == "GRPC" else "predict"
        with self.counted(request, request.model_spec, api, entrypoint):
            if self._under_way >= self.limits.max_concurrent_requests:
                raise errors.ServingError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "There are "
                    f"{self.limits.max_concurrent_requests} requests under "
                    "way already",
                )
            self._under_way += 1
            try:
                with self.manager.use(
                    model_config.model_spec(request)
                ) as servable:
                    return await servable.predict(request, deadline)
            finally:
                self._under_way -= 1

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a version."""
        spec = model_config.model_spec(request)
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
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self.manager.use(spec) as servable:
            signatures = get_model_metadata_pb2.SignatureDefMap(
                signature_def=servable.signature_defs
            )
            response.model_spec.version.value = servable.version
        response.model_spec.name = spec.name
        response.metadata[_SIGNATURE_DEF].Pack(signatures)
        return response

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Returns the states of a model's versions."""
        return get_model_status_pb2.GetModelStatusResponse(
            model_version_status=self.manager.status(
                model_config.model_spec(request)
            )
        )

    async def reload(
        self, request: model_management_pb2.ReloadConfigRequest
    ) -> model_management_pb2.ReloadConfigResponse:
        """Replaces the whole set of models; returns an empty OK status."""
        if not self._allow_reload:
            raise errors.ServingError(
                grpc.StatusCode.PERMISSION_DENIED,
                "The server must be started with --allow-reload for "
                "HandleReloadConfigRequest",
            )
        await self.manager.reload(request.config)
        return model_management_pb2.ReloadConfigResponse(status={})

    @contextlib.contextmanager
    def counted(
        self,
        request: message.Message,
        spec: model_pb2.ModelSpec,
        api: str,
        entrypoint: str = "GRPC",
    ) -> Iterator[None]:
        """Counts and logs the request that its block answers or refuses."""
        started = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            yield
        except errors.ServingError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED
            raise
        except Exception:
            code = grpc.StatusCode.INTERNAL
            raise
        finally:
            micros = 1e6 * (time.perf_counter() - started)
            # Whoever asks for what is not served chooses its name: the
            # metrics would keep every one, however long.
            known = self.manager.knows(spec.name)
            name = spec.name if known else counting.OTHER
            self.metrics.request(name, code.name, api, entrypoint, micros)
            level = logs.level_of(code)
            if _LOGGER.isEnabledFor(level):
                # Details may quote the visitor's items: they are not logged.
                fields = {
                    "api": api,
                    "entrypoint": entrypoint,
                    "model": _shortened(spec.name),
                    "signature": _shortened(spec.signature_name),
                    "bytes": request.ByteSize(),
                    "code": code.name,
                    "milliseconds": round(micros / 1000, 3),
                }
                _LOGGER.log(level, "request", extra={logs.FIELDS: fields})


def _shortened(name: str) -> str:
    """A name of a request as the log shows it, where it may be of any size."""
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}... ({len(name)} characters)"


def refuse_inference(
    signatures: Mapping[str, meta_graph_pb2.SignatureDef],
    name: str,
    method: str,
    missing: str = "No signature was found with the name",
) -> NoReturn:
    """Raises why a signature is not answered by Classify or Regress.

    jump_tf exports no signature that they fit; those of other models that do
    are not answered either.

    Args:
        signatures: of the model, by name.
        name: of the one asked for; empty for the default one.
        method: `servable.CLASSIFY` or `servable.REGRESS`; another one that
            MultiInference asks for is refused, too.
        missing: the text where the model has no such signature.

    Raises:
        ServingError: always; INVALID_ARGUMENT or UNIMPLEMENTED.
    """
    name = name or schema.SERVING_DEFAULT
    if name not in signatures:
        raise errors.invalid_argument(f"{missing}: {name}")
    kind = _INFERENCES.get(method)
    signed = signatures[name].method_name
    if kind and signed != method:
        raise errors.invalid_argument(
            f"Expected {kind} signature method_name to be {method}. "
            f"Was: {signed}"
        )
    raise errors.ServingError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"Unsupported signature method_name: {method}",
    )

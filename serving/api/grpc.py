"""TF Serving's gRPC services over `core.Core`."""

import logging
from typing import Any

import grpc
from google.protobuf import descriptor
from google.protobuf import message
from google.protobuf import message_factory
from tensorflow_serving.apis import inference_pb2
from tensorflow_serving.apis import model_service_pb2
from tensorflow_serving.apis import prediction_service_pb2

from serving.protocol import errors
from serving.runtime import core as runtime_core
from serving.runtime import model_config
from serving.runtime import servable as runtime_servable

_LOGGER = logging.getLogger(__name__)
_NO_TASK = inference_pb2.InferenceTask()
_PREDICTION, _MODEL = (
    file.services_by_name[name]
    for file, name in (
        (prediction_service_pb2.DESCRIPTOR, "PredictionService"),
        (model_service_pb2.DESCRIPTOR, "ModelService"),
    )
)
NAMES = (_PREDICTION.full_name, _MODEL.full_name)


def handlers(core: runtime_core.Core) -> list[grpc.GenericRpcHandler]:
    """Returns the handlers of PredictionService and ModelService."""
    return [
        _handler(_PREDICTION, _PredictionService(core)),
        _handler(_MODEL, _ModelService(core)),
    ]


def _handler(service: descriptor.ServiceDescriptor, methods: Any):
    return grpc.method_handlers_generic_handler(
        service.full_name,
        {
            method.name: grpc.unary_unary_rpc_method_handler(
                _answering(
                    message_factory.GetMessageClass(method.input_type),
                    getattr(methods, method.name),
                )
            )
            for method in service.methods
        },
    )


def _answering(kind, method):
    """Reads the request and turns what a method raises into a status.

    The generated services let gRPC read it, which answers UNKNOWN to bytes
    that are no message, and fills the log with what it thinks of them.
    """

    async def answer(data: bytes, context) -> bytes:
        try:
            response = await method(kind.FromString(data))
            return response.SerializeToString()
        except errors.ServingError as error:
            code, details = error.code, error.details
        except message.DecodeError:
            code, details = grpc.StatusCode.INTERNAL, "Failed to parse request"
        except Exception:
            _LOGGER.exception("a request over gRPC failed")
            code = grpc.StatusCode.INTERNAL
            details = "The server failed; its log says why"
        return await context.abort(code, details)

    return answer


class _PredictionService:
    """Answers PredictionService: predictions and metadata."""

    def __init__(self, core: runtime_core.Core):
        self._core = core

    async def Predict(self, request):  # noqa: N802
        # gRPC cancels this call at the caller's deadline, and with it what
        # waits in a queue: there is no need to watch the time here.
        return await self._core.predict(request, None, "GRPC")

    async def Classify(self, request):  # noqa: N802
        self._refuse(request, runtime_servable.CLASSIFY, "Classify")

    async def Regress(self, request):  # noqa: N802
        self._refuse(request, runtime_servable.REGRESS, "Regress")

    async def MultiInference(self, request):  # noqa: N802
        # No inference is answered: the first one's reason is the answer.
        task = next(iter(request.tasks), _NO_TASK)
        spec = task.model_spec
        with (
            self._core.counted(request, spec, "MultiInference"),
            self._core.manager.use(spec) as servable,
        ):
            runtime_core.refuse_inference(
                servable.signature_defs,
                spec.signature_name,
                task.method_name,
                "Requested signature not found in model graph",
            )

    async def GetModelMetadata(self, request):  # noqa: N802
        return self._core.metadata(request)

    def _refuse(self, request, method: str, api: str) -> None:
        spec = request.model_spec
        with (
            self._core.counted(request, spec, api),
            self._core.manager.use(
                model_config.model_spec(request)
            ) as servable,
        ):
            runtime_core.refuse_inference(
                servable.signature_defs, spec.signature_name, method
            )


class _ModelService:
    """Answers ModelService: the states of models, and a new set of them."""

    def __init__(self, core: runtime_core.Core):
        self._core = core

    async def GetModelStatus(self, request):  # noqa: N802
        return self._core.status(request)

    async def HandleReloadConfigRequest(self, request):  # noqa: N802
        return await self._core.reload(request)

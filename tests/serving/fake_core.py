"""A core without a model, for tests of what answers HTTP."""

import contextlib
import pathlib
from collections.abc import Callable
from collections.abc import Mapping

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import predict_pb2

from serving.protocol import errors
from serving.protocol import tensors
from serving.runtime.metrics import Metrics

Arrays = dict[str, np.ndarray]


class Core:
    """Answers by a function what a signature is asked; its own manager.

    Args:
        signatures: by name, the types of the inputs by name.
        answer: of the inputs.
        folder: of the only version.
    """

    name = "jump"
    version = 7

    def __init__(
        self,
        signatures: Mapping[str, Mapping[str, int]],
        answer: Callable[[Arrays], Arrays],
        folder: pathlib.Path = pathlib.Path(),
    ):
        self.manager = self
        self.metrics = Metrics()
        self.folder = folder
        self.signature_defs = {
            name: meta_graph_pb2.SignatureDef(
                inputs={
                    key: meta_graph_pb2.TensorInfo(name=f"{key}:0", dtype=dtype)
                    for key, dtype in inputs.items()
                }
            )
            for name, inputs in signatures.items()
        }
        self.asked: list[predict_pb2.PredictRequest] = []
        self._answer = answer

    @contextlib.contextmanager
    def use(self, spec):
        if spec.name != self.name:
            raise errors.not_found(
                f"Servable not found for request: Latest({spec.name})"
            )
        yield self

    def status(self, spec):
        with self.use(spec):
            status = get_model_status_pb2.ModelVersionStatus
            return [status(version=7, state=status.AVAILABLE, status={})]

    @contextlib.contextmanager
    def counted(self, request, spec, api, entrypoint):
        """Counts failures alone."""
        del request
        try:
            yield
        except errors.ServingError as error:
            self.metrics.request(
                spec.name, error.code.name, api, entrypoint, 1.0
            )
            raise

    async def predict(self, request, deadline, entrypoint):
        del deadline
        assert entrypoint == "REST"
        self.asked.append(request)
        arrays = self._answer(
            {name: tensors.to_array(x) for name, x in request.inputs.items()}
        )
        response = predict_pb2.PredictResponse()
        for name, array in arrays.items():
            response.outputs[name].CopyFrom(tensors.to_proto(array))
        return response

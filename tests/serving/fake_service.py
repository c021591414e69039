"""A PredictionService whose answers a test makes up."""

import contextlib
from concurrent import futures

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.protocol import errors
from serving.protocol import tensors


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, answer):
        self._answer = answer

    def Predict(self, request, context):  # noqa: N802
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        inputs = {
            name: tensors.to_array(proto)
            for name, proto in request.inputs.items()
        }
        try:
            outputs = self._answer(request.model_spec, inputs)
        except errors.ServingError as error:
            context.abort(error.code, error.details)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(tensors.to_proto(array))
        return response


@contextlib.contextmanager
def serving(answer, credentials=None):
    """The address of a server of `answer(model_spec, inputs) -> outputs`.

    Refusals are raised as `ServingError`.
    """
    server = grpc.server(futures.ThreadPoolExecutor(16))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Service(answer), server
    )
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


def outputs_of(numbers):
    """An answer with two recommendations, well-formed, for each number."""
    rows = np.array(numbers, np.float64).reshape(-1, 1)
    two = np.concatenate([rows, rows + 1.0], 1).astype(np.float32)
    return {
        "items": np.array([[f"{x:.4f}" for x in row] for row in two], object),
        "probabilities": np.float32([[0.5, 0.25]] * len(rows)),
        "dwell_median_seconds": two,
        "dwell_quantiles_seconds": np.stack([two, two + 3.0], 2),
        "quantile_levels": np.float32([[0.1, 0.9]] * len(rows)),
        "page_dwell_median_seconds": two[:, 0],
    }

"""A loaded version's answers to PredictRequests, as TF Serving words them."""

import dataclasses
import pathlib
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving import warmup
from serving.protocol import errors
from serving.protocol import tensors
from serving.runtime.batching import Arrays
from serving.runtime.batching import Batcher
from serving.runtime.batching_options import BatchingOptions
from serving.runtime.limits import Limits
from serving.runtime.metrics import Metrics
from serving.runtime.saved_model import LoadedModel

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


@dataclasses.dataclass(frozen=True)
class _Question:
    signature: str
    inputs: Arrays
    outputs: tuple[str, ...]


class ServedVersion:
    """One version of a model, loaded and warmed up.

    Args:
        name: of the model.
        folder: `<anything>/<version>/`, a SavedModel.
        options: how requests share a run.
        limits: of each request.
        metrics: what counts runs.
        threads: of one operation; 0 leaves it to TensorFlow.

    Attributes:
        name: as given.
        folder: as given.
        version: its number.
        signature_defs: what can be asked, by name.

    Raises:
        InputError: the folder holds no SavedModel.
        ServingError: a warm-up request fails.
    """

    def __init__(
        self,
        name: str,
        folder: pathlib.Path,
        options: BatchingOptions | None = None,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
        threads: int = 0,
    ):
        self._model = LoadedModel(folder, threads)
        self.name = name
        self.folder = folder
        self.version = self._model.version
        self.signature_defs = self._model.signature_defs
        self._limits = limits or Limits()
        self._metrics = metrics or Metrics()
        try:
            self._warm_up(folder)
        except BaseException:
            self._model.close()
            raise
        self._batcher = Batcher(self._model.run, options, self._observe)

    async def predict(
        self,
        request: predict_pb2.PredictRequest,
        deadline: float | None = None,
    ) -> predict_pb2.PredictResponse:
        """Answers as TF Serving does, status texts included.

        Args:
            request: of this model, whatever its `model_spec` says.
            deadline: in `loop.time()`.

        Raises:
            ServingError: the request does not fit the signature, the graph
                refuses it, or there is no time or room for it.
        """
        question = self._question(request)
        outputs = await self._batcher.run(
            question.signature, question.inputs, deadline
        )
        return self._response(request, question, outputs)

    def predict_at_once(
        self, request: predict_pb2.PredictRequest
    ) -> predict_pb2.PredictResponse:
        """Answers as `predict` does, without a queue, in this thread."""
        question = self._question(request)
        try:
            outputs = self._model.run(question.signature, question.inputs)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise errors.from_tensorflow(error) from error
        return self._response(request, question, outputs)

    def close(self) -> None:
        """Frees the model and its threads. No request may be under way."""
        self._batcher.close()
        self._model.close()

    def _warm_up(self, folder: pathlib.Path) -> None:
        started = time.perf_counter()
        for request in warmup.read_warmup_requests(folder):
            self.predict_at_once(request)
        self._metrics.warmup(self.name, 1e6 * (time.perf_counter() - started))

    def _observe(self, rows: int, waited: float, took: float) -> None:
        self._metrics.batch(self.name, rows, 1e6 * waited)
        self._metrics.runtime(self.name, "Predict", 1e6 * took)

    def _question(self, request: predict_pb2.PredictRequest) -> _Question:
        key = request.model_spec.signature_name or schema.SERVING_DEFAULT
        signature = self.signature_defs.get(key)
        if signature is None:
            raise errors.ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{key}" not found.',
            )
        if signature.method_name not in (PREDICT, CLASSIFY, REGRESS):
            raise errors.ServingError(
                grpc.StatusCode.INTERNAL,
                "Expected prediction signature method_name to be one of "
                f"{{{PREDICT}, {CLASSIFY}, {REGRESS}}}. Was: "
                f"{signature.method_name}",
            )
        inputs = _inputs(signature, request, self._limits)
        return _Question(key, inputs, _wanted_outputs(signature, request))

    def _response(self, request, question: _Question, outputs: Arrays):
        response = predict_pb2.PredictResponse()
        spec = response.model_spec
        spec.name = request.model_spec.name
        spec.version.value = self.version
        spec.signature_name = question.signature
        for alias in question.outputs:
            tensors.fill(response.outputs[alias], outputs[alias])
        return response


def _inputs(signature, request, limits: Limits) -> dict[str, np.ndarray]:
    sent, expected = request.inputs, signature.inputs
    if len(sent) > len(expected) or (
        len(sent) < len(expected) and not signature.defaults
    ):
        names, signed = set(sent), set(expected)
        raise errors.invalid_argument(
            f"input size does not match signature: {len(sent)}!="
            f"{len(expected)} len({_braced(sent)}) != len({_braced(expected)})."
            f" Sent extra: {_braced(names - signed)}."
            f" Missing but required: {_braced(signed - names)}."
        )
    arrays = {}
    for alias, info in expected.items():
        if alias in sent:
            arrays[alias] = _input(alias, info, sent[alias], limits)
        elif alias in signature.defaults:
            arrays[alias] = tensors.to_array(signature.defaults[alias])
        else:
            raise errors.invalid_argument(
                f"Signature input alias: {alias}(feed name: {info.name}) not "
                "found in request and no default value provided. Inputs "
                f"expected to be in the request {_braced(sent)}, or default "
                f"input alias set: {','.join(sorted(signature.defaults))}"
            )
    return arrays


def _input(
    alias: str,
    info: meta_graph_pb2.TensorInfo,
    proto: tensor_pb2.TensorProto,
    limits: Limits,
) -> np.ndarray:
    if proto.dtype != info.dtype:
        raise errors.invalid_argument(
            f"Input `{alias}` must be of type {tf.as_dtype(info.dtype).name}. "
            f"Received: {_dtype_name(proto.dtype)}"
        )
    received = [dim.size for dim in proto.tensor_shape.dim]
    if not _is_compatible(received, info.tensor_shape):
        raise errors.invalid_argument(
            f"Input `{alias}` must have shape "
            f"{tf.TensorShape(info.tensor_shape)}. Received: {received}"
        )
    limits.check(alias, received)
    try:
        return tensors.to_array(proto)
    except ValueError as error:
        raise errors.invalid_argument(
            f"tensor parsing error: {alias}"
        ) from error


def _is_compatible(received: list[int], expected) -> bool:
    if min(received, default=0) < 0:
        return False
    return expected.unknown_rank or (
        len(received) == len(expected.dim)
        and all(
            dim.size in (-1, size)
            for size, dim in zip(received, expected.dim, strict=True)
        )
    )


def _wanted_outputs(signature, request) -> tuple[str, ...]:
    if not request.output_filter:
        return tuple(signature.outputs)
    seen: list[str] = []
    for alias in request.output_filter:
        if alias not in signature.outputs:
            raise errors.invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs "
                f"expected to be in the set {_braced(signature.outputs)}."
            )
        if alias in seen:
            raise errors.invalid_argument(
                f"duplicate output tensor alias: {alias}"
            )
        seen.append(alias)
    return tuple(seen)


def _braced(aliases) -> str:
    return "{" + ",".join(sorted(aliases)) + "}"


def _dtype_name(enum: int) -> str:
    try:
        return tf.as_dtype(enum).name
    except TypeError:
        return f"type {enum}"

"""SavedModel version folders and the answers of what they hold."""

import logging
import pathlib

import grpc
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving import errors
from serving import tensors
from serving import warmup

_LOGGER = logging.getLogger(__name__)


class ServedModel:
    """One version of a model, loaded and warmed up.

    Args:
        folder: `<name>/<version>/`, a SavedModel.

    Raises:
        InputError: the folder holds no SavedModel.
        ServingError: a warm-up request fails.
    """

    def __init__(self, folder: pathlib.Path):
        self.name = folder.parent.name
        self.version = int(folder.name)
        self.signature_defs = _signature_defs(folder)
        self._loaded = tf.saved_model.load(str(folder))
        for request in warmup.read_warmup_requests(folder):
            self.predict(request)

    def predict(
        self, request: predict_pb2.PredictRequest
    ) -> predict_pb2.PredictResponse:
        """Answers as TF Serving does, status texts included.

        Raises:
            ServingError: the request does not fit the signature.
        """
        key = request.model_spec.signature_name or schema.SERVING_DEFAULT
        if key not in self._loaded.signatures:
            raise errors.ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Serving signature key "{key}" not found.',
            )
        signature = self.signature_defs[key]
        inputs = _inputs(signature, request)
        wanted = _wanted_outputs(signature, request)
        try:
            outputs = self._loaded.signatures[key](**inputs)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise errors.from_tensorflow(error) from error
        response = predict_pb2.PredictResponse()
        response.model_spec.name = self.name
        response.model_spec.version.value = self.version
        response.model_spec.signature_name = key
        for alias in wanted:
            value = tensors.to_proto(outputs[alias].numpy())
            response.outputs[alias].CopyFrom(value)
        return response


def load_models(models: str | pathlib.Path) -> dict[str, ServedModel]:
    """Loads the latest version of each model of a folder, by name.

    Args:
        models: holds `<name>/<version>/`; what is not named by a number is
            not a version.

    Raises:
        InputError: there is no such folder, no version, or no SavedModel
            where there should be one.
    """
    base = pathlib.Path(models)
    if not base.is_dir():
        raise schema.InputError(
            f"The folder of models must exist. Received: {models}"
        )
    latest = [
        max(versions, key=lambda folder: int(folder.name))
        for name in sorted(base.iterdir())
        if (versions := _version_folders(name))
    ]
    if not latest:
        raise schema.InputError(
            "The folder of models must hold <name>/<version>/, versions being "
            f"numbers. Received: {models}, which has none"
        )
    loaded = {}
    for folder in latest:
        loaded[folder.parent.name] = ServedModel(folder)
        _LOGGER.info("loaded %s", folder)
    return loaded


def _version_folders(name: pathlib.Path) -> list[pathlib.Path]:
    if not name.is_dir():
        return []
    return [
        folder
        for folder in name.iterdir()
        if folder.name.isdecimal() and folder.is_dir()
    ]


def _signature_defs(
    folder: pathlib.Path,
) -> dict[str, meta_graph_pb2.SignatureDef]:
    try:
        serialized = (
            folder / tf.saved_model.SAVED_MODEL_FILENAME_PB
        ).read_bytes()
    except OSError as error:
        raise schema.InputError(
            f"A version folder must hold a SavedModel. Received: {folder}"
        ) from error
    saved_model = saved_model_pb2.SavedModel.FromString(serialized)
    return dict(saved_model.meta_graphs[0].signature_def)


def _inputs(signature, request) -> dict[str, tf.Tensor]:
    sent, expected = set(request.inputs), set(signature.inputs)
    if len(sent) != len(expected):
        raise errors.invalid_argument(
            f"input size does not match signature: {len(sent)}!="
            f"{len(expected)} len({_braced(sent)}) != len({_braced(expected)})."
            f" Sent extra: {_braced(sent - expected)}."
            f" Missing but required: {_braced(expected - sent)}."
        )
    for alias in sorted(expected - sent):
        raise errors.invalid_argument(
            f"Signature input alias: {alias}(feed name: "
            f"{signature.inputs[alias].name}) not found in request and no "
            "default value provided. Inputs expected to be in the request "
            f"{_braced(sent)}, or default input alias set: "
        )
    return {
        alias: _input(alias, info, request.inputs[alias])
        for alias, info in signature.inputs.items()
    }


def _input(
    alias: str,
    info: meta_graph_pb2.TensorInfo,
    proto: tensor_pb2.TensorProto,
) -> tf.Tensor:
    if proto.dtype != info.dtype:
        raise errors.invalid_argument(
            f"Input `{alias}` must be of type {tf.as_dtype(info.dtype).name}. "
            f"Received: {_dtype_name(proto.dtype)}"
        )
    expected = tf.TensorShape(info.tensor_shape)
    received = [dim.size for dim in proto.tensor_shape.dim]
    if min(received, default=0) < 0 or not expected.is_compatible_with(
        received
    ):
        raise errors.invalid_argument(
            f"Input `{alias}` must have shape {expected}. Received: {received}"
        )
    try:
        return tf.io.parse_tensor(proto.SerializeToString(), info.dtype)
    except tf.errors.InvalidArgumentError as error:
        raise errors.invalid_argument(
            f"tensor parsing error: {alias}"
        ) from error


def _wanted_outputs(signature, request) -> list[str]:
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
    return seen or list(signature.outputs)


def _braced(aliases) -> str:
    return "{" + ",".join(sorted(aliases)) + "}"


def _dtype_name(enum: int) -> str:
    try:
        return tf.as_dtype(enum).name
    except TypeError:
        return f"type {enum}"

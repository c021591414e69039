"""Classify, Regress and MultiInference: refused as TF Serving refuses.

jump_tf exports no signature that they fit, so those that they do fit are not
answered either: UNIMPLEMENTED.
"""

from collections.abc import Mapping

import grpc
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import inference_pb2

from jump_tf import schema
from serving.protocol import errors
from serving.runtime.servable import CLASSIFY
from serving.runtime.servable import REGRESS

Signatures = Mapping[str, meta_graph_pb2.SignatureDef]
_WORDS = {CLASSIFY: "classification", REGRESS: "regression"}


def refuse(signatures: Signatures, name: str, method: str) -> None:
    """Raises why a signature is not answered by Classify or Regress.

    Args:
        signatures: of the model.
        name: of the one asked for; empty for the default one.
        method: `CLASSIFY` or `REGRESS`.

    Raises:
        ServingError: always.
    """
    name = name or schema.SERVING_DEFAULT
    if name not in signatures:
        raise errors.invalid_argument(
            f"No signature was found with the name: {name}"
        )
    _check_method(signatures[name], method)
    raise _not_offered(method)


def refuse_many(
    signatures: Signatures, request: inference_pb2.MultiInferenceRequest
) -> None:
    """Raises why a request for several inferences is not answered.

    Raises:
        ServingError: always.
    """
    models, names = set(), set()
    for task in request.tasks:
        models.add(task.model_spec.name)
        if "" in models:
            raise errors.invalid_argument(
                "Found ModelSpec with an empty model name."
            )
        if len(models) > 1:
            raise errors.invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the "
                "same model name."
            )
        name = task.model_spec.signature_name or schema.SERVING_DEFAULT
        if name in names:
            raise errors.invalid_argument(
                f"Duplicate evaluation of signature: {name}"
            )
        names.add(name)
        if name not in signatures:
            raise errors.invalid_argument(
                f"Requested signature not found in model graph: {name}"
            )
        if task.method_name not in _WORDS:
            raise errors.ServingError(
                grpc.StatusCode.UNIMPLEMENTED,
                f"Unsupported signature method_name: {task.method_name}",
            )
        _check_method(signatures[name], task.method_name)
    raise _not_offered("MultiInference")


def _check_method(signature, method: str) -> None:
    if signature.method_name != method:
        raise errors.invalid_argument(
            f"Expected {_WORDS[method]} signature method_name to be {method}. "
            f"Was: {signature.method_name}"
        )


def _not_offered(method: str) -> errors.ServingError:
    return errors.ServingError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"This server does not answer {method.rpartition('/')[2]}",
    )

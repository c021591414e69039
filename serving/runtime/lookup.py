"""Which served version a request is for, in TF Serving's words."""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf import message
from tensorflow_serving.apis import model_pb2

from serving.protocol import errors

Found = TypeVar("Found")
ByVersion = Mapping[str, Mapping[int, Found]]  # By name, then by version.


def model_spec(request: message.Message) -> model_pb2.ModelSpec:
    """The model a request names.

    Raises:
        ServingError: it names none.
    """
    if not request.HasField("model_spec"):
        raise errors.invalid_argument("Missing ModelSpec")
    return request.model_spec


def find(
    spec: model_pb2.ModelSpec,
    served: ByVersion[Found],
    labels: Mapping[str, Mapping[str, int]],
) -> Found:
    """The version that answers: the one asked for, or else the highest.

    Args:
        spec: of the request.
        served: what is available.
        labels: by name of the model, then by label, a version.

    Raises:
        ServingError: no such version is available.
    """
    name = spec.name
    if not name:
        raise errors.invalid_argument("ModelSpec has no name specified.")
    versions = served.get(name, {})
    choice = spec.WhichOneof("version_choice")
    if choice is None:
        if not versions:
            raise errors.not_found(
                f"Servable not found for request: Latest({name})"
            )
        return versions[max(versions)]
    if choice == "version":
        version = spec.version.value
    else:
        version = _labelled(name, spec.version_label, labels)
    if version not in versions:
        raise errors.not_found(
            f"Servable not found for request: Specific({name}, {version})"
        )
    return versions[version]


def find_all(
    spec: model_pb2.ModelSpec, states: ByVersion[Found]
) -> list[Found]:
    """What GetModelStatus tells: one version, or all, the highest first.

    Args:
        spec: of the request; its label is not heeded, as in TF Serving.
        states: of all versions that ever were wanted.

    Raises:
        ServingError: there is no such version.
    """
    versions = states.get(spec.name, {})
    if not spec.HasField("version"):
        if not versions:
            raise errors.not_found(
                f"Could not find any versions of model {spec.name}"
            )
        return [versions[version] for version in sorted(versions, reverse=True)]
    version = spec.version.value
    if version not in versions:
        raise errors.not_found(
            f"Could not find version {version} of model {spec.name}"
        )
    return [versions[version]]


def _labelled(
    name: str, label: str, labels: Mapping[str, Mapping[str, int]]
) -> int:
    try:
        return labels[name][label]
    except KeyError:
        raise errors.invalid_argument(
            f"Unrecognized servable version label: {label}"
        ) from None

"""Which models and versions a configuration wants, and a request asks for.

Rules and texts are TF Serving's, in server_core.cc and
file_system_storage_path_source.cc.
"""

import pathlib
import re
from collections.abc import Collection
from collections.abc import Mapping
from typing import TypeVar

import grpc
from google.protobuf import message
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config import model_server_config_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from jump_tf import schema
from serving.protocol import errors

PLATFORM = "tensorflow"
_VERSION = re.compile(r"[0-9]+")
_LAST_VERSION = 2**63 - 1

# By model the versions wanted, or why its base path cannot be read.
Found = dict[str, dict[int, pathlib.Path] | OSError]
Labels = dict[str, dict[str, int]]
Version = TypeVar("Version")
ByVersion = Mapping[str, Mapping[int, Version]]  # By name, then by number.


def config_of_folder(
    models: str | pathlib.Path,
) -> ModelServerConfig:
    """Returns a configuration of the latest version of each model of a folder.

    Args:
        models: holds `<name>/<version>/`.

    Raises:
        InputError: there is no such folder, or no version in it.
    """
    folder = pathlib.Path(models).absolute()
    if not folder.is_dir():
        raise schema.InputError(
            f"The folder of models must exist. Received: {models}"
        )
    config = ModelServerConfig()
    for base in sorted(folder.iterdir()):
        if base.is_dir() and version_folders(base):
            config.model_config_list.config.add(
                name=base.name, base_path=str(base), model_platform=PLATFORM
            )
    if not config.model_config_list.config:
        raise schema.InputError(
            "The folder of models must hold <name>/<version>/, versions being "
            f"numbers. Received: {models}, which has none"
        )
    return config


def version_folders(base: pathlib.Path) -> dict[int, pathlib.Path]:
    """Returns the version folders of a base path: those named by a number.

    A folder that is still being written has another name.

    Raises:
        OSError: the base path cannot be listed.
    """
    return {
        int(folder.name): folder
        for folder in sorted(base.iterdir())
        if _VERSION.fullmatch(folder.name)
        and int(folder.name) <= _LAST_VERSION
        and folder.is_dir()
    }


def wanted_versions(
    model: model_server_config_pb2.ModelConfig,
) -> dict[int, pathlib.Path]:
    """Returns the versions on disk that a model's policy asks for.

    Raises:
        OSError: its base path cannot be listed.
    """
    folders = version_folders(pathlib.Path(model.base_path))
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return folders
    if choice == "specific":
        numbers = [n for n in policy.specific.versions if n in folders]
    else:
        numbers = sorted(folders)[-max(policy.latest.num_versions, 1) :]
    return {number: folders[number] for number in numbers}


def found_versions(config: ModelServerConfig) -> Found:
    """Returns the versions on disk that each model's policy asks for."""
    found: Found = {}
    for model in config.model_config_list.config:
        try:
            found[model.name] = wanted_versions(model)
        except OSError as error:
            found[model.name] = error
    return found


def refuse_unreadable(found: Found) -> None:
    """Refuses base paths that cannot be listed.

    Raises:
        ServingError: INVALID_ARGUMENT, of the first one.
    """
    for name, versions in found.items():
        if isinstance(versions, OSError):
            raise errors.invalid_argument(
                f"Could not find base path {versions.filename} for servable "
                f"{name} with error {versions.strerror}"
            )


def check(config: ModelServerConfig) -> None:
    """Refuses a list of models that cannot be served, whatever the files.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise errors.invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest."
            " Only ModelConfigList is currently supported"
        )
    names = set()
    for model in config.model_config_list.config:
        if model.name in names:
            raise errors.invalid_argument(
                f"Illegal to list model {model.name} multiple times in config "
                "list"
            )
        names.add(model.name)
        if not pathlib.PurePath(model.base_path).is_absolute():
            raise errors.invalid_argument(
                f"Expected model {model.name} to have an absolute path or URI; "
                f"got base_path()={model.base_path}"
            )
        _check_platform(model)


def _check_platform(model: model_server_config_pb2.ModelConfig) -> None:
    platform = model.model_platform
    if model.model_type:
        if platform:
            raise errors.invalid_argument(
                "Illegal setting both ModelServerConfig::model_type "
                "(deprecated) and ModelServerConfig::model_platform, model "
                f"name is {model.name}"
            )
        if model.model_type != model_server_config_pb2.TENSORFLOW:
            raise errors.invalid_argument(
                "ModelServerConfig::model_type choice "
                f"{model.model_type} not supported."
            )
    elif not platform:
        raise errors.invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type "
            "(deprecated) nor ModelServerConfig::model_platform, model name "
            f"is {model.name}"
        )
    elif platform != PLATFORM:
        raise errors.invalid_argument(
            f"Model {model.name} requests unsupported platform {platform}"
        )


def labels(
    config: ModelServerConfig,
    available: Mapping[str, Collection[int]],
    before: Labels,
    for_unavailable: bool,
) -> Labels:
    """Returns the version of each label, by model, then by label.

    Args:
        config: that names them.
        available: versions, by model.
        before: the labels until now.
        for_unavailable: whether a label that is new may name a version that
            is not available yet; one that is moved may never.

    Raises:
        ServingError: FAILED_PRECONDITION, a version is not available.
    """
    found: Labels = {}
    for model in config.model_config_list.config:
        known = before.get(model.name, {})
        for label, version in model.version_labels.items():
            unmoved = known.get(label, version) == version
            if not (
                version in available.get(model.name, ())
                or (for_unavailable and unmoved)
            ):
                raise errors.ServingError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model "
                    f"{model.name}, which is not currently available for "
                    "inference",
                )
            found.setdefault(model.name, {})[label] = version
    return found


def model_spec(request: message.Message) -> model_pb2.ModelSpec:
    """Returns the model that a request names.

    Raises:
        ServingError: it names none.
    """
    if not request.HasField("model_spec"):
        raise errors.invalid_argument("Missing ModelSpec")
    return request.model_spec


def find(
    spec: model_pb2.ModelSpec,
    served: ByVersion[Version],
    labels: Labels,
) -> Version:
    """Returns the version that answers: the one asked for, or the highest.

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
    spec: model_pb2.ModelSpec, states: ByVersion[Version]
) -> list[Version]:
    """Returns what GetModelStatus reports: one version, or all downwards.

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


def _labelled(name: str, label: str, labels: Labels) -> int:
    try:
        return labels[name][label]
    except KeyError:
        raise errors.invalid_argument(
            f"Unrecognized servable version label: {label}"
        ) from None

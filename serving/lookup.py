"""Which served model a request is for, in TF Serving's words."""

from collections.abc import Mapping

from google.protobuf import message
from tensorflow_serving.apis import model_pb2

from serving import errors
from serving.models import ServedModel


def model_spec(request: message.Message) -> model_pb2.ModelSpec:
    """The model a request names.

    Raises:
        ServingError: it names none.
    """
    if not request.HasField("model_spec"):
        raise errors.invalid_argument("Missing ModelSpec")
    return request.model_spec


class Models:
    """The served models, looked up as TF Serving does."""

    def __init__(self, models: Mapping[str, ServedModel]):
        self._models = models

    def find(self, request: message.Message) -> ServedModel:
        """The model a request is for.

        Raises:
            ServingError: it is not served.
        """
        spec = model_spec(request)
        if not spec.name:
            raise errors.invalid_argument("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            raise errors.invalid_argument(
                f"Unrecognized servable version label: {spec.version_label}"
            )
        model = self._models.get(spec.name)
        if choice is None and model is None:
            raise errors.not_found(
                f"Servable not found for request: Latest({spec.name})"
            )
        version = spec.version.value
        if model is None or (choice and model.version != version):
            raise errors.not_found(
                "Servable not found for request: "
                f"Specific({spec.name}, {version})"
            )
        return model

    def find_for_status(self, request: message.Message) -> ServedModel:
        """The same, in the words of GetModelStatus."""
        spec = model_spec(request)
        model = self._models.get(spec.name)
        if spec.HasField("version"):
            version = spec.version.value
            if model is None or model.version != version:
                raise errors.not_found(
                    f"Could not find version {version} of model {spec.name}"
                )
        elif model is None:
            raise errors.not_found(
                f"Could not find any versions of model {spec.name}"
            )
        return model

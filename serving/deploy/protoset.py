"""The protocol's descriptors, for tools like grpcurl.

    python -m serving.deploy.protoset FILE
    grpcurl -protoset FILE ...

TF Serving has no reflection, from which such tools could learn them; our own
server has.
"""

import pathlib
import sys

from google.protobuf import descriptor
from google.protobuf import descriptor_pb2
from tensorflow_serving.apis import model_service_pb2
from tensorflow_serving.apis import prediction_service_pb2


def protoset() -> descriptor_pb2.FileDescriptorSet:
    """Returns PredictionService, ModelService and their dependencies first."""
    files: dict[str, descriptor.FileDescriptor] = {}

    def add(file: descriptor.FileDescriptor) -> None:
        for needed in file.dependencies:
            add(needed)
        files[file.name] = file  # After what it needs.

    add(prediction_service_pb2.DESCRIPTOR)
    add(model_service_pb2.DESCRIPTOR)
    found = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(found.file.add())
    return found


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_bytes(protoset().SerializeToString())

"""TF Serving's configuration files: text protos.

`tensorflow-serving-api` has the messages of `models.config` only; the others
are described here, names and numbers as in TF Serving's
session_bundle_config.proto, ssl_config.proto and monitoring_config.proto.
"""

import pathlib
import re
from typing import Any
from typing import TypeVar

from google.protobuf import descriptor_pb2
from google.protobuf import descriptor_pool
from google.protobuf import message
from google.protobuf import message_factory
from google.protobuf import text_format
from google.protobuf import wrappers_pb2
from tensorflow_serving.config import model_server_config_pb2

from jump_tf import schema

Message = TypeVar("Message", bound=message.Message)

_PACKAGE = "tensorflow.serving"
_INT64 = ".google.protobuf.Int64Value"
_BOOL = ".google.protobuf.BoolValue"
_STRING = ".google.protobuf.StringValue"
# Field, number, type: a scalar's name or a message's with a leading dot.
_FIELDS: dict[str, list[tuple[str, int, str]]] = {
    "BatchingParameters": [
        ("max_batch_size", 1, _INT64),
        ("batch_timeout_micros", 2, _INT64),
        ("max_enqueued_batches", 3, _INT64),
        ("num_batch_threads", 4, _INT64),
        ("thread_pool_name", 5, _STRING),
        ("enable_large_batch_splitting", 8, _BOOL),
        ("max_execution_batch_size", 9, _INT64),
        ("allowed_batch_sizes", 6, "repeated int64"),
        ("pad_variable_length_inputs", 7, "bool"),
    ],
    "SSLConfig": [
        ("server_key", 1, "string"),
        ("server_cert", 2, "string"),
        ("custom_ca", 3, "string"),
        ("client_verify", 4, "bool"),
    ],
    "PrometheusConfig": [("enable", 1, "bool"), ("path", 2, "string")],
    "MonitoringConfig": [
        ("prometheus_config", 1, f".{_PACKAGE}.PrometheusConfig")
    ],
}


def _field(name: str, number: int, kind: str):
    field = descriptor_pb2.FieldDescriptorProto(name=name, number=number)
    label, _, scalar = kind.rpartition(" ")
    field.label = getattr(field, f"LABEL_{(label or 'optional').upper()}")
    if scalar.startswith("."):
        field.type, field.type_name = field.TYPE_MESSAGE, scalar
    else:
        field.type = getattr(field, f"TYPE_{scalar.upper()}")
    return field


def _messages() -> dict[str, Any]:
    # A pool of our own: should the official package ever bring these
    # messages, one pool could not hold both.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(
        descriptor_pb2.FileDescriptorProto(
            name="serving/text_protos.proto",
            package=_PACKAGE,
            syntax="proto3",
            dependency=[wrappers_pb2.DESCRIPTOR.name],
            message_type=[
                descriptor_pb2.DescriptorProto(
                    name=name, field=[_field(*field) for field in fields]
                )
                for name, fields in _FIELDS.items()
            ],
        )
    )
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        )
        for name in _FIELDS
    }


_CLASSES = _messages()
BatchingParameters = _CLASSES["BatchingParameters"]
SSLConfig = _CLASSES["SSLConfig"]
MonitoringConfig = _CLASSES["MonitoringConfig"]


def read(path: str | pathlib.Path, into: Message) -> Message:
    """Fills a message from a text proto file.

    Args:
        path: the file.
        into: an empty message, e.g. `SSLConfig()`.

    Returns:
        The message.

    Raises:
        InputError: the file cannot be read, or is not such a text.
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        return text_format.Parse(text, into)
    except OSError as error:
        reason = error.strerror
    except UnicodeDecodeError as error:
        reason = f"{error.reason} at byte {error.start}"
    except text_format.ParseError as error:
        reason = _reason(error)
    raise schema.InputError(
        f"The file must be a text proto {into.DESCRIPTOR.name}. "
        f"Received: {path}, {reason}"
    )


def _reason(error: text_format.ParseError) -> str:
    """Says what is wrong in which line; never quotes, it may be a key."""
    line = error.GetLine()
    if line is None:
        return str(error)
    text = str(error).removeprefix(f"{line}:{error.GetColumn()} : ")
    # 'the line': What is wrong: what was there
    text = re.sub(r"^'.*': ", "", text)
    return f"line {line}: {text.partition(': ')[0]}"


def read_model_config(
    path: str | pathlib.Path,
) -> model_server_config_pb2.ModelServerConfig:
    """Reads which models to serve, a `--model_config_file`.

    Raises:
        InputError: as `read`.
    """
    return read(path, model_server_config_pb2.ModelServerConfig())

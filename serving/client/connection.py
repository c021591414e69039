"""A channel to a server: TLS, sizes, deadlines and retries."""

import pathlib
import random
import ssl
import time
from collections.abc import Callable
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from serving.protocol import errors

MAX_MESSAGE_BYTES = 64 * 2**20
# The server did not begin, or says that it has too much to do just now.
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_PAUSE_SECONDS = 0.05  # Doubled before each retry.
_RECONNECT_MS = 100  # gRPC's own second would outlast the pauses.


class Connection:
    """One channel and the official stubs on it.

    Args:
        address: "host:port".
        credentials: of `tls_credentials`; None is plain text.
        max_message_bytes: of a request and of an answer.
        attempts: how often a call is tried where the server is not there or
            overloaded, with pauses that double, at random up to the full one,
            and that never outlast the caller's deadline.

    Raises:
        InputError: `attempts` is less than one.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        attempts: int = 4,
    ):
        if attempts < 1:
            raise schema.InputError(
                f"`attempts` must be at least 1. Received: {attempts}"
            )
        self._attempts = attempts
        self._channel = open_channel(
            grpc, address, credentials, max_message_bytes
        )
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self.models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """Closes the channel and cancels the calls under way."""
        self._channel.close()

    def call(
        self, method: Callable[..., Any], request: Any, deadline: float
    ) -> Any:
        """Returns the answer of a stub's method.

        Args:
            method: of `predictions` or `models`.
            request: its message.
            deadline: by `time.monotonic()`.

        Raises:
            InputError: the server says that the request is wrong.
            ServingError: it does not answer.
        """
        attempt = 0
        while True:
            attempt += 1
            left = deadline - time.monotonic()
            try:
                return method(request, timeout=max(left, 0.0))
            except grpc.RpcError as error:
                pause = random.uniform(0, _PAUSE_SECONDS * 2**attempt)
                if (
                    error.code() not in RETRIED
                    or attempt == self._attempts
                    or time.monotonic() + pause >= deadline
                ):
                    raise errors.from_rpc(error) from error
                time.sleep(pause)


def open_channel(
    library: Any,
    address: str,
    credentials: grpc.ChannelCredentials | None = None,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> Any:
    """Returns a channel with a connection of its own.

    Args:
        library: `grpc` or `grpc.aio`.
        address: "host:port".
        credentials: of TLS; None is plain text.
        max_message_bytes: of a request and of an answer.
    """
    options = [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if credentials is None:
        return library.insecure_channel(address, options=options)
    return library.secure_channel(address, credentials, options=options)


def tls_credentials(
    root: str | pathlib.Path | None = None,
    key: str | pathlib.Path | None = None,
    certificate: str | pathlib.Path | None = None,
) -> grpc.ChannelCredentials:
    """Returns credentials of PEM files, for gRPC.

    Args:
        root: certificate that signs the server's; by default those that the
            machine trusts.
        key: the client's, where the server wants to know who asks.
        certificate: the client's.

    Raises:
        InputError: a file cannot be read, or only one of the client's two is
            given.
    """
    _check_pair(key, certificate)
    return grpc.ssl_channel_credentials(*map(_read, (root, key, certificate)))


def tls_context(
    root: str | pathlib.Path | None = None,
    key: str | pathlib.Path | None = None,
    certificate: str | pathlib.Path | None = None,
) -> ssl.SSLContext:
    """Returns what `tls_credentials` does, for HTTP."""
    _check_pair(key, certificate)
    try:
        context = ssl.create_default_context(cafile=root)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except OSError as error:
        raise schema.InputError(
            "PEM files must be readable. "
            f"Received: {root}, {key}, {certificate}: {error}"
        ) from error
    return context


def _check_pair(key, certificate) -> None:
    if (key is None) != (certificate is None):
        raise schema.InputError(
            "`key` and `certificate` must be given together. "
            f"Received: key={key}, certificate={certificate}"
        )


def _read(file) -> bytes | None:
    if file is None:
        return None
    try:
        return pathlib.Path(file).read_bytes()
    except OSError as error:
        raise schema.InputError(
            f"A PEM file must be readable. Received: {file}"
        ) from error

"""Where and how a server answers: addresses, TLS, limits, batching."""

import dataclasses
import ssl
import tempfile
from typing import Any

import grpc

from jump_tf import schema
from serving.api import playground as api_playground
from serving.runtime.batching_options import BatchingOptions
from serving.runtime.limits import Limits

LAST_PORT = 2**16 - 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where and how to answer.

    Attributes:
        host: where it listens; others than the loopback reach the network,
            and unless `tls` verifies clients there is no authentication.
        port: of gRPC; 0 picks a free one.
        rest_port: of HTTP; 0 picks a free one, -1 is none.
        tls: keys and certificates, of both ports; None is none.
        batching: how requests share a run.
        limits: what a request may hold.
        timeout_seconds: of a prediction over HTTP.
        grace_seconds: for requests under way when the server stops.
        threads: of one operation of a graph; 0 is one for each core. More
            than one pay for catalogues of a million items, not for small ones,
            and where cores have nothing else to do.
        monitoring_path: of the page of metrics over HTTP; None is none.
        playground: name of the model to play with in a browser; None is none.
        allow_reload: whether a HandleReloadConfigRequest may name the models
            that are served, from any folder that the server can read.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int = 8501
    tls: "Tls | None" = None
    batching: BatchingOptions = BatchingOptions()  # noqa: RUF009
    limits: Limits = Limits()  # noqa: RUF009
    timeout_seconds: float = 30.0
    grace_seconds: float = 5.0
    threads: int = 1
    monitoring_path: str | None = None
    playground: str | None = None
    allow_reload: bool = False

    def __post_init__(self):
        if not 0 <= self.port <= LAST_PORT:  # gRPC would wrap it around.
            raise schema.InputError(
                f"`port` must be 0 to {LAST_PORT}. Received: {self.port}"
            )
        if not -1 <= self.rest_port <= LAST_PORT:
            raise schema.InputError(
                f"`rest_port` must be -1 to {LAST_PORT}. "
                f"Received: {self.rest_port}"
            )
        if self.rest_port < 0 and (self.monitoring_path or self.playground):
            raise schema.InputError(
                "`rest_port` must not be -1 where metrics or the playground "
                f"are asked for. Received: {self.rest_port}"
            )
        if self.playground:
            api_playground.check_host(self.host)
        if not self.timeout_seconds > 0:
            raise schema.InputError(
                "`timeout_seconds` must be positive. "
                f"Received: {self.timeout_seconds}"
            )
        for name in ("grace_seconds", "threads"):
            if not getattr(self, name) >= 0:
                raise schema.InputError(
                    f"`{name}` must not be negative. "
                    f"Received: {getattr(self, name)}"
                )


class Tls:
    """A server's key and certificates, checked.

    Args:
        config: a text_protos.SSLConfig: PEM texts, not paths.

    Attributes:
        credentials: for gRPC.
        context: for HTTP.

    Raises:
        InputError: they are not PEM, or do not belong together.
    """

    def __init__(self, config: Any):
        if config.client_verify and not config.custom_ca:
            raise schema.InputError(
                "`client_verify` must come with `custom_ca`, which signed the "
                "clients' certificates. Received: none"
            )
        try:
            self.context = _context(config)
        except ssl.SSLError as error:
            raise schema.InputError(
                "`server_key`, `server_cert` and `custom_ca` must be PEM texts "
                f"that belong together. Received: {error.reason or error}"
            ) from error
        self.credentials = grpc.ssl_server_credentials(
            [(config.server_key.encode(), config.server_cert.encode())],
            config.custom_ca.encode() or None,
            config.client_verify,
        )


def _context(config) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Python reads keys from files only; this one nobody else can open.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
        pem.write(f"{config.server_key}\n{config.server_cert}\n")
        pem.flush()
        context.load_cert_chain(pem.name)
    if config.custom_ca:
        context.load_verify_locations(cadata=config.custom_ca)
    if config.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
    return context

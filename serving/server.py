"""TF Serving's gRPC and REST over SavedModels, in this process.

The local default and the stand-in for tests: names, status codes and texts
are those of tensorflow_model_server, which takes the same folders and files.
One event loop answers, a few threads run the graphs.
"""

import asyncio
import functools
import gc
import logging
import pathlib
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import grpc
from aiohttp import web
from grpc_health.v1 import health
from grpc_health.v1 import health_pb2
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from jump_tf import schema
from serving.api import grpc as grpc_api
from serving.api import rest
from serving.runtime import model_config
from serving.runtime.core import Core
from serving.runtime.manager import Manager
from serving.runtime.metrics import Metrics
from serving.runtime.servable import ServedVersion
from serving.settings import Settings

_LOGGER = logging.getLogger(__name__)
# As tensorflow_model_server calls them, beside their full names.
_HEALTH_NAMES = ("", *grpc_api.NAMES, "PredictionService", "ModelService")
# By default a thread computes for 5 ms before another gets its turn; so long
# would a graph's answers wait for the loop.
_SWITCH_SECONDS = 0.0005


class Server:
    """A server on an event loop, or, as a context manager, in a thread.

    Args:
        config: the models.
        settings: where and how to answer them.
        **managing: arguments of `Manager`.

    Attributes:
        address: "host:port" of gRPC, once it is started.
        http_address: the same of HTTP, or None.
        core: what answers.
    """

    def __init__(
        self,
        config: ModelServerConfig,
        settings: Settings | None = None,
        **managing: Any,
    ):
        self._settings = settings or Settings()
        metrics = Metrics()
        load = functools.partial(
            ServedVersion,
            options=self._settings.batching,
            limits=self._settings.limits,
            metrics=metrics,
            threads=self._settings.threads,
        )
        manager = Manager(config, load=load, **managing)
        self.core = Core(
            manager,
            metrics,
            self._settings.limits,
            self._settings.allow_reload,
        )
        self.address = ""
        self.http_address: str | None = None

    @classmethod
    def of_folder(
        cls,
        models: str | pathlib.Path,
        settings: Settings | None = None,
        poll_seconds: float = 1.0,
        **managing: Any,
    ) -> "Server":
        """Serves the latest version of each model, also of those to come.

        Args:
            models: the folder that holds `<name>/<version>/`.
            settings: where and how to answer.
            poll_seconds: between looks at the folder.
            **managing: arguments of `Manager`.

        Raises:
            InputError: there is nothing in it.
        """
        read = functools.partial(model_config.config_of_folder, models)
        return cls(
            read(),
            settings,
            poll_seconds=poll_seconds,
            read_config=read,
            config_poll_seconds=poll_seconds,
            **managing,
        )

    async def start(self) -> None:
        """Loads the models, then answers.

        Raises:
            InputError: there is nothing to serve, or nowhere.
        """
        self._grpc = self._grpc_server()
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection(
            (
                *grpc_api.NAMES,
                health.SERVICE_NAME,
                reflection.SERVICE_NAME,
            ),
            self._grpc,
        )
        self._web = await self._web_runner()
        try:
            await self.core.manager.start()
        except BaseException:
            await self._web.cleanup()
            raise
        serving = health_pb2.HealthCheckResponse.SERVING
        for name in _HEALTH_NAMES:
            await self._health.set(name, serving)
        await self._grpc.start()
        _LOGGER.info("serving at %s", self.address)

    async def stop(self) -> None:
        """Refuses new requests, and waits for those under way."""
        await self._health.enter_graceful_shutdown()
        await asyncio.gather(
            self._grpc.stop(self._settings.grace_seconds),
            self._web.cleanup(),
        )
        await self.core.manager.stop()
        _LOGGER.info("stopped")

    def __enter__(self) -> "Server":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="serve", daemon=True
        )
        self._thread.start()
        try:
            self._on_loop(self.start())
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self._on_loop(self.stop())
        self._end_loop()

    def _on_loop(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _grpc_server(self) -> grpc.aio.Server:
        settings = self._settings
        size = settings.limits.max_message_bytes
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.max_send_message_length", size),
                # Two servers on one port would share its requests.
                ("grpc.so_reuseport", 0),
            ]
        )
        server.add_generic_rpc_handlers(grpc_api.handlers(self.core))
        address = f"{_bracketed(settings.host)}:{settings.port}"
        try:
            if settings.tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, settings.tls.credentials)
        except RuntimeError as error:
            raise _not_free(settings.host, settings.port) from error
        self.address = f"{_bracketed(settings.host)}:{port}"
        return server

    async def _web_runner(self) -> web.AppRunner:
        settings = self._settings
        app = rest.application(
            self.core,
            monitoring_path=settings.monitoring_path,
            playground=settings.playground,
            timeout_seconds=settings.timeout_seconds,
            max_bytes=settings.limits.max_message_bytes,
        )
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=settings.grace_seconds
        )
        await runner.setup()
        if settings.rest_port >= 0:
            tls = settings.tls.context if settings.tls else None
            site = web.TCPSite(
                runner, settings.host, settings.rest_port, ssl_context=tls
            )
            try:
                await site.start()
            except OSError as error:
                await runner.cleanup()
                raise _not_free(settings.host, settings.rest_port) from error
            port = runner.addresses[0][1]
            self.http_address = f"{_bracketed(settings.host)}:{port}"
        return runner


def serve(
    server: Server,
    *,
    ready: Callable[[Server], None] = lambda server: None,
) -> None:
    """Serves until SIGINT or SIGTERM; a second signal ends it at once.

    Args:
        server: not started.
        ready: called once requests are answered.

    Raises:
        InputError: there is nothing to serve, or nowhere.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    # The objects that exist by now, mostly code, stay. To collect among them
    # takes a third of a second, in which no request is answered.
    gc.collect()
    gc.freeze()

    async def until_told() -> None:
        await server.start()
        told = _told_to_stop()
        ready(server)
        await told.wait()
        await server.stop()

    asyncio.run(until_told())


def _told_to_stop() -> asyncio.Event:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def tell() -> None:
        told.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in signals:
        loop.add_signal_handler(number, tell)
    return told


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_free(host: str, port: int) -> schema.InputError:
    return schema.InputError(
        f"`host` and `port` must be free to listen on. Received: {host}:{port}"
    )

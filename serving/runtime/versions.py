"""One version of a model: from its folder into memory and out again."""

import asyncio
import contextlib
import dataclasses
import logging
import pathlib
import time
from collections.abc import Callable
from collections.abc import Mapping
from concurrent import futures
from typing import Protocol

import grpc
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving.protocol import errors

_LOGGER = logging.getLogger(__name__)
Status = get_model_status_pb2.ModelVersionStatus


class Servable(Protocol):
    """A version that is loaded and warmed up."""

    folder: pathlib.Path
    name: str
    version: int
    signature_defs: Mapping[str, meta_graph_pb2.SignatureDef]

    async def predict(
        self, request: predict_pb2.PredictRequest, deadline: float | None
    ) -> predict_pb2.PredictResponse: ...

    def close(self) -> None: ...


@dataclasses.dataclass(eq=False)
class Version:
    """A version that is or was wanted.

    Attributes:
        name: of its model.
        number: its own.
        folder: where it lies.
        state: START until its turn to load has come, LOADING, AVAILABLE,
            UNLOADING while its last users are served, END.
        error: why it could not be loaded the last time, if so.
        servable: where it is in memory.
        users: requests that it answers now.
        wanted: whether it is to be in memory.
    """

    name: str
    number: int
    folder: pathlib.Path
    state: int = Status.START
    error: errors.ServingError | None = None
    servable: Servable | None = None
    users: int = 0
    wanted: bool = True

    def __str__(self) -> str:
        return f"{self.name} version {self.number}"

    @property
    def is_tried(self) -> bool:
        """Whether the first attempt to load it has succeeded or failed."""
        return bool(self.error) or self.state >= Status.AVAILABLE

    @property
    def is_going(self) -> bool:
        """Whether it is being unloaded; wanted again, it is loaded anew."""
        return not self.wanted and self.state >= Status.UNLOADING

    def status(self) -> get_model_status_pb2.ModelVersionStatus:
        """Returns its state as GetModelStatus reports it."""
        status = Status(version=self.number, state=self.state, status={})
        if self.error:
            status.status.error_code = self.error.code.value[0]
            status.status.error_message = self.error.details
        return status


class Changes:
    """Wakes coroutines that wait for a condition."""

    def __init__(self):
        self._changed = asyncio.Event()

    def notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition holds; checks it after each change."""
        while not condition():
            await self._changed.wait()


class Loader:
    """Loads and closes versions, one after the other, in one thread.

    Args:
        load: makes a servable of a model's name and a version folder; blocks.
        retries: after the first failure.
        retry_seconds: between them.
        changes: told of every new state and of every failure.
    """

    def __init__(
        self,
        load: Callable[[str, pathlib.Path], Servable],
        retries: int,
        retry_seconds: float,
        changes: Changes,
    ):
        self._load = load
        self._retries = retries
        self._retry_seconds = retry_seconds
        self._changes = changes
        self._turn = asyncio.Lock()
        self._thread = futures.ThreadPoolExecutor(1, "load")

    def shutdown(self) -> None:
        """Ends the thread. Nothing may be loading."""
        self._thread.shutdown()

    async def load(self, version: Version) -> None:
        """Loads a version while it is wanted; it ends AVAILABLE or in END."""
        for attempt in range(1 + self._retries):
            if attempt:
                await self._pause(version)
            async with self._turn:
                if version.wanted:
                    await self._attempt(version)
            if version.servable or not version.wanted:
                break
        if version.wanted:
            loaded = version.servable is not None
            self._enter(version, Status.AVAILABLE if loaded else Status.END)
            return
        version.error = version.error or errors.ServingError(
            grpc.StatusCode.CANCELLED, "Loading of servable cancelled"
        )
        await self.unload(version)

    async def unload(self, version: Version) -> None:
        """Closes a version once its last request is answered; ends in END."""
        if version.servable:
            self._enter(version, Status.UNLOADING)
            await self._changes.until(lambda: not version.users)
            try:
                await self._in_thread(version.servable.close)
            except Exception:
                _LOGGER.exception("closing %s failed", version)
            version.servable = None
            _LOGGER.info("unloaded %s", version)
        self._enter(version, Status.END)

    def _enter(self, version: Version, state: int) -> None:
        version.state = state
        self._changes.notify()

    async def _pause(self, version: Version) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                self._changes.until(lambda: not version.wanted),
                self._retry_seconds,
            )

    async def _attempt(self, version: Version) -> None:
        self._enter(version, Status.LOADING)
        started = time.monotonic()
        try:
            version.servable = await self._in_thread(
                self._load, version.name, version.folder
            )
        except Exception as error:
            version.error = _status(error)
            _LOGGER.error("loading %s failed: %s", version, version.error)
            self._changes.notify()
            return
        version.error = None
        seconds = time.monotonic() - started
        _LOGGER.info("loaded %s in %.3f s", version, seconds)

    async def _in_thread(self, function, *arguments):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, function, *arguments)


def _status(error: Exception) -> errors.ServingError:
    if isinstance(error, tf.errors.OpError):
        error = errors.from_tensorflow(error)
    if isinstance(error, errors.ServingError):
        return error
    if isinstance(error, schema.InputError):
        return errors.not_found(str(error))
    return errors.ServingError(
        grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}"
    )

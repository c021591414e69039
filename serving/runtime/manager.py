"""Which versions of which models are in memory.

A new version is loaded and warmed up before the old one goes, and the old one
is closed when its last request is answered: the rules of TF Serving's
AvailabilityPreservingPolicy, on one asyncio loop.
"""

import asyncio
import contextlib
import logging
import pathlib
from collections import defaultdict
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from jump_tf import schema
from serving.protocol import errors
from serving.runtime import model_config
from serving.runtime import versions
from serving.runtime.versions import Status
from serving.runtime.versions import Version

_LOGGER = logging.getLogger(__name__)


class Manager:
    """Keeps in memory what a configuration and its folders say.

    Its methods belong to one asyncio loop.

    Args:
        config: the models, e.g. of `model_config.config_of_folder` or
            `text_protos.read_model_config`.
        load: makes a servable of a model's name and a version folder; blocks,
            warms up, and raises where it cannot.
        poll_seconds: between looks for new versions; 0 looks once.
        load_retries: after the first failure of a version; one that has
            failed for good is tried again when it has gone and come back.
        retry_seconds: between them.
        labels_for_unavailable: whether a new label may name a version that is
            not available yet, as all do in the configuration at the start.
        read_config: reads the configuration anew, e.g. from its file.
        config_poll_seconds: between calls of it; 0 never calls it.
    """

    def __init__(
        self,
        config: ModelServerConfig,
        *,
        load: Callable[[str, pathlib.Path], versions.Servable],
        poll_seconds: float = 1.0,
        load_retries: int = 5,
        retry_seconds: float = 60.0,
        labels_for_unavailable: bool = False,
        read_config: Callable[[], ModelServerConfig] | None = None,
        config_poll_seconds: float = 0.0,
    ):
        if poll_seconds < 0:
            raise schema.InputError(
                f"`poll_seconds` must be at least 0. Received: {poll_seconds}"
            )
        self._config = self._config_read = config
        self._labels_for_unavailable = labels_for_unavailable
        self._read_config = read_config
        self._polls: dict[Callable[[], Awaitable[None]], float] = {
            self._look: poll_seconds
        }
        if read_config:
            self._polls[self._reread] = config_poll_seconds
        self._changes = versions.Changes()
        self._loader = versions.Loader(
            load, load_retries, retry_seconds, self._changes
        )
        self._versions: dict[str, dict[int, Version]] = defaultdict(dict)
        self._available: dict[str, dict[int, Version]] = defaultdict(dict)
        self._labels: model_config.Labels = {}
        self._configuring = asyncio.Lock()
        self._polling: list[asyncio.Task[None]] = []
        self._moving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Loads what there is; polls and retries go on afterwards.

        Raises:
            InputError: the configuration is wrong, or nothing can be served:
                no version is there, or the first attempt at each failed.
        """
        try:
            await self._configure(self._config)
        except errors.ServingError as error:
            raise schema.InputError(error.details) from error
        await self._until(self._versions, lambda version: version.is_tried)
        if not any(self._available.values()):
            failures = [
                f"{version}: {version.error.details}"
                for known in self._versions.values()
                for version in known.values()
                if version.error
            ]
            await self.stop()
            raise schema.InputError(
                "At least one version of a model must be there and load. "
                f"Received: {'; '.join(failures) or 'no version'}"
            )
        self._polling = [
            asyncio.create_task(_repeat(action, seconds))
            for action, seconds in self._polls.items()
            if seconds
        ]

    async def stop(self) -> None:
        """Closes every version once its last user is gone."""
        for task in self._polling:
            task.cancel()
        for name in list(self._versions):
            self._want(name, {})
        while self._moving:
            await asyncio.wait(self._moving)
        self._loader.shutdown()

    @contextlib.contextmanager
    def use(self, spec: model_pb2.ModelSpec) -> Iterator[versions.Servable]:
        """Yields the version that a request asks for, and keeps it loaded.

        Raises:
            ServingError: it is not available.
        """
        version = model_config.find(spec, self._available, self._labels)
        assert version.servable
        version.users += 1
        try:
            yield version.servable
        finally:
            version.users -= 1
            if version.state == Status.UNLOADING:
                self._changes.notify()

    def knows(self, name: str) -> bool:
        """Whether a model of that name is served, or was."""
        return name in self._versions

    def status(
        self, spec: model_pb2.ModelSpec
    ) -> list[get_model_status_pb2.ModelVersionStatus]:
        """Returns the state of one version, or of all, the highest first.

        Raises:
            ServingError: there is no such version.
        """
        found = model_config.find_all(spec, self._versions)
        return [version.status() for version in found]

    async def reload(self, config: ModelServerConfig) -> None:
        """Replaces the whole set of models, and waits for those that are new.

        Raises:
            ServingError: the configuration is wrong, and nothing has changed;
                or UNKNOWN, it was taken, but no version of a new model loads.
        """
        before = _names(self._config)
        await self._configure(config)
        new = _names(config) - before
        await self._until(new, lambda version: version.state == Status.END)
        failed = [
            f"{{{{name: {name} version: {version.number}}} due to error: "
            f"{version.error}}}, "
            for name in sorted(new)
            if not self._available[name]
            for version in self._versions[name].values()
        ]
        if failed:
            raise errors.ServingError(
                grpc.StatusCode.UNKNOWN,
                f"{len(failed)} model(s) did not become available: "
                f"{{{''.join(failed)}}}",
            )

    async def _configure(self, config: ModelServerConfig) -> None:
        async with self._configuring:
            model_config.check(config)
            labels = model_config.labels(
                config,
                self._available,
                self._labels,
                self._labels_for_unavailable,
            )
            folders = await asyncio.to_thread(
                model_config.found_versions, config
            )
            model_config.refuse_unreadable(folders)
            self._config, self._labels = config, labels
            for name in self._versions.keys() - folders.keys():
                self._want(name, {})
            self._want_found(folders)
        _LOGGER.info("models to serve: %s", ", ".join(sorted(folders)))

    async def _look(self) -> None:
        async with self._configuring:
            folders = await asyncio.to_thread(
                model_config.found_versions, self._config
            )
            self._want_found(folders)
        model_config.refuse_unreadable(folders)

    async def _reread(self) -> None:
        assert self._read_config
        config = await asyncio.to_thread(self._read_config)
        # Compared with what was read before, not with what is served: a
        # reload that somebody asked for holds until the file changes.
        if config != self._config_read:
            await self._configure(config)
            self._config_read = config

    def _want_found(self, folders: model_config.Found) -> None:
        for name, found in folders.items():
            if not isinstance(found, OSError):
                self._want(name, found)

    def _want(self, name: str, folders: Mapping[int, pathlib.Path]) -> None:
        """Starts to load these versions of a model and to unload the others."""
        known = self._versions[name]
        for version in known.values():
            version.wanted &= version.number in folders
        for number in sorted(folders, reverse=True):
            if number in known and not known[number].is_going:
                known[number].wanted = True
            else:
                known[number] = Version(name, number, folders[number])
                self._move(self._load(known[number]))
        self._drop_unwanted(name)
        self._changes.notify()

    async def _load(self, version: Version) -> None:
        await self._loader.load(version)
        if version.state == Status.AVAILABLE:
            self._available[version.name][version.number] = version
        self._drop_unwanted(version.name)

    def _drop_unwanted(self, name: str) -> None:
        available = self._available[name]
        known = self._versions[name].values()
        unwanted = sorted(n for n, v in available.items() if not v.wanted)
        if len(unwanted) == len(available) and any(v.wanted for v in known):
            unwanted = unwanted[:-1]  # The last answers until a new one does.
        for number in unwanted:
            version = available.pop(number)
            version.state = Status.UNLOADING
            self._move(self._loader.unload(version))

    def _move(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _until(self, names, is_done: Callable[[Version], bool]) -> None:
        """Waits until each model is available or all its versions are done."""
        await self._changes.until(
            lambda: all(
                self._available[name]
                or all(map(is_done, self._versions[name].values()))
                for name in list(names)
            )
        )


def _names(config: ModelServerConfig) -> set[str]:
    return {model.name for model in config.model_config_list.config}


async def _repeat(action: Callable[[], Awaitable[None]], seconds: float):
    """Calls an action every `seconds`; logs a failure that recurs once."""
    before = ""
    while True:
        await asyncio.sleep(seconds)
        failure = ""
        try:
            await action()
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        if failure and failure != before:
            _LOGGER.warning("kept what is served: %s", failure)
        before = failure

"""Servables without TensorFlow, and a loader of them that can be steered."""

import asyncio
import contextlib
import threading

from tensorflow_serving.apis import model_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.config import model_server_config_pb2

from jump_tf import schema
from serving.runtime.manager import Manager


class Memory:
    """Loads folders; knows what is in memory and what went wrong.

    Attributes:
        held: servables that are loaded and not closed.
        broken: folders whose loading fails, by how often still.
        attempts: folders, each time that one was tried.
    """

    def __init__(self):
        self.held = []
        self.broken = {}
        self.attempts = []
        self.gates = {}
        self._busy = threading.Lock()

    def load(self, name, folder):
        assert threading.current_thread() is not threading.main_thread()
        assert self._busy.acquire(blocking=False), "two loads at once"
        try:
            key = (name, int(folder.name))
            self.attempts.append(key)
            if key in self.gates:
                assert self.gates[key].wait(10.0)
            if self.broken.get(key, 0):
                self.broken[key] -= 1
                raise schema.InputError(f"no SavedModel in {folder.name}")
            servable = Servable(*key, self)
            self.held.append(servable)
            return servable
        finally:
            self._busy.release()

    @contextlib.contextmanager
    def slow(self, *key):
        """While inside, the loading of a version does not end."""
        self.gates[key] = threading.Event()
        try:
            yield
        finally:
            self.gates.pop(key).set()

    @property
    def versions(self):
        return sorted((s.name, s.version) for s in self.held)


class Servable:
    def __init__(self, name, version, memory):
        self.name, self.version, self.signature_defs = name, version, {}
        self._users, self._memory = 0, memory

    async def predict(self, request, deadline):
        assert self in self._memory.held
        self._users += 1
        try:
            await asyncio.sleep(0)
        finally:
            self._users -= 1
        assert self in self._memory.held
        return predict_pb2.PredictResponse()

    def close(self):
        assert not self._users
        self._memory.held.remove(self)


def spec(name="jump", version=None, label=None):
    spec = model_pb2.ModelSpec(name=name)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def config(*models):
    """Of dictionaries: fields of each ModelConfig."""
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.SetInParent()
    for model in models:
        config.model_config_list.config.add(
            **{"name": "jump", "model_platform": "tensorflow", **model}
        )
    return config


def policy(**choice):
    return {"model_version_policy": choice}


@contextlib.asynccontextmanager
async def managing(config, memory, **options):
    """A started manager that polls often and forgives quickly."""
    options = {"poll_seconds": 0.005, "retry_seconds": 0.005, **options}
    manager = Manager(config, load=memory.load, **options)
    await manager.start()
    try:
        yield manager
    finally:
        await asyncio.wait_for(manager.stop(), 10.0)
        assert not memory.held


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


def answering(manager, **wanted):
    """The version that would answer."""
    with manager.use(spec(**wanted)) as servable:
        return servable.version


def states(manager, name="jump"):
    """State and error of every version, by number."""
    return {
        status.version: (
            status.State.Name(status.state),
            status.status.error_message,
        )
        for status in manager.status(spec(name))
    }

"""What the benchmarks of serving share: models, servers, loads.

Server and generator are processes of their own, started as a user does.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.runs import model_factory
from serving import warmup
from serving.client import warmup_requests
from serving.load_test import traffic

NAME = "jump"
_START_SECONDS = 300.0
_CLI = (sys.executable, "-m", "jump_tf.cli")


@dataclasses.dataclass(frozen=True)
class Check:
    """A number and whether it is what the issue asks for.

    Attributes:
        text: what was measured.
        value: that was found.
        limit: at most this is right; None for what is only told.
    """

    text: str
    value: float
    limit: float | None = None

    @property
    def missed(self) -> bool:
        return self.limit is not None and not self.value <= self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"(at most {self.limit:g})"
        verdict = "  MISSED" if self.missed else ""
        return f"{self.text:58}{self.value:12,.3f} {limit}{verdict}"


def write_model(
    models: pathlib.Path, data: pathlib.Path, num_items: int, units: int
) -> pathlib.Path:
    """Exports the production preset, untrained; returns its version folder.

    Args:
        models: gets `jump/1/`.
        data: whose items come first; others are made up.
        num_items: size of the catalogue.
        units: of the model, d.
    """
    config = configs.preset("production").override(
        [f"model.units={units}", "model.initial_log_dwell=4.0"]
    )
    model = model_factory.empty_model(config, num_items)
    known = traffic.read_vocabulary(data / "vocabulary.txt")[:num_items]
    made_up = [f"made-up-{n}" for n in range(num_items - len(known))]
    return tasks.export_model(
        model,
        [*known, *made_up],
        models,
        name=NAME,
        finish=functools.partial(
            warmup.write_warmup_requests,
            requests=warmup_requests.session_requests,
        ),
    )


@dataclasses.dataclass(frozen=True)
class Running:
    """A server.

    Attributes:
        address: of gRPC.
        http_address: of REST; None if it has none.
        process: that serves.
    """

    address: str
    http_address: str | None
    process: subprocess.Popen[str]


def serve(
    models: pathlib.Path, *more: str
) -> contextlib.AbstractContextManager[Running]:
    """`jump-tf serve`, with `more` flags, until the end of the context."""
    flags = ["--models", str(models), "--port", "0", "--rest-port", "0", *more]
    return running([*_CLI, "serve", *flags, "--log-level", "warning"])


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[Running]:
    """A server that prints its addresses when it is ready.

    Raises:
        RuntimeError: it ends before, or does not end when it is told to.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True
        )
        try:
            yield _addresses(process, said)
            if process.poll() is not None:
                raise RuntimeError("The server must be alive at the end.")
        finally:
            process.terminate()
            process.wait(_START_SECONDS)
            process.stdout.close()


def _addresses(process, said) -> Running:
    rest = None
    for line in process.stdout:
        if found := re.match(r"(REST|serving) at (\S+)", line):
            if found[1] == "serving":
                return Running(found[2], rest, process)
            rest = found[2]
    said.seek(0)
    raise RuntimeError(f"The server must start. It said: {said.read()[-2000:]}")


def load(address: str, *flags: str) -> dict[str, Any]:
    """What `jump-tf load-test` finds; prints what it prints.

    Raises:
        RuntimeError: it could not be done.
    """
    return finish_load(start_load(address, *flags))


def start_load(address: str, *flags: str) -> tuple[Any, pathlib.Path]:
    """Starts it, to go on meanwhile."""
    handle, name = tempfile.mkstemp(suffix=".json")
    os.close(handle)
    command = [*_CLI, "load-test", "--address", address, "--output", name]
    return subprocess.Popen([*command, *flags]), pathlib.Path(name)


def finish_load(started: tuple[Any, pathlib.Path]) -> dict[str, Any]:
    """Waits for it."""
    process, path = started
    try:
        code = process.wait()
        text = path.read_text()
    finally:
        path.unlink()
    if not text:  # Exit code 1 also says that some request failed.
        raise RuntimeError(f"`load-test` must finish. Received: {code}")
    return json.loads(text)


def median_ms(action, repeats: int) -> float:
    """How long an action takes, in milliseconds; of some, the median."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return 1000 * sorted(seconds)[repeats // 2]

"""Open-loop load: requests are sent when they are due, answered or not.

When each is due is fixed before the first is sent, by a Poisson process, and
its latency counts from that moment. A client that waits for an answer before
it asks again sends less to a slow server, and leaves out the very requests
that would have waited ("coordinated omission").
"""

import asyncio
import dataclasses
import gc
import resource
import selectors
import time
from collections.abc import Sequence

import grpc
import numpy as np

from jump_tf import schema
from serving.load_test import senders
from serving.load_test.report import Result
from serving.load_test.senders import Protocol
from serving.protocol import errors

_START_SECONDS = 0.1
_CHECKED = 50  # Of so many answers one is decoded.
_NOT_NOW = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
MALFORMED = "MALFORMED"


@dataclasses.dataclass(frozen=True)
class Load:
    """How much is asked.

    Attributes:
        rate: requests a second, on average.
        seconds: that count.
        warm_up_seconds: at the same rate before, which do not.
        seed: of the moments.

    Raises:
        InputError: a value is out of its range.
    """

    rate: float
    seconds: float
    warm_up_seconds: float = 0.0
    seed: int = 0

    def __post_init__(self):
        for name in ("rate", "seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise schema.InputError(
                    f"`{name}` must be positive. "
                    f"Received: {getattr(self, name)}"
                )
        if not 0 <= self.warm_up_seconds < float("inf"):
            raise schema.InputError(
                "`warm_up_seconds` must not be negative. "
                f"Received: {self.warm_up_seconds}"
            )

    def due_seconds(self) -> np.ndarray:
        """When each request is due; negative ones warm up.

        A Poisson process, given that it has as many arrivals as are expected:
        the rate is met exactly, and the moments are uniform.
        """
        random = np.random.default_rng(self.seed)
        parts = (
            random.uniform(low, high, max(round(self.rate * (high - low)), 0))
            for low, high in (
                (-self.warm_up_seconds, 0.0),
                (0.0, self.seconds),
            )
        )
        return np.sort(np.concatenate(list(parts)))


def check(protocol: Protocol, body: bytes) -> None:
    """Sends one request, and reads what comes back.

    Raises:
        InputError: it is refused, or the answer is none.
        ServingError: it is not answered.
    """

    async def send_one():
        async with protocol.sender() as send:
            return await send(body)

    status, answer = _in_loop(send_one())
    if status in _NOT_NOW:
        raise errors.ServingError(grpc.StatusCode[status], answer.decode())
    fault = f"{status}: {answer.decode(errors='replace')}"
    if status == senders.OK:
        fault = _fault(protocol, answer)
    if fault:
        raise schema.InputError(
            f"A request must be answered before many are. Received: {fault}"
        )


def run(protocol: Protocol, bodies: Sequence[bytes], load: Load) -> Result:
    """Puts a load on a server.

    Args:
        protocol: sends it.
        bodies: the requests; where they are too few, they are sent again from
            the first.
        load: how much.
    """
    gc.collect()
    gc.freeze()  # Else collecting walks through all requests, and stops us.
    try:
        return _in_loop(_run(protocol, bodies, load))
    finally:
        gc.unfreeze()


def _in_loop(coroutine):
    # The clock of epoll has whole milliseconds, that of select microseconds.
    with asyncio.Runner(loop_factory=_select_loop) as runner:
        return runner.run(coroutine)


def _select_loop():
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _run(protocol, bodies, load):
    due = load.due_seconds()
    sent, done = np.zeros(len(due)), np.zeros(len(due))
    statuses, samples = [""] * len(due), {}
    async with protocol.sender() as send:
        start = time.perf_counter() + _START_SECONDS + load.warm_up_seconds

        async def ask(number):
            sent[number] = time.perf_counter() - start
            status, answer = await send(bodies[number % len(bodies)])
            done[number] = time.perf_counter() - start
            statuses[number] = status
            if number % _CHECKED == 0 and status == senders.OK:
                samples[number] = answer

        before = _cpu_seconds()
        async with asyncio.TaskGroup() as group:
            for number, moment in enumerate(due.tolist()):
                left = start + moment - time.perf_counter()
                # Even one that is late lets answers in.
                await asyncio.sleep(max(left, 0.0))
                group.create_task(ask(number))
        cpu_seconds = _cpu_seconds() - before
    for number, answer in samples.items():
        if _fault(protocol, answer):
            statuses[number] = MALFORMED
    return Result.of(
        load.rate,
        load.seconds,
        due,
        sent,
        done,
        statuses,
        cpu_share=cpu_seconds / (load.warm_up_seconds + load.seconds),
    )


def _fault(protocol, answer):
    try:
        return senders.fault_of(protocol.decode(answer))
    except ValueError as error:
        return str(error)


def _cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

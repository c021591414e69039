"""A load test's requests as bytes, and the ways to send them.

Everything is serialized before the clock starts, and what comes back stays
bytes until it has stopped: the generator shares a machine with the server.
"""

import abc
import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from jump_tf import schema
from serving.client import client
from serving.client import connection
from serving.client import sessions as session_client
from serving.client.sessions import Session
from serving.protocol import tensors

OK = "OK"
_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_STATES = 50  # Sessions in progress that a load of steps goes on with.
_EXCLUDE_SEEN = session_client.RequestOptions(
    exclude_seen=True, times_seconds=(5.0, 30.0, 120.0)
)

Send = Callable[[bytes], Awaitable[tuple[str, bytes]]]


def inputs_of(
    signature: str, sessions: Sequence[Session]
) -> list[dict[str, np.ndarray]]:
    """Returns the inputs of a request for each session.

    Args:
        signature: `serving_default`, or `recommend` with filters and times.
        sessions: one a request.
    """
    plain = signature == schema.SERVING_DEFAULT
    options = session_client.RequestOptions() if plain else _EXCLUDE_SEEN
    return [session_client.inputs([session], options) for session in sessions]


def steps(
    sessions: Sequence[Session], asking: client.Client
) -> list[dict[str, np.ndarray]]:
    """Returns the inputs of `step` for the last click of each session.

    The state before it is that of one of the first sessions, in turn.

    Args:
        sessions: one a request.
        asking: starts the first sessions.
    """
    states = []
    for session in sessions[:_STATES]:
        before = Session(session.items[:-1], session.dwell_seconds[:-1])
        outputs = asking.predict(
            schema.START,
            session_client.inputs([before], session_client.RequestOptions()),
        )
        states.append(session_client.state_of(outputs))
    return [
        session_client.step_inputs(
            session.items[-1],
            (*session.dwell_seconds, schema.UNKNOWN_DWELL)[-1],
            0.0,
            state,
        )
        for session, state in zip(
            sessions, itertools.cycle(states), strict=False
        )
    ]


@dataclasses.dataclass(frozen=True)
class Protocol(abc.ABC):
    """A way to ask a server.

    Attributes:
        address: "host:port", of gRPC or of REST.
        model: its name.
        signature: that is asked.
        tls: `grpc.ChannelCredentials` or, over REST, `ssl.SSLContext`; None is
            plain text.
        connections: how many, over REST at most.
        timeout_seconds: of each request.
    """

    address: str
    model: str
    signature: str
    _: dataclasses.KW_ONLY
    tls: Any
    connections: int
    timeout_seconds: float

    @abc.abstractmethod
    def encode(self, arrays: Mapping[str, np.ndarray]) -> bytes:
        """Returns the bytes of a request with these inputs."""

    @abc.abstractmethod
    def decode(self, body: bytes) -> dict[str, np.ndarray]:
        """Returns the outputs in an answer, by name.

        Raises:
            ValueError: they cannot be read.
        """

    @abc.abstractmethod
    def sender(self) -> AbstractAsyncContextManager[Send]:
        """Returns a context in which requests can be sent.

        What is sent returns its status, `OK` or what went wrong, and the body
        of the answer.
        """


class GrpcProtocol(Protocol):
    """TF Serving's gRPC; each request goes over the next connection."""

    def encode(self, arrays: Mapping[str, np.ndarray]) -> bytes:
        request = tensors.predict_request(self.model, self.signature, arrays)
        return request.SerializeToString()

    def decode(self, body: bytes) -> dict[str, np.ndarray]:
        try:
            response = predict_pb2.PredictResponse.FromString(body)
        except Exception as error:  # protobuf's own, by implementation.
            raise ValueError("not a PredictResponse") from error
        return tensors.read_outputs(response)

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[Send]:
        channels = [
            connection.open_channel(grpc.aio, self.address, self.tls)
            for _ in range(self.connections)
        ]
        # Without serializers, bytes go out and come in as they are.
        methods = itertools.cycle([c.unary_unary(_PREDICT) for c in channels])
        timeout = self.timeout_seconds

        async def send(body: bytes) -> tuple[str, bytes]:
            try:
                return OK, await next(methods)(body, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                return error.code().name, (error.details() or "").encode()

        try:
            yield send
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))


class RestProtocol(Protocol):
    """TF Serving's REST, columns in and out, over kept connections.

    A connection carries one request at a time.
    """

    def encode(self, arrays: Mapping[str, np.ndarray]) -> bytes:
        body = {
            "signature_name": self.signature,
            "inputs": {name: array.tolist() for name, array in arrays.items()},
        }
        return json.dumps(body).encode()

    def decode(self, body: bytes) -> dict[str, np.ndarray]:
        try:
            outputs = json.loads(body)["outputs"]
            return {name: np.array(value) for name, value in outputs.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("no `outputs` in columns") from error

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[Send]:
        scheme = "http" if self.tls is None else "https"
        url = f"{scheme}://{self.address}/v1/models/{self.model}:predict"
        connector = aiohttp.TCPConnector(
            limit=self.connections, ssl=self.tls or True
        )
        timeout = aiohttp.ClientTimeout(self.timeout_seconds)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers
        ) as session:

            async def send(body: bytes) -> tuple[str, bytes]:
                try:
                    async with session.post(url, data=body) as answer:
                        content = await answer.read()
                except TimeoutError:
                    return grpc.StatusCode.DEADLINE_EXCEEDED.name, b""
                except aiohttp.ClientError as error:
                    text = str(error).encode()
                    return grpc.StatusCode.UNAVAILABLE.name, text
                fine = answer.status == 200
                return OK if fine else f"HTTP {answer.status}", content

            yield send


def fault_of(outputs: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with an answer for one session, or None."""
    for name in (schema.ITEMS, schema.PROBABILITIES):
        if name not in outputs:
            return f"no `{name}`"
    for name, array in outputs.items():
        if len(array) != 1:
            return f"`{name}` has {len(array)} rows for one session"
        if array.dtype.kind == "f" and np.isnan(array).any():
            return f"`{name}` is not a number"
    probabilities = outputs[schema.PROBABILITIES][0]
    if not len(probabilities) or len(probabilities) != len(
        outputs[schema.ITEMS][0]
    ):
        return f"{len(probabilities)} probabilities"
    if not 0 <= probabilities.min() <= probabilities.sum() <= 1.001:
        return "probabilities are none"
    if np.any(np.diff(probabilities) > 0):
        return "probabilities do not fall"
    return None

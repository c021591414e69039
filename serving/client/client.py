"""A typed client of the exported signatures.

It speaks TF Serving's official protocol and nothing else, so it works the
same against tensorflow_model_server and the embedded server.
"""

import time
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
from typing import Self

import grpc
import numpy as np
from tensorflow_serving.apis import get_model_status_pb2

from jump_tf import schema
from serving.client import connection
from serving.client import sessions as session_client
from serving.client.sessions import Answer
from serving.client.sessions import DwellForecast
from serving.client.sessions import Recommendation
from serving.client.sessions import RequestOptions
from serving.client.sessions import Session
from serving.protocol import tensors

MAX_BATCH = 64  # What our servers batch.
_CONCURRENT_BATCHES = 8
_PLAIN = RequestOptions()


class Client:
    """Asks one model of a server; a context manager.

    Every method raises `InputError` where the server says that the request is
    wrong, and `ServingError` where it does not answer in time.

    Args:
        address: "host:port".
        model: its name.
        timeout_seconds: of each method, retries included.
        version: a number; by default the latest.
        version_label: instead of a number, e.g. "stable".
        credentials: of `connection.tls_credentials`; None is plain text.
        max_message_bytes: of a request and of an answer.
        max_batch: sessions of a request; more are sent as several.
        attempts: how often a request is tried, as in `connection.Connection`.
    """

    def __init__(
        self,
        address: str,
        model: str = "jump",
        timeout_seconds: float = 10.0,
        *,
        version: int | None = None,
        version_label: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        max_message_bytes: int = connection.MAX_MESSAGE_BYTES,
        max_batch: int = MAX_BATCH,
        attempts: int = 4,
    ):
        if version is not None and version_label is not None:
            raise schema.InputError(
                "`version` or `version_label` must be given, not both. "
                f"Received: {version} and {version_label}"
            )
        if max_batch < 1:
            raise schema.InputError(
                f"`max_batch` must be at least 1. Received: {max_batch}"
            )
        self._model = model
        self._version = version
        self._version_label = version_label
        self._timeout_seconds = timeout_seconds
        self._max_batch = max_batch
        self._connection = connection.Connection(
            address,
            credentials=credentials,
            max_message_bytes=max_message_bytes,
            attempts=attempts,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._connection.close()

    def recommend(
        self,
        items: Sequence[str],
        dwell_seconds: Sequence[float] = (),
        elapsed_seconds: float = 0.0,
        *,
        k: int | None = None,
        exclude_seen: bool = False,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        times_seconds: Sequence[float] = (),
    ) -> list[Recommendation]:
        """Returns the likeliest next clicks of a session, best first.

        Args:
            items: as in `Session`.
            dwell_seconds: as in `Session`.
            elapsed_seconds: as in `Session`.
            k: as in `RequestOptions`.
            exclude_seen: as in `RequestOptions`.
            allow: as in `RequestOptions`.
            deny: as in `RequestOptions`.
            times_seconds: as in `RequestOptions`.
        """
        session = Session(items, dwell_seconds, elapsed_seconds)
        options = RequestOptions(k, exclude_seen, allow, deny, times_seconds)
        return self.answer([session], options)[0].recommendations

    def answer(
        self, sessions: Sequence[Session], options: RequestOptions = _PLAIN
    ) -> list[Answer]:
        """Returns what follows each of several sessions.

        More sessions than `max_batch` are sent as several requests at a time.
        """
        deadline = self._deadline()
        batches = [
            sessions[first : first + self._max_batch]
            for first in range(0, len(sessions), self._max_batch)
        ]

        def ask(batch):
            inputs = session_client.inputs(batch, options)
            outputs = self._predict(options.signature, inputs, deadline)
            return [
                session_client.read_answer(outputs, row, options.times_seconds)
                for row in range(len(batch))
            ]

        if len(batches) == 1:
            return ask(batches[0])
        with futures.ThreadPoolExecutor(_CONCURRENT_BATCHES) as threads:
            return [one for part in threads.map(ask, batches) for one in part]

    def dwell(
        self,
        items: Sequence[str],
        dwell_seconds: Sequence[float],
        candidates: Sequence[str],
        times_seconds: Sequence[float],
    ) -> list[DwellForecast]:
        """Returns the dwell on each candidate, were it clicked next.

        Args:
            items: as in `Session`.
            dwell_seconds: as in `Session`.
            candidates: raw ids.
            times_seconds: at which survivals are told.
        """
        outputs = self.predict(
            schema.DWELL,
            {
                **session_client.clicks([Session(items, dwell_seconds)]),
                schema.CANDIDATES: np.array([list(candidates)], object),
                schema.TIMES_SECONDS: np.array(
                    [list(times_seconds)], np.float32
                ),
            },
        )
        return session_client.read_forecasts(outputs, candidates, times_seconds)

    def status(self) -> dict[int, str]:
        """Returns the state of each version, e.g. `{3: "AVAILABLE"}`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        response = self._connection.call(
            self._connection.models.GetModelStatus, request, self._deadline()
        )
        state = get_model_status_pb2.ModelVersionStatus.State
        return {
            version.version: state.Name(version.state)
            for version in response.model_version_status
        }

    def predict(
        self, signature_name: str, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature, by name.

        Args:
            signature_name: that is asked.
            arrays: its inputs, by name.
        """
        return self._predict(signature_name, arrays, self._deadline())

    def _deadline(self):
        return time.monotonic() + self._timeout_seconds

    def _predict(self, signature_name, arrays, deadline):
        request = tensors.predict_request(self._model, signature_name, arrays)
        if self._version is not None:
            request.model_spec.version.value = self._version
        elif self._version_label is not None:
            request.model_spec.version_label = self._version_label
        response = self._connection.call(
            self._connection.predictions.Predict, request, deadline
        )
        return tensors.read_outputs(response)

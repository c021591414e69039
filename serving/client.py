"""A typed client of the exported signatures.

It speaks TF Serving's official protocol and nothing else, so it works the
same against tensorflow_model_server and the embedded server.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Self

import grpc
import numpy as np
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from serving import errors
from serving import tensors

MAX_MESSAGE_BYTES = 64 * 2**20


@dataclasses.dataclass(frozen=True)
class Session:
    """A visitor's clicks so far.

    Attributes:
        items: raw ids, oldest first; may be empty.
        dwell_seconds: of the first clicks; negative, NaN or left out on the
            right where unknown, as for the page on screen.
        elapsed_seconds: already spent on the page on screen.
    """

    items: Sequence[str]
    dwell_seconds: Sequence[float] = ()
    elapsed_seconds: float = 0.0

    def __post_init__(self):
        if len(self.dwell_seconds) > len(self.items):
            raise schema.InputError(
                "`dwell_seconds` must not be longer than `items`. Received: "
                f"{len(self.dwell_seconds)} for {len(self.items)} items"
            )
        if math.isinf(self.elapsed_seconds):
            raise schema.InputError(
                "`elapsed_seconds` must be finite, or NaN if unknown. "
                f"Received: {self.elapsed_seconds}"
            )


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """An item that may be clicked next.

    Attributes:
        item: its raw id.
        probability: of being the next click, among the whole catalogue.
        dwell_median_seconds: of the dwell on it, if it is clicked next.
        dwell_quantiles_seconds: the same by level, e.g. 0.9.
    """

    item: str
    probability: float
    dwell_median_seconds: float
    dwell_quantiles_seconds: dict[float, float]


@dataclasses.dataclass(frozen=True)
class Answer:
    """What follows a session.

    Attributes:
        recommendations: the likeliest next clicks, best first.
        page_dwell_median_seconds: of the total dwell on the page on screen,
            given that it exceeds the seconds elapsed; 0 without a click.
    """

    recommendations: list[Recommendation]
    page_dwell_median_seconds: float


@dataclasses.dataclass(frozen=True)
class DwellForecast:
    """How long an item would be looked at as the next click.

    Attributes:
        item: its raw id.
        survival: probability of staying longer, by the seconds asked about;
            as the model was trained, on the page or until the next click if
            one follows.
        dwell_median_seconds: of the dwell.
        dwell_quantiles_seconds: the same by level.
    """

    item: str
    survival: dict[float, float]
    dwell_median_seconds: float
    dwell_quantiles_seconds: dict[float, float]


class Client:
    """Asks one model of a server; a context manager.

    Every method raises `InputError` where the server says that the request is
    wrong, and `ServingError` where it does not answer.

    Args:
        address: "host:port".
        model: its name.
        timeout_seconds: of each call.
    """

    def __init__(
        self, address: str, model: str = "jump", timeout_seconds: float = 10.0
    ):
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        self._predictions = prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._channel.close()

    def recommend(
        self,
        items: Sequence[str],
        dwell_seconds: Sequence[float] = (),
        elapsed_seconds: float = 0.0,
    ) -> list[Recommendation]:
        """The likeliest next clicks of one session, see `Session`."""
        session = Session(items, dwell_seconds, elapsed_seconds)
        return self.answer([session])[0].recommendations

    def answer(self, sessions: Sequence[Session]) -> list[Answer]:
        """What follows each of several sessions, in one call."""
        elapsed = np.array([s.elapsed_seconds for s in sessions], np.float32)
        outputs = self.predict(
            schema.SERVING_DEFAULT,
            {**_clicks(sessions), schema.ELAPSED_SECONDS: elapsed},
        )
        pages = outputs[schema.PAGE_DWELL_MEDIAN_SECONDS]
        return [
            Answer(_recommendations(outputs, row), float(pages[row]))
            for row in range(len(sessions))
        ]

    def dwell(
        self,
        items: Sequence[str],
        dwell_seconds: Sequence[float],
        candidates: Sequence[str],
        times_seconds: Sequence[float],
    ) -> list[DwellForecast]:
        """How long each candidate would be looked at after a session."""
        outputs = self.predict(
            schema.DWELL,
            {
                **_clicks([Session(items, dwell_seconds)]),
                schema.CANDIDATES: np.array([list(candidates)], object),
                schema.TIMES_SECONDS: np.array(
                    [list(times_seconds)], np.float32
                ),
            },
        )
        survival = outputs[schema.SURVIVAL][0]
        return [
            DwellForecast(
                item,
                _by_key(times_seconds, survival[column]),
                float(outputs[schema.DWELL_MEDIAN_SECONDS][0, column]),
                _quantiles(outputs, 0, column),
            )
            for column, item in enumerate(candidates)
        ]

    def status(self) -> dict[int, str]:
        """The state of each version, e.g. `{3: "AVAILABLE"}`."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        response = self._call(self._models.GetModelStatus, request)
        state = get_model_status_pb2.ModelVersionStatus.State
        return {
            version.version: state.Name(version.state)
            for version in response.model_version_status
        }

    def predict(
        self, signature_name: str, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """The outputs of a signature, by name."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature_name
        for name, array in arrays.items():
            request.inputs[name].CopyFrom(tensors.to_proto(array))
        response = self._call(self._predictions.Predict, request)
        return {
            name: tensors.to_array(proto)
            for name, proto in response.outputs.items()
        }

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            raise errors.from_rpc(error) from error


def _clicks(sessions: Sequence[Session]) -> dict[str, np.ndarray]:
    items = tensors.padded([s.items for s in sessions], "", object)
    dwell_seconds = np.full(items.shape, schema.UNKNOWN_DWELL, np.float32)
    for row, session in enumerate(sessions):
        dwell_seconds[row, : len(session.dwell_seconds)] = session.dwell_seconds
    return {schema.ITEMS: items, schema.DWELL_SECONDS: dwell_seconds}


def _recommendations(outputs, row: int) -> list[Recommendation]:
    return [
        Recommendation(
            item.decode(),
            float(outputs[schema.PROBABILITIES][row, column]),
            float(outputs[schema.DWELL_MEDIAN_SECONDS][row, column]),
            _quantiles(outputs, row, column),
        )
        for column, item in enumerate(outputs[schema.ITEMS][row])
    ]


def _quantiles(outputs, row: int, column: int) -> dict[float, float]:
    # Levels cross the wire as float32: 0.1 must not come back as 0.10000000149.
    levels = [round(float(x), 6) for x in outputs[schema.QUANTILE_LEVELS][row]]
    seconds = outputs[schema.DWELL_QUANTILES_SECONDS][row, column]
    return _by_key(levels, seconds)


def _by_key(keys: Sequence[float], values: np.ndarray) -> dict[float, float]:
    # A batching server may have padded the columns of a smaller request.
    return dict(zip(keys, map(float, values), strict=False))

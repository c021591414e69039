"""How fast the server answers: alone, under load, with a large catalogue."""

import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Iterator

import grpc
import numpy as np

from jump_tf import schema
from serving.client import sessions as session_client
from serving.client.client import Client
from serving.client.live_session import LiveSession
from serving.client.sessions import Session
from serving.load_test import traffic
from serving.protocol import tensors
from tests.benchmarks import serving_fuzz
from tests.benchmarks import serving_setup
from tests.benchmarks.serving_setup import Check

_PEER = (sys.executable, "-m", "tests.benchmarks.serving_peers")
LONE_RATE = 20  # So rare that requests seldom meet.


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        rate: requests a second.
        seconds: of each load.
        repeats: of a single call.
        clicks: of the session that steps are compared on.
    """

    rate: float = 1000.0
    seconds: float = 30.0
    repeats: int = 200
    clicks: int = 200


def under_load(
    models: pathlib.Path, data: pathlib.Path, sizes: Sizes
) -> Iterator[Check]:
    """Ours at a rate and alone, a plain server and the bound."""
    (version,) = (models / serving_setup.NAME).glob("[0-9]*")
    asked = ["--data", str(data), "--duration", str(sizes.seconds)]
    full = [*asked, "--rate", str(sizes.rate)]
    lone = [*asked, "--rate", str(LONE_RATE)]
    with serving_setup.serve(models) as ours:
        print(f"\nours, {sizes.rate:g} requests/s", flush=True)
        loaded = _result(ours.address, full)
        rest = _result(ours.http_address, [*full, "--protocol", "rest"])
        print("\nours, one request at a time", flush=True)
        single = _result(ours.address, lone)
        answer = _one_answer(ours.address)
    print("\na plain Python gRPC server", flush=True)
    with serving_setup.running([*_PEER, "plain", str(version)]) as plain:
        peer = _result(plain.address, full)
        peer_single = _result(plain.address, lone)
    print("\nthe bound: a server that only echoes", flush=True)
    with tempfile.NamedTemporaryFile() as file:
        file.write(answer)
        file.flush()
        with serving_setup.running([*_PEER, "echo", file.name]) as echo:
            bound = _result(echo.address, full)
    at = f"at {sizes.rate:g}/s"
    for quantile, limit in (("p50", None), ("p90", 7.0), ("p99", 20.0)):
        yield Check(
            f"{quantile} {at}, ms", loaded["latency_ms"][quantile], limit
        )
        yield Check(
            "  of a plain Python server, ms", peer["latency_ms"][quantile]
        )
        yield Check(
            "  ratio of theirs to ours",
            peer["latency_ms"][quantile] / loaded["latency_ms"][quantile],
        )
        yield Check("  of an echo, ms", bound["latency_ms"][quantile])
        yield Check("  over REST, ms", rest["latency_ms"][quantile])
    yield Check(f"errors {at}", loaded["errors"], 0)
    yield Check(f"answered a second {at}", loaded["answered_rate"])
    yield Check("  by a plain Python server", peer["answered_rate"])
    yield Check("p50 of a single request, ms", single["latency_ms"]["p50"], 3.0)
    yield Check(
        "  of a plain Python server, ms", peer_single["latency_ms"]["p50"]
    )


def large_catalogue(
    models: pathlib.Path, data: pathlib.Path, sizes: Sizes
) -> Iterator[Check]:
    """A model of many items, at 20 requests a second."""
    asked = ["--data", str(data), "--duration", str(sizes.seconds)]
    with serving_setup.serve(models, "--threads", "0") as ours:
        print("\na large catalogue, 20 requests/s", flush=True)
        found = _result(ours.address, [*asked, "--rate", "20"])
    yield Check(
        "p90 with the large catalogue, ms", found["latency_ms"]["p90"], 50.0
    )
    yield Check("  errors", found["errors"], 0)


def steps(
    models: pathlib.Path, data: pathlib.Path, sizes: Sizes
) -> Iterator[Check]:
    """A click of a long session as a step, and as the whole session."""
    known = traffic.read_vocabulary(data / schema.VOCABULARY_FILE)
    items = [known[n % len(known)] for n in range(sizes.clicks)]
    with (
        serving_setup.serve(models) as ours,
        Client(ours.address, serving_setup.NAME) as asking,
    ):
        live = LiveSession(asking)
        for item in items[:-1]:
            live.click(item, 5.0)
        step_ms = serving_setup.median_ms(lambda: live.wait(1.0), sizes.repeats)
        dwell = [5.0] * (len(items) - 1)
        whole = Session(items, dwell)
        full_ms = serving_setup.median_ms(
            lambda: asking.answer([whole]), sizes.repeats
        )
        differences = np.subtract(
            _probabilities(live.click(items[-1], 5.0)),
            _probabilities(asking.answer([whole])[0]),
        )
    yield Check(f"a step after {len(items)} clicks, ms (median)", step_ms)
    yield Check("  the whole session, ms (median)", full_ms)
    yield Check(
        "  largest difference of a probability, times 1e5",
        1e5 * float(np.abs(differences).max()),
        1.0,
    )


def _probabilities(answer: session_client.Answer) -> list[float]:
    return [found.probability for found in answer.recommendations]


def _result(address, flags):
    (result,) = serving_setup.load(address, *flags)["results"]
    return result


def _one_answer(address) -> bytes:
    """What the server answers to a session of one click, as bytes."""
    inputs = session_client.inputs(
        [Session(["made-up-1"])], session_client.RequestOptions()
    )
    request = tensors.predict_request(
        serving_setup.NAME, schema.SERVING_DEFAULT, inputs
    )
    with grpc.insecure_channel(address) as channel:
        method = channel.unary_unary(serving_fuzz.PREDICT)
        return method(request.SerializeToString())

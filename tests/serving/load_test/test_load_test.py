"""The load test: what it sends and when, and what it says of the answers."""

import argparse
import asyncio
import collections
import contextlib
import json
import threading
import time

import grpc
import numpy as np
import pytest
from aiohttp import web

from jump_tf import schema
from jump_tf.cli import data as cli_data
from serving.load_test import command as load_command
from serving.load_test import generator
from serving.load_test import report as load_report
from serving.load_test import senders
from serving.load_test import traffic
from serving.load_test.report import Result
from serving.load_test.report import Slo
from serving.protocol import errors
from tests.serving import fake_service

ANSWER = fake_service.outputs_of([3.0])
VISITS = traffic.Visits(
    np.array([1, 4, 2]),
    np.array([2, 3, 2, 1, 4, 5, 3]),
    np.float32([10, 20, 30, 40, 50, 60, 70]),
)
VOCABULARY = ["a", "b", "c", "d"]


class InProcess:
    """A protocol that sends to a coroutine of the test's own."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    @contextlib.asynccontextmanager
    async def sender(self):
        async def send(body):
            self.sent.append(body)
            return await self.answer(body)

        yield send

    def decode(self, body):
        return json_outputs(json.loads(body))


def json_outputs(columns):
    return {name: np.array(value) for name, value in columns.items()}


def as_json(outputs):
    return {name: array.tolist() for name, array in outputs.items()}


GOOD = json.dumps(as_json(ANSWER)).encode()


def test_moments_are_fixed_in_advance_and_a_poisson_process():
    load = generator.Load(rate=500.0, seconds=4.0, warm_up_seconds=1.0, seed=5)
    due = load.due_seconds()
    np.testing.assert_array_equal(due, load.due_seconds())
    assert np.count_nonzero(due >= 0) == 2000
    assert np.count_nonzero(due < 0) == 500
    assert due[0] >= -1 and due[-1] <= 4
    gaps = np.diff(due)
    assert gaps.min() >= 0
    # An exponential's mean is its deviation, and e^-1 of it is above them.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)
    assert np.mean(gaps > gaps.mean()) == pytest.approx(np.exp(-1), abs=0.03)
    other = generator.Load(500.0, 4.0, 1.0, seed=6).due_seconds()
    assert np.any(other != due)


def test_a_slow_server_cannot_hide():
    """It serves 50 a second, and 100 are asked for."""
    one_by_one = asyncio.Lock()

    async def answer(body):
        async with one_by_one:
            await asyncio.sleep(0.02)
        return "OK", GOOD

    load = generator.Load(rate=100.0, seconds=1.0)
    result = generator.run(InProcess(answer), [b"x"], load)
    # The last one waits for all before it, which take two seconds.
    assert result.latency_ms["max"] > 900
    assert result.latency_ms["p50"] > 400
    assert 0 < result.answered_rate < 55
    assert not result.errors
    assert not result.holds(Slo())
    assert not result.generator_was_the_bottleneck


def test_says_if_it_was_too_slow_itself():
    async def answer(body):
        time.sleep(0.02)
        return "OK", GOOD

    load = generator.Load(rate=100.0, seconds=0.5)
    result = generator.run(InProcess(answer), [b"x"], load)
    assert result.generator_was_the_bottleneck
    assert "The generator itself was the bottleneck" in load_report.details(
        result
    )


def test_requests_are_sent_in_turn_and_the_warm_up_does_not_count():
    async def answer(body):
        return ("OK", GOOD) if protocol.sent[30:] else ("UNAVAILABLE", b"")

    protocol = InProcess(answer)
    load = generator.Load(rate=200.0, seconds=0.2, warm_up_seconds=0.15)
    bodies = [b"a", b"b", b"c"]
    result = generator.run(protocol, bodies, load)
    assert protocol.sent == [bodies[n % 3] for n in range(70)]
    assert result.statuses == {"OK": 40}
    assert sum(result.histogram) == 40


def test_errors_are_counted_by_status():
    turns = collections.deque(["OK", "UNAVAILABLE", "OK", "HTTP 500"] * 10)

    async def answer(body):
        return turns.popleft(), GOOD

    load = generator.Load(rate=400.0, seconds=0.1)
    result = generator.run(InProcess(answer), [b"x"], load)
    assert result.statuses == {"OK": 20, "UNAVAILABLE": 10, "HTTP 500": 10}
    assert result.errors == 20
    assert sum(result.histogram) == 20
    assert not result.holds(Slo())
    text = load_report.details(result)
    assert "HTTP 500: 10" in text
    assert "UNAVAILABLE: 10" in text


FAULTS = [
    ({"probabilities": [[0.25, 0.5]]}, "probabilities do not fall"),
    ({"probabilities": [[0.9, 0.9]]}, "probabilities are none"),
    ({"probabilities": [[0.9, -0.1]]}, "probabilities are none"),
    ({"probabilities": [[0.5]]}, "1 probabilities"),
    ({"dwell_median_seconds": [[1.0, np.nan]]}, "is not a number"),
    ({"items": [["a", "b"]] * 2}, "`items` has 2 rows for one session"),
]


def test_a_wrong_answer_is_found_before_the_load():
    async def answer(body):
        return "OK", body

    protocol = InProcess(answer)
    generator.check(protocol, GOOD)
    for change, fault in FAULTS:
        with pytest.raises(schema.InputError, match=fault):
            generator.check(
                protocol, json.dumps(as_json(ANSWER) | change).encode()
            )


def test_some_answers_are_looked_at():
    """Of the first 100 the first and the fifty-first."""
    wrong = json.dumps(as_json(ANSWER) | FAULTS[0][0]).encode()

    async def answer(body):
        return "OK", body

    load = generator.Load(rate=1000.0, seconds=0.1)
    for bodies, malformed in [
        ([GOOD], 0),
        ([*[GOOD] * 50, *[wrong] * 50], 1),
        ([wrong], 2),
    ]:
        result = generator.run(InProcess(answer), bodies, load)
        assert result.statuses.get("MALFORMED", 0) == malformed


def test_quantiles_and_rate():
    due = np.concatenate([[-0.5], np.arange(1000) / 100])
    done = due + np.concatenate([[9.0], np.arange(1, 1001) / 1000])
    result = Result.of(100.0, 10.0, due, due, done, ["OK"] * 1001, 0.5)
    assert result.latency_ms == pytest.approx(
        {"p50": 501, "p90": 901, "p99": 991, "p99.9": 1000, "max": 1000}
    )
    # Of the last second's requests some are answered after its end.
    assert result.answered_rate == pytest.approx(
        np.count_nonzero(done[1:] <= 10.0) / 10
    )
    assert result.answered_rate < 92
    assert sum(result.histogram) == 1000
    assert result.histogram[0] == 1  # Up to one millisecond.
    assert result.meets(Slo(p90_ms=901.1, p99_ms=991.1))
    assert not result.meets(Slo(p90_ms=900.9))
    assert not result.meets(Slo(p99_ms=990.9))


def test_capacity_is_the_last_rate_before_one_that_is_not_held():
    def result(rate, share):
        due = np.arange(100) / 100
        done = np.where(np.arange(100) < 100 * share, due, 2.0)
        return Result.of(rate, 1.0, due, due, done, ["OK"] * 100, 0.1)

    assert result(100.0, 1.0).holds(Slo())
    results = [result(50.0, 1.0), result(100.0, 1.0), result(100.0, 0.8)]
    assert load_report.capacity(results, Slo()) == 100.0
    assert load_report.capacity(results[::-1], Slo()) == 0.0


def test_every_click_of_the_log_is_as_likely_the_last():
    sessions = VISITS.sessions(VOCABULARY, 7000, seed=1)
    whole = [
        (["a"], [10.0]),
        (["b", "a", "not in the vocabulary", "c"], [20.0, 30.0, 40.0, 50.0]),
        (["d", "b"], [60.0, 70.0]),
    ]
    expected = {
        (tuple(items[:n]), tuple(dwell[: n - 1])): dwell[n - 1]
        for items, dwell in whole
        for n in range(1, len(items) + 1)
    }
    counts = collections.Counter(
        (tuple(s.items), tuple(s.dwell_seconds)) for s in sessions
    )
    assert counts.keys() == expected.keys()
    assert all(800 < count < 1200 for count in counts.values())
    for session in sessions:
        key = tuple(session.items), tuple(session.dwell_seconds)
        assert 0 <= session.elapsed_seconds <= expected[key]


@pytest.mark.parametrize("exponent", [0.6, 1.3])
def test_a_power_law_is_found_again(exponent):
    visits = traffic.made_up(seed=2)
    drawn = visits.with_power_law(300, exponent, seed=3)
    assert drawn.items.max() - schema.FIRST_ITEM_ID < 300
    counts = np.bincount(drawn.items)[schema.FIRST_ITEM_ID :]
    assert counts[0] / counts[1] == pytest.approx(2**exponent, rel=0.1)
    assert drawn.fitted_exponent() == pytest.approx(exponent, abs=0.03)
    np.testing.assert_array_equal(drawn.lengths, visits.lengths)
    assert visits.lengths.mean() == pytest.approx(4, rel=0.05)


def load_flags(*flags):
    parser = argparse.ArgumentParser()
    load_command.add_arguments(parser)
    return parser.parse_args(flags)


SHORT = ["--duration", "0.3", "--warm-up", "0.1", "--rate", "30"]


@pytest.fixture(scope="module")
def vocabulary_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("items") / "vocabulary.txt"
    path.write_text("".join(f"item-{n}\n" for n in range(9)))
    return str(path)


def test_over_grpc(address, vocabulary_file, tmp_path, capsys):
    output = tmp_path / "load.json"
    flags = ["--address", address, "--vocabulary", vocabulary_file, *SHORT]
    code = load_command.run(load_flags(*flags, "--output", str(output)), None)
    assert code == 0
    head, row, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["asked/s", "answered/s", "p50"]
    assert float(row.split()[0]) == 30.0
    (result,) = json.loads(output.read_text())["results"]
    assert result["statuses"] == {"OK": 9}
    assert 0 < result["latency_ms"]["p50"] <= result["latency_ms"]["max"]


def test_exit_code_one_where_it_is_too_slow(address, vocabulary_file):
    flags = ["--address", address, "--vocabulary", vocabulary_file, *SHORT]
    for name, limit, code in [
        ("p90", "0.001", 1),
        ("p99", "0.001", 1),
        ("p99", "9000", 0),
    ]:
        slo = [f"--slo-{name}-ms", limit]
        assert load_command.run(load_flags(*flags, *slo), None) == code


def test_a_ramp_stops_where_the_server_does(vocabulary_file, capsys):
    """It serves one request at a time, of 20 ms: at most 50 a second."""
    one_by_one = threading.Lock()

    def answer(spec, inputs):
        with one_by_one:
            time.sleep(0.02)
        return ANSWER

    flags = ["--vocabulary", vocabulary_file, "--ramp", "10,200,60"]
    times = ["--duration", "1", "--warm-up", "0"]
    with fake_service.serving(answer) as address:
        flags = load_flags("--address", address, *flags, *times)
        assert load_command.run(flags, None) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[0] == "10.0"
    assert rows[1].split()[0] == "70.0"
    assert rows[2].startswith("latency")
    assert rows[-1] == "held: 10 requests/s"


def test_sessions_of_a_data_folder(data_folder, sessions, tmp_path, capsys):
    asked = []

    def answer(spec, inputs):
        asked.append(([x.decode() for x in inputs["items"][0]], inputs))
        return ANSWER

    known = {
        tuple(f"item-{item - schema.FIRST_ITEM_ID}" for item in items[:n])
        for items in (session.items for session in sessions[schema.TEST])
        for n in range(1, len(items) + 1)
    }
    data = ["--data", str(data_folder), *SHORT]
    with fake_service.serving(answer) as address:
        flags = load_flags("--address", address, *data)
        assert cli_data.run_load_test(flags) == 0
        assert len(asked) == 13  # One before the clock starts, three warm up.
        assert {tuple(items) for items, _ in asked} <= known
        del asked[:]
        drawn = load_flags("--address", address, *data, "--exponent", "9")
        assert cli_data.run_load_test(drawn) == 0
    items = [item for items, _ in asked for item in items]
    assert items.count("item-0") > 0.9 * len(items)
    (filters,) = {frozenset(inputs) for _, inputs in asked}
    assert filters == {"items", "dwell_seconds", "elapsed_seconds"}


def test_steps_go_on_with_sessions_that_were_started(vocabulary_file):
    asked = []

    def answer(spec, inputs):
        asked.append(spec.signature_name)
        if spec.signature_name == "start":
            clicks = np.count_nonzero(inputs["items"] != b"")
            return ANSWER | {"state_x": np.float32([[7.0, clicks]])}
        assert inputs["item"].shape == inputs["last_dwell_seconds"].shape
        assert inputs["state_x"][0, 0] == 7.0
        return ANSWER | {"state_x": inputs["state_x"]}

    flags = ["--vocabulary", vocabulary_file, "--signature", "step", *SHORT]
    with fake_service.serving(answer) as address:
        flags = load_flags("--address", address, *flags)
        assert load_command.run(flags, None) == 0
    counts = collections.Counter(asked)
    assert counts == {"start": 9, "step": 13}


@contextlib.contextmanager
def rest(handler):
    """The address of an HTTP server with one path, for TF Serving's REST."""
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.router.add_post("/v1/models/jump:predict", handler)
    runner = web.AppRunner(application)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        host, port = runner.addresses[0]
        yield f"{host}:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(runner.cleanup())
        loop.close()


def test_over_rest(vocabulary_file):
    asked = []

    async def handler(request):
        asked.append(await request.json())
        return web.json_response({"outputs": as_json(ANSWER)})

    flags = ["--vocabulary", vocabulary_file, "--protocol", "rest", *SHORT]
    recommend = ["--signature", "recommend"]
    with rest(handler) as address:
        flags = load_flags("--address", address, *flags, *recommend)
        assert load_command.run(flags, None) == 0
    assert len(asked) == 13
    for request in asked:
        assert request["signature_name"] == "recommend"
        inputs = request["inputs"]
        assert len(inputs["items"][0]) == len(inputs["dwell_seconds"][0])
        assert inputs["exclude_seen"] == [True]


def test_statuses_of_rest():
    async def handler(request):
        what = await request.text()
        if what == "slow":
            await asyncio.sleep(1.0)
        return web.json_response({"error": what}, status=503)

    def send(address, body):
        protocol = senders.RestProtocol(
            address, "jump", "", tls=None, connections=2, timeout_seconds=0.3
        )

        async def one():
            async with protocol.sender() as sending:
                return await sending(body)

        return asyncio.run(one())

    with rest(handler) as address:
        assert send(address, b"full") == ("HTTP 503", b'{"error": "full"}')
        assert send(address, b"slow")[0] == "DEADLINE_EXCEEDED"
    assert send("127.0.0.1:1", b"x")[0] == "UNAVAILABLE"


def test_no_server_is_exit_code_one(vocabulary_file, capsys):
    flags = ["--vocabulary", vocabulary_file, "--timeout", "3", *SHORT]
    for protocol in ("grpc", "rest"):
        arguments = load_flags(
            "--address", "127.0.0.1:1", "--protocol", protocol, *flags
        )
        assert load_command.run(arguments, None) == 1
        said = capsys.readouterr().err
        assert said.startswith("127.0.0.1:1 did not answer: UNAVAILABLE: ")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--model", "jmup"], "NOT_FOUND: Servable not found"),
        (["--rate", "0"], r"`rate` must be positive. Received: 0"),
        (["--duration", "nan"], "`seconds` must be positive. Received: nan"),
        (["--warm-up", "-1"], "`warm_up_seconds` must not be negative"),
        (["--ramp", "1,2"], "`--ramp` must be FROM,TO,STEP. Received: 1,2"),
        (["--ramp", "5,2,1"], "must rise by a positive step"),
        (["--slo-p90-ms", "-3"], "`--slo-p90-ms` must be positive"),
        (["--connections", "0"], "`--connections` must be at least 1"),
        (["--vocabulary", "none.txt"], "must be a file of UTF-8 text"),
        (["--signature", "step", "--protocol", "rest"], "must be over gRPC"),
    ],
)
def test_wrong_flags(address, vocabulary_file, flags, sentence):
    given = ["--address", address, "--vocabulary", vocabulary_file, *SHORT]
    with pytest.raises(schema.InputError, match=sentence):
        load_command.run(load_flags(*given, *flags), None)


def test_needs_items(address, tmp_path):
    with pytest.raises(schema.InputError, match="Received: neither"):
        load_command.run(load_flags("--address", address, *SHORT), None)
    empty = tmp_path / "empty.txt"
    empty.touch()
    with pytest.raises(schema.InputError, match=r"empty\.txt, empty"):
        traffic.read_vocabulary(empty)
    with pytest.raises(schema.InputError, match="must have clicks"):
        traffic.Visits(np.array([]), np.array([]), np.array([]))


def test_refusals_of_a_load_are_its_statuses():
    def answer(spec, inputs):
        raise errors.ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

    protocol_of = {
        "tls": None,
        "connections": 2,
        "timeout_seconds": 5.0,
    }
    with fake_service.serving(answer) as address:
        protocol = senders.GrpcProtocol(
            address, "jump", "serving_default", **protocol_of
        )
        sessions = VISITS.sessions(VOCABULARY, 3, seed=1)
        inputs = senders.inputs_of("serving_default", sessions)
        bodies = [protocol.encode(arrays) for arrays in inputs]
        result = generator.run(protocol, bodies, generator.Load(50.0, 0.2))
        with pytest.raises(schema.InputError, match="EXHAUSTED: full"):
            generator.check(protocol, bodies[0])
    assert result.statuses == {"RESOURCE_EXHAUSTED": 10}
    assert np.isnan(result.latency_ms["p50"])
    assert not result.meets(Slo(p90_ms=1000.0))

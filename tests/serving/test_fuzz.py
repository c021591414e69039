"""What is wrong with a request decides its status; the server goes on."""

import functools

import grpc
import pytest

from jump_tf import schema
from serving.client.client import Client
from serving.client.client import Session
from tests.benchmarks import serving_fuzz

SESSIONS = [Session(["item-3", "item-1"], [12.0], 30.0), Session([])]
LIMIT = 65 * 2**20


@pytest.fixture
def exact_afterwards(address):
    """The server answers a good request as it did before."""
    with Client(address, timeout_seconds=30.0) as client:
        before = client.answer(SESSIONS)
        yield
        assert client.answer(SESSIONS) == before


def of_kind(cases, *kinds):
    return [case for case in cases if case.kind in kinds]


def test_every_wrong_request_gets_its_status(address, exact_afterwards):
    cases = list(serving_fuzz.grpc_cases("jump", 300, seed=11))
    assert len({case.kind for case in cases}) == 26
    assert len({case.body for case in cases}) > 290
    with grpc.insecure_channel(address) as channel:
        send = functools.partial(serving_fuzz.send_grpc, channel)
        found = serving_fuzz.run(iter(cases), send)
    assert [(case.kind, status) for case, status in found.wrong] == []
    assert sum(sum(each.values()) for each in found.statuses.values()) == 300
    assert found.statuses["good"].keys() == {"OK"}


def test_every_wrong_request_over_rest_gets_its_status(
    server, exact_afterwards
):
    cases = list(serving_fuzz.rest_cases("jump", 100, seed=12))
    assert len({case.kind for case in cases}) == 25
    send = functools.partial(serving_fuzz.send_rest, server.http_address)
    found = serving_fuzz.run(iter(cases), send)
    assert [(case.kind, status) for case, status in found.wrong] == []
    assert found.statuses["good"].keys() == {"200"}


def test_a_request_beyond_the_limit(address, exact_afterwards):
    (case,) = of_kind(
        serving_fuzz.grpc_cases("jump", 1000, seed=3), "too_large"
    )
    assert len(case.body) > LIMIT
    with grpc.insecure_channel(
        address, [("grpc.max_send_message_length", 2 * LIMIT)]
    ) as channel:
        assert serving_fuzz.send_grpc(channel, case) in case.allowed


def test_what_is_wrong_is_found():
    """A server that says yes to everything does not pass."""
    found = serving_fuzz.run(
        serving_fuzz.grpc_cases("jump", 260, seed=2), lambda case: "OK"
    )
    lenient = {case.kind for case, _ in found.wrong}
    assert {"wrong_rank", "noise", "huge_shape", "unknown_method"} <= lenient
    assert not lenient & {"good", "hostile_items", "no_clicks"}

    def dead(case):
        raise ConnectionResetError

    found = serving_fuzz.run(serving_fuzz.rest_cases("jump", 50, 2), dead)
    assert len(found.wrong) == 50


def test_cases_are_the_same_for_the_same_seed():
    for make in (serving_fuzz.grpc_cases, serving_fuzz.rest_cases):
        first, again, other = (
            [(case.kind, case.body) for case in make("jump", 60, seed)]
            for seed in (4, 4, 5)
        )
        assert first == again
        assert first != other
        assert len({kind for kind, _ in first}) > 20


def test_a_text_that_quotes_a_long_request_is_cut(address):
    with (
        Client(address, "m" * 100_000) as client,
        pytest.raises(schema.InputError, match=r"Latest\(m{900,}\.\.\.TRUNC"),
    ):
        client.answer(SESSIONS)

"""Live sessions, against a service whose state is a sum it can be held to."""

import grpc
import numpy as np
import pytest

from jump_tf import schema
from serving.client.client import Client
from serving.client.client import Session
from serving.client.live_session import LiveSession
from serving.protocol import errors
from tests.serving import fake_service


class SumModel:
    """Half of what was before and what the click adds, in every step.

    Attributes:
        version: whose states alone it takes.
        calls: signatures asked for, and the clicks each of them took.
    """

    def __init__(self):
        self.version = 1
        self.calls = []

    def __call__(self, spec, inputs):
        name = spec.signature_name
        if name == schema.STEP:
            return self.step(inputs)
        (items,), (dwell,) = inputs["items"], inputs["dwell_seconds"]
        self.calls.append((name, len(items)))
        total, left = 0.0, -1.0
        for item, seconds in zip(items, dwell, strict=True):
            total = self.after(total, left, item)
            left = seconds
        return self.outputs(total, left, inputs["elapsed_seconds"][0])

    def step(self, inputs):
        if inputs["state_model"][0] != self.version:
            raise errors.invalid_argument(
                "`state_model` must be of the version that is asked. Received: "
                f"{inputs['state_model'][0]}"
            )
        self.calls.append((schema.STEP, 1))
        (total,), (left,) = inputs["state_sum"], inputs["last_dwell_seconds"]
        (item,), (elapsed,) = inputs["item"], inputs["elapsed_seconds"]
        if item:
            total, left = self.after(total, left, item), -1.0
        return self.outputs(total, left, elapsed)

    def after(self, total, left, item):
        return 0.5 * (total + max(left, 0.0)) + self.version * len(item)

    def outputs(self, total, left, elapsed):
        return {
            **fake_service.outputs_of([total + max(left, 0.0) + 10 * elapsed]),
            "state_sum": np.float32([total]),
            "state_model": np.int64([self.version]),
        }


@pytest.fixture
def model():
    return SumModel()


@pytest.fixture
def client(model):
    with (
        fake_service.serving(model) as address,
        Client(address, timeout_seconds=10.0, attempts=1) as client,
    ):
        yield client


def whole(client, items, dwell_seconds=(), elapsed=0.0):
    """The answer to all of the session at once."""
    return client.recommend(items, dwell_seconds, elapsed)


def test_every_moment_is_answered_as_the_whole_session_is(client):
    live = LiveSession(client)
    assert live.recommendations() == whole(client, [])
    live.click("a")
    assert live.recommendations() == whole(client, ["a"])
    live.wait(3.0)
    assert live.recommendations() == whole(client, ["a"], [], 3.0)
    live.leave(8.0)
    assert live.recommendations() == whole(client, ["a"], [8.0])
    live.click("bbb")
    assert live.recommendations() == whole(client, ["a", "bbb"], [8.0])
    live.click("cc", 5.0)
    items = ["a", "bbb", "cc"]
    assert live.recommendations() == whole(client, items, [8.0, 5.0])
    live.click("bbb")
    live.leave(2.0)
    live.leave(4.0)  # A better measurement of the same page.
    items, dwell = [*items, "bbb"], [8.0, 5.0, -1.0, 4.0]
    assert live.answer.recommendations == whole(client, items, dwell)
    live.wait(1.0)  # They came back to it.
    expected = whole(client, items, dwell[:-1], 1.0)
    assert live.recommendations() == expected


def test_a_click_costs_one_step_however_long_the_session_is(client, model):
    live = LiveSession(client)
    assert model.calls == [(schema.START, 0)]
    for number in range(30):
        live.click(f"item {number}", 1.0)
    assert model.calls[1:] == [(schema.STEP, 1)] * 30


@pytest.mark.parametrize("told", [-1.0, 6.0])
def test_starts_again_where_the_model_was_swapped(client, model, told):
    live = LiveSession(client)
    live.click("a")
    live.click("bb", 7.0)
    model.version = 2
    model.calls.clear()
    live.click("ccc", told)
    assert model.calls == [(schema.START, 2), (schema.STEP, 1)]
    dwell = [7.0, told]
    assert live.recommendations() == whole(client, ["a", "bb", "ccc"], dwell)
    model.version = 3
    live.wait(2.0)
    expected = whole(client, ["a", "bb", "ccc"], dwell, 2.0)
    assert live.recommendations() == expected
    model.version = 4
    live.leave(9.0)
    expected = whole(client, ["a", "bb", "ccc"], [*dwell, 9.0])
    assert live.recommendations() == expected
    model.calls.clear()
    live.click("a")
    assert model.calls == [(schema.STEP, 1)]


def test_keeps_the_last_clicks_to_start_again(client, model):
    live = LiveSession(client, most_clicks=3)
    for number in range(9):
        live.click(str(number), 1.0)
    assert live.session.items == ["6", "7", "8"]
    assert live.session.dwell_seconds == [1.0, 1.0, -1.0]
    model.version = 2
    live.wait(0.0)
    expected = whole(client, live.session.items, [1.0, 1.0])
    assert live.recommendations() == expected


def test_a_failed_click_changes_nothing(client, model, monkeypatch):
    live = LiveSession(client)
    live.click("a")
    before = live.session, live.answer

    def overloaded(inputs):
        raise errors.ServingError(grpc.StatusCode.UNAVAILABLE, "full")

    with monkeypatch.context() as patched:
        patched.setattr(model, "step", overloaded)
        for tell in (lambda: live.click("b", 3.0), lambda: live.leave(3.0)):
            with pytest.raises(errors.ServingError, match="full"):
                tell()
            assert (live.session, live.answer) == before
    live.click("b", 3.0)
    assert live.recommendations() == whole(client, ["a", "b"], [3.0])


def test_does_not_start_again_for_ever(client, model, monkeypatch):
    live = LiveSession(client)
    monkeypatch.setattr(model, "outputs", lambda *state: live_outputs(model))
    model.version = 2
    with pytest.raises(schema.InputError, match="`state_model` must"):
        live.click("a")
    assert model.calls.count((schema.START, 0)) == 4


def live_outputs(model):
    """Those of a server whose state nobody takes."""
    return {
        **fake_service.outputs_of([0.0]),
        "state_sum": np.float32([0.0]),
        "state_model": np.int64([model.version - 1]),
    }


@pytest.mark.parametrize(
    ("tell", "sentence"),
    [
        (lambda live: live.leave(3.0), "`leave` must follow a click"),
        (lambda live: live.wait(3.0), "`wait` must follow a click"),
        (lambda live: live.click(""), "`item` must not be empty"),
        (
            lambda live: LiveSession(live._client, 1),
            r"`most_clicks` must be at least 2\. Received: 1",
        ),
    ],
)
def test_refusals(client, tell, sentence):
    live = LiveSession(client)
    with pytest.raises(schema.InputError, match=sentence):
        tell(live)


def assert_same(live, whole):
    assert [r.item for r in live.recommendations] == [
        r.item for r in whole.recommendations
    ]
    for left, right in zip(
        live.recommendations, whole.recommendations, strict=True
    ):
        assert left.probability == pytest.approx(right.probability, 1e-5)
        assert left.dwell_median_seconds == pytest.approx(
            right.dwell_median_seconds, 1e-4
        )
    assert live.page_dwell_median_seconds == pytest.approx(
        whole.page_dwell_median_seconds, 1e-4
    )
    assert live.page_remaining_quantiles_seconds == pytest.approx(
        whole.page_remaining_quantiles_seconds, 1e-4
    )


def test_against_a_real_model(address, name):
    with Client(address, name, timeout_seconds=60.0) as client:

        def whole(items, dwell_seconds=(), elapsed=0.0):
            session = Session(items, dwell_seconds, elapsed)
            return client.answer([session])[0]

        live = LiveSession(client)
        assert_same(live.answer, whole([]))
        assert_same(live.click("item-3"), whole(["item-3"]))
        assert_same(live.wait(7.0), whole(["item-3"], [], 7.0))
        assert_same(live.leave(12.0), whole(["item-3"], [12.0]))
        items = ["item-3", "item-1", "never seen", "item-1"]
        for number, seconds in enumerate([-1.0, 700.0, 3.0], 2):
            dwell = list(live.session.dwell_seconds[:-1])
            dwell.append(12.0 if number == 2 else seconds)
            answer = live.click(items[number - 1], dwell[-1])
            assert_same(answer, whole(items[:number], dwell))

"""The client, and through it what the server answers to odd sessions."""

import socket

import grpc
import numpy as np
import pytest

from jump_tf import schema
from serving.client import Client
from serving.client import Session
from serving.errors import ServingError

SESSIONS = [
    Session(["item-3", "item-1", "größe 10"], [12.0, 700.0], 30.0),
    Session([]),
    Session(["item-0"], [44.0]),
]


def features_of(model, vocabulary, session):
    """`[n + 1, d]`; the dwells that are left out are unknown."""
    ids = [vocabulary.index(x) + schema.FIRST_ITEM_ID for x in session.items]
    dwell = list(session.dwell_seconds)
    dwell += [schema.UNKNOWN_DWELL] * (len(ids) - len(dwell))
    inputs = {
        schema.ITEMS: np.int32([[*ids, schema.PAD_ID]]),
        schema.DWELL_SECONDS: np.float32([[*dwell, 0.0]]),
    }
    return model(inputs, training=False).numpy()[0][: len(ids) + 1]


def test_answers_are_the_models_own(client, models, vocabulary, name):
    model = models[name]
    for session, answer in zip(SESSIONS, client.answer(SESSIONS), strict=True):
        feature = features_of(model, vocabulary, session)[-1:]
        scores = np.float64(model.click_scores(feature))[0]
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        best = np.argsort(-scores, kind="stable")[:4]
        law = model.dwell_distribution(np.repeat(feature, 4, 0), best)
        found = answer.recommendations
        assert [r.item for r in found] == [
            vocabulary[i - schema.FIRST_ITEM_ID] for i in best
        ]
        np.testing.assert_allclose(
            [r.probability for r in found], probabilities[best], 1e-5
        )
        np.testing.assert_allclose(
            [r.dwell_median_seconds for r in found], law.median(), 1e-5
        )
        for r in found:
            levels = list(r.dwell_quantiles_seconds)
            assert levels == [0.1, 0.25, 0.5, 0.75, 0.9]
            seconds = list(r.dwell_quantiles_seconds.values())
            assert seconds == sorted(seconds)
            np.testing.assert_allclose(seconds[2], r.dwell_median_seconds, 1e-5)


def test_the_page_on_screen(client):
    with_page, empty, _ = client.answer(SESSIONS)
    assert with_page.page_dwell_median_seconds > 30.0
    assert empty.page_dwell_median_seconds == 0.0


def test_one_session_is_a_batch_of_one(client):
    session = SESSIONS[0]
    alone = client.recommend(
        session.items, session.dwell_seconds, session.elapsed_seconds
    )
    assert alone == client.answer([session])[0].recommendations
    together = client.answer(SESSIONS)[0].recommendations
    for left, right in zip(alone, together, strict=True):
        assert left.item == right.item
        assert left.probability == pytest.approx(right.probability, rel=1e-5)


def test_dwell(client):
    times = [1.0, 30.0, 500.0]
    candidates = ["item-2", "no such item"]
    forecasts = client.dwell(["item-1"], [8.0], candidates, times)
    assert [forecast.item for forecast in forecasts] == candidates
    for forecast in forecasts:
        assert list(forecast.survival) == times
        survival = list(forecast.survival.values())
        assert survival == sorted(survival, reverse=True)
        median = forecast.dwell_median_seconds
        assert forecast.dwell_quantiles_seconds[0.5] == pytest.approx(median)
        (at_median,) = client.dwell(
            ["item-1"], [8.0], [forecast.item], [median]
        )
        assert at_median.survival[median] == pytest.approx(0.5, rel=1e-4)


def test_status(client):
    assert client.status() == {7: "AVAILABLE"}


@pytest.mark.parametrize(
    "session",
    [
        Session([]),
        Session(["never", "seen"], [3.0, 4.0]),
        Session([f"item-{n % 9}" for n in range(10_000)], [5.0] * 10_000),
        Session(["item-1", "item-2"], [np.nan, -5.0]),
        Session(["item-1"], [np.inf]),
        Session(["item-1"], [], np.nan),
        Session([""], [4.0]),
    ],
    ids=["empty", "unknown", "long", "nan", "inf", "elapsed-nan", "gap"],
)
def test_odd_sessions_are_answered(client, session):
    before = client.recommend(["item-1"], [3.0])
    (answer,) = client.answer([session])
    probabilities = [r.probability for r in answer.recommendations]
    assert len(probabilities) == 4
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[-1] > 0
    assert sum(probabilities) < 1
    assert np.isfinite(answer.page_dwell_median_seconds)
    assert client.recommend(["item-1"], [3.0]) == before


def test_no_sessions(client):
    assert client.answer([]) == []


def test_refuses_more_dwells_than_items():
    with pytest.raises(schema.InputError, match="Received: 2 for 1 items"):
        Session(["item-1"], [1.0, 2.0])


def test_a_wrong_request_is_an_input_error(address):
    with Client(address, "jmup") as client:
        with pytest.raises(
            schema.InputError, match=r"not found for request: Latest\(jmup\)"
        ):
            client.recommend(["item-1"])
        with pytest.raises(schema.InputError, match="any versions of model"):
            client.status()


def test_no_server_is_a_serving_error():
    with (
        Client("127.0.0.1:1", timeout_seconds=5.0) as client,
        pytest.raises(ServingError, match="UNAVAILABLE") as caught,
    ):
        client.recommend(["item-1"])
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_a_silent_server_is_a_serving_error():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            Client(address, timeout_seconds=0.3) as client,
            pytest.raises(ServingError, match="DEADLINE_EXCEEDED"),
        ):
            client.recommend(["item-1"])

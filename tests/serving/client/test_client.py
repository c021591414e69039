"""The client, and through it what the server answers to odd sessions."""

import datetime
import ipaddress
import socket
import threading
import time

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from jump_tf import schema
from serving.client import connection
from serving.client.client import Client
from serving.client.client import Session
from serving.client.sessions import RequestOptions
from serving.protocol.errors import ServingError
from tests.serving import fake_service

SESSIONS = [
    Session(["item-3", "item-1", "größe 10"], [12.0, 700.0], 30.0),
    Session([]),
    Session(["item-0"], [44.0]),
]


def features_of(model, vocabulary, session):
    """`[n + 1, d]`; the dwell that is left out is unknown."""
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
        distribution = model.dwell_distribution(np.repeat(feature, 4, 0), best)
        found = answer.recommendations
        assert [r.item for r in found] == [
            vocabulary[i - schema.FIRST_ITEM_ID] for i in best
        ]
        np.testing.assert_allclose(
            [r.probability for r in found], probabilities[best], 1e-5
        )
        np.testing.assert_allclose(
            [r.dwell_median_seconds for r in found], distribution.median(), 1e-5
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


class Recorder:
    """A model that keeps what it is asked, and refuses the first calls."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.asked = []

    def __call__(self, spec, inputs):
        self.asked.append((spec, inputs))
        if self.refusals:
            raise ServingError(self.refusals.pop(0), "not now")
        return fake_service.outputs_of([len(row) for row in inputs["items"]])


UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("refusals", "attempts", "calls", "answered"),
    [
        ([], 4, 1, True),
        ([UNAVAILABLE, EXHAUSTED], 4, 3, True),
        ([UNAVAILABLE] * 3, 3, 3, False),
        ([UNAVAILABLE], 1, 1, False),
        ([grpc.StatusCode.INTERNAL], 4, 1, False),
        ([grpc.StatusCode.ABORTED], 4, 1, False),
    ],
)
def test_tries_again_where_that_may_help(refusals, attempts, calls, answered):
    model = Recorder(*refusals)
    with (
        fake_service.serving(model) as address,
        Client(address, attempts=attempts) as client,
    ):
        if answered:
            assert client.recommend(["a"])[0].item == "1.0000"
        else:
            with pytest.raises(ServingError, match="not now") as caught:
                client.recommend(["a"])
            assert caught.value.code is refusals[-1]
    assert len(model.asked) == calls


def test_a_wrong_request_is_not_sent_again():
    model = Recorder(grpc.StatusCode.INVALID_ARGUMENT)
    with (
        fake_service.serving(model) as address,
        Client(address) as client,
        pytest.raises(schema.InputError, match="not now"),
    ):
        client.recommend(["a"])
    assert len(model.asked) == 1


def test_retries_end_with_the_callers_deadline():
    model = Recorder(*[UNAVAILABLE] * 1000)
    with (
        fake_service.serving(model) as address,
        Client(address, timeout_seconds=0.4, attempts=1000) as client,
    ):
        start = time.monotonic()
        with pytest.raises(ServingError, match="UNAVAILABLE: not now"):
            client.recommend(["a"])
        assert time.monotonic() - start < 0.6
    assert 1 < len(model.asked) < 20


def test_many_sessions_are_sent_in_batches_at_the_same_time():
    sizes = []
    together = threading.Barrier(3, timeout=10.0)

    def answer(spec, inputs):
        sizes.append(len(inputs["items"]))
        together.wait()  # Broken if one is sent after the other.
        return fake_service.outputs_of(
            [np.count_nonzero(row != b"") for row in inputs["items"]]
        )

    sessions = [Session(["a"] * length) for length in range(8)]
    with (
        fake_service.serving(answer) as address,
        Client(address, max_batch=3) as client,
    ):
        answers = client.answer(sessions)
    assert sorted(sizes) == [2, 3, 3]
    medians = [answer.page_dwell_median_seconds for answer in answers]
    assert medians == list(range(8))


def test_what_is_wanted_is_sent_with_each_session():
    model = Recorder()
    options = RequestOptions(7, True, ["x", "yy"], ["z"], [1.0, 60.0])
    with fake_service.serving(model) as address, Client(address) as client:
        client.answer([Session(["a"], [], 4.0), Session(["b"])], options)
        client.recommend(["a"], deny=["z"])
        client.recommend(["a"])
    (spec, inputs), (_, filtered), (plain, asked) = model.asked
    assert spec.signature_name == "recommend"
    assert inputs["k"].tolist() == [7, 7]
    assert inputs["k"].dtype == np.int32
    assert inputs["exclude_seen"].tolist() == [True, True]
    assert inputs["allow"].tolist() == [[b"x", b"yy"]] * 2
    assert inputs["deny"].tolist() == [[b"z"]] * 2
    assert inputs["times_seconds"].tolist() == [[1.0, 60.0]] * 2
    assert inputs["elapsed_seconds"].tolist() == [4.0, 0.0]
    assert filtered["k"].tolist() == [20]
    assert filtered["allow"].shape == (1, 0)
    assert plain.signature_name == "serving_default"
    assert set(asked) == {"items", "dwell_seconds", "elapsed_seconds"}


def test_what_filters_left_out_is_not_recommended():
    outputs = fake_service.outputs_of([1.0, 3.0])
    outputs["items"] = np.array([["a", ""], ["", ""]], object)
    survival = [[[0.9, 0.2], [0.0, 0.0]]] * 2
    outputs |= {
        "survival": np.float32(survival),
        "page_remaining_survival": np.float32([[0.75, 0.5], [0.25, 0.125]]),
        "page_remaining_quantiles_seconds": np.float32([[2, 30], [4, 50]]),
        "session_end_probability": np.float32([0.25, 0.5]),
    }
    times = [5.0, 60.0]
    with (
        fake_service.serving(lambda spec, inputs: outputs) as address,
        Client(address) as client,
    ):
        first, second = client.answer(
            [Session([]), Session([])], RequestOptions(times_seconds=times)
        )
        without_times = client.answer([Session([]), Session([])])[0]
    assert [found.item for found in first.recommendations] == ["a"]
    found = first.recommendations[0].survival
    assert found == pytest.approx({5.0: 0.9, 60.0: 0.2})
    assert second.recommendations == []
    assert first.page_remaining_survival == {5.0: 0.75, 60.0: 0.5}
    assert second.page_remaining_quantiles_seconds == {0.1: 4.0, 0.9: 50.0}
    assert second.session_end_probability == 0.5
    assert without_times.page_remaining_survival is None
    assert without_times.recommendations[0].survival is None


def test_what_a_model_does_not_tell_is_none(client):
    (answer,) = client.answer([SESSIONS[0]])
    with fake_service.serving(Recorder()) as address, Client(address) as other:
        (plain,) = other.answer([SESSIONS[0]])
    assert plain.page_remaining_quantiles_seconds is None
    assert plain.session_end_probability is None
    assert answer.page_remaining_survival is None


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({}, None),
        ({"version": 7}, "version"),
        ({"version_label": "canary"}, "version_label"),
    ],
)
def test_asks_for_a_version(choice, sent):
    model = Recorder()
    with (
        fake_service.serving(model) as address,
        Client(address, **choice) as client,
    ):
        client.recommend(["a"])
    spec = model.asked[0][0]
    assert spec.WhichOneof("version_choice") == sent
    assert spec.version.value == choice.get("version", 0)
    assert spec.version_label == choice.get("version_label", "")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: Client("a:1", version=1, version_label="b"),
            "`version` or `version_label` must be given, not both",
        ),
        (lambda: Client("a:1", attempts=0), "`attempts` must be at least 1"),
        (lambda: Client("a:1", max_batch=0), "`max_batch` must be at least 1"),
        (lambda: RequestOptions(k=0), "`k` must be at least 1. Received: 0"),
        (
            lambda: connection.tls_credentials(key="key.pem"),
            "`key` and `certificate` must be given together",
        ),
        (
            lambda: connection.tls_credentials("no such file"),
            "must be readable. Received: no such file",
        ),
    ],
)
def test_wrong_settings(make, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        make()


def test_large_messages_are_refused_on_request():
    with (
        fake_service.serving(Recorder()) as address,
        Client(address, max_message_bytes=1000, attempts=1) as client,
        pytest.raises(ServingError, match="RESOURCE_EXHAUSTED"),
    ):
        client.recommend(["a" * 2000])


def self_signed(folder, name):
    """Paths of a new key and of a certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    hosts = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.key", folder / f"{name}.pem"
    paths[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return paths


def test_mutual_tls(tmp_path):
    key, certificate = self_signed(tmp_path, "server")
    own_key, own_certificate = self_signed(tmp_path, "visitor")
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        own_certificate.read_bytes(),
        require_client_auth=True,
    )
    known = connection.tls_credentials(certificate, own_key, own_certificate)
    anonymous = connection.tls_credentials(certificate)
    stranger = connection.tls_credentials(certificate, key, certificate)
    elsewhere = connection.tls_credentials(
        own_certificate, own_key, own_certificate
    )
    model = Recorder()
    with fake_service.serving(model, credentials) as address:
        with Client(address, credentials=known) as client:
            assert client.recommend(["a"])[0].item == "1.0000"
        for refused in (anonymous, stranger, elsewhere, None):
            with (
                Client(address, credentials=refused, attempts=1) as client,
                pytest.raises(ServingError, match="UNAVAILABLE"),
            ):
                client.recommend(["a"])
    assert len(model.asked) == 1

"""TLS and mutual TLS of both ports, by one SSLConfig."""

import json
import ssl
import urllib.error
import urllib.request

import grpc
import pytest
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc

from jump_tf import schema
from serving.protocol.text_protos import SSLConfig
from serving.server import Server
from serving.settings import Settings
from serving.settings import Tls
from tests.serving import certificates
from tests.serving import tiny_saved_model


@pytest.fixture(scope="module")
def authority():
    return certificates.Authority()


@pytest.fixture(scope="module")
def stranger():
    return certificates.Authority("somebody else")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny").mkdir()
    tiny_saved_model.write(folder / "tiny" / "5")
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mutual"])
def server(request, folder, authority):
    key, certificate = authority.issue("server")
    config = SSLConfig(
        server_key=key,
        server_cert=certificate,
        custom_ca=authority.certificate,
        client_verify=request.param,
    )
    settings = Settings(port=0, rest_port=0, tls=Tls(config))
    with Server.of_folder(folder, settings, poll_seconds=0) as server:
        server.mutual = request.param
        yield server


def versions(server, credentials):
    """Over gRPC, or the name of the status."""
    with (
        grpc.secure_channel(server.address, credentials)
        if credentials
        else grpc.insecure_channel(server.address)
    ) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = "tiny"
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        try:
            answer = stub.GetModelStatus(request, timeout=10)
        except grpc.RpcError as error:
            return error.code().name
        return [status.version for status in answer.model_version_status]


def versions_over_http(server, context):
    scheme = "https" if context else "http"
    url = f"{scheme}://{server.http_address}/v1/models/tiny"
    try:
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            statuses = json.load(answer)["model_version_status"]
            return [int(status["version"]) for status in statuses]
    except (OSError, urllib.error.URLError):
        return "UNAVAILABLE"


def credentials(authority, issuer=None):
    """Of a client that trusts one and has a certificate of another."""
    pair = [text.encode() for text in issuer.issue("client")] if issuer else []
    return grpc.ssl_channel_credentials(authority.certificate.encode(), *pair)


def context(authority, tmp_path, issuer=None):
    made = ssl.create_default_context(cadata=authority.certificate)
    if issuer:
        path = tmp_path / "client.pem"
        path.write_text("".join(issuer.issue("client")))
        made.load_cert_chain(path)
    return made


def test_who_is_known_is_answered(server, authority, tmp_path):
    known = credentials(authority, authority)
    assert versions(server, known) == [5]
    known = context(authority, tmp_path, authority)
    assert versions_over_http(server, known) == [5]


def test_who_shows_nothing(server, authority, tmp_path):
    expected = "UNAVAILABLE" if server.mutual else [5]
    assert versions(server, credentials(authority)) == expected
    unknown = context(authority, tmp_path)
    assert versions_over_http(server, unknown) == expected


def test_strangers(server, authority, stranger, tmp_path):
    if server.mutual:
        theirs = credentials(authority, stranger)
        assert versions(server, theirs) == "UNAVAILABLE"
        theirs = context(authority, tmp_path, stranger)
        assert versions_over_http(server, theirs) == "UNAVAILABLE"
    assert versions(server, credentials(stranger)) == "UNAVAILABLE"
    assert versions(server, None) == "UNAVAILABLE"
    assert versions_over_http(server, None) == "UNAVAILABLE"


def test_what_does_not_belong_together(authority):
    key, certificate = authority.issue("server")
    other_key, _ = authority.issue("other")
    together = "must be PEM texts that belong together"
    for config, sentence in (
        (SSLConfig(server_key=other_key, server_cert=certificate), together),
        (SSLConfig(server_key=key, server_cert="no PEM"), together),
        (SSLConfig(), together),
        (
            SSLConfig(server_key=key, server_cert=certificate, custom_ca="no"),
            together,
        ),
        (
            SSLConfig(
                server_key=key, server_cert=certificate, client_verify=True
            ),
            "`client_verify` must come with `custom_ca`",
        ),
    ):
        with pytest.raises(schema.InputError, match=sentence) as caught:
            Tls(config)
        assert "PRIVATE KEY" not in str(caught.value)

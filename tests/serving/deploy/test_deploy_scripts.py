"""The smoke test and the maker of certificates, run."""

import http.server
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from concurrent import futures

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import predict_pb2

from serving.deploy import protoset
from serving.protocol import text_protos
from tests.serving.deploy.test_deploy import DEPLOY

MISSING = "Servable not found for request: Latest(no-such-model)"
METRICS = "/monitoring/prometheus/metrics"
# What a server in order answers, by the end of the path, in asking order.
GOOD = [
    ("jump", 200, '"state": "AVAILABLE"'),
    ("metadata", 200, "serving_default dwell_seconds"),
    ("jump:predict inputs", 200, '"outputs": items probabilities'),
    ("jump:predict instances", 200, '"predictions": probabilities'),
    ("jump:predict short", 400, "error Missing named input"),
    ("no-such-model:predict inputs", 404, MISSING),
    (METRICS, 200, ":tensorflow:serving:request_count 3"),
]
GRPCURL = """#!{python}
import json, sys
*flags, request, address, method = sys.argv[1:]
assert flags[:3] == ["-plaintext", "-max-time", "30"], flags
assert flags[-1] == "-d" and address == "127.0.0.1:8500", sys.argv
name = json.loads(request)["model_spec"]["name"]
with open({log!r}, "a") as log:
    log.write(method + " " + json.dumps(request) + "\\n")
if name == "no-such-model":
    sys.exit({missing!r})
print({answers!r}[method])
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(self.path.rpartition("/v1/models/")[2].split("/")[-1])

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent = json.loads(body)
        kind = next(iter(sent))
        if len(sent.get("inputs", "abc")) < 3:
            kind = "short"
        self.answer(f"{self.path.split('/')[-1]} {kind}")

    def answer(self, key):
        key = METRICS if self.path == METRICS else key
        code, body = self.server.answers[key]
        self.server.asked.append(key)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers = {key: answer for key, *answer in GOOD}
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def grpcurl(tmp_path):
    """Writes a stand-in that takes grpcurl's flags and notes requests."""

    def write(**answers):
        path = tmp_path / "bin" / "grpcurl"
        path.parent.mkdir()
        answers = {
            "tensorflow.serving.ModelService/GetModelStatus": "AVAILABLE",
            "tensorflow.serving.PredictionService/Predict": "probabilities",
            **{f"tensorflow.serving.{k}": v for k, v in answers.items()},
        }
        log = tmp_path / "log"
        path.write_text(
            GRPCURL.format(
                python=sys.executable,
                log=str(log),
                missing=MISSING,
                answers=answers,
            )
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return log

    return write


def smoke(server, tmp_path):
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [DEPLOY / "smoke.sh", "127.0.0.1", str(server.server_port)],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


@needs_curl
def test_smoke_asks_all(server, grpcurl, tmp_path):
    log = grpcurl()
    done = smoke(server, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok: ") == len(GOOD) + 3
    assert server.asked == [key for key, *_ in GOOD]
    kinds = {
        "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
        "Predict": predict_pb2.PredictRequest,
    }
    sent = []
    for line in log.read_text().splitlines():
        method, request = line.split(" ", 1)
        kind = kinds[method.rpartition("/")[2]]
        sent.append(json_format.Parse(json.loads(request), kind()))
    status, predict, missing = sent
    assert status.model_spec.name == predict.model_spec.name == "jump"
    assert predict.inputs["items"].string_val == [b"no such item", b""]
    assert predict.inputs["elapsed_seconds"].float_val == [3.0]
    assert missing.model_spec.name == "no-such-model"


@needs_curl
@pytest.mark.parametrize("wrong", range(len(GOOD)))
@pytest.mark.parametrize("fault", ["code", "body"])
def test_smoke_fails_on_the_first_wrong_answer(
    server, grpcurl, tmp_path, wrong, fault
):
    grpcurl()
    key, code, body = GOOD[wrong]
    server.answers[key] = (500, body) if fault == "code" else (code, "else")
    done = smoke(server, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("smoke: ")
    assert len(server.asked) == wrong + 1


@needs_curl
@pytest.mark.parametrize(
    "method", ["ModelService/GetModelStatus", "PredictionService/Predict"]
)
def test_smoke_fails_on_a_wrong_grpc_answer(server, grpcurl, tmp_path, method):
    grpcurl(**{method: "LOADING"})
    done = smoke(server, tmp_path)
    assert done.returncode == 1
    assert f"smoke: {method.rpartition('/')[2]}: LOADING" in done.stderr


@needs_curl
def test_smoke_fails_without_a_server(server, tmp_path):
    server.server_port = 1
    assert smoke(server, tmp_path).returncode == 1


def test_the_protoset_is_whole():
    pool = descriptor_pool.DescriptorPool()
    for file in protoset.protoset().file:
        pool.Add(file)  # Fails where something needed is not there before.
    for service, method in (
        ("PredictionService", "Predict"),
        ("ModelService", "HandleReloadConfigRequest"),
    ):
        found = pool.FindServiceByName(f"tensorflow.serving.{service}")
        assert method in found.methods_by_name


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_certificates_open_the_door_to_those_who_have_one(tmp_path):
    folder = tmp_path / "tls"
    subprocess.run(
        [DEPLOY / "make_ssl_config.sh", folder, "jump.example"],
        check=True,
        capture_output=True,
    )
    for key in folder.glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0
    config = text_protos.read(folder / "ssl.config", text_protos.SSLConfig())
    assert config.client_verify
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[Echo()])
    port = server.add_secure_port(
        "127.0.0.1:0",
        grpc.ssl_server_credentials(
            [(config.server_key.encode(), config.server_cert.encode())],
            config.custom_ca.encode(),
            config.client_verify,
        ),
    )
    server.start()
    authority = (folder / "ca.pem").read_bytes()
    pair = [(folder / f"client.{x}").read_bytes() for x in ("key", "pem")]

    def ask(*credentials, host="jump.example"):
        with grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(authority, *credentials),
            [("grpc.ssl_target_name_override", host)],
        ) as channel:
            return channel.unary_unary("/any/Echo")(b"hello", timeout=5)

    assert ask(*pair) == b"hello"
    for wrong in ask, lambda: ask(*pair, host="other.example"):
        with pytest.raises(grpc.RpcError):
            wrong()
    server.stop(None)

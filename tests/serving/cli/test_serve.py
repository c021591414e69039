"""`jump-tf serve`: its flags, and the process from start to signal."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

from jump_tf import schema
from jump_tf.cli import main as cli
from serving.cli import serve as serve_command
from serving.protocol import tensors
from serving.runtime.batching_options import BatchingOptions
from serving.runtime.limits import Limits
from serving.settings import Settings
from tests.serving import tiny_saved_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny").mkdir()
    tiny_saved_model.write(folder / "tiny" / "5")
    return folder


@pytest.fixture
def started(monkeypatch):
    """What would have been served, instead of serving it."""
    from serving import server
    from serving.runtime import logs

    calls = []

    class Recorded:
        def __init__(self, config, settings, **managing):
            calls.append((config, settings, managing))

        @classmethod
        def of_folder(cls, models, settings, **managing):
            cls(models, settings, **managing)

    monkeypatch.setattr(server, "Server", Recorded)
    monkeypatch.setattr(server, "serve", lambda *_, **__: None)
    monkeypatch.setattr(logs, "configure", lambda level: None)
    return calls


def run(*flags):
    parser = argparse.ArgumentParser()
    serve_command.add_serve_arguments(parser)
    return serve_command.run_serve(parser.parse_args([*map(str, flags)]))


def test_without_flags(started, tmp_path):
    assert run("--models", tmp_path) == 0
    ((models, settings, managing),) = started
    assert models == tmp_path
    assert settings == Settings()
    assert settings.host == "127.0.0.1"
    assert managing == {"poll_seconds": 1.0, "labels_for_unavailable": False}


def test_flags_reach_the_settings(started, tmp_path):
    (tmp_path / "monitoring").write_text("prometheus_config { enable: true }")
    (tmp_path / "batching").write_text("num_batch_threads { value: 3 }")
    run(
        *("--models", tmp_path, "--host", "::1", "--port", 1, "--rest-port", 2),
        *("--batching-parameters-file", tmp_path / "batching"),
        *("--monitoring-config-file", tmp_path / "monitoring"),
        *("--max-message-bytes", 3, "--max-concurrent-requests", 4),
        *("--max-rows", 5, "--max-clicks", 6, "--timeout", 7),
        *("--grace-seconds", 8, "--file-system-poll-seconds", 9),
        "--allow-version-labels-for-unavailable-models",
    )
    ((_, settings, managing),) = started
    assert settings == Settings(
        host="::1",
        port=1,
        rest_port=2,
        batching=BatchingOptions(
            num_batch_threads=3, pad_variable_length_inputs=False
        ),
        limits=Limits(3, 4, 5, 6),
        timeout_seconds=7.0,
        grace_seconds=8.0,
        monitoring_path="/monitoring/prometheus/metrics",
    )
    assert managing == {"poll_seconds": 9.0, "labels_for_unavailable": True}


def test_a_model_config_file_is_read_again(started, tmp_path):
    path = tmp_path / "models.config"
    path.write_text('model_config_list { config { name: "a" } }')
    run(
        *("--model-config-file", path, "--no-batching"),
        *("--model-config-file-poll-seconds", 3),
    )
    ((config, settings, managing),) = started
    assert [model.name for model in config.model_config_list.config] == ["a"]
    assert not settings.batching.merge_requests
    assert managing["config_poll_seconds"] == 3.0
    path.write_text('model_config_list { config { name: "b" } }')
    (model,) = managing["read_config"]().model_config_list.config
    assert model.name == "b"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None),
        ("prometheus_config { enable: false path: '/m' }", None),
        ("prometheus_config { enable: true path: '/m' }", "/m"),
    ],
)
def test_metrics_are_on_where_the_file_says_so(started, tmp_path, text, path):
    (tmp_path / "monitoring").write_text(text)
    run(
        *("--models", tmp_path),
        *("--monitoring-config-file", tmp_path / "monitoring"),
    )
    assert started[0][1].monitoring_path == path


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--port", "-1"], "`port` must be 0 to 65535. Received: -1"),
        (["--port", "99999"], "`port` must be 0 to 65535"),
        (["--rest-port", "-2"], "`rest_port` must be -1 to 65535"),
        (["--rest-port", "-1", "--playground"], "must not be -1 where"),
        (["--timeout", "0"], "`timeout_seconds` must be positive"),
        (["--timeout", "nan"], "`timeout_seconds` must be positive"),
        (["--grace-seconds", "-1"], "`grace_seconds` must not be negative"),
        (["--max-rows", "0"], "`max_rows` must be positive"),
        (["--ssl-config-file", "no-such"], "must be a text proto SSLConfig"),
        (
            ["--no-batching", "--batching-parameters-file", "f"],
            "must not come with `--no-batching`",
        ),
    ],
)
def test_flags_that_make_no_sense(started, tmp_path, flags, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        run("--models", tmp_path, *flags)


def test_nothing_to_serve_is_exit_code_two(tmp_path, capsys):
    flags = ["--models", str(tmp_path / "none"), "--port", "0"]
    assert cli.main(["serve", *flags]) == 2
    assert "must exist. Received: " in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve"])
    assert caught.value.code == 2


@contextlib.contextmanager
def process(folder, *flags):
    """The running command and its addresses, by their first word."""
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "jump_tf.cli", "serve"),
            *("--models", str(folder), "--port", "0", "--rest-port", "0"),
            *flags,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        lines = [running.stdout.readline().split() for _ in range(2)]
        yield running, {first: last for first, _, last in lines}
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.exhaustive),
    ],
)
def test_serves_until_it_is_told_to_stop(folder, number):
    with process(folder) as (running, addresses):
        with grpc.insecure_channel(addresses["serving"]) as channel:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "tiny"
            request.inputs["names"].CopyFrom(tensors.to_proto([["secret"]]))
            request.inputs["values"].CopyFrom(tensors.to_proto([[2.0]]))
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError):
                stub.Predict(request, timeout=30)
        url = f"http://{addresses['REST']}/v1/models/tiny"
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert json.load(answer)["model_version_status"]
        running.send_signal(number)
        _, errors = running.communicate(timeout=30)
        assert running.returncode == 0
        lines = [
            json.loads(line) for line in errors.splitlines() if line[0] == "{"
        ]
        (refused,) = [line for line in lines if line["message"] == "request"]
        assert refused["code"] == "INVALID_ARGUMENT"
        assert "secret" not in errors
        assert lines[-1]["message"] == "stopped"


def test_a_second_signal_ends_it_at_once(folder):
    with (
        process(folder, "--grace-seconds", "600") as (running, addresses),
        grpc.insecure_channel(addresses["serving"]) as channel,
    ):
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watch)
        running.send_signal(signal.SIGINT)
        assert next(watch)  # It drains, as long as somebody watches.
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=30) == -signal.SIGTERM

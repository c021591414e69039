"""The files of serving/deploy: against schemas, parsers and each other."""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import threading

import kubernetes_validate
import pytest
import yaml

from jump_tf.cli import main as cli
from serving.protocol import text_protos
from serving.runtime import model_config

ROOT = pathlib.Path(__file__).parents[3]
DEPLOY = ROOT / "serving" / "deploy"
FILES = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc")
)
MANIFESTS = sorted((DEPLOY / "kubernetes").iterdir())
METRICS = "/monitoring/prometheus/metrics"
# Of tensorflow_model_server, from its main.cc; those that may be of use here.
TF_SERVING_FLAGS = {
    "port",
    "rest_api_port",
    "enable_batching",
    "batching_parameters_file",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "file_system_poll_wait_seconds",
    "monitoring_config_file",
    "ssl_config_file",
    "enable_grpc_healthcheck_service",
}
# With dashes, but not of `jump-tf serve`.
OTHER_FLAGS = {
    "--build",
    "--interval",
    "--logdir",
    "--max-time",
    "--no-cache-dir",
    "--output",
    "--start-period",
    "--timeout",
}


def manifest(name):
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())


@pytest.fixture(scope="module")
def pod():
    return manifest("deployment.yaml")["spec"]["template"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["spec"]["containers"]
    return container


def instructions(dockerfile):
    """`[(instruction, arguments)]`; continued lines are one."""
    lines = [
        line
        for line in (DEPLOY / dockerfile).read_text().splitlines()
        if not line.startswith("#")
    ]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line]


def entrypoint(dockerfile):
    return json.loads(dict(instructions(dockerfile))["ENTRYPOINT"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_says_what_was_not_run(path):
    head = "".join(path.open().readlines()[:8])
    if path.name != "make_ssl_config.sh":  # It is run, below.
        assert re.search(r"(?i)\bnot (built|run|applied)\b|never", head)
    assert "PRIVATE KEY" not in path.read_text()


def test_what_tf_serving_parses_is_parsed():
    config = text_protos.read_model_config(DEPLOY / "models.config")
    model_config.check(config)
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("jump", "/models/jump")
    monitoring = text_protos.read(
        DEPLOY / "monitoring.config", text_protos.MonitoringConfig()
    ).prometheus_config
    assert (monitoring.enable, monitoring.path) == (True, METRICS)


def test_labels_of_the_comment_parse_too(tmp_path):
    text = (DEPLOY / "models.config").read_text()
    shown = "".join(re.findall(r"^#   (.*\n)", text, re.MULTILINE))
    path = tmp_path / "models.config"
    path.write_text(re.sub(r"(?m)^    model_version_policy .*\n", shown, text))
    (model,) = text_protos.read_model_config(path).model_config_list.config
    assert model.model_version_policy.latest.num_versions == 2
    assert dict(model.version_labels) == {"stable": 1, "canary": 2}


def test_batches_are_not_padded_by_tf_serving():
    batching = text_protos.read(
        DEPLOY / "batching_parameters.txt", text_protos.BatchingParameters()
    )
    assert batching.max_batch_size.value == 64
    assert not batching.pad_variable_length_inputs


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["1.30", "1.33"])
def test_manifests_fit_their_schema(path, version):
    kubernetes_validate.validate(
        yaml.safe_load(path.read_text()), version, strict=True
    )


def test_the_kustomization_is_whole():
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [
        f"kubernetes/{path.name}" for path in MANIFESTS
    ]
    (generated,) = kustomization["configMapGenerator"]
    assert all((DEPLOY / name).is_file() for name in generated["files"])


@pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
def test_what_kustomize_makes_of_it_fits_too(pod):
    made = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY)], capture_output=True, check=True
    )
    objects = {o["kind"]: o for o in yaml.safe_load_all(made.stdout)}
    assert len(objects) == len(MANIFESTS) + 1
    for made in objects.values():
        kubernetes_validate.validate(made, "1.33", strict=True)
    config = objects["ConfigMap"]
    for name, text in config["data"].items():
        assert text == (DEPLOY / name).read_text()
    volumes = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
    (mounted,) = [v["configMap"] for v in volumes if "configMap" in v]
    assert mounted["name"] == config["metadata"]["name"]
    # Clients are other pods: their selector is left as it is written.
    assert objects["NetworkPolicy"] == manifest("network_policy.yaml")


def test_manifests_fit_each_other(pod, container):
    deployment = manifest("deployment.yaml")
    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    service = manifest("service.yaml")["spec"]
    assert service["selector"] == labels
    budget = manifest("disruption_budget.yaml")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    policy = manifest("network_policy.yaml")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    autoscaler = manifest("autoscaler.yaml")["spec"]
    target = autoscaler["scaleTargetRef"]
    assert target["kind"] == deployment["kind"]
    assert target["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    # Of two, one may be taken away.
    assert autoscaler["minReplicas"] > budget["maxUnavailable"]
    assert container["resources"]["requests"]["cpu"]

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert {p["targetPort"]: p["port"] for p in service["ports"]} == ports
    allowed = {p["port"] for rule in policy["ingress"] for p in rule["ports"]}
    assert allowed == set(ports)
    for name in "startupProbe", "readinessProbe", "livenessProbe":
        probe = container[name]["httpGet"]
        assert probe["port"] == "http"
        assert probe["path"].startswith("/v1/models/jump")


def test_a_rolling_update_drops_nobody(pod, container):
    rolling = manifest("deployment.yaml")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}
    pause = container["lifecycle"]["preStop"]["exec"]["command"]
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < int(pause[1])
    assert int(pause[1]) + 10 <= grace


def test_metrics_are_found(pod):
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS
    assert annotations["prometheus.io/port"] == "8501"
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    assert job["metrics_path"] == METRICS
    compose = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    (target,) = job["static_configs"][0]["targets"]
    assert target.split(":") == ["jump", "8501"]
    assert "jump" in compose["services"]


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "Dockerfile.embedded"])
def test_images_copy_what_is_there_and_name_what_they_copy(
    dockerfile, pod, container
):
    copied = set()
    for instruction, arguments in instructions(dockerfile):
        if instruction == "COPY":
            *sources, target = arguments.split()
            assert all((ROOT / source).exists() for source in sources)
            if target == "/etc/jump/":
                copied |= {
                    f"/etc/jump/{pathlib.PurePath(s).name}" for s in sources
                }
    (mount,) = [
        m["mountPath"]
        for m in container["volumeMounts"]
        if m["name"] == "config"
    ]
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    (generated,) = kustomization["configMapGenerator"]
    mounted = {f"{mount}/{name}" for name in generated["files"]}
    for flag in entrypoint(dockerfile):
        value = flag.partition("=")[2]
        if value.startswith("/"):
            assert value in copied & mounted
    assert dict(instructions(dockerfile))["EXPOSE"] == "8500 8501"
    user = dict(instructions(dockerfile))["USER"]
    assert int(user) == pod["spec"]["securityContext"]["runAsUser"]


def test_flags_of_tf_serving():
    program, *flags = entrypoint("Dockerfile")
    assert program == "tensorflow_model_server"
    assert {flag[2:].partition("=")[0] for flag in flags} <= TF_SERVING_FLAGS
    for path in FILES:
        named = re.findall(r"--([a-z]+(?:_[a-z]+)+)", path.read_text())
        assert set(named) <= TF_SERVING_FLAGS, path


def test_flags_of_the_embedded_server(capsys):
    program, command, *flags = entrypoint("Dockerfile.embedded")
    assert (program, command) == ("jump-tf", "serve")
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", *flags, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    known = set(re.findall(r"--[a-z-]+", shown)) | OTHER_FLAGS
    known |= {f"--{flag}" for flag in TF_SERVING_FLAGS}
    assert {flag.partition("=")[0] for flag in flags} <= known
    for path in FILES:
        words = re.findall(
            r"(?:^|[\s(\"`])(--[a-z-]+)\b(?!_)", path.read_text()
        )
        assert set(words) <= known, path


def test_compose_names_what_is_there():
    text = (DEPLOY / "docker-compose.yaml").read_text()
    for chosen in "Dockerfile", "Dockerfile.embedded":
        filled = text.replace("${JUMP_DOCKERFILE:-Dockerfile}", chosen)
        filled = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", filled)
        services = yaml.safe_load(filled)["services"]
        assert set(services) == {"jump", "prometheus", "tensorboard"}
        for service in services.values():
            if "build" in service:
                context = (DEPLOY / service["build"]["context"]).resolve()
                assert context == ROOT
                assert (context / service["build"]["dockerfile"]).is_file()
            for port in service["ports"]:
                assert port.startswith("127.0.0.1:")
            assert set(service.get("depends_on", {})) <= set(services)
        (config,) = services["prometheus"]["volumes"]
        assert (DEPLOY / config.partition(":")[0]).is_file()
        (models,) = services["jump"]["volumes"]
        assert models.endswith(":/models:ro")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.add(self.path)
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.paths = set()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "Dockerfile.embedded"])
def test_the_health_check_tells_200_from_the_rest(dockerfile, server):
    arguments = dict(instructions(dockerfile))["HEALTHCHECK"]
    command = json.loads(arguments.partition("CMD ")[2])
    command[-1] = command[-1].replace("8501", str(server.server_port))

    def check():
        return subprocess.run(command, capture_output=True).returncode

    for code, healthy in (200, True), (404, False), (503, False):
        server.code = code
        assert (check() == 0) is healthy
    assert server.paths == {"/v1/models/jump/metadata"}
    command[-1] = command[-1].replace(str(server.server_port), "1")
    assert check() != 0

"""The shipped configuration files, as far as the official protos go."""

import pathlib

import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

DEPLOY = pathlib.Path(__file__).parents[2] / "serving" / "deploy"


def test_models_config_parses():
    config = text_format.Parse(
        (DEPLOY / "models.config").read_text(),
        model_server_config_pb2.ModelServerConfig(),
    )
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("jump", "/models/jump")
    assert model.model_version_policy.latest.num_versions == 1


def test_compose_names_files_that_exist():
    compose = yaml.safe_load((DEPLOY / "docker-compose.yaml").read_text())
    build = compose["services"]["jump"]["build"]
    root = (DEPLOY / build["context"]).resolve()
    assert (root / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")


def test_the_image_copies_what_it_names():
    text = (DEPLOY / "Dockerfile").read_text()
    for name in ("models.config", "monitoring.config"):
        assert f"/etc/jump/{name}" in text
        assert (DEPLOY / name).is_file()

"""Tiny models, exported once, and one server over them."""

import functools

import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_pb2

from jump_tf.tasks import export_model
from serving import warmup
from serving.client import warmup_requests
from serving.client.client import Client
from serving.server import Server
from serving.settings import Settings
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model

# One model has every option on. The plain one takes as long again to export
# and to load; it is there where tests that are `exhaustive` run.
MODELS = {"jump": OPTIONS["shared"], "plain": OPTIONS["jump"]}
NAMES = ["jump", pytest.param("plain", marks=pytest.mark.exhaustive)]


@pytest.fixture(scope="session")
def vocabulary():
    return VOCABULARY


@pytest.fixture(scope="session")
def models(request):
    marked = (item.get_closest_marker for item in request.session.items)
    names = list(MODELS)[: 1 + any(find("exhaustive") for find in marked)]
    return {name: make_model(MODELS[name]) for name in names}


@pytest.fixture(scope="session")
def models_folder(models, tmp_path_factory):
    """<models>/<name>/7/, moved away from where it was made."""
    made = tmp_path_factory.mktemp("made") / "models"
    for name, model in models.items():
        export_model(
            model,
            VOCABULARY,
            made,
            name=name,
            version=7,
            top_k=4,
            finish=functools.partial(
                warmup.write_warmup_requests,
                requests=warmup_requests.session_requests,
            ),
        )
    return made.rename(tmp_path_factory.mktemp("moved") / "here")


@pytest.fixture(scope="session")
def in_python(models, models_folder):
    """What TensorFlow's own loader makes of each, by name."""
    return {
        name: tf.saved_model.load(str(models_folder / name / "7"))
        for name in models
    }


@pytest.fixture(scope="session")
def server(models_folder):
    """Answers over gRPC and HTTP; never looks for new versions."""
    settings = Settings(
        port=0, rest_port=0, monitoring_path="/metrics", playground="jump"
    )
    with Server.of_folder(models_folder, settings, poll_seconds=0) as server:
        yield server


@pytest.fixture(scope="session")
def served(models, server):
    """What the server has loaded, by name."""
    loaded = {}
    for name in models:
        with server.core.manager.use(model_pb2.ModelSpec(name=name)) as version:
            loaded[name] = version
    return loaded


@pytest.fixture(scope="session")
def address(server):
    return server.address


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def client(address, name):
    with Client(address, name, timeout_seconds=30.0) as client:
        yield client

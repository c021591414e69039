"""Two tiny models, exported once, and one server over both."""

import functools

import pytest
import tensorflow as tf
from tensorflow_serving.apis import model_pb2

from jump_tf.export.saved_model import export_model
from serving import warmup
from serving.client import warmup_requests
from serving.client.client import Client
from serving.server import Server
from serving.settings import Settings
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model


@pytest.fixture(scope="session")
def vocabulary():
    return VOCABULARY


@pytest.fixture(scope="session")
def models():
    return {name: make_model(options) for name, options in OPTIONS.items()}


@pytest.fixture(scope="session")
def models_folder(models, tmp_path_factory):
    """MODELS/<name>/<version>/ of both, moved away from where it was made."""
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
def in_python(models_folder):
    """What TensorFlow's own loader makes of each, by name."""
    return {
        name: tf.saved_model.load(str(models_folder / name / "7"))
        for name in OPTIONS
    }


@pytest.fixture(scope="session")
def server(models_folder):
    """Answers both over gRPC and HTTP; looks for new versions never."""
    settings = Settings(
        port=0, rest_port=0, monitoring_path="/metrics", playground="shared"
    )
    with Server.of_folder(models_folder, settings, poll_seconds=0) as server:
        yield server


@pytest.fixture(scope="session")
def served(server):
    """What the server has loaded, by name."""
    loaded = {}
    for name in OPTIONS:
        with server.core.manager.use(model_pb2.ModelSpec(name=name)) as version:
            loaded[name] = version
    return loaded


@pytest.fixture(scope="session")
def address(server):
    return server.address


@pytest.fixture(params=list(OPTIONS))
def name(request):
    return request.param


@pytest.fixture
def client(address, name):
    with Client(address, name, timeout_seconds=30.0) as client:
        yield client

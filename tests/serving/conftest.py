"""Two tiny models, exported once, and one server over both."""

import pytest

from jump_tf.export import export_model
from serving.client import Client
from serving.models import load_models
from serving.server import Server
from serving.warmup import write_warmup_requests
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
            finish=write_warmup_requests,
        )
    return made.rename(tmp_path_factory.mktemp("moved") / "here")


@pytest.fixture(scope="session")
def served(models_folder):
    return load_models(models_folder)


@pytest.fixture(scope="session")
def address(served):
    with Server(served) as server:
        yield server.address


@pytest.fixture(params=list(OPTIONS))
def name(request):
    return request.param


@pytest.fixture
def client(address, name):
    with Client(address, name, timeout_seconds=30.0) as client:
        yield client

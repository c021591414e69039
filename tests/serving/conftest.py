"""Two tiny models, exported once, and one server over both."""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.export import export_model
from jump_tf.models.jump import JUMP
from serving.client import Client
from serving.models import load_models
from serving.server import Server
from serving.warmup import write_warmup_requests

VOCABULARY = [f"item-{number}" for number in range(9)] + ["größe 10"]
OPTIONS = {
    "jump": {},
    "shared": {
        "dwell_head": "shared",
        "dwell_scale": None,
        "end_weight": 0.1,
        "click_scale": 12.0,
        "learned_start": True,
        "row_spacing": "log",
    },
}


def make_model(options, seed=3):
    """A model in which every weight matters."""
    random = np.random.default_rng(seed)
    model = JUMP(
        vocabulary_size=len(VOCABULARY) + schema.FIRST_ITEM_ID,
        units=6,
        **options,
    )
    model.build()
    for weight in model.trainable_weights:
        noise = 0.1 * random.normal(size=weight.shape)
        weight.assign(weight + noise.astype(np.float32))
    normalization = model.click_embedding.normalization
    normalization.moving_mean.assign(random.normal(size=6))
    normalization.moving_variance.assign(random.uniform(0.5, 2.0, size=6))
    return model


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

"""What is particular to models of sessions."""

import importlib.resources

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.runs import model_factory
from jump_tf.tasks import export_model
from tests.backend_outputs import INPUTS
from tests.backend_outputs import WEIGHTS
from tests.small_models import ARCHITECTURES
from tests.small_models import VOCABULARY
from tests.small_models import make_model

PRESETS = sorted(
    entry.name.removesuffix(".yaml")
    for entry in (
        importlib.resources.files("jump_tf.config") / "presets"
    ).iterdir()
)
# For what takes seconds: variants have tests of their own, and JUMP its files.
ONE_OF_EACH = (
    *("gru4rec", "rmtpp"),
    *(
        pytest.param(name, marks=pytest.mark.exhaustive)
        for name in ("narm", "dtgru", "atrp", "nsr", "sasrec", "heroes")
    ),
)


def make(name, **options):
    keras.utils.set_random_seed(0)
    kind, own = ARCHITECTURES[name]
    return make_model({**own, **options}, kind=kind)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return make(name)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build_what_they_name(preset, data_folder):
    config = configs.preset(preset)
    if config.task != schema.SESSIONS:
        pytest.skip("see test_list_training.py")
    config = tasks.with_data(config.override(["model.units=8"]), data_folder)
    assert configs.from_dict(configs.yaml.safe_load(config.to_yaml())) == config
    model = tasks.build_model(config, data_folder)
    assert isinstance(model, model_factory.MODELS[config.architecture])
    assert model.config == config.model
    assert model.vocabulary_size == schema.FIRST_ITEM_ID + 23


@pytest.mark.parametrize("dwell_seconds", [-301.0, -0.5, np.nan])
def test_any_negative_dwell_is_an_unknown_one(model, dwell_seconds):
    def said(seconds):
        dwell = INPUTS[schema.DWELL_SECONDS].copy()
        dwell[:2, 1] = dwell[0, 3] = seconds
        return np.asarray(model({**INPUTS, schema.DWELL_SECONDS: dwell}))

    np.testing.assert_array_equal(
        said(dwell_seconds), said(schema.UNKNOWN_DWELL)
    )


def test_attention_weights_are_over_the_past(model):
    items, dwell = INPUTS[schema.ITEMS], INPUTS[schema.DWELL_SECONDS]
    weights = model.attention_weights(items, dwell, items != schema.PAD_ID)
    if weights is not None:
        weights = np.asarray(weights)
        np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
        assert (weights[:, *np.triu_indices(items.shape[1], 1)] == 0).all()


@pytest.mark.parametrize("one", ONE_OF_EACH)
def test_what_is_exported_answers_as_the_model_does(one, tmp_path):
    model = make(one)
    folder = export_model(model, VOCABULARY, tmp_path, top_k=3)
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    names = np.array(["", "never seen", *VOCABULARY], object)
    outputs = signature(
        items=tf.constant(names[INPUTS[schema.ITEMS]], tf.string),
        dwell_seconds=tf.constant(INPUTS[schema.DWELL_SECONDS]),
        elapsed_seconds=tf.zeros(len(WEIGHTS)),
    )
    clicks = np.count_nonzero(INPUTS[schema.ITEMS], axis=1)
    last = np.asarray(model(INPUTS))[np.arange(len(clicks)), clicks]
    scores = np.asarray(model.click_scores(last))
    if not model.config.learned_start:
        # Before a first click by popularity, of which it was told nothing.
        scores = np.where((clicks == 0)[:, None] & (scores > -1e8), 0.0, scores)
    best = np.argsort(-scores, kind="stable")[:, :3]
    chances = np.asarray(keras.ops.softmax(scores))
    np.testing.assert_allclose(
        outputs["probabilities"],
        np.take_along_axis(chances, best, axis=1),
        rtol=1e-4,
    )
    said = [[name.decode() for name in row] for row in outputs["items"].numpy()]
    asked = clicks > 0  # Without a click and a learned start all scores tie.
    assert (np.array(said) == names[best])[asked].all()

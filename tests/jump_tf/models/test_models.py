"""Laws that every architecture keeps; a new one joins by `ARCHITECTURES`."""

import importlib.resources
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.models.session_model import SessionModel
from jump_tf.runs import model_factory
from jump_tf.tasks import export_model
from tests.backend_outputs import INPUTS
from tests.backend_outputs import TARGETS
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
ONE_OF_EACH = tuple(
    name
    for name in ARCHITECTURES
    if name not in ("jump", "shared", "gru", "dtgru sum", "dtgru scalar")
)
LEAST_GRADIENT = 1e-5  # Of a weight that has any effect, at its most.


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


def test_every_architecture_is_here():
    kinds = {kind for kind, _ in ARCHITECTURES.values()}
    assert kinds == {
        kind
        for kind in model_factory.MODELS.values()
        if issubclass(kind, SessionModel)
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build_what_they_name(preset, data_folder):
    config = configs.preset(preset)
    if config.task != schema.SESSIONS:
        pytest.skip("see test_list_training.py")
    config = config.override(["model.units=8"])
    assert configs.from_dict(configs.yaml.safe_load(config.to_yaml())) == config
    model = tasks.build_model(config, data_folder)
    assert isinstance(model, model_factory.MODELS[config.architecture])
    assert model.config == config.model
    assert model.vocabulary_size == schema.FIRST_ITEM_ID + 23


def test_all_weights_are_made_by_build_and_have_names_of_their_own(name):
    model = make(name)
    paths = [weight.path for weight in model.trainable_weights]
    assert len(set(paths)) == len(paths)
    model(INPUTS)
    assert [weight.path for weight in model.trainable_weights] == paths


def test_every_weight_has_an_effect_on_the_loss(name):
    model, random = make(name), np.random.default_rng(1)
    for weight in model.trainable_weights:  # Small ones have small effects.
        weight.assign(0.5 * random.normal(size=weight.shape))
    with tf.GradientTape() as tape:
        features = model(INPUTS, training=True)
        loss = model.compute_loss(INPUTS, TARGETS, features, WEIGHTS)
    weights = model.trainable_variables
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    config = model.config
    untaught = set()
    if not config.dwell_weight and not config.end_weight:
        untaught = {id(w) for w in model.dwell_head.trainable_variables}
    for weight, gradient in zip(weights, gradients, strict=True):
        if id(weight) in untaught:
            assert gradient is None, weight.path
        else:
            largest = np.abs(tf.convert_to_tensor(gradient)).max()
            assert largest > LEAST_GRADIENT, weight.path


@pytest.mark.parametrize("column", [1, 2, 3])
def test_the_future_does_not_reach_the_past(model, column):
    items, dwell = (INPUTS[key].copy() for key in INPUTS)
    items[:2, column], dwell[:2, column] = 6, 1111.0
    before = np.asarray(model(INPUTS))[:2]
    after = np.asarray(
        model({schema.ITEMS: items, schema.DWELL_SECONDS: dwell})
    )[:2]
    past, future = np.split(np.abs(before - after), [column + 1], axis=1)
    np.testing.assert_allclose(past, 0.0, atol=1e-6)
    assert (future.max(-1) > 1e-6).all()  # Every later step sees the change.


def test_padding_changes_nothing(model):
    alone = model({key: value[2:3, :2] for key, value in INPUTS.items()})
    wide = {
        key: np.pad(value, [[0, 0], [0, 3]]) for key, value in INPUTS.items()
    }
    for inputs in (INPUTS, wide):
        np.testing.assert_allclose(
            model(inputs)[2:3, :3], alone, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("dwell_seconds", [-301.0, -0.5, np.nan])
def test_any_negative_dwell_is_an_unknown_one(model, dwell_seconds):
    def said(seconds):
        dwell = INPUTS[schema.DWELL_SECONDS].copy()
        dwell[:2, 1] = dwell[0, 3] = seconds
        return np.asarray(model({**INPUTS, schema.DWELL_SECONDS: dwell}))

    np.testing.assert_array_equal(
        said(dwell_seconds), said(schema.UNKNOWN_DWELL)
    )


def test_a_permuted_batch_permutes_the_answer(model):
    order = [2, 0, 3, 1]
    shuffled = {key: value[order] for key, value in INPUTS.items()}
    np.testing.assert_allclose(
        model(shuffled), np.asarray(model(INPUTS))[order], rtol=1e-5, atol=1e-6
    )


def test_config_survives_json_and_weights_survive_a_file(model, tmp_path):
    config = json.loads(json.dumps(model.get_config()))
    clone = type(model).from_config(config)
    assert clone.config == model.config
    assert clone.vocabulary_size == model.vocabulary_size
    clone.build()
    model.save_weights(tmp_path / "m.weights.h5")
    clone.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(clone(INPUTS), model(INPUTS))


def test_inference_is_not_random(name):
    """What is random in training is not in an answer."""
    model = make(name, dropout=0.3)
    np.testing.assert_array_equal(model(INPUTS), model(INPUTS))
    one, other = model(INPUTS, training=True), model(INPUTS, training=True)
    assert np.abs(one - other).max() > 1e-4


def test_attention_weights_are_over_the_past(model):
    items, dwell = INPUTS[schema.ITEMS], INPUTS[schema.DWELL_SECONDS]
    weights = model.attention_weights(items, dwell, items != schema.PAD_ID)
    if weights is not None:
        weights = np.asarray(weights)
        np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
        assert (weights[:, *np.triu_indices(items.shape[1], 1)] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("one", ONE_OF_EACH)
def test_training_lowers_the_click_loss_of_its_batch(one):
    model = make(one)
    model.compile(keras.optimizers.Adam(0.02))

    def click_loss():
        model.reset_metrics()
        features = model(INPUTS, training=True)
        model.compute_loss(INPUTS, TARGETS, features, WEIGHTS)
        return float(model.loss_parts["click_loss"].result())

    before = click_loss()
    for _ in range(15):
        model.train_on_batch(INPUTS, TARGETS, sample_weight=WEIGHTS)
    assert click_loss() < 0.9 * before


def test_bfloat16_ends_where_the_heads_begin(name, model):
    half = make(name, dtype="mixed_bfloat16")
    half.set_weights(model.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    features = half(INPUTS)
    assert features.dtype == tf.float32
    np.testing.assert_allclose(features, model(INPUTS), atol=0.06)


@pytest.mark.slow
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

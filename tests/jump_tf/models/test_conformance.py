"""Laws that every model keeps, of sessions and of lists alike.

A new model joins by one entry in `small_models.ARCHITECTURES` or
`small_list_models.ARCHITECTURES`.
"""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.run import ARCHITECTURES
from jump_tf.runs import model_factory
from tests import backend_outputs
from tests import small_list_models
from tests import small_models

LEAST_GRADIENT = 1e-5  # Of a weight that has any effect, at its most.


class Sessions:
    """How the laws ask a model of sessions.

    Attributes:
        architectures: name -> class and options.
        bfloat16_error: how far its answers may be off.
        own: answers before which column c has no say: row c knows c clicks.
        trained: names of those whose training is tested in `make test`.
        also_trained: names of those whose training is tested in the full run.
        learned_loss: what training lowers to at most a `share`, in `steps` at
            a `learning_rate`.
        reached: the loss to compare with the first, of the losses by step.
    """

    architectures = small_models.ARCHITECTURES
    inputs = backend_outputs.INPUTS
    targets = backend_outputs.TARGETS
    weights = backend_outputs.WEIGHTS
    bfloat16_error = 0.06
    own = 1
    trained = ("gru4rec", "nsr")
    also_trained = ("narm", "dtgru", "rmtpp", "atrp", "sasrec", "heroes")
    learned_loss, learning_rate, steps, share = "click_loss", 0.02, 15, 0.9
    reached = staticmethod(lambda losses: losses[-1])

    @staticmethod
    def make(name, **options):
        keras.utils.set_random_seed(0)
        kind, own = small_models.ARCHITECTURES[name]
        return small_models.make_model({**own, **options}, kind=kind)

    @staticmethod
    def answers(model, inputs=backend_outputs.INPUTS, **options):
        """`[B, T + 1, d]`."""
        return np.asarray(model(inputs, **options))

    @staticmethod
    def without_gradient(model):
        """The weights that no loss of this configuration reaches."""
        if model.config.dwell_weight or model.config.end_weight:
            return []
        return model.dwell_head.trainable_variables

    @staticmethod
    def spread(model):
        """Gives the weights sizes at which all have an effect."""
        random = np.random.default_rng(1)
        for weight in model.trainable_weights:
            weight.assign(0.5 * random.normal(size=weight.shape))


class Lists:
    """How the laws ask a model of lists; for attributes see `Sessions`."""

    architectures = small_list_models.ARCHITECTURES
    inputs = small_list_models.INPUTS
    targets = small_list_models.TARGETS
    weights = small_list_models.WEIGHTS
    bfloat16_error = 0.15
    own = 0
    trained = ("survival",)
    also_trained = ("heroes", "soft", "rrn", "mmoe")
    learned_loss, learning_rate, steps, share = "loss", 0.03, 12, 0.95
    reached = staticmethod(np.mean)

    make = staticmethod(small_list_models.make_model)

    @staticmethod
    def answers(model, inputs=small_list_models.INPUTS, **options):
        """`[B, M, 2]`, both logits."""
        return np.stack([*model(inputs, **options).values()], axis=-1)

    @staticmethod
    def without_gradient(model):
        return []

    @staticmethod
    def spread(model):
        """They are so large already."""


MODELS = {
    f"{family.__name__.lower()} {name}": (family, name)
    for family in (Sessions, Lists)
    for name in family.architectures
}


@pytest.fixture(scope="module", params=MODELS)
def case(request):
    """A family, the name of one of its models, and the model."""
    family, name = MODELS[request.param]
    return family, name, family.make(name)


def test_every_architecture_is_here():
    kinds = {
        kind
        for family in (Sessions, Lists)
        for kind, _ in family.architectures.values()
    }
    assert kinds == set(model_factory.MODELS.values())
    assert model_factory.MODELS.keys() == ARCHITECTURES.keys()
    for name, kind in model_factory.MODELS.items():
        assert kind.config_class is ARCHITECTURES[name]
        assert kind(13).name == name


def test_build_makes_all_weights_and_names_each(case):
    family, name, _ = case
    model = family.make(name)
    paths = [weight.path for weight in model.weights]
    assert len({w.path for w in model.trainable_weights}) == len(
        model.trainable_weights
    )
    model(family.inputs)
    assert [weight.path for weight in model.weights] == paths


@pytest.mark.parametrize("training", [True, False])
def test_every_weight_has_an_effect_on_the_loss(case, training):
    family, name, _ = case
    if family is Sessions and not training:
        pytest.skip("the moments of its normalisation are fixed then")
    model = family.make(name)
    family.spread(model)
    with tf.GradientTape() as tape:
        outputs = model(family.inputs, training=training)
        loss = model.compute_loss(
            family.inputs, family.targets, outputs, family.weights
        )
    weights = model.trainable_variables
    gradients = tape.gradient(loss, [weight.value for weight in weights])
    without = {id(weight) for weight in family.without_gradient(model)}
    for weight, gradient in zip(weights, gradients, strict=True):
        if id(weight) in without:
            assert gradient is None, weight.path
            continue
        gradient = np.asarray(tf.convert_to_tensor(gradient))
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > LEAST_GRADIENT, weight.path


def test_answers_are_finite_on_padding_too(case):
    family, _, model = case
    found = family.answers(model)
    rows, columns = family.weights.shape
    assert found.shape[0] == rows
    assert found.shape[1] == columns
    assert np.isfinite(found).all()


@pytest.mark.parametrize("column", [1, 2, 3])
def test_the_future_does_not_reach_the_past(case, column):
    family, _, model = case
    before = family.answers(model)[:2]
    last = column + family.own
    for key, value in family.inputs.items():
        changed = value.copy()
        if key == schema.CLICKED:
            changed[:2, column:] = 1 - changed[:2, column:]
        else:
            changed[:2, column:] = 1 + (changed[:2, column:] == 1)
        inputs = {**family.inputs, key: changed}
        after = family.answers(model, inputs)[:2]
        np.testing.assert_allclose(
            after[:, :last], before[:, :last], atol=1e-6, err_msg=key
        )


@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_click_reaches_all_that_follows(case, column):
    family, _, model = case
    if family is Lists:
        pytest.skip("not all models of lists remember")
    items, dwell = (value.copy() for value in family.inputs.values())
    items[:2, column], dwell[:2, column] = 6, 1111.0
    changed = {schema.ITEMS: items, schema.DWELL_SECONDS: dwell}
    change = np.abs(family.answers(model, changed) - family.answers(model))[:2]
    np.testing.assert_allclose(change[:, : column + 1], 0.0, atol=1e-6)
    assert (change[:, column + 1 :].max(-1) > 1e-6).all()


def test_padding_changes_nothing(case):
    family, _, model = case
    whole = family.answers(model)
    wide = {
        key: np.pad(value, [[0, 0], [0, 3]] + [[0, 0]] * (value.ndim - 2))
        for key, value in family.inputs.items()
    }
    close = {"rtol": 1e-5, "atol": 1e-6}
    real = next(iter(family.inputs.values()))
    real = real.reshape(*real.shape[:2], -1)[..., 0] != schema.PAD_ID
    widened = family.answers(model, wide)
    for row, length in enumerate(real.sum(1)):
        if not length:
            continue
        alone = {
            key: value[row : row + 1, :length]
            for key, value in family.inputs.items()
        }
        expected = family.answers(model, alone)[0]
        for found in (whole, widened):
            np.testing.assert_allclose(
                found[row, : length + family.own], expected, **close
            )


def test_no_shape_need_be_known(case):
    """As in a graph that takes batches of any size."""
    family, _, model = case
    signature = {
        key: tf.TensorSpec([None] * value.ndim, value.dtype)
        for key, value in family.inputs.items()
    }
    anything = tf.function(model, input_signature=[signature])
    np.testing.assert_allclose(
        family.answers(anything), family.answers(model), rtol=1e-5, atol=1e-6
    )


def test_a_permuted_batch_permutes_the_answer(case):
    family, _, model = case
    order = [2, 0, 3, 1]
    shuffled = {key: value[order] for key, value in family.inputs.items()}
    np.testing.assert_allclose(
        family.answers(model, shuffled),
        family.answers(model)[order],
        rtol=1e-5,
        atol=1e-6,
    )


def test_config_survives_json_and_weights_survive_a_file(case, tmp_path):
    family, _, model = case
    config = json.loads(json.dumps(model.get_config()))
    clone = type(model).from_config(config)
    assert clone.config == model.config
    assert clone.name == model.name
    assert clone.vocabulary_size == model.vocabulary_size
    clone.build()
    model.save_weights(tmp_path / "m.weights.h5")
    clone.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(family.answers(clone), family.answers(model))


def test_inference_is_not_random(case):
    """What is random in training is not in an answer."""
    family, name, _ = case
    model = family.make(name, dropout=0.3)
    first = family.answers(model)
    np.testing.assert_array_equal(first, family.answers(model))
    one, other = (family.answers(model, training=True) for _ in range(2))
    assert np.abs(one - other).max() > 1e-4


def test_bfloat16_ends_where_the_heads_begin(case):
    family, name, model = case
    half = family.make(name, dtype="mixed_bfloat16")
    half.set_weights(model.get_weights())
    assert {weight.dtype for weight in half.trainable_weights} == {"float32"}
    outputs = keras.tree.flatten(half(family.inputs))
    assert {output.dtype for output in outputs} == {tf.float32}
    np.testing.assert_allclose(
        family.answers(half), family.answers(model), atol=family.bfloat16_error
    )


@pytest.mark.parametrize(
    ("family", "name"),
    [
        pytest.param(
            *(family, name),
            id=f"{family.__name__}-{name}",
            marks=[pytest.mark.exhaustive] * (name in family.also_trained),
        )
        for family in (Sessions, Lists)
        for name in (*family.trained, *family.also_trained)
    ],
)
def test_training_lowers_the_loss_of_its_batch(family, name):
    model = family.make(name)
    model.compile(keras.optimizers.Adam(family.learning_rate))
    losses = []
    for _ in range(family.steps):
        model.reset_metrics()  # Or they are means over the steps so far.
        logs = model.train_on_batch(
            family.inputs,
            family.targets,
            sample_weight=family.weights,
            return_dict=True,
        )
        assert set(model.loss_parts) <= set(logs)
        losses.append(logs[family.learned_loss])
    assert family.reached(losses) < family.share * losses[0]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs jax")
@pytest.mark.parametrize(
    "few", [True, pytest.param(False, marks=pytest.mark.exhaustive)]
)
def test_jax_agrees_with_tensorflow(few, tmp_path):
    path = tmp_path / "jax.npz"
    words = [str(path), "few"] if few else [str(path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.backend_outputs", *words],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",  # Quicker to compile.
        },
    )
    expected = backend_outputs.all_outputs(few)  # While the other one works.
    assert process.wait() == 0
    with np.load(path) as outputs:
        assert set(outputs) == set(expected)
        for name, value in outputs.items():
            # Small gradients may be differences of large ones.
            error = 1e-5 * max(1.0, np.abs(expected[name]).max(initial=0.0))
            np.testing.assert_allclose(
                value, expected[name], rtol=1e-5, atol=error, err_msg=name
            )

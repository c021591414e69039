"""The temperature is found that makes validation clicks likeliest."""

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.evaluate.sessions import temperature
from tests.small_models import make_model


class SelfAssured:
    """Whose scores are a known number of times too large."""

    def __init__(self, factor, click_loss="softmax"):
        self.vocabulary_size = 30
        self.temperature = tf.Variable(1.0)
        options = {"click_loss": click_loss}
        if click_loss != "softmax":
            options["negatives"] = 5
        self.config = make_model(options).config
        self.factor = factor

    def __call__(self, inputs, training):
        random = np.random.default_rng(0)
        steps = 1 + inputs["items"].shape[1]
        return tf.constant(
            random.normal(size=(len(inputs["items"]), steps, 30)), tf.float32
        )

    def click_scores(self, features):
        return self.factor * features / self.temperature


@pytest.fixture
def drawn(monkeypatch):
    """Validation clicks that are drawn from the scores as they should be."""

    def batches(*_):
        random = np.random.default_rng(0)
        logits = np.float32(random.normal(size=(900, 3, 30)))
        logits[..., :2] = -np.inf
        noise = np.random.default_rng(1).gumbel(size=logits.shape)
        items = np.argmax(logits + noise, axis=-1).astype(np.int32)
        yield (
            {"items": tf.constant(items[:, :-1])},
            {"items": tf.constant(items)},
            tf.ones([900, 3]),
        )

    monkeypatch.setattr(
        temperature.session_batches, "evaluation_batches", batches
    )
    monkeypatch.setattr(temperature, "_number", lambda _: 1800)


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_it_undoes_what_scores_are_too_large_by(factor, drawn):
    model = SelfAssured(factor)
    found = temperature.fit(model, "anywhere")
    assert found == pytest.approx(factor, rel=0.15)
    assert float(model.temperature) == pytest.approx(found)


def test_without_a_softmax_there_is_none(drawn):
    model = SelfAssured(2.0, click_loss="bpr_max")
    assert temperature.fit(model, "anywhere") == 1.0
    assert float(model.temperature) == 1.0


def test_validation_clicks_become_likelier(data_folder):
    config = configs.preset("gru4rec").override(["model.units=6"])
    model = tasks.build_model(config, data_folder)
    features, items = temperature._clicks(model, data_folder)
    before = temperature._mean_loss(model, features, items)
    assert temperature.fit(model, data_folder) > 1.0
    assert temperature._mean_loss(model, features, items) < before


def test_clicks_are_of_all_batches(data_folder, monkeypatch):
    """Every third; the first batch would hold the shortest sessions alone."""
    config = configs.preset("gru4rec").override(["model.units=6"])
    model = tasks.build_model(config, data_folder)
    _, every = temperature._clicks(model, data_folder)
    number = temperature._number(data_folder)
    assert len(every) <= number
    most = -(-number // 3)
    monkeypatch.setattr(temperature, "CLICKS", (most, most))
    _, some = temperature._clicks(model, data_folder)
    np.testing.assert_array_equal(some, every[::3])

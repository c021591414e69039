"""The numbers are found that make validation clicks likeliest."""

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.evaluate.sessions import calibration
from jump_tf.layers.session_pointer import Pointers
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
        calibration.session_batches, "evaluation_batches", batches
    )
    monkeypatch.setattr(calibration, "_number", lambda _: 1800)


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_it_undoes_what_scores_are_too_large_by(factor, drawn):
    model = SelfAssured(factor)
    calibration.fit(model, "anywhere")
    assert float(model.temperature) == pytest.approx(factor, rel=0.15)


def test_without_a_softmax_there_is_none(drawn):
    model = SelfAssured(2.0, click_loss="bpr_max")
    calibration.fit(model, "anywhere")
    assert float(model.temperature) == 1.0


def test_validation_clicks_become_likelier(data_folder):
    config = configs.preset("gru4rec").override(["model.units=6"])
    model = tasks.build_model(config, data_folder)
    features, items = calibration._clicks(model, data_folder, 999)
    before = calibration._mean_loss(model, features, items)
    calibration.fit(model, data_folder)
    assert float(model.temperature) > 1.0
    assert calibration._mean_loss(model, features, items) < before


def test_clicks_are_of_all_batches(data_folder, monkeypatch):
    """Every third; the first batch would hold the shortest sessions alone."""
    config = configs.preset("gru4rec").override(["model.units=6"])
    model = tasks.build_model(config, data_folder)
    number = calibration._number(data_folder)
    _, every = calibration._clicks(model, data_folder, number)
    assert len(every) <= number
    _, some = calibration._clicks(model, data_folder, -(-number // 3))
    np.testing.assert_array_equal(some, every[::3])


class Pointing:
    """Whose gate is off by a known scale and shift."""

    def __init__(self, logit):
        log_chosen = -np.log1p(np.exp(-logit))[:, None]
        log_own = -np.log1p(np.exp(logit))[:, None]
        size = len(logit)
        self._pointers = Pointers(
            tf.constant(log_chosen, tf.float32),
            tf.constant(log_own, tf.float32),
            tf.fill([size, 1], 7),
            tf.zeros([size, 1]),
        )

    def pointers(self, features, training):
        assert training, "The gate as it is trained"
        return self._pointers


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.6, -0.7)])
def test_a_gate_is_calibrated(scale, shift):
    random = np.random.default_rng(5)
    logit = random.normal(1.0, 2.0, 40_000)
    new = random.random(len(logit)) < 1.0 / (
        1.0 + np.exp(-scale * logit - shift)
    )
    items = np.where(new, 9, 7).astype(np.int32)
    found = calibration._gate(Pointing(logit), None, items)
    np.testing.assert_allclose(found, [scale, shift], atol=0.05)


def test_without_clicks_a_gate_stays_as_it_is():
    found = calibration._gate(
        Pointing(np.zeros(0)), None, np.zeros(0, np.int32)
    )
    np.testing.assert_array_equal(found, [1.0, 0.0])


def test_own_clicks_of_validation_become_likelier(data_folder):
    config = configs.preset("gru4rec").override(
        ["model.units=6", "model.pointer_clicks=3"]
    )
    model = tasks.build_model(config, data_folder)
    features, items = calibration._clicks(model, data_folder, 999)
    before = calibration._mean_loss(model, features, items)
    model.gate_shift.assign(2.0)  # Whatever it was before.
    calibration.fit(model, data_folder)
    assert float(model.gate_shift) != 2.0
    assert calibration._mean_loss(model, features, items) < before

"""DTGRU against its equations."""

import dataclasses
import math

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.config.model_config import DWELL_JOINS
from jump_tf.config.model_config import DTGRUConfig
from jump_tf.config.run import preset
from jump_tf.models.dtgru import DTGRU
from tests import by_hand

VOCABULARY_SIZE = 17
UNITS = 5
LONGEST = 700.0
SESSIONS = ([3, 5, 2, 9], [7], [2, 2, 16])
DWELLS = ([30.0, -1.0, 0.0, 1500.0], [700.0], [np.nan, 0.9, 61.0])


@pytest.fixture(scope="module", params=DWELL_JOINS)
def model(request):
    model = DTGRU(
        VOCABULARY_SIZE,
        units=UNITS,
        dwell_join=request.param,
        max_dwell_seconds=LONGEST,
    )
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(0.5 * random.normal(size=weight.shape))
    return model


def input_by_hand(model, item, seconds):
    row = np.float64(model.items.embeddings)[item]
    known = seconds >= 0
    log_dwell = math.log(1 + min(seconds, LONGEST)) if known else 0.0
    if model.config.dwell_join == "scalar":
        return np.concatenate([row, [log_dwell / math.log(701), known]])
    bucket = 1 + math.floor(8 * log_dwell) if known else 0
    dwell = np.float64(model.dwell_rows.embeddings)[bucket]
    if model.config.dwell_join == "sum":
        return row + dwell
    return np.concatenate([row, dwell])


def test_features_are_the_states_of_a_gru_over_items_and_dwells(model):
    def features(row):
        clicks = zip(SESSIONS[row], DWELLS[row], strict=True)
        return by_hand.gru(
            model.gru, [input_by_hand(model, *click) for click in clicks]
        )

    inputs = by_hand.padded(SESSIONS, DWELLS)
    by_hand.assert_features(model, inputs, SESSIONS, features)


def test_unknown_is_neither_zero_nor_nan(model):
    def after(seconds):
        inputs = by_hand.padded([[4, 6]], [[seconds, 20.0]])
        return np.asarray(model(inputs))[0, 1:]

    zero, unknown, missing = map(after, (0.0, schema.UNKNOWN_DWELL, np.nan))
    assert np.isfinite(unknown).all()
    np.testing.assert_array_equal(unknown, missing)
    assert np.abs(zero - unknown).max(-1).min() > 1e-3
    assert np.abs(zero - after(30.0)).max(-1).min() > 1e-3
    np.testing.assert_array_equal(after(LONGEST), after(2 * LONGEST))


def test_dwell_joins_are_known():
    with pytest.raises(schema.InputError, match="`dwell_join` must be one of"):
        DTGRUConfig(dwell_join="product")


def test_preset_differs_from_gru4rec_by_the_dwell_alone():
    ours, theirs = preset("dtgru"), preset("gru4rec")
    assert ours.training == theirs.training
    ours, theirs = map(dataclasses.asdict, (ours.model, theirs.model))
    assert {name for name in ours if ours[name] != theirs.get(name)} == {
        "dwell_join",
        "unknown_dwell_rate",
    }

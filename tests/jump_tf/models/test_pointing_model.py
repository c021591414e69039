"""What a pointer and a log of recent clicks say beside an item table."""

import dataclasses

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config import run as configs
from jump_tf.losses import softmax
from tests.backend_outputs import INPUTS
from tests.small_models import ARCHITECTURES
from tests.small_models import LOG
from tests.small_models import PARTS
from tests.small_models import make_model

SESSIONS, STEP = 2, 4  # The first two sessions have four clicks.
MINUTE = 60_000


@pytest.fixture(
    scope="module",
    params=["shared", "gru4rec with parts", "sasrec with parts"],
)
def model(request):
    kind, options = ARCHITECTURES[request.param]
    return make_model(options, kind=kind)


def features(model, start_ms=None):
    inputs = dict(INPUTS)
    if start_ms is not None:
        inputs[schema.START_MS] = np.full(
            len(INPUTS[schema.ITEMS]), start_ms, np.int64
        )
    return np.asarray(model(inputs))[:SESSIONS, STEP]


def without_them(model, start_ms=None):
    """Logits of the item table alone, in float64."""
    queries = np.float64(model.queries(features(model, start_ms)))
    logits = queries @ np.float64(model.item_vectors()).T
    logits[:, : schema.FIRST_ITEM_ID] = -np.inf
    return logits


@pytest.mark.parametrize("minute", [None, 10, 44])
def test_probabilities_are_those_of_three_parts(model, minute):
    """Own items by the pointer, recent ones shifted, the others as they are."""
    start_ms = None
    if minute is not None:
        start_ms = (LOG.origin_minute + minute) * MINUTE
    of = features(model, start_ms)
    logits = without_them(model, start_ms)
    pointers, recent = model.pointers(of), model.recent(of)
    assert np.asarray(recent.ids).any()
    for row in range(SESSIONS):
        for item, shift in zip(
            np.asarray(recent.ids)[row],
            np.asarray(recent.shifts)[row],
            strict=True,
        ):
            logits[row, item] += shift
        own = {i for i in np.asarray(pointers.ids)[row] if i}
        assert not own & set(np.asarray(recent.ids)[row])
        logits[row, list(own)] = -np.inf
        chances = np.exp(logits[row])
        chances *= np.exp(float(pointers.log_chosen[row, 0])) / chances.sum()
        for place, item in enumerate(np.asarray(pointers.ids)[row]):
            chances[item] += np.exp(float(pointers.log_weights[row, place]))
        found = np.exp(np.asarray(model.click_scores(of))[row])
        np.testing.assert_allclose(found, chances, rtol=2e-3, atol=1e-7)
        assert found.sum() == pytest.approx(1.0, rel=1e-4)


def test_a_session_reads_what_was_before_it(model):
    """The end of the log is now, for who does not say when they ask."""
    end = (LOG.origin_minute + LOG.end_minute) * MINUTE
    now = np.asarray(model.click_scores(features(model)))
    np.testing.assert_allclose(
        np.asarray(model.click_scores(features(model, end))), now, rtol=1e-5
    )
    before_all = model.recent(features(model, LOG.origin_minute * MINUTE))
    assert not np.asarray(before_all.ids).any()


@pytest.mark.parametrize(
    "loss", ["softmax", "chunked_softmax", "sampled_softmax"]
)
@pytest.mark.parametrize("recent", [0, 3])
def test_the_loss_is_that_of_the_probabilities(loss, recent):
    """Over all items drawn once, the sampled one, too."""
    kind, _ = ARCHITECTURES["gru4rec"]
    options = {"click_loss": loss, "recent_transitions": recent}
    if loss == "sampled_softmax":
        options["negatives"] = 9
    if not recent:
        options["recent_popular"] = 0
    model = make_model({**PARTS, **options}, kind=kind)
    every = np.arange(schema.FIRST_ITEM_ID, model.vocabulary_size)
    model.sampler = lambda size: (
        every[::-1].astype(np.int32),
        np.zeros(len(every), np.float32),
    )
    if recent:
        model.sampler.log_rates = np.zeros(model.vocabulary_size, np.float32)
    of = features(model)
    scores = np.asarray(model.click_scores(of))
    for item in every:
        items = np.full(SESSIONS, item, np.int32)
        found = model.click_losses(of, items, model.rows(items), training=True)
        np.testing.assert_allclose(
            np.asarray(found), -scores[:, item], rtol=2e-3, atol=2e-4
        )


def test_the_table_learns_from_clicks_that_are_pointed_at():
    """Its gradient is the one that it has without a pointer."""
    import tensorflow as tf

    kind, _ = ARCHITECTURES["gru4rec"]
    model = make_model({**PARTS, "click_loss": "softmax"}, kind=kind)
    of = tf.constant(features(model))
    items = np.int32([9, 4])  # The page on screen, and one before it.

    def gradient(losses):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(losses())
        table = tape.gradient(total, model.items.embeddings)
        return tf.convert_to_tensor(table).numpy()

    both = gradient(
        lambda: model.click_losses(of, items, model.rows(items), True)
    )
    alone = gradient(
        lambda: softmax.softmax_cross_entropy(
            model.queries(of, training=True), model.item_vectors(), items
        )
    )
    np.testing.assert_allclose(both, alone, rtol=1e-4, atol=1e-7)


def test_the_temperature_is_for_answers_alone(model):
    of = features(model)
    training = np.asarray(model.queries(of, training=True))
    model.temperature.assign(2.0)
    try:
        np.testing.assert_allclose(
            np.asarray(model.queries(of)), training / 2.0, rtol=1e-6
        )
        np.testing.assert_array_equal(
            np.asarray(model.queries(of, training=True)), training
        )
    finally:
        model.temperature.assign(1.0)


def test_the_gate_is_calibrated_for_answers_alone(model):
    of = features(model)
    raw = model.pointers(of, training=True)
    model.gate_scale.assign(0.5)
    model.gate_shift.assign(-1.0)
    try:
        expected = raw.calibrated(0.5, -1.0)
        for mine, theirs in zip(model.pointers(of), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        for mine, theirs in zip(model.pointers(of, True), raw, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        chances = np.exp(model.click_scores(of))
        new = np.exp(expected.log_chosen)[:, 0]
        ids = np.asarray(raw.ids)
        for row in range(SESSIONS):
            own = {i for i in ids[row] if i != schema.PAD_ID}
            assert chances[row, [*own]].sum() == pytest.approx(
                1.0 - new[row], abs=1e-5
            )
    finally:
        model.gate_scale.assign(1.0)
        model.gate_shift.assign(0.0)


def test_what_the_log_says_of_itself_is_filled_in(data_folder):
    config = configs.preset("production").override(["model.units=4"])
    filled = tasks.with_data(config, data_folder).model
    assert filled.page_is_clicked_again in (True, False)
    assert filled.recent_entries > 1
    assert filled.recent_periods > 1
    model = tasks.build_model(
        dataclasses.replace(config, model=filled), data_folder
    )
    counted = np.asarray(model.recent_transitions.starts)[-1]
    assert counted == filled.recent_entries
    given = config.override(["model.page_is_clicked_again=false"])
    kept = tasks.with_data(given, data_folder).model
    assert kept.page_is_clicked_again is False

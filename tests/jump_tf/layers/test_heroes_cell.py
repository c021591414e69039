"""HEROES' cells against their equations, and the laws that they keep."""

import json

import keras
import numpy as np
import pytest

from jump_tf.layers import recurrent_units
from jump_tf.layers.feedback_rnn import FeedbackRNN
from jump_tf.layers.heroes_cell import HeroesCell
from jump_tf.layers.independent_cells import IndependentCells
from jump_tf.layers.mlp_head import MLPHead
from jump_tf.layers.recurrent_units import HawkesUnit
from jump_tf.layers.recurrent_units import LSTMUnit
from jump_tf.layers.soft_heroes_cell import SoftHeroesCell
from tests import heroes_by_hand

WIDTH, UNITS, LISTS, LENGTH = 3, 5, 4, 7
CLICKS = np.float32(
    [
        [0, 1, 1, 0, 0, 1, 0],
        [1, 0, 0, 0, 1, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 1],
    ]
)
CELLS = {
    "fixed": {},
    "leak": {"label_leak": True},
    "accumulate": {"accumulate_decay": True},
    "lstm": {"unit": "lstm"},
    "lstm leak": {"unit": "lstm", "label_leak": True},
}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def made(layer, width=WIDTH):
    """The layer, built, in which every weight matters."""
    layer.build((None, width))
    for seed, weight in enumerate(layer.trainable_weights):
        weight.assign(0.7 * normal(seed, *weight.shape))
    return layer


@pytest.fixture(scope="module")
def items():
    return normal(40, LISTS, LENGTH, WIDTH)


def new_head():
    return MLPHead(4, layers=2, dropout=0.5)


def new_cell(**options):
    """All feedback that is not known is hard, unless told otherwise."""
    options = {"soft_feedback": False, **options}
    return made(HeroesCell(UNITS, new_head(), **options))


@pytest.fixture(params=CELLS)
def cell(request):
    return new_cell(**CELLS[request.param])


def run(cell, items, feedback, *threshold, training=False):
    layer = FeedbackRNN(cell)
    layer.build(items.shape)
    return layer(items, feedback, *threshold, training=training)


def by_hand(cell, items, clicks):
    one_list = (
        heroes_by_hand.heroes
        if cell.unit == "hawkes"
        else heroes_by_hand.heroes_without_hawkes
    )
    rows = [one_list(cell, *row) for row in zip(items, clicks, strict=True)]
    return map(np.stack, zip(*rows, strict=True))


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_heroes_is_its_equations(cell, items):
    """Where feedback is known to be known, and where it turns out to be."""
    expected = list(by_hand(cell, items, CLICKS))
    for training in (True, False):
        assert_equal(run(cell, items, CLICKS, training=training), expected)


def chance_by_hand(cell):
    head = cell.click_head
    return lambda h: heroes_by_hand.sigmoid(heroes_by_hand.head(head, h))


@pytest.mark.parametrize("unknown", [-1.0, np.nan])
@pytest.mark.parametrize("kind", ["hard", "drawn"])
def test_unknown_clicks_are_stood_for_along_the_list(
    cell, items, unknown, kind
):
    known = np.random.default_rng(8).random(CLICKS.shape) < 0.4
    feedback = np.where(known, CLICKS, np.float32(unknown))
    threshold = np.random.default_rng(9).random(CLICKS.shape)
    threshold = np.float32(threshold if kind == "drawn" else 0.5 + 0 * CLICKS)
    logits = cell.click_head(run(cell, items, CLICKS)[0])
    bias = cell.click_head.logit.bias
    bias.assign(bias - np.median(logits))  # Some are likely, some are not.
    chance, clicked = chance_by_hand(cell), []

    def stand_in(bound):
        def click(h):
            clicked.append(float(chance(h) >= bound))
            return clicked[-1]

        return click

    clicks = [
        [
            click if sure else stand_in(bound)
            for click, sure, bound in zip(*columns, strict=True)
        ]
        for columns in zip(CLICKS, known, threshold, strict=True)
    ]
    found = run(cell, items, feedback, threshold)
    assert_equal(found, by_hand(cell, items, clicks))
    assert 0.2 < np.mean(clicked) < 0.8


def test_a_soft_click_is_the_chance_and_mixes_both_updates(items):
    """Of one item: the gates of the next are not linear in g."""
    cell = new_cell(soft_feedback=True)
    states = start(cell)
    for step in (0, 1):  # So that there is something to copy.
        _, states = cell(item_of(cell, items[:, step], 1.0), states)
    _, soft = cell(item_of(cell, items[:, 2], -1.0), states)
    clicks = np.float64(cell.unpack(soft).clicks)
    chance = chance_by_hand(cell)(clicks)[:, None]
    np.testing.assert_allclose(cell.unpack(soft).clicked, chance, rtol=1e-5)
    (_, one), (_, none) = (
        cell(item_of(cell, items[:, 2], g), states) for g in (1.0, 0.0)
    )
    for found, if_one, if_none in zip(soft, one, none, strict=True):
        mixed = chance * if_one + (1 - chance) * if_none
        np.testing.assert_allclose(found, mixed, rtol=1e-4, atol=1e-6)


def start(cell):
    return [np.zeros((LISTS, size), np.float32) for size in cell.state_size]


def item_of(cell, item, click):
    """What a cell is given of an item `[B, n]`, all with the same feedback."""
    column = np.full((len(item), 1), click, np.float32)
    shaped = (part[:, None] for part in (item, column, 0 * column + 0.5))
    return cell.project(*shaped)[:, 0]


def test_soft_heroes_is_its_equations(items):
    cell = made(SoftHeroesCell(UNITS, new_head()))
    rows = [
        heroes_by_hand.soft_heroes(cell, row, chance_by_hand(cell))
        for row in items
    ]
    expected = [np.stack(part) for part in zip(*rows, strict=True)]
    for training in (True, False):  # Dropout is not of the recurrence.
        assert_equal(run(cell, items, CLICKS, training=training), expected)


def test_hawkes_units_on_their_own_are_their_equations(items):
    cell = made(IndependentCells(UNITS))
    expected = [
        np.stack([heroes_by_hand.motivate(unit, row) for row in items])
        for unit in (cell.click_unit, cell.conversion_unit)
    ]
    assert_equal(run(cell, items, CLICKS), expected)


@pytest.mark.parametrize("reads_clicks", [False, True])
def test_lstm_units_on_their_own_are_keras_lstms(reads_clicks, items):
    """Whose last input, if any, is the click on the item before."""
    head = new_head() if reads_clicks else None
    cell = made(IndependentCells(UNITS, "lstm", head))
    before = np.pad(CLICKS, [[0, 0], [1, 0]])[:, :-1, None]
    inputs, kernels = items, [np.zeros((0, 4 * UNITS))] * 2
    if reads_clicks:
        inputs = np.concatenate([items, before], axis=-1)
        kernels = np.split(np.asarray(cell.click_kernel), 2, axis=-1)
    for unit, last, states in zip(
        (cell.click_unit, cell.conversion_unit),
        kernels,
        run(cell, items, CLICKS),
        strict=True,
    ):
        lstm = keras.layers.LSTM(UNITS, return_sequences=True)
        lstm.build(inputs.shape)
        i, f, o, z = np.split(np.arange(4 * UNITS), 4)
        columns = np.concatenate([i, f, z, o])  # As Keras has them.
        kernel = np.concatenate([unit.kernel, last])
        lstm.set_weights(
            [
                np.asarray(weight)[..., columns]
                for weight in (kernel, unit.recurrent_kernel, unit.bias)
            ]
        )
        np.testing.assert_allclose(states, lstm(inputs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unit", ["hawkes", "lstm"])
def test_without_clicks_the_upper_state_stays_zero(unit, items):
    cell = new_cell(unit=unit, label_leak=True)
    states = start(cell)
    for step in range(LENGTH):
        read, states = cell(item_of(cell, items[:, step], 0.0), states)
        state = cell.unpack(states)
        for part in (state.upper, *state.upper_memory, read[:, UNITS:]):
            np.testing.assert_array_equal(part, 0.0)
        assert np.abs(state.clicks).min() > 0.0


def after(cell, items, click, *changed):
    """h^c of the second item, as it is and where what it reads is changed."""
    found = []
    for change in (0.0, 1.0):
        _, states = cell(item_of(cell, items[:, 0], click), start(cell))
        state = cell.unpack(states)
        state = state._replace(
            **{
                name: keras.tree.map_structure(
                    lambda part: part + change,  # noqa: B023
                    getattr(state, name),
                )
                for name in changed
            }
        )
        _, states = cell(
            item_of(cell, items[:, 1], 0.0), keras.tree.flatten(state)
        )
        found.append(cell.unpack(states).clicks)
    return found


def test_after_a_click_and_only_then_the_lower_layer_forgets(cell, items):
    one, other = after(cell, items, 1.0, "clicks", "lower_memory")
    np.testing.assert_allclose(one, other, atol=1e-7)
    for name in ("clicks", "lower_memory"):
        one, other = after(cell, items, 0.0, name)
        assert np.abs(one - other).max() > 1e-4


def test_after_a_click_and_only_then_the_lower_layer_reads_the_upper(
    cell, items
):
    one, other = after(cell, items, 0.0, "upper", "upper_memory")
    np.testing.assert_allclose(one, other, atol=1e-7)
    one, other = after(cell, items, 1.0, "upper")
    assert np.abs(one - other).max() > 1e-4


def test_decay_is_between_none_and_five():
    rates = np.asarray(
        recurrent_units.decay_rate(np.float32([-60, -1, 0, 1, 60]))
    )
    assert (rates > 0).all()
    assert (rates < 5).all()
    assert (np.diff(rates) > 0).all()
    np.testing.assert_allclose(rates[2], 2.5)


def test_without_decay_the_target_does_not_matter():
    cell, target = normal(1, 4, UNITS), normal(2, 4, UNITS)
    still = recurrent_units.decayed(cell, target, 0.0 * cell)
    np.testing.assert_allclose(still, cell, rtol=1e-6)
    np.testing.assert_allclose(
        recurrent_units.decayed(cell, target, 90.0 + 0.0 * cell), target
    )
    excited = recurrent_units.decayed(cell, target, 0.5 + 0.0 * cell)
    # Nearer to the target, from the same side.
    assert (np.sign(excited - target) == np.sign(cell - target)).all()
    assert (np.abs(excited - target) < np.abs(cell - target)).all()


@pytest.mark.parametrize("accumulate", [False, True])
def test_fading_goes_on_only_where_decay_accumulates(accumulate):
    unit = made(HawkesUnit(UNITS, accumulate))
    projections = unit.project(normal(3, 4, LISTS, WIDTH))
    summary = normal(4, LISTS, UNITS)
    _, memory = unit(projections[0], summary, unit.memory(*3 * [0.0 * summary]))
    target = np.asarray(memory.target)
    faded = memory
    for projection in projections[1:]:
        faded = unit.fade(projection, summary, faded)
    if accumulate:
        excess = (memory.decayed - target) * np.exp(-3.0 * memory.kept)
        expected = target + excess
    else:
        delta = unit.gates(projections[-1], summary).decay
        expected = target + (memory.kept - target) * np.exp(-delta)
    np.testing.assert_allclose(faded.decayed, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(faded.target, target)
    np.testing.assert_array_equal(faded.kept, memory.kept)


def test_feedback_reaches_later_items_alone(cell, items):
    """But for the leak, in which the own click reaches the conversion."""
    for column in range(LENGTH):
        clicks = CLICKS.copy()
        clicks[:, column] = 1 - clicks[:, column]
        found, changed = (
            run(cell, items, feedback) for feedback in (CLICKS, clicks)
        )
        for own, ours, theirs in zip(
            (False, cell.label_leak), found, changed, strict=True
        ):
            first = column if own else column + 1
            same = np.isclose(ours, theirs, atol=1e-7).all(-1)
            assert same[:, :first].all()
            assert not same[:, first : first + 1].any()


LAYERS = [
    HawkesUnit(5, accumulate_decay=True),
    LSTMUnit(5),
    HeroesCell(5, new_head(), "lstm", label_leak=True, soft_feedback=False),
    HeroesCell(5, new_head(), accumulate_decay=True),
    SoftHeroesCell(5, new_head()),
    IndependentCells(5, "lstm"),
    IndependentCells(5, "hawkes", new_head(), soft_feedback=False),
    FeedbackRNN(HeroesCell(5, new_head(), label_leak=True)),
    MLPHead(12, layers=2, dropout=0.1, seed=3),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda one: type(one).__name__)
def test_config_survives_json(layer):
    config = json.loads(json.dumps(layer.get_config()))
    clone = type(layer).from_config(config)
    assert clone.get_config() == layer.get_config()
    clone.build((None, None, WIDTH))
    layer.build((None, None, WIDTH))
    assert [w.shape for w in clone.weights] == [w.shape for w in layer.weights]


def test_cells_refuse_units_that_are_none():
    with pytest.raises(ValueError, match=r"`unit` must be one of .*gru"):
        new_cell(unit="gru")
    with pytest.raises(ValueError, match=r"`unit` must be one of .*gru"):
        IndependentCells(5, "gru")


def test_head_refuses_what_cannot_be_halved():
    with pytest.raises(ValueError, match=r"`units` must be halved"):
        MLPHead(6, layers=3)


def test_head_is_its_layers():
    head = made(new_head(), UNITS)
    features = normal(5, 3, 2, UNITS)
    np.testing.assert_allclose(
        head(features),
        heroes_by_hand.head(head, np.float64(features)),
        rtol=1e-5,
        atol=1e-6,
    )

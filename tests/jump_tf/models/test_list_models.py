"""What is particular to models of lists, and to some of them."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.list_models import DNNConfig
from jump_tf.config.list_models import HeroesConfig
from jump_tf.losses import multitask
from jump_tf.models.dnn import DNN
from jump_tf.models.heroes import Heroes
from jump_tf.models.list_model import CLICK
from jump_tf.models.list_model import CONVERSION
from tests import heroes_by_hand
from tests.by_hand import sigmoid
from tests.small_list_models import ARCHITECTURES
from tests.small_list_models import CLICKED
from tests.small_list_models import CONVERTED
from tests.small_list_models import INPUTS
from tests.small_list_models import LENGTHS
from tests.small_list_models import TARGETS
from tests.small_list_models import VOCABULARY_SIZE
from tests.small_list_models import WEIGHTS
from tests.small_list_models import make_model
from tests.small_list_models import with_feedback

REAL = WEIGHTS > 0
OUTPUTS = (CLICK, CONVERSION)
FED_BACK = ("heroes", "leak", "accumulate", "survival", "bags")
FED_BACK = (*FED_BACK, "without hawkes", "informed")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return make_model(name)


def answers(model, inputs=INPUTS, **options):
    """`[2, B, M]`: both logits."""
    outputs = model(inputs, **options)
    assert tuple(outputs) == OUTPUTS
    return np.stack([outputs[output] for output in OUTPUTS])


def test_own_label_is_known_to_the_leak_alone(name, model):
    """What B8.1 of the authors' protocol mends."""
    for column in range(LENGTHS[0]):
        clicked = CLICKED.copy()
        clicked[0, column] = 1 - clicked[0, column]
        change = np.abs(answers(model, with_feedback(clicked)) - answers(model))
        own = change[:, 0, column]
        assert own[0] < 1e-6
        assert (own[1] > 1e-6) == (name == "leak")
        later = change[:, 0, column + 1 :]
        if name in FED_BACK and later.size:
            assert (later.max(-1) > 1e-6).all()
        if name not in FED_BACK:
            assert (later < 1e-6).all()


def test_a_conversion_is_never_likelier_than_its_click(model):
    outputs = model(INPUTS)
    joint = np.asarray(multitask.joint_logits(*outputs.values()))
    assert (joint <= np.asarray(outputs[CLICK])).all()
    chances = [sigmoid(np.float64(outputs[output])) for output in OUTPUTS]
    np.testing.assert_allclose(
        sigmoid(np.float64(joint)), np.prod(chances, axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(model.joint_logits(outputs), joint, rtol=1e-6)


def test_both_heads_and_the_items_drop_out_apart():
    for options in ({"dropout": 0.5}, {"head_dropout": 0.5}):
        model = make_model("esmm", **options)
        change = answers(model, training=True) - answers(model)
        assert (np.abs(change).reshape(2, -1).max(1) > 1e-4).all()
    seeds = [model.click_tower.seed, model.conversion_tower.seed]
    assert len({*seeds, model.config.seed}) == 3


def loss_by_hand(config, click, conversion):
    """Of flat logits and labels of real items alone."""
    p, r = sigmoid(np.float64(click)), sigmoid(np.float64(conversion))
    y, z = CLICKED[REAL], CONVERTED[REAL]

    def mean(weight, label, chance):
        return np.mean(
            -weight * label * np.log(chance) - (1 - label) * np.log(1 - chance)
        )

    share = config.conversion_weight
    return (1 - share) * mean(config.click_positive_weight, y, p) + (
        share * mean(config.conversion_positive_weight, z, p * r)
    )


@pytest.mark.parametrize("one", sorted({*ARCHITECTURES} - {"survival"}))
def test_loss_is_the_weighted_mean_over_real_items(one):
    model = make_model(one)
    outputs = model(INPUTS)
    found = model.compute_loss(INPUTS, TARGETS, outputs, WEIGHTS)
    logits = (np.asarray(outputs[output])[REAL] for output in OUTPUTS)
    expected = loss_by_hand(model.config, *logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_lambda_shares_the_loss_and_l2_adds_to_it():
    def loss(**options):
        model = make_model("esmm", **options)
        outputs = model(INPUTS)
        return float(model.compute_loss(INPUTS, TARGETS, outputs, WEIGHTS))

    clicks, conversions = (loss(conversion_weight=x) for x in (0.0, 1.0))
    mixed = 0.75 * clicks + 0.25 * conversions
    np.testing.assert_allclose(loss(conversion_weight=0.25), mixed, rtol=1e-5)
    weights = make_model("esmm").get_weights()
    squares = sum(
        np.sum(w**2) for w in weights if np.issubdtype(w.dtype, np.floating)
    )
    np.testing.assert_allclose(
        loss(l2=0.01) - loss(), 0.005 * squares, rtol=1e-4
    )


def test_survival_is_the_likelihood_of_hazards():
    """Both weights 1 and no more: the cross-entropy of hazards, and more."""
    model = make_model("survival", point_weight=0.0, censor_weight=0.0)
    outputs = model(INPUTS)
    loss = model.compute_loss(INPUTS, TARGETS, outputs, WEIGHTS)
    assert float(loss) == 0.0
    model = make_model("survival", point_weight=1.0, censor_weight=0.0)
    found = model.compute_loss(INPUTS, TARGETS, outputs, WEIGHTS)
    expected = 0.0
    for logits, events in (
        (outputs[CLICK], CLICKED),
        (multitask.joint_logits(*outputs.values()), CONVERTED),
    ):
        hazards = sigmoid(np.float64(logits))
        for row, length in enumerate(LENGTHS):
            waiting = 1.0
            for place in range(length):
                if events[row, place]:
                    expected -= np.log(waiting * hazards[row, place])
                    waiting = 1.0
                else:
                    waiting *= 1.0 - hazards[row, place]
    np.testing.assert_allclose(found, 0.5 * expected / REAL.sum(), rtol=1e-5)


# Free-running, B8.2.


@pytest.mark.parametrize("name", [*FED_BACK, "motivate", "esmm"])
def test_a_model_fed_its_own_hard_decisions_is_the_free_one(name):
    options = {"feedback": "hard"} if name in FED_BACK else {}
    model, unknown = make_model(name, **options), with_feedback(0 * CLICKED - 1)
    if name in FED_BACK:  # Some of both, whatever the weights.
        bias = model.click_head.logit.bias
        bias.assign(bias - np.median(answers(model, unknown)[0][REAL]))
    free = answers(model, unknown)
    decisions = np.float32(free[0] >= 0)
    assert name not in FED_BACK or 0 < decisions[REAL].mean() < 1
    taught = answers(model, with_feedback(decisions))
    np.testing.assert_allclose(free, taught, rtol=1e-5, atol=1e-6)
    nan = answers(model, with_feedback(np.nan * CLICKED))
    np.testing.assert_array_equal(nan, free)


@pytest.mark.parametrize("name", ["heroes", "informed"])
@pytest.mark.parametrize("feedback", ["hard", "soft"])
def test_what_is_known_is_used_and_the_rest_stood_for(name, feedback):
    model = make_model(name, feedback=feedback)
    clicked = CLICKED.copy()
    clicked[0, 2:] = -1
    partly = answers(model, with_feedback(clicked))
    known = answers(model)
    # The first unknown click matters from the item after it on.
    np.testing.assert_allclose(partly[:, 0, :3], known[:, 0, :3], rtol=1e-5)
    assert np.abs(partly - known)[:, 0, 3:].min() > 1e-6
    np.testing.assert_allclose(partly[:, 1:], known[:, 1:], rtol=1e-5)


def test_sampled_feedback_is_drawn_by_its_chance():
    model, number = make_model("heroes", feedback="sampled"), 300
    lists = {key: value[:1].repeat(number, 0) for key, value in INPUTS.items()}

    def answer(first):
        clicked = np.full_like(lists[schema.CLICKED], -1.0)
        clicked[:, 0] = first
        return answers(model, {**lists, schema.CLICKED: clicked})

    drawn, none, one = (answer(first)[0] for first in (-1.0, 0.0, 1.0))
    assert np.ptp(drawn[:, 0]) < 1e-5  # Nothing is drawn before it.
    clicked = np.isclose(drawn[:, 1], one[:, 1], atol=1e-6)
    assert (clicked | np.isclose(drawn[:, 1], none[:, 1], atol=1e-6)).all()
    chance = sigmoid(drawn[0, 0])
    assert 0.1 < chance < 0.9
    assert abs(clicked.mean() - chance) < 4 * np.sqrt(0.25 / number)
    assert (answer(-1.0)[0] != drawn).any()
    np.testing.assert_allclose(
        answers(model), answers(make_model("heroes")), rtol=1e-5
    )


def test_training_takes_feedback_as_it_is(name, model):
    """What is quick in training is what is exact in an answer."""
    np.testing.assert_allclose(
        answers(model, training=True), answers(model), rtol=1e-5, atol=1e-6
    )


def test_without_clicks_and_with_the_leak_conversions_are_constant():
    found = answers(make_model("leak"), with_feedback(0 * CLICKED))
    assert np.ptp(found[1]) < 1e-6
    assert np.ptp(found[0]) > 1e-3


def test_heroes_is_its_cell_between_embedding_and_heads():
    model = make_model("heroes")
    found = answers(model)
    embedded = np.float64(
        model.embedding(*(INPUTS[key] for key in list(INPUTS)[:3]))
    )
    for row, length in enumerate(LENGTHS):
        read = heroes_by_hand.heroes(
            model.feedback_rnn.cell,
            embedded[row, :length],
            CLICKED[row, :length],
        )
        heads = (model.click_head, model.conversion_head)
        for ours, head, features in zip(found, heads, read, strict=True):
            np.testing.assert_allclose(
                ours[row, :length],
                heroes_by_hand.head(head, features),
                rtol=1e-4,
                atol=1e-5,
            )


# What the authors have.

CRITEO = {"embedding_size": 48, "num_fields": 10, "positions": 50}
ALI_CCP = {"combine": "mean", "positions": 160, "offset_input": False}


def number(layer):
    """Of what is learned: generators of random numbers have weights, too."""
    return sum(math.prod(weight.shape) for weight in layer.trainable_weights)


@pytest.mark.parametrize(
    ("rows", "options", "unit", "total"),
    [
        (5_897, CRITEO, 589_568, 1_551_890),
        (638_072, ALI_CCP, 172_928, 20_856_578),
    ],
    ids=["criteo", "ali-ccp"],
)
def test_parameter_counts_are_those_of_the_authors(rows, options, unit, total):
    model = Heroes(rows, **options)
    model.build()
    cell = model.feedback_rnn.cell
    assert number(cell.lower) == number(cell.upper) == unit
    # The head of clicks is the cell's, too.
    assert number(cell) - 2 * unit - number(model.click_head) == 65_536
    for head in (model.click_head, model.conversion_head):
        assert number(head) == 10_881
    assert number(model) == total


def test_initial_weights_are_those_of_the_authors():
    keras.utils.set_random_seed(1)
    model = Heroes(3_000, num_fields=2)
    model.build()
    for weight in model.trainable_weights:
        value = np.asarray(weight)
        if "embeddings" in weight.path:
            assert abs(value.std() - 0.1) < 0.01
        elif weight.path.endswith("bias"):
            assert not value.any()
        elif value.size > 500:
            assert abs(value.std() - 0.05) < 0.005


# Others.


def test_a_conversion_does_not_teach_the_click_network_of_dnn():
    model = DNN(VOCABULARY_SIZE, num_fields=2, conversion_weight=1.0)
    model.build()
    with tf.GradientTape() as tape:
        loss = model.compute_loss(INPUTS, TARGETS, model(INPUTS), WEIGHTS)
    parts = {
        True: [model.conversion_embedding, model.conversion_tower],
        False: [model.embedding, model.click_tower],
    }
    weights = {
        taught: [w.value for layer in layers for w in layer.trainable_weights]
        for taught, layers in parts.items()
    }
    gradients = tape.gradient(loss, weights, unconnected_gradients="zero")
    for taught, mine in gradients.items():
        for gradient in mine:
            assert np.any(tf.convert_to_tensor(gradient)) == taught


def test_items_of_networks_are_on_their_own():
    """But for their place and time."""
    for name in ("dnn", "esmm", "esmm2", "mmoe"):
        model = make_model(name, positions=0, offset_input=False)
        backwards = {key: value[:1, ::-1] for key, value in INPUTS.items()}
        np.testing.assert_allclose(
            answers(model, backwards)[..., ::-1],
            answers(model)[:, :1],
            rtol=1e-5,
            atol=1e-6,
        )


def test_time_is_what_rrn_knows_beyond_lstm():
    later = {**INPUTS, schema.OFFSET_SECONDS: INPUTS[schema.OFFSET_SECONDS] + 9}
    for name, knows in (("lstm", False), ("rrn", True)):
        model = make_model(name)
        change = np.abs(answers(model, later) - answers(model))
        assert (change.max() > 1e-4) == knows


def test_mixture_is_of_its_parts():
    model = make_model("esmm2")
    items = model.embed(INPUTS)
    a, u, v = (
        sigmoid(np.float64(tower(items)))
        for tower in (
            model.action_tower,
            model.conversion_tower,
            model.other_tower,
        )
    )
    found = sigmoid(np.float64(model(INPUTS)[CONVERSION]))
    np.testing.assert_allclose(found, a * u + (1 - a) * v, rtol=1e-5)


def test_experts_are_mixed_by_a_gate_a_task():
    model = make_model("mmoe")
    x = np.float64(model.embed(INPUTS))
    kernel, bias = (np.float64(w) for w in model.experts.weights)
    experts = np.maximum(x @ kernel + bias, 0.0).reshape(*x.shape[:2], 3, 4)
    for output, gate, tower in (
        (CLICK, model.click_gate, model.click_tower),
        (CONVERSION, model.conversion_gate, model.conversion_tower),
    ):
        shares = np.exp(x @ np.float64(gate.kernel))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("bme,bmeu->bmu", shares, experts)
        np.testing.assert_allclose(
            model(INPUTS)[output],
            heroes_by_hand.head(tower, mixed),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        (HeroesConfig, {"cell": "gru"}, "cell"),
        (HeroesConfig, {"feedback": "none"}, "feedback"),
        (HeroesConfig, {"cell": "soft", "label_leak": True}, "label_leak"),
        (HeroesConfig, {"hierarchy": False, "label_leak": True}, "label_leak"),
        (
            HeroesConfig,
            {"cell": "lstm", "accumulate_decay": True},
            "accumulate_decay",
        ),
        (HeroesConfig, {"cell": "soft", "hierarchy": False}, "hierarchy"),
        (HeroesConfig, {"click_input": True}, "click_input"),
        (DNNConfig, {"objective": "hinge"}, "objective"),
        (DNNConfig, {"censor_weight": -1.0}, "censor_weight"),
        (
            DNNConfig,
            {"objective": "survival", "click_positive_weight": 2.0},
            "click_positive_weight",
        ),
        (DNNConfig, {"head_units": 6, "head_layers": 3}, "head_units"),
    ],
)
def test_config_is_checked_at_birth(kind, options, name):
    with pytest.raises(schema.InputError, match=f"`{name}` must .*Received"):
        kind(**options)

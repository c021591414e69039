"""Laws of the whole model."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from jump_tf import schema
from jump_tf.config.run import preset
from jump_tf.config.session_models import SAMPLED_LOSSES
from jump_tf.data import session_batches
from jump_tf.models.jump import JUMP
from jump_tf.survival.distribution import LogNormal
from jump_tf.survival.parametric import LogNormalMixture

VOCABULARY_SIZE = 11
PAPER = {"units": 5}
PRODUCTION = {
    "units": 6,
    "row_spacing": "log",
    "use_bias": True,
    "tie_inputs": False,
    "residual": True,
    "click_residual": True,
    "click_scale": 9.0,
    "item_bias": True,
    "dropout": 0.3,
    "unknown_dwell_rate": 0.3,
    "unknown_item_rate": 0.2,
    "dwell_head": "shared",
    "dwell_history": True,
    "dwell_dropout": 0.3,
    "dwell_scale": None,
    "dwell_weight": 0.3,
    "censoring": "followed",
    "end_weight": 0.2,
    "click_loss": "sampled_softmax",
    "negatives": 8,
    "learned_start": True,
    "seed": 3,
}


def make(options):
    keras.utils.set_random_seed(11)
    model = JUMP(VOCABULARY_SIZE, **options)
    model.build()
    random = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(0.5 * random.normal(size=weight.shape))
    return model


UNCENSORED = {
    **PRODUCTION,
    "censoring": "none",
    "end_weight": 0.0,
    "tie_items": False,
}


POINTING = {
    **PRODUCTION,
    "item_bias": False,
    "pointer_clicks": 3,
    "dwell_components": 2,
}


ABLATED = {**PRODUCTION, "attention": False, "multiplicative": False}


@pytest.fixture(
    scope="module", params=[PAPER, PRODUCTION, UNCENSORED, POINTING, ABLATED]
)
def model(request):
    return make(request.param)


@pytest.fixture
def inputs():
    return {
        schema.ITEMS: np.int32([[3, 5, 2, 9], [7, 1, 10, 4], [2, 2, 0, 0]]),
        schema.DWELL_SECONDS: np.float32(
            [[30, 700, 9, 1500], [2000, -1, 0, 61], [5, 333, 0, 0]]
        ),
    }


def change(inputs, column):
    items = inputs[schema.ITEMS].copy()
    dwell = inputs[schema.DWELL_SECONDS].copy()
    items[:, column], dwell[:, column] = 6, 1111.0
    return {schema.ITEMS: items, schema.DWELL_SECONDS: dwell}


@pytest.mark.parametrize("column", [1, 2, 3])
def test_the_future_does_not_reach_the_past(model, inputs, column):
    before, after = model(inputs), model(change(inputs, column))
    np.testing.assert_array_equal(
        before[:, : column + 1], after[:, : column + 1]
    )
    # Every later step sees the change.
    difference = np.abs(np.asarray(before - after)[:, column + 1 :])
    assert (difference.max(-1) > 1e-4).all()


def test_padding_changes_nothing(model, inputs):
    alone = model({name: value[2:, :2] for name, value in inputs.items()})
    np.testing.assert_allclose(
        model(inputs)[2:, :3], alone, rtol=1e-5, atol=1e-6
    )


def test_the_last_click_is_added_to_what_attention_gives(inputs):
    model = make(PRODUCTION)
    features = np.asarray(model(inputs))[:, 1:, : model.config.units]
    weight = np.asarray(model.click_weight)
    model.click_weight.assign(np.zeros_like(weight))
    without = np.asarray(model(inputs))[:, 1:, : model.config.units]
    rows = np.asarray(model.rows(inputs[schema.ITEMS]))
    np.testing.assert_allclose(
        features, without + weight * rows, rtol=1e-4, atol=1e-5
    )


def test_a_permuted_batch_permutes_the_answer(model, inputs):
    order = [2, 0, 1]
    shuffled = {name: value[order] for name, value in inputs.items()}
    np.testing.assert_allclose(
        model(shuffled), np.asarray(model(inputs))[order], rtol=1e-5, atol=1e-6
    )


def test_dwell_matters_and_unknown_is_neither_zero_nor_nan(model, inputs):
    def with_dwell(seconds):
        dwell = inputs[schema.DWELL_SECONDS].copy()
        dwell[0, 0] = seconds
        features = model({**inputs, schema.DWELL_SECONDS: dwell})
        return np.asarray(features)[0, 1]

    zero, unknown, missing = map(with_dwell, (0.0, -1.0, np.nan))
    assert np.isfinite(zero).all()
    np.testing.assert_array_equal(unknown, missing)
    assert np.abs(zero - unknown).max() > 1e-3
    # More fast steps alone make a difference within one dwell row.
    np.testing.assert_array_equal(with_dwell(3000.0), with_dwell(2000.0))


def test_padding_and_unknown_items_are_never_recommended(model, inputs):
    features = np.asarray(model(inputs))[:, -1]
    scores = np.asarray(model.click_scores(features))
    assert scores.shape == (3, VOCABULARY_SIZE)
    assert (scores[:, : schema.FIRST_ITEM_ID] < -1e8).all()
    assert (np.abs(scores[:, schema.FIRST_ITEM_ID :]) < 1e3).all()


def test_the_pointer_is_for_losses_that_are_likelihoods():
    with pytest.raises(schema.InputError, match=r"pointer_clicks.*top1_max"):
        JUMP(9, pointer_clicks=2, click_loss="top1_max", negatives=3)
    with pytest.raises(schema.InputError, match="pointer_clicks"):
        JUMP(2**24 + 1, pointer_clicks=2)


def test_start_features():
    start = np.asarray(make(PAPER)(one_click()))[:, 0]
    np.testing.assert_array_equal(start, 0.0)
    learned = make(PRODUCTION)
    start = np.asarray(learned(one_click()))[0, 0]
    np.testing.assert_array_equal(start[:6], learned.start)
    np.testing.assert_array_equal(start[6:], 0.0)  # No dwell so far.


def one_click():
    return {
        schema.ITEMS: np.int32([[4]]),
        schema.DWELL_SECONDS: np.float32([[50.0]]),
    }


def test_config_survives_json_and_weights_survive_a_file(
    model, inputs, tmp_path
):
    config = json.loads(json.dumps(model.get_config()))
    clone = JUMP.from_config(config)
    assert clone.config == model.config
    assert clone.vocabulary_size == model.vocabulary_size
    clone.build()
    model.save_weights(tmp_path / "m.weights.h5")
    clone.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(clone(inputs), model(inputs))


def test_training_dropout_and_hiding_are_off_at_inference(inputs):
    model = make(PRODUCTION)
    np.testing.assert_array_equal(model(inputs), model(inputs))
    one, other = model(inputs, training=True), model(inputs, training=True)
    assert np.abs(one - other).max() > 1e-3


def dwell_by_hand(fitted, seconds, cut):
    """Log of the chance to stay longer, or of the density."""
    if isinstance(fitted, LogNormal):
        fitted = LogNormalMixture(([0.0],), (fitted.location,), (fitted.scale,))
    logits = np.float64([one[0] for one in fitted.logits])
    logs = []
    for mu, sigma in zip(fitted.locations, fitted.scales, strict=True):
        kind = scipy.stats.lognorm(s=float(sigma[0]), scale=np.exp(mu[0]))
        logs.append(kind.logsf(seconds) if cut else kind.logpdf(seconds))
    return np.logaddexp.reduce(logits + logs) - np.logaddexp.reduce(logits)


def loss_by_hand(model, targets, features, weights):
    """Equations 9 to 11 and 18, click by click, in float64."""
    literal = model.config.dwell_scale
    click, dwell, end = [], [], []
    table = np.asarray(model.item_vectors(), np.float64)
    for b, k in zip(*np.nonzero(weights), strict=True):
        item = int(targets[schema.ITEMS][b, k])
        fitted = model.dwell_distribution(
            features[b, k][None], np.array([item])
        )
        if literal:
            assert float(fitted.scale[0]) == literal
        if model.config.pointer_clicks:  # As test_session_pointer has them.
            scores = np.asarray(model.click_scores(features[b, k][None]))[0]
            scores = np.float64(scores[schema.FIRST_ITEM_ID :])
        else:
            query = np.asarray(model.queries(features[b, k][None]), np.float64)
            scores = table[schema.FIRST_ITEM_ID :] @ query[0]
        own = scores[item - schema.FIRST_ITEM_ID]
        if k or model.config.learned_start:
            click.append(np.log(np.exp(scores).sum()) - own)
        seconds = max(targets[schema.DWELL_SECONDS][b, k], 1.0)
        last = targets[schema.SESSION_END][b, k]
        cut = targets[schema.DWELL_CENSORED][b, k]
        unused = {"all": 0, "followed": abs(last), "none": cut}
        if not unused[model.config.censoring]:
            dwell.append(-dwell_by_hand(fitted, seconds, cut))
        if model.config.end_weight and last != schema.UNKNOWN_END:
            logit = model.session_end_logits(
                features[b, k][None], np.array([item])
            )
            chance = 1 / (1 + np.exp(-float(logit[0])))
            end.append(-np.log(chance if last else 1 - chance))
    total = np.sum(click) + model.config.dwell_weight * np.sum(dwell)
    total += model.config.end_weight * np.sum(end)
    return total / weights.sum()


def test_loss_is_equation_18(model):
    """On sessions of 2, 4 and 3 clicks; the log ended during the third."""
    items = np.int32([[3, 5, 0, 0], [7, 7, 10, 4], [2, 9, 3, 0]])
    dwell = np.float32([[9, 30, 0, 0], [2000, 0.2, 77, 30], [61, 5, 30, 0]])
    censored = np.float32([[0, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]])
    end = np.float32([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]])
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: censored,
        schema.SESSION_END: end,
    }
    inputs = {
        schema.ITEMS: np.where(end[:, :-1] != 0, 0, items[:, :-1]),
        schema.DWELL_SECONDS: dwell[:, :-1] * (end[:, :-1] == 0),
    }
    weights = np.float32(items > 0)
    features = np.asarray(model(inputs))
    loss = model.compute_loss(
        inputs, targets, tf.constant(features), weights, training=False
    )
    expected = loss_by_hand(model, targets, features, weights)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_without_dwell_weight_the_dwell_head_learns_nothing(data_folder):
    model = JUMP(25, units=4, dwell_weight=0.0)
    model.build()
    batch = next(iter(batches(data_folder)))
    with tf.GradientTape() as tape:
        features = model(batch[0], training=True)
        loss = model.compute_loss(*batch[:2], features, batch[2])
    heads = [v.value for v in model.dwell_head.trainable_variables]
    assert all(gradient is None for gradient in tape.gradient(loss, heads))


def batches(data_folder, seed=0):
    return session_batches.training_batches(
        data_folder,
        batch_sessions=32,
        batch_clicks=200,
        seed=seed,
        epoch=tf.Variable(0, dtype=tf.int64),
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param("paper", marks=pytest.mark.exhaustive), "production"],
)
def test_presets_learn(data_folder, name):
    """The loss of every part falls; tiny sizes, real preset otherwise."""
    config = dataclasses.replace(preset(name).model, units=8, dropout=0.0)
    keras.utils.set_random_seed(0)
    model = JUMP(25, **dataclasses.asdict(config))
    model.build()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(
        batches(data_folder).repeat(4), epochs=2, verbose=0, shuffle=None
    ).history
    assert history["click_loss"][1] < history["click_loss"][0] - 0.1
    assert history["dwell_loss"][1] < history["dwell_loss"][0]


def click_loss_alone(data_folder, training, **options):
    """Of one batch, by a model that is the same whatever the loss."""
    keras.utils.set_random_seed(0)
    options = {"micro_step_seconds": 2000.0, **options}
    model = JUMP(25, units=4, dwell_weight=0.0, **options)
    model.build()
    model.items.embeddings.assign(10.0 * model.items.embeddings)
    inputs, targets, weights = next(iter(batches(data_folder)))
    features = model(inputs)
    return float(
        model.compute_loss(
            inputs, targets, features, weights, training=training
        )
    )


@pytest.mark.parametrize(
    "name",
    [
        "sampled_softmax",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in SAMPLED_LOSSES
            if name != "sampled_softmax"
        ),
    ],
)
def test_a_sampled_click_loss_trains_and_the_softmax_validates(
    data_folder, name
):
    options = {"click_loss": name, "negatives": 9}
    softmax = click_loss_alone(data_folder, training=True)
    assert click_loss_alone(
        data_folder, training=False, **options
    ) == pytest.approx(softmax, rel=1e-6)
    ours = click_loss_alone(data_folder, training=True, **options)
    assert np.isfinite(ours)
    assert abs(ours - softmax) > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_the_chunked_softmax_is_the_softmax(data_folder, training):
    chunked = click_loss_alone(
        data_folder, training, click_loss="chunked_softmax"
    )
    softmax = click_loss_alone(data_folder, training)
    assert chunked == pytest.approx(softmax, rel=1e-6)


@pytest.mark.exhaustive
def test_the_hyperparameters_of_click_losses_matter(data_folder):
    for name, option, one, other in (
        ("bpr_max", "bpr_regularization", 0.0, 0.9),
        ("bpr_max", "bpr_elu", None, 0.1),
        ("gbce", "gbce_calibration", 0.0, 0.9),
    ):
        options = {"click_loss": name, "negatives": 9}
        plain, other = (
            click_loss_alone(data_folder, True, **options, **{option: value})
            for value in (one, other)
        )
        assert abs(plain - other) > 1e-4


def test_paper_size_of_the_printed_log():
    """Parameters for RecSys15: V 3,796,100; W 3,796,100; b 37,961; and so on.

    Ours has two more ids (padding, unknown) and one more dwell row (unknown).
    """
    model = JUMP(37_961 + 2)
    model.build()
    assert model.fast_slow.count_params() == 2 * 40_300
    assert model.click_embedding.dwell_rows.count_params() == 2002 * 100
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == 7_911_061 + 2 * 201 + 100


def test_without_attention_the_state_is_the_summary(inputs):
    model = make({**PAPER, "attention": False})
    items, dwell = inputs[schema.ITEMS], inputs[schema.DWELL_SECONDS]
    states = model.states(items, dwell, items != schema.PAD_ID)
    np.testing.assert_array_equal(model(inputs)[:, 1:], states)
    with_attention = make(PAPER)
    assert len(model.weights) == len(with_attention.weights)
    assert not np.allclose(model(inputs), with_attention(inputs))


@pytest.mark.parametrize("options", [PAPER, PRODUCTION])
def test_without_dwell_input_every_dwell_reads_as_unknown(options, inputs):
    model = make({**options, "dwell_input": False})
    unknown = np.full_like(inputs[schema.DWELL_SECONDS], schema.UNKNOWN_DWELL)
    hidden = {**inputs, schema.DWELL_SECONDS: unknown}
    np.testing.assert_array_equal(model(inputs), model(hidden))
    np.testing.assert_array_equal(model(inputs), make(options)(hidden))
    assert not np.allclose(model(inputs), make(options)(inputs))
    items = inputs[schema.ITEMS]
    seen, shown = (
        model.attention_weights(
            items, one[schema.DWELL_SECONDS], items != schema.PAD_ID
        )
        for one in (hidden, inputs)
    )
    np.testing.assert_array_equal(shown, seen)


def test_without_the_fast_slow_layer_a_gru_encodes(inputs):
    model = make({**PRODUCTION, "fast_slow": False})
    items, dwell = inputs[schema.ITEMS], inputs[schema.DWELL_SECONDS]
    real = items != schema.PAD_ID
    clicks = model.click_embedding(model.rows(items), dwell, real)
    np.testing.assert_allclose(
        model.states(items, dwell, real), model.gru(clicks), atol=1e-6
    )
    assert model.step_seconds == np.inf  # No batches by dwell are needed.


def test_without_multiplication_alpha_beta_gamma_are_not_learned():
    names = {"alpha", "beta", "gamma"}
    model = make({**PAPER, "multiplicative": False})
    assert not names & {
        weight.name for weight in model.fast_slow.trainable_weights
    }
    for unit in (model.fast_slow.cell.fast, model.fast_slow.cell.slow):
        for weight, value in ((unit.alpha, 0), (unit.beta, 1), (unit.gamma, 1)):
            np.testing.assert_array_equal(weight, np.full(5, value))
    learned = {
        weight.name for weight in make(PAPER).fast_slow.trainable_weights
    }
    assert names <= learned

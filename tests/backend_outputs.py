"""Numbers that every backend of Keras must agree on.

    KERAS_BACKEND=jax python -m tests.backend_outputs OUTPUTS.npz [few]

Nothing here is random but by NumPy, and nothing imports TensorFlow.
"""

import functools
import sys

import keras
import numpy as np
from keras import ops

from jump_tf import schema
from jump_tf.layers.additive_attention import AdditiveAttention
from jump_tf.layers.click_embedding import ClickEmbedding
from jump_tf.layers.dwell_features import DwellHistory
from jump_tf.layers.dwell_heads import ItemDwellHead
from jump_tf.layers.dwell_heads import SharedDwellHead
from jump_tf.layers.fast_slow import FastSlow
from jump_tf.layers.highway import HighwayUnit
from jump_tf.layers.popularity_sampler import PopularitySampler
from jump_tf.layers.session_attention import SessionAttention
from jump_tf.losses import softmax
from jump_tf.models.jump import JUMP
from jump_tf.survival import distribution
from tests import by_hand
from tests import small_list_models
from tests.small_models import ARCHITECTURES
from tests.small_models import OPTIONS
from tests.small_models import UNITS
from tests.small_models import VOCABULARY
from tests.small_models import make_model

ITEMS = np.int32([[3, 5, 2, 9], [7, 1, 10, 4], [2, 2, 0, 0], [0, 0, 0, 0]])
SECONDS = np.float32(
    [[30, 700, 9, 1500], [2000, -1, 0, 61], [5, 333, 0, 0], [0, 0, 0, 0]]
)
INPUTS = {schema.ITEMS: ITEMS, schema.DWELL_SECONDS: SECONDS}
TARGETS = {
    schema.ITEMS: np.int32(
        [[3, 5, 2, 9, 4], [7, 6, 10, 4, 11], [2, 2, 8, 0, 0], [0] * 5]
    ),
    schema.DWELL_SECONDS: np.float32(
        [
            [30, 700, 9, 1500, 9],
            [2000, 40, 0, 61, 9],
            [5, 333, 9, 0, 0],
            [0] * 5,
        ]
    ),
    schema.DWELL_CENSORED: np.float32(
        [[0, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0] * 5]
    ),
    schema.SESSION_END: np.float32(
        [[0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0] * 5]
    ),
}
WEIGHTS = np.float32(TARGETS[schema.ITEMS] > 0)
NUM_IDS = schema.FIRST_ITEM_ID + len(VOCABULARY)
FEW_STEPS = {"micro_step_seconds": 700.0}  # Quick to compile.
SAMPLED = {"click_loss": "sampled_softmax", "negatives": 5}
MODELS = {
    **ARCHITECTURES,
    "sampled": (JUMP, {**OPTIONS["shared"], **SAMPLED}),
}
FEW = {"shared", "survival"}  # JUMP and HEROES.
# What differs in a step of training, which random numbers would make unequal.
IN_TRAINING = {
    "jump": FEW_STEPS,
    "sampled": FEW_STEPS,
    "gru": {"click_loss": "top1", "negatives": 5},
    "narm": {"dropout": 0.0, "decoder_dropout": 0.0},
}


def all_outputs(few=False):
    """Name -> array; with `few`, of the layers and the models in `FEW`."""
    among = FEW if few else {*MODELS, *small_list_models.ARCHITECTURES}
    parts = (layers, functions, sampler)
    for_each = (models, training_steps, list_models, list_training_steps)
    parts = (*parts, *(functools.partial(part, among) for part in for_each))
    return {
        name: ops.convert_to_numpy(value)
        for part in parts
        for name, value in part().items()
    }


def compiled(model):
    """On JAX one program, where each operation would be compiled by itself."""
    if keras.backend.backend() != "jax":
        return model
    import jax

    return jax.jit(model)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def given(layer):
    """The layer, its weights the same wherever it was made."""
    for index, weight in enumerate(layer.trainable_weights):
        weight.assign(0.2 * normal(*weight.shape, seed=index))
    return layer


def layers():
    clicks, features = normal(*ITEMS.shape, UNITS), normal(6, UNITS, seed=1)
    found = {}

    def run(name, layer, *inputs, **options):
        layer(*inputs, **options)  # Builds it.
        found[name] = given(layer)(*inputs, **options)

    run("highway", HighwayUnit(UNITS, True), features)
    run("history", DwellHistory(2000.0), SECONDS)
    run("attention", SessionAttention(residual=True), clicks)
    run("additive", AdditiveAttention(UNITS - 1), clicks)
    for spacing in ("seconds", "log"):
        layer = ClickEmbedding(UNITS, 2000.0, spacing)
        run(f"clicks {spacing}", layer, clicks, SECONDS, ITEMS > 0)
        run(f"{spacing} fit", layer, clicks, SECONDS, ITEMS > 0, training=True)
    for use_bias, tied in ((False, True), (True, False)):
        layer = FastSlow(UNITS, 200.0, 2000.0, use_bias, tied)
        run(f"fast slow {tied}", layer, clicks, SECONDS)
        found[f"fast slow {tied}"] = ops.stack(found[f"fast slow {tied}"])
    items, vectors = ITEMS.ravel()[:6], normal(6, UNITS, seed=2)
    for name, layer in {
        "item head": ItemDwellHead(NUM_IDS, units=UNITS),
        "shared head": SharedDwellHead(units=UNITS),
        "head of kinds": SharedDwellHead(units=UNITS, components=3),
    }.items():
        layer.build((None, UNITS))
        dwell, ends = given(layer)(features, items, vectors)
        found |= {f"{name} {k}": v for k, v in enumerate(dwell.parameters())}
        found[f"{name} quantile"] = dwell.quantile(np.float32(0.9))
    found["ends"] = ends
    return found


def functions():
    """Losses, survival and metrics."""
    seconds = np.float32([0.3, 30.0, 700.0, 2000.0])
    censored = np.float32([0, 0, 1, 1])
    dwell = distribution.LogNormal(
        normal(4) + 4.0, np.float32([0.5, 1, 1.5, 10])
    )
    queries, table = normal(4, 3), normal(NUM_IDS, 3, seed=1)
    targets, negatives = np.int32([2, 5, 9, 3]), np.int32([3, 4, 9])
    scores = softmax.all_item_logits(queries, table)
    return {
        "likelihood": distribution.censored_log_likelihood(
            dwell, seconds, censored
        ),
        "survival": dwell.log_survival(seconds),
        "quantile": dwell.quantile(np.float32(0.9)),
        "late quantile": dwell.quantile(np.float32(0.25), seconds),
        "tail": distribution.normal_upper_quantile(
            np.float32([-1e-3, -1, -50])
        ),
        "softmax": softmax.softmax_cross_entropy(queries, table, targets),
        "sampled softmax": softmax.sampled_softmax_cross_entropy(
            queries,
            table[targets],
            targets,
            table[negatives],
            negatives,
            normal(3, seed=3),
        ),
        "scores": scores,
        "ranks": by_hand.conservative_ranks(np.asarray(scores), targets),
    }


def sampler():
    """The draws are each backend's own; their distribution is not."""
    layer = PopularitySampler(NUM_IDS, power=0.5, seed=3)
    layer.build()
    counts = np.arange(NUM_IDS) ** 2
    layer.set_counts(counts)
    ids, log_expected = map(ops.convert_to_numpy, layer(size=40_000))
    rates = np.where(
        np.arange(NUM_IDS) < schema.FIRST_ITEM_ID, 0.0, counts**0.5
    )
    rates /= rates.sum()
    drawn = np.bincount(ids, minlength=NUM_IDS) / len(ids)
    np.testing.assert_allclose(drawn, rates, atol=0.01)
    np.testing.assert_allclose(
        log_expected, np.log(len(ids) * rates[ids]), rtol=1e-4
    )
    again, _ = layer(size=40_000)
    assert (ops.convert_to_numpy(again) != ids).any()
    return {"rates": layer.log_rates}


def models(among):
    found = {}
    for name, (kind, options) in ARCHITECTURES.items():
        if name not in among:
            continue
        if name in ("dtgru sum", "dtgru scalar"):  # As "dtgru", but for a sum.
            continue
        model = given(make_model(options, kind=kind))
        features = ops.convert_to_numpy(compiled(model)(INPUTS))
        clicks = np.count_nonzero(ITEMS, axis=1)
        last = features[np.arange(len(ITEMS)), clicks]
        dwell = model.dwell_distribution(last, ITEMS[:, 0])
        found |= {
            f"{name} features": features[:, 1:][ITEMS != schema.PAD_ID],
            f"{name} start": features[:, 0],
            f"{name} scores": model.click_scores(last),
            f"{name} median": dwell.median(),
        }
        parameters = enumerate(dwell.parameters())
        found |= {f"{name} parameter {k}": value for k, value in parameters}
    return found


def training_steps(among):
    """After a step of plain descent the weights show the gradient."""
    found = {}
    for name, optimizer, steps in (
        ("jump", keras.optimizers.SGD(1.0), 1),
        ("sampled", keras.optimizers.SGD(1.0), 1),
        ("gru", keras.optimizers.Adam(1e-3, global_clipnorm=5.0), 2),
        ("narm", keras.optimizers.SGD(1.0), 1),
        ("sasrec", keras.optimizers.SGD(1.0), 1),
        ("rmtpp", keras.optimizers.SGD(0.1), 1),
        ("atrp", keras.optimizers.SGD(0.1), 1),
        ("nsr", keras.optimizers.SGD(0.1), 1),
    ):
        if name not in among:
            continue
        kind, options = MODELS[name]
        options = {**options, **IN_TRAINING.get(name, {})}
        model = given(make_model(options, kind=kind))
        draws = np.int32([2, 3, 5, 7, 9]), normal(5, seed=4)
        model.sampler.call = lambda size, draws=draws: draws
        model.compile(optimizer)
        for step in range(steps):
            logs = model.train_on_batch(
                INPUTS, TARGETS, sample_weight=WEIGHTS, return_dict=True
            )
            prefix = f"{name} {type(optimizer).__name__} {step}"
            found |= {f"{prefix} {k}": v for k, v in logs.items()}
        found |= {
            f"{prefix} {weight.path}": weight.value
            for weight in model.trainable_weights
        }
    return found


def list_models(among):
    """Logits where some of the feedback is not known."""
    found = {}
    known = normal(*small_list_models.CLICKED.shape) > 0.0
    clicked = np.where(known, small_list_models.CLICKED, np.nan)
    inputs = small_list_models.with_feedback(clicked)
    for name in among & small_list_models.ARCHITECTURES.keys():
        model = given(small_list_models.make_model(name))
        outputs = compiled(model)(inputs)
        found |= {f"list {name} {key}": logit for key, logit in outputs.items()}
    return found


def list_training_steps(among):
    """As `training_steps`, of models of lists."""
    found = {}
    for name in among & {"survival", "soft", "mmoe"}:
        model = given(small_list_models.make_model(name, l2=0.01))
        model.compile(keras.optimizers.SGD(1.0))
        logs = model.train_on_batch(
            small_list_models.INPUTS,
            small_list_models.TARGETS,
            sample_weight=small_list_models.WEIGHTS,
            return_dict=True,
        )
        found |= {f"list {name} {k}": v for k, v in logs.items()}
        found |= {
            f"list {name} {weight.path}": weight.value
            for weight in model.trainable_weights
        }
    return found


def random_step():
    """With everything random a step is a number, and the next another."""
    options = {**MODELS["sampled"][1], **FEW_STEPS, "dropout": 0.3}
    options |= {"dwell_dropout": 0.3, "unknown_dwell_rate": 0.3}
    model = make_model(options)
    model.compile(keras.optimizers.SGD(0.0))
    loss, other = (
        model.train_on_batch(INPUTS, TARGETS, sample_weight=WEIGHTS)[0]
        for _ in range(2)
    )
    assert np.isfinite(loss)
    assert loss != other


if __name__ == "__main__":
    np.savez(sys.argv[1], **all_outputs(few=sys.argv[2:] == ["few"]))
    random_step()
    if keras.backend.backend() != "tensorflow":
        assert "tensorflow" not in sys.modules

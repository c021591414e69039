"""Fixed shapes, XLA and bfloat16 change how fast, not what."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import preset
from jump_tf.data import session_batches
from jump_tf.models.jump import JUMP
from jump_tf.runs import model_factory
from tests import evaluated
from tests.small_models import OPTIONS

NUM_IDS = 25
SCALED = {"click_scale": 9.0}  # An empty session's features are all zero.
SAMPLED = {
    **OPTIONS["shared"],
    "click_loss": "sampled_softmax",
    "negatives": 7,
    "dropout": 0.3,
}


def make(options, dtype=None):
    keras.utils.set_random_seed(5)
    model = JUMP(NUM_IDS, units=6, dtype=dtype, **options)
    model.build()
    return model


def batches(data_folder, count):
    found = session_batches.training_batches(
        data_folder,
        batch_sessions=32,
        batch_clicks=100,
        seed=1,
        epoch=tf.Variable(0, dtype=tf.int64),
        fixed_shapes=True,
    )
    return list(found.take(count))


def loss_and_gradients(model, batch, jit_compile):
    model.jit_compile = jit_compile
    assert model.fixed_shapes == jit_compile
    with tf.GradientTape() as tape:
        features = model(batch[0], training=True)
        loss = model.compute_loss(*batch[:2], features, batch[2])
    variables = [v.value for v in model.trainable_variables]
    return loss, [
        tf.convert_to_tensor(gradient)
        for gradient in tape.gradient(loss, variables)
        if gradient is not None
    ]


@pytest.mark.parametrize(
    "options", [*OPTIONS.values(), SCALED, SAMPLED], ids=str
)
def test_padding_computed_or_left_out_is_one_loss(data_folder, options):
    padded = max(
        batches(data_folder, 40), key=lambda batch: np.mean(batch[2] == 0)
    )
    assert (np.sum(padded[2], 1) == 0).any()
    # Two models, so that both draw the same numbers.
    kept = loss_and_gradients(make(options), padded, True)
    dropped = loss_and_gradients(make(options), padded, False)
    assert float(kept[0]) == pytest.approx(float(dropped[0]), rel=1e-5)
    assert len(kept[1]) == len(dropped[1]) > 0
    for ours, theirs in zip(kept[1], dropped[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def fitted(options, steps, jit_compile, dtype=None):
    model = make(options, dtype)
    model.compile(keras.optimizers.Adam(0.01), jit_compile=jit_compile)
    logs = [
        model.train_on_batch(*batch[:2], sample_weight=batch[2], return_dict=1)
        for batch in steps
    ]
    return model, logs


@pytest.mark.exhaustive
def test_compiled_training_is_the_same_training(data_folder):
    steps = [
        batch for batch in batches(data_folder, 12) if batch[2].shape[1] == 6
    ]
    options = {**OPTIONS["shared"], "micro_step_seconds": 1100.0}
    plain, plain_logs = fitted(options, steps, False)
    compiled, compiled_logs = fitted(options, steps, True)
    for ours, theirs in zip(compiled_logs, plain_logs, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    for ours, theirs in zip(compiled.weights, plain.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_bfloat16_ends_where_the_heads_begin(data_folder, options):
    model = make(options, "mixed_bfloat16")
    inputs, targets, _ = batches(data_folder, 1)[0]
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    items, seconds = inputs[schema.ITEMS], inputs[schema.DWELL_SECONDS]
    states = model.states(items, seconds, items > 0)
    assert states.dtype == model.attention(states).dtype == tf.bfloat16
    features = model(inputs)
    ids = targets[schema.ITEMS][:, 0]
    distribution = model.dwell_distribution(features[:, -1], ids)
    scores = model.click_scores(features[:, -1])
    for border in (features, distribution.location, distribution.scale, scores):
        assert border.dtype == tf.float32
    np.testing.assert_allclose(features, make(options)(inputs), atol=0.05)


def test_bfloat16_counts_the_same_steps():
    """Rounded to eight bits, 1201 seconds would be 1200."""
    model = make({"micro_step_seconds": 100.0}, "mixed_bfloat16")

    def after(seconds):
        dwell = np.float32([[seconds]])
        clicks = np.ones((1, 1, 6), np.float32)
        return np.float32(model.fast_slow(clicks, dwell))

    assert (after(1201.0) != after(1200.0)).any()
    np.testing.assert_array_equal(after(1201.0), after(1300.0))


def test_the_dtype_survives_a_config():
    model = make(OPTIONS["shared"], "mixed_bfloat16")
    clone = JUMP.from_config(json.loads(json.dumps(model.get_config())))
    for ours, theirs in (
        (clone, model),
        (clone.fast_slow, model.fast_slow),
        (clone.fast_slow.cell.slow, model.fast_slow.cell.slow),
        (clone.attention, model.attention),
        (clone.dwell_head, model.dwell_head),
        (clone.items, model.items),
    ):
        assert ours.dtype_policy == theirs.dtype_policy
    assert clone.attention.compute_dtype == "bfloat16"
    assert clone.items.compute_dtype == clone.dwell_head.compute_dtype
    assert clone.items.compute_dtype == "float32"
    layer = type(clone.fast_slow).from_config(clone.fast_slow.get_config())
    assert layer.dtype_policy == layer.cell.fast.dtype_policy
    assert layer.compute_dtype == "bfloat16"


@pytest.mark.exhaustive
def test_bfloat16_learns_as_float32(data_folder):
    steps = 4 * [b for b in batches(data_folder, 20) if b[2].shape[1] == 6]
    options = {**OPTIONS["shared"], "micro_step_seconds": 700.0}
    _, expected = fitted(options, steps, False)
    _, logs = fitted(options, steps, False, "mixed_bfloat16")
    assert logs[-1]["loss"] < logs[0]["loss"] - 0.5
    assert logs[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=0.01)


@pytest.mark.exhaustive
def test_a_compiled_run_in_bfloat16_is_evaluated_in_float32(
    data_folder, tmp_path
):
    config = preset("paper").override(
        [
            "model.units=6",
            "model.micro_step_seconds=1500",
            "training.epochs=1",
            "training.precision=bfloat16",
            "training.jit_compile=true",
        ]
    )
    record = tasks.train(config, data_folder, tmp_path / "run", verbose=0)
    model = model_factory.load_run(tmp_path / "run")
    assert model.compute_dtype == model.fast_slow.compute_dtype == "float32"
    measured = evaluated.quick_metrics(model, data_folder, schema.VALIDATION)
    for name, value in measured.items():
        assert record[f"val_{name}"] == pytest.approx(value, rel=0.1), name

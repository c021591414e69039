"""SASRec against its equations."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import scipy.special

from jump_tf import schema
from jump_tf.config.model_config import SASRecConfig
from jump_tf.config.run import preset
from jump_tf.layers.ligr_block import LiGRBlock
from jump_tf.layers.transformer_block import TransformerBlock
from jump_tf.models.sasrec import SASRec
from tests import by_hand

VOCABULARY_SIZE = 17
UNITS, HEADS = 6, 2
POSITIONS = 3
SESSIONS = ([3, 5, 2, 9, 4], [7], [2, 2, 16])


@pytest.fixture(scope="module", params=["pre_norm", "ligr"])
def model(request):
    model = SASRec(
        VOCABULARY_SIZE,
        units=UNITS,
        block=request.param,
        heads=HEADS,
        feed_forward_ratio=3,
        max_positions=POSITIONS,
    )
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_weights:
        weight.assign(0.5 * random.normal(size=weight.shape))
    return model


def norm_by_hand(layer, x):
    centered = x - x.mean(-1, keepdims=True)
    variance = np.square(centered).mean(-1, keepdims=True)
    return centered / np.sqrt(variance + 1e-6) * np.float64(
        layer.gamma
    ) + np.float64(layer.beta)


def attention_by_hand(layer, x):
    """Of one session `[l, d]`, query by query and head by head."""
    query, key, value, output = (np.float64(w) for w in layer.weights)
    rows = []
    for k in range(len(x)):
        heads = []
        for head in range(HEADS):
            past = x[: k + 1]
            scores = (past @ key[:, head]) @ (x[k] @ query[:, head])
            weights = np.exp(scores / np.sqrt(UNITS / HEADS))
            heads.append(weights / weights.sum() @ (past @ value[:, head]))
        rows.append(np.einsum("hn,hnd->d", np.stack(heads), output))
    return np.stack(rows)


def block_by_hand(block, x):
    x = x + attention_by_hand(
        block.attention, norm_by_hand(block.attention_norm, x)
    )
    kernel, bias, out_kernel, out_bias = (
        np.float64(w) for w in block.hidden.weights + block.outputs.weights
    )
    hidden = norm_by_hand(block.hidden_norm, x) @ kernel + bias
    hidden = hidden * scipy.special.ndtr(hidden)  # gelu
    return x + hidden @ out_kernel + out_bias


def dense_by_hand(layer, x):
    kernel, *bias = (np.float64(w) for w in layer.weights)
    return x @ kernel + sum(bias)


def ligr_by_hand(block, x):
    attended = attention_by_hand(
        block.attention, norm_by_hand(block.attention_norm, x)
    )
    gate = by_hand.sigmoid(dense_by_hand(block.attention_gate, x))
    x = x + gate * attended
    normed = norm_by_hand(block.hidden_norm, x)
    hidden = dense_by_hand(block.hidden, normed)
    hidden = hidden * by_hand.sigmoid(hidden)  # swish
    hidden = hidden * dense_by_hand(block.linear_hidden, normed)
    gate = by_hand.sigmoid(dense_by_hand(block.feed_forward_gate, x))
    return x + gate * dense_by_hand(block.outputs, hidden)


def features_by_hand(model, items):
    places = np.minimum(np.arange(len(items)), POSITIONS - 1)
    x = np.sqrt(UNITS) * np.float64(model.items.embeddings)[items]
    x = x + np.float64(model.positions.embeddings)[places]
    ligr = model.config.block == "ligr"
    for block in model.blocks:
        x = ligr_by_hand(block, x) if ligr else block_by_hand(block, x)
    return norm_by_hand(model.norm, x)


def test_features_are_the_states_of_a_causal_transformer(model):
    """Of sessions longer than there are positions, too."""
    by_hand.assert_features(
        model,
        by_hand.padded(SESSIONS),
        SESSIONS,
        lambda row: features_by_hand(model, SESSIONS[row]),
    )


def test_order_matters(model):
    def last(items):
        return np.asarray(model(by_hand.padded([items])))[0, -1]

    assert np.abs(last([3, 5, 9]) - last([5, 3, 9])).max() > 1e-3


@pytest.mark.parametrize("kind", [TransformerBlock, LiGRBlock])
def test_dropout_is_in_the_blocks_in_training_alone(kind):
    block = kind(HEADS, 12, dropout=0.5)
    states = np.random.default_rng(3).normal(size=(2, 3, UNITS)).astype("f")
    np.testing.assert_array_equal(block(states), block(states))
    one, other = block(states, training=True), block(states, training=True)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("scale", [None, 16.0])
def test_positions_start_of_the_size_of_the_rows(scale):
    """Which the sum has by a factor of sqrt(d), as the authors have it."""
    keras.utils.set_random_seed(4)
    model = SASRec(500, units=64, click_scale=scale)
    model.build()
    ratio = np.std(model.rows(np.arange(2, 500))) / np.std(
        model.positions.embeddings
    )
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_ligr_block_survives_json():
    block = LiGRBlock(HEADS, 12, dropout=0.1)
    clone = LiGRBlock.from_config(json.loads(json.dumps(block.get_config())))
    for layer in (block, clone):
        layer.build((None, None, UNITS))
    assert clone.get_config() == block.get_config()
    clone.set_weights(block.get_weights())
    states = np.random.default_rng(3).normal(size=(2, 3, UNITS)).astype("f")
    np.testing.assert_array_equal(clone(states), block(states))


def test_heads_must_divide_the_units():
    with pytest.raises(schema.InputError, match="`heads` must divide units=6"):
        SASRecConfig(units=6, heads=4)
    with pytest.raises(schema.InputError, match="`block` must be one of"):
        SASRecConfig(block="post_norm")
    with pytest.raises(ValueError, match="`heads` must divide the size"):
        TransformerBlock(4, 12).build((None, None, 6))


def test_preset_differs_from_gru4rec_by_the_model_alone():
    ours, theirs = preset("sasrec"), preset("gru4rec")
    assert ours.training == theirs.training
    ours, theirs = map(dataclasses.asdict, (ours.model, theirs.model))
    assert {name for name in ours if ours[name] != theirs.get(name)} == {
        "block",
        "blocks",
        "heads",
        "feed_forward_ratio",
        "max_positions",
    }


def test_esasrec_differs_from_sasrec_by_the_block_alone():
    ours, theirs = preset("esasrec"), preset("sasrec")
    assert ours.training == theirs.training
    assert ours.model == dataclasses.replace(theirs.model, block="ligr")

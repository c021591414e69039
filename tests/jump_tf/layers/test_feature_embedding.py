"""An item of a list as rows of its features, its place and its time."""

import json
import math

import numpy as np
import pytest

from jump_tf.layers.feature_embedding import FeatureEmbedding

FEATURES = np.int32([[[3, 5], [2, 6], [4, 0]], [[1, 1], [0, 0], [0, 0]]])
VALUES = np.float32(
    [[[2.0, 1.0], [0.5, 0.5], [3.0, 9.0]], [[1.0, -3.0], [7, 7], [7, 7]]]
)
SECONDS = np.float32([[0.0, 30.0, 86_400.0], [0.0, 50.0, 60.0]])


def made(**options):
    layer = FeatureEmbedding(7, 3, **options)
    layer.build()
    return layer


def rows_of(layer):
    return np.asarray(layer.rows.embeddings)


def test_fields_are_put_end_to_end():
    layer = made(num_fields=2)
    rows, found = rows_of(layer), np.asarray(layer(FEATURES, VALUES, SECONDS))
    assert found.shape == (2, 3, layer.width) == (2, 3, 6)
    np.testing.assert_array_equal(
        found[0, 1], np.concatenate([rows[2], rows[6]])
    )
    np.testing.assert_array_equal(found[0, 2], [*rows[4], 0, 0, 0])


def test_bags_are_means_weighted_by_their_values():
    layer = made(combine="mean")
    rows, found = rows_of(layer), np.asarray(layer(FEATURES, VALUES, SECONDS))
    assert found.shape == (2, 3, layer.width) == (2, 3, 3)
    for (row, item), expected in {
        (0, 0): (2 * rows[3] + rows[5]) / 3,
        (0, 2): rows[4],  # Padding has no part in a mean, whatever its value.
        (1, 0): (rows[1] - 3 * rows[1]) / 4,
    }.items():
        np.testing.assert_allclose(found[row, item], expected, rtol=1e-5)
    nothing = layer(FEATURES, 0 * VALUES, SECONDS)
    np.testing.assert_array_equal(nothing, 0.0 * found)


def test_places_beyond_the_last_share_its_row():
    layer = made(num_fields=2, positions=2)
    assert layer.width == 9
    places = np.asarray(layer.position_rows.embeddings)
    found = np.asarray(layer(FEATURES, VALUES, SECONDS))[0, :, 6:]
    np.testing.assert_array_equal(found, places[[0, 1, 1]])


def test_time_is_a_number_between_its_log_and_a_day():
    layer = made(num_fields=2, offset_input=True)
    assert layer.width == 7
    found = np.asarray(layer(FEATURES, VALUES, SECONDS))[0, :, -1]
    expected = [0.0, math.log(31.0) / math.log(86_401.0), 1.0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("combine", ["concatenate", "mean"])
def test_padding_is_zeros(combine):
    layer = made(num_fields=2, combine=combine, positions=2, offset_input=True)
    found = np.asarray(layer(FEATURES, VALUES, SECONDS))
    np.testing.assert_array_equal(found[1, 1:], 0.0)
    assert (found[1, 0, :-1] != 0).all()


def test_config_survives_json():
    options = {"num_fields": 4, "positions": 2, "offset_input": True}
    layer = made(**options, combine="mean", dtype="mixed_bfloat16")
    config = json.loads(json.dumps(layer.get_config()))
    clone = FeatureEmbedding.from_config(config)
    assert clone.get_config() == layer.get_config()
    assert (clone.combine, clone.width) == ("mean", layer.width)


def test_it_refuses_what_it_cannot_combine():
    with pytest.raises(ValueError, match=r"`combine` must be one of .*sum"):
        made(combine="sum")
    with pytest.raises(ValueError, match=r"`features` must have 3 .*shape"):
        made(num_fields=3)(FEATURES, VALUES, SECONDS)

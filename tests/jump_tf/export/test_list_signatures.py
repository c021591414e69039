"""The exported scores of lists against the model itself, and their laws."""

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.tasks import export_model
from serving.client import lists as list_client
from tests.small_list_models import FIELDS
from tests.small_list_models import VOCABULARY_SIZE
from tests.small_list_models import make_model

VOCABULARY = [
    f"field={n}" for n in range(VOCABULARY_SIZE - schema.FIRST_ITEM_ID)
]
OUTPUTS = (
    schema.CLICK_PROBABILITY,
    schema.CONVERSION_PROBABILITY,
    schema.CLICK_CONVERSION_PROBABILITY,
)
SHOWN = [
    list_client.ShownItems(
        [["field=0", "field=4"], ["field=7", "field=2"], ["new", "field=9"]],
        clicked=[1.0, 0.0],
        offset_seconds=[0.0, 3.5, 60.0],
    ),
    list_client.ShownItems([["field=3", "field=3"]]),
    list_client.ShownItems(
        [["field=8", "field=1"]] * 4, clicked=[0, 1, np.nan]
    ),
]


@pytest.fixture(
    scope="module", params=["heroes", "bags", "without hawkes", "lstm", "esmm"]
)
def exported(request, tmp_path_factory):
    """A model and what was read back from a folder that has moved."""
    model = make_model(request.param)
    folder = export_model(
        model, VOCABULARY, tmp_path_factory.mktemp("models"), name="heroes"
    )
    moved = folder.rename(tmp_path_factory.mktemp("elsewhere") / "5")
    return model, tf.saved_model.load(str(moved)).signatures


def ask(signatures, arrays):
    outputs = signatures[schema.SERVING_DEFAULT](
        **{
            name: tf.constant(
                array, tf.string if name == schema.FEATURES else tf.float32
            )
            for name, array in arrays.items()
        }
    )
    return {name: outputs[name].numpy() for name in OUTPUTS}


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x)))


def ids(texts):
    known = {text: n for n, text in enumerate(VOCABULARY, schema.FIRST_ITEM_ID)}
    return [[known.get(text, schema.OOV_ID) for text in row] for row in texts]


def test_equals_the_model(exported):
    model, signatures = exported
    answer = ask(signatures, list_client.to_arrays(SHOWN))
    for row, shown in enumerate(SHOWN):
        length = len(shown.features)
        column = list_client.to_arrays([shown])
        logits = model(
            {
                schema.FEATURES: np.array([ids(shown.features)], np.int32),
                schema.FEATURE_VALUES: np.ones((1, length, FIELDS), np.float32),
                schema.OFFSET_SECONDS: column[schema.OFFSET_SECONDS],
                schema.CLICKED: column[schema.CLICKED],
            }
        )
        click, conversion = (
            sigmoid(logits[name])[0] for name in ("click", "conversion")
        )
        expected = (click, conversion, click * conversion)
        for name, numbers in zip(OUTPUTS, expected, strict=True):
            np.testing.assert_allclose(
                answer[name][row, :length], numbers, rtol=1e-5
            )
            assert (answer[name][row, length:] == 0.0).all()


def test_places_without_an_item_change_nothing(exported):
    _, signatures = exported
    arrays = list_client.to_arrays(SHOWN[:1])
    places = [1, 2, 4]
    wide = {}
    for name, array in arrays.items():
        filler = "" if name == schema.FEATURES else 7.0
        wide[name] = np.full((1, 6, *array.shape[2:]), filler, array.dtype)
        wide[name][:, places] = array
    narrow, spread = ask(signatures, arrays), ask(signatures, wide)
    for name in OUTPUTS:
        np.testing.assert_allclose(
            spread[name][:, places], narrow[name], rtol=1e-6
        )
        assert np.delete(spread[name], places, 1).max() == 0.0


def test_examples_answer_as_arrays(exported):
    _, signatures = exported
    answer = ask(signatures, list_client.to_arrays(SHOWN))
    examples = tf.constant(list(map(list_client.to_example, SHOWN)))
    outputs = signatures[schema.EXAMPLES](examples=examples)
    for name in OUTPUTS:
        np.testing.assert_allclose(outputs[name], answer[name], rtol=1e-6)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (2, 0), (1, 1)])
def test_lists_without_an_item_have_no_score(exported, shape):
    _, signatures = exported
    width = FIELDS if shape == (1, 1) else 0
    arrays = {
        schema.FEATURES: np.full((*shape, width), "", object),
        schema.FEATURE_VALUES: np.ones((*shape, width), np.float32),
        schema.OFFSET_SECONDS: np.zeros(shape, np.float32),
        schema.CLICKED: np.zeros(shape, np.float32),
    }
    answer = ask(signatures, arrays)
    for name in OUTPUTS:
        assert answer[name].shape == shape
        assert not answer[name].any()


def test_own_and_later_feedback_reach_no_item(exported):
    _, signatures = exported
    arrays = list_client.to_arrays(SHOWN[2:])
    before = ask(signatures, arrays)
    arrays[schema.CLICKED][0, 1:] = [0.0, 1.0, 1.0]
    after = ask(signatures, arrays)
    for name in OUTPUTS:
        np.testing.assert_allclose(
            after[name][:, :2], before[name][:, :2], rtol=1e-6
        )


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        (schema.CLICKED, (3, 3), "`clicked` must have the shape"),
        (schema.OFFSET_SECONDS, (2, 4), "`offset_seconds` must have the shape"),
        (schema.FEATURE_VALUES, (3, 4, 1), "`feature_values` must have the"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(exported, name, shape, sentence):
    _, signatures = exported
    arrays = list_client.to_arrays(SHOWN)
    arrays[name] = np.ones(shape, np.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        ask(signatures, arrays)


def test_an_item_must_have_all_fields(exported):
    model, signatures = exported
    if model.config.combine == "mean":
        pytest.skip("bags have any number of features")
    arrays = list_client.to_arrays([list_client.ShownItems([["field=1"]])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="of 2 fields"):
        ask(signatures, arrays)

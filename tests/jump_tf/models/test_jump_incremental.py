"""JUMP click by click equals JUMP on whole sessions."""

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.models import jump_incremental
from tests.small_models import OPTIONS
from tests.small_models import make_model

ITEMS = np.int32(
    [
        [3, 1, 7, 3, 3, 9, 2],
        [5, 5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [8, 2, 11, 4, 6, 0, 0],
    ]
)
DWELL = np.float32(
    [
        [12.0, 700.0, -1.0, 3.0, 1999.0, 0.0, -41.0],
        [np.nan, 5000.0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [90.0, 201.0, 400.0, -10.0, 7.0, 0, 0],
    ]
)
KINDS = {
    **OPTIONS,
    "gru": {"fast_slow": False, "pointer_clicks": 4},
    "plain": {"attention": False, "click_residual": True},
    "no dwell": {"dwell_input": False},
}


@pytest.fixture(scope="module", params=list(KINDS))
def model(request):
    return make_model(KINDS[request.param])


def empty_past(model):
    none = np.zeros(len(ITEMS), np.int32)
    return jump_incremental.past_of(model, ITEMS[:, :1], DWELL[:, :1], none)


def whole(model):
    inputs = {schema.ITEMS: ITEMS, schema.DWELL_SECONDS: DWELL}
    return np.asarray(model(inputs, training=False))


def after(model, past):
    return np.asarray(jump_incremental.features(model, past))


def test_click_by_click_is_the_whole_session(model):
    expected, past = whole(model), empty_past(model)
    lengths = (ITEMS != schema.PAD_ID).sum(1)
    np.testing.assert_allclose(after(model, past), expected[:, 0], atol=1e-6)
    for step in range(ITEMS.shape[1]):
        past = jump_incremental.append(
            model, past, ITEMS[:, step], DWELL[:, step]
        )
        known = np.minimum(lengths, step + 1)
        np.testing.assert_array_equal(past.lengths, known)
        np.testing.assert_allclose(
            after(model, past),
            expected[np.arange(len(ITEMS)), known],
            rtol=1e-5,
            atol=1e-5,
        )


def test_a_past_at_once_is_the_past_click_by_click(model):
    lengths = np.int32([4, 2, 0, 5])
    at_once = jump_incremental.past_of(model, ITEMS, DWELL, lengths)
    np.testing.assert_allclose(
        after(model, at_once),
        whole(model)[np.arange(4), lengths],
        rtol=1e-5,
        atol=1e-5,
    )
    np.testing.assert_array_equal(at_once.lengths, lengths)
    one_more = np.int32([3, 0, 4, 2])
    dwell = np.float32([250.0, 9.0, -1.0, 30.0])
    step = jump_incremental.append(model, at_once, one_more, dwell)
    items, seconds = ITEMS.copy(), DWELL.copy()
    rows = np.arange(4)
    items[rows, lengths] = one_more
    seconds[rows, lengths] = dwell
    items[0, 5:] = 0
    found = model({schema.ITEMS: items, schema.DWELL_SECONDS: seconds})
    np.testing.assert_allclose(
        after(model, step),
        np.asarray(found)[rows, lengths + (one_more != 0)],
        rtol=1e-5,
        atol=1e-5,
    )


def test_padding_changes_nothing(model):
    past = jump_incremental.past_of(model, ITEMS, DWELL, np.int32([3, 1, 0, 4]))
    wider = past._replace(
        **{
            name: np.pad(
                getattr(past, name),
                [[0, 0], [0, 3]] + [[0, 0]] * (name == "states"),
            )
            for name in ("items", "dwell_seconds", "states")
        }
    )
    np.testing.assert_allclose(
        after(model, wider), after(model, past), rtol=1e-6, atol=1e-6
    )


def test_only_the_newest_clicks_are_kept():
    model = make_model(OPTIONS["shared"])
    past = jump_incremental.past_of(model, ITEMS, DWELL, np.int32([7, 2, 0, 5]))
    kept = jump_incremental.newest(past, 4)
    assert kept.items.shape == (4, 4)
    np.testing.assert_array_equal(
        kept.items, [[3, 3, 9, 2], [5, 5, 0, 0], [0] * 4, [2, 11, 4, 6]]
    )
    np.testing.assert_array_equal(kept.states[0], past.states[0, 3:7])
    np.testing.assert_array_equal(kept.states[1, :2], past.states[1, :2])
    np.testing.assert_array_equal(
        jump_incremental.newest(past, 50).items, past.items
    )

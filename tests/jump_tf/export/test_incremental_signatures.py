"""A session click by click, through the exported signatures."""

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.export import incremental_signatures
from jump_tf.tasks import export_model
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model

MOST = 6
KINDS = {
    "jump": {},
    "shared": OPTIONS["shared"],
    "gru": {"fast_slow": False},
}
# Two visits side by side, the second one shorter.
ITEMS = [
    ["item-3", "item-1", "größe 10", "no such", "item-1", "item-8"],
    ["item-0", "item-0", "", "", "", ""],
]
DWELL = np.float32([[12, 700, 3, -1, 1999, 40], [250, np.nan, -1, -1, -1, -1]])


@pytest.fixture(
    scope="module",
    params=[
        "jump",
        "shared",
        pytest.param("gru", marks=pytest.mark.exhaustive),
    ],
)
def model(request):
    return make_model(KINDS[request.param])


@pytest.fixture(scope="module")
def signatures(model, tmp_path_factory):
    return exported(model, tmp_path_factory)


def exported(model, tmp_path_factory):
    folder = export_model(
        model,
        VOCABULARY,
        tmp_path_factory.mktemp("models"),
        max_session_length=MOST,
        top_k=4,
        quantiles=(0.3, 0.5),
    )
    return tf.saved_model.load(str(folder)).signatures


def numpy(outputs):
    return {name: value.numpy() for name, value in outputs.items()}


def ask(signatures, name, items, dwell, elapsed):
    return numpy(
        signatures[name](
            items=tf.constant(items, tf.string),
            dwell_seconds=tf.constant(dwell, tf.float32),
            elapsed_seconds=tf.constant(elapsed, tf.float32),
        )
    )


def start(signatures, rows=2):
    return ask(signatures, "start", [[""]] * rows, [[0.0]] * rows, [0.0] * rows)


def step(signatures, last, item, last_dwell, elapsed):
    state = {
        name: tf.constant(value)
        for name, value in last.items()
        if name.startswith(schema.STATE_PREFIX)
    }
    return numpy(
        signatures["step"](
            item=tf.constant(item),
            last_dwell_seconds=tf.constant(last_dwell, tf.float32),
            elapsed_seconds=tf.constant(elapsed, tf.float32),
            **state,
        )
    )


def assert_same(found, expected):
    for name, value in expected.items():
        if name.startswith(schema.STATE_PREFIX):
            continue
        if value.dtype == object:
            np.testing.assert_array_equal(found[name], value, name)
        else:
            np.testing.assert_allclose(
                found[name], value, 1e-5, 1e-6, err_msg=name
            )


def test_every_page_is_answered_as_by_the_whole_session(signatures):
    last, elapsed = start(signatures), [7.5, 0.0]
    assert_same(
        last, ask(signatures, "serving_default", [[""]] * 2, [[0]] * 2, [0, 0])
    )
    for click in range(len(ITEMS[0])):
        item = [items[click] for items in ITEMS]
        before = DWELL[:, click - 1] if click else [-1.0, -1.0]
        last = step(signatures, last, item, before, elapsed)
        items = [items[: click + 1] for items in ITEMS]
        dwell = np.where(
            np.arange(click + 1) < [[click], [min(click, 2)]],
            DWELL[:, : click + 1],
            -1,
        )
        whole = ask(signatures, "serving_default", items, dwell, elapsed)
        assert_same(last, whole)


def test_leaving_a_page_asks_at_page_leave(signatures):
    last = start(signatures, 1)
    for click in range(3):
        dwell = DWELL[0, click - 1] if click else -1.0
        last = step(signatures, last, [ITEMS[0][click]], [dwell], [9.0])
    left = step(signatures, last, [""], [3.0], [0.0])
    items, dwell = [ITEMS[0][:3]], DWELL[:1, :3]
    whole = ask(signatures, "serving_default", items, dwell, [0.0])
    assert_same(left, whole)
    # Who has left may click on, whether the dwell is told again or not.
    for told in (3.0, -1.0):
        more = step(signatures, left, ["item-7"], [told], [0.0])
        items, dwell = [[*ITEMS[0][:3], "item-7"]], [[*DWELL[0, :3], -1.0]]
        whole = ask(signatures, "serving_default", items, dwell, [0.0])
        assert_same(more, whole)


def test_asking_again_on_the_same_page(signatures):
    last = step(signatures, start(signatures, 1), ["item-3"], [-1.0], [0.0])
    for elapsed in (20.0, 300.0):
        last = step(signatures, last, [""], [-1.0], [elapsed])
        whole = ask(
            signatures, "serving_default", [["item-3"]], [[-1.0]], [elapsed]
        )
        assert_same(last, whole)


def test_a_session_may_start_anywhere(signatures):
    dwell = np.where(np.arange(6) < [[5], [1]], DWELL, -1)
    items = [ITEMS[0][:5], ITEMS[1][:5]]
    begun = ask(signatures, "start", items, dwell[:, :5], [4.0, 0.0])
    assert_same(
        begun,
        ask(signatures, "serving_default", items, dwell[:, :5], [4.0, 0.0]),
    )
    found = step(signatures, begun, ["item-8", "item-2"], [9.0, 3.0], [0.0] * 2)
    for row, (more, seconds) in enumerate([("item-8", 9.0), ("item-2", 3.0)]):
        clicks = [item for item in items[row] if item]
        told = [*dwell[row, : len(clicks) - 1], seconds, -1.0]
        whole = ask(
            signatures, "serving_default", [[*clicks, more]], [told], [0.0]
        )
        assert_same({k: v[[row]] for k, v in found.items()}, whole)


def test_a_long_session_stays_bounded(signatures):
    last = start(signatures, 1)
    for click in range(2 * MOST):
        last = step(signatures, last, [VOCABULARY[click % 9]], [30.0], [0.0])
    assert last["state_items"].shape == (1, MOST - 1)
    assert last["state_states"].shape[1] == MOST - 1
    assert np.isfinite(last["probabilities"]).all()


def test_a_state_of_another_version_is_refused(signatures):
    state = start(signatures, 1)
    state["state_model"] = state["state_model"] + 1
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`state_model` mu"
    ):
        step(signatures, state, ["item-1"], [-1.0], [0.0])


def test_zeros_are_a_new_session(signatures):
    state = start(signatures, 1)
    zeros = {name: np.zeros_like(value) for name, value in state.items()}
    elapsed = [3.0]
    assert_same(
        step(signatures, zeros, ["item-4"], [-1.0], elapsed),
        step(signatures, state, ["item-4"], [-1.0], elapsed),
    )
    begun = step(signatures, zeros, ["item-4"], [-1.0], elapsed)
    begun["state_model"] = np.zeros_like(begun["state_model"])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="`state_model` mu"
    ):
        step(signatures, begun, ["item-1"], [-1.0], elapsed)


def test_versions_tell_their_states_apart(model, signatures, tmp_path):
    """Only weights and vocabulary make a version's states its own."""

    def number(model, vocabulary=VOCABULARY):
        path = tmp_path / "vocabulary.txt"
        path.write_text("".join(f"{item}\n" for item in vocabulary))
        return int(incremental_signatures._fingerprint(model, path))

    (told,) = start(signatures, 1)["state_model"]
    assert told == number(model)
    clone = type(model).from_config(model.get_config())
    clone.build()
    clone.set_weights(model.get_weights())
    assert number(clone) == told
    assert number(clone, VOCABULARY[::-1]) != told
    clone.items.embeddings.assign(clone.items.embeddings + 1e-6)
    assert number(clone) != told

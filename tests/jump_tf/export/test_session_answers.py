"""What a request may ask for beside a session, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from jump_tf import schema
from jump_tf.tasks import export_model
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model

MAX_K = 9
SESSIONS = [
    (["item-3", "item-1", "größe 10"], [12.0, 700.0, -1.0], 30.0),
    (["item-0"], [np.nan], 5.0),
    ([], [], 8.0),
    (["no such", "item-5", "item-5", "item-2"], [3.0, 0.0, 40.0, 9.0], 0.0),
]
COUNTS = np.array([0, 5, 2, 40, 9, 9, 3, 100, 1, 8, 7, 6])


@pytest.fixture(scope="module", params=list(OPTIONS))
def exported(request, tmp_path_factory):
    model = make_model(OPTIONS[request.param])
    model.sampler.set_counts(COUNTS)
    folder = export_model(
        model,
        VOCABULARY,
        tmp_path_factory.mktemp("models"),
        top_k=4,
        max_k=MAX_K,
        quantiles=(0.2, 0.5, 0.75),
    )
    return model, tf.saved_model.load(str(folder)).signatures


def texts(rows):
    width = max(map(len, rows))
    return [[*row, *[""] * (width - len(row))] for row in rows]


def ask(signatures, sessions=SESSIONS, **options):
    rows = len(sessions)
    options = {
        "k": [4] * rows,
        "exclude_seen": [False] * rows,
        "allow": [[]] * rows,
        "deny": [[]] * rows,
        "times_seconds": [[]] * rows,
        **options,
    }
    items = texts([items for items, _, _ in sessions])
    dwell = np.full((rows, len(items[0])), 99.0)
    for row, (_, seconds, _) in enumerate(sessions):
        dwell[row, : len(seconds)] = seconds
    outputs = signatures["recommend"](
        items=tf.constant(items, tf.string, [rows, len(items[0])]),
        dwell_seconds=tf.constant(dwell, tf.float32),
        elapsed_seconds=tf.constant([e for _, _, e in sessions], tf.float32),
        k=tf.constant(options["k"]),
        exclude_seen=tf.constant(options["exclude_seen"]),
        allow=as_strings(options["allow"]),
        deny=as_strings(options["deny"]),
        times_seconds=tf.constant(options["times_seconds"], tf.float32),
    )
    return {name: value.numpy() for name, value in outputs.items()}


def as_strings(rows):
    rows = texts(rows)
    return tf.constant(rows, tf.string, [len(rows), len(rows[0])])


def state(model, items, dwell_seconds):
    """Features before and after the last click, which may be going on."""
    known = {name: i for i, name in enumerate(VOCABULARY)}
    ids = [known.get(item, -1) + schema.FIRST_ITEM_ID for item in items]
    dwell = list(np.nan_to_num(dwell_seconds, nan=-1.0))
    inputs = {
        schema.ITEMS: np.int32([[*ids, schema.PAD_ID]]),
        schema.DWELL_SECONDS: np.float32([[*dwell, 0.0]]),
    }
    features = model(inputs, training=False).numpy()[0]
    return ids, features[max(len(ids) - 1, 0)], features[len(ids)]


def probabilities(model, items, dwell_seconds, _):
    """`[n]` of all items, by the model itself, whatever has elapsed."""
    ids, _, features = state(model, items, dwell_seconds)
    if not ids and not model.config.learned_start:
        return COUNTS[schema.FIRST_ITEM_ID :] / COUNTS[2:].sum()
    scores = np.float64(model.click_scores(features[np.newaxis]))[0]
    return special.softmax(scores[schema.FIRST_ITEM_ID :])


def expected(model, session, k, exclude_seen=False, allow=(), deny=()):
    """Names and probabilities of the k best that the filters leave."""
    chances = probabilities(model, *session)
    allow = [item for item in allow if item]
    order = [
        item
        for item in np.argsort(-chances, kind="stable")
        if not (exclude_seen and VOCABULARY[item] in session[0])
        and VOCABULARY[item] not in deny
        and (not allow or VOCABULARY[item] in allow)
    ][:k]
    return [VOCABULARY[item] for item in order], chances[order]


def check(model, outputs, **options):
    width = outputs["items"].shape[1]
    for row, session in enumerate(SESSIONS):
        mine = {name: value[row] for name, value in options.items()}
        names, chances = expected(model, session, **mine)
        missing = width - len(names)
        found = [item.decode() for item in outputs["items"][row]]
        assert found == names + [""] * missing, row
        np.testing.assert_allclose(
            outputs["probabilities"][row], [*chances, *[0.0] * missing], 1e-4
        )
        for name in ("dwell_median_seconds", "dwell_quantiles_seconds"):
            assert (outputs[name][row, : len(names)] > 0.0).all()
            assert (outputs[name][row, len(names) :] == 0.0).all()


def test_each_row_has_its_own_k(exported):
    model, signatures = exported
    k = [3, 7, 1, 5]
    outputs = ask(signatures, k=k)
    assert outputs["items"].shape == (4, 7)
    check(model, outputs, k=k)


@pytest.mark.parametrize("k", [0, -1, MAX_K + 1, 2**31 - 1])
def test_k_is_limited(exported, k):
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 to 9"):
        ask(exported[1], k=[4, 4, k, 4])


def test_all_items_have_all_the_probability(exported):
    model, signatures = exported
    outputs = ask(signatures, k=[9] * 4)
    every = [probabilities(model, *session) for session in SESSIONS]
    np.testing.assert_allclose(
        outputs["probabilities"].sum(1),
        [1.0 - chances.min() for chances in every],
        1e-4,
    )


def test_seen_items_are_left_out_where_asked(exported):
    model, signatures = exported
    asked = [True, False, True, True]
    outputs = ask(signatures, exclude_seen=asked, k=[9] * 4)
    check(model, outputs, exclude_seen=asked, k=[9] * 4)
    assert b"item-5" not in outputs["items"][3]


@pytest.mark.parametrize("seed", range(6))
def test_filters_together(exported, seed):
    model, signatures = exported
    random = np.random.default_rng(seed)
    names = [*VOCABULARY, "no such", "", "never"]

    def some(most):
        number = random.integers(0, most)
        return [names[i] for i in random.integers(0, len(names), number)]

    options = {
        "k": random.integers(1, MAX_K + 1, 4).tolist(),
        "exclude_seen": (random.random(4) < 0.5).tolist(),
        "allow": [some(9) for _ in range(4)],
        "deny": [some(6) for _ in range(4)],
    }
    check(model, ask(signatures, **options), **options)


def test_only_unknown_items_allowed_is_nothing(exported):
    outputs = ask(exported[1], allow=[["no such"]] * 4)
    assert (outputs["items"] == b"").all()
    assert (outputs["probabilities"] == 0.0).all()


def test_without_options_it_is_the_default(exported):
    _, signatures = exported
    outputs = ask(signatures)
    rows = texts([items for items, _, _ in SESSIONS])
    dwell = np.full((4, 4), 99.0)
    for row, (_, seconds, _) in enumerate(SESSIONS):
        dwell[row, : len(seconds)] = seconds
    default = signatures["serving_default"](
        items=tf.constant(rows),
        dwell_seconds=tf.constant(dwell, tf.float32),
        elapsed_seconds=tf.constant([30.0, 5.0, 8.0, 0.0]),
    )
    assert set(outputs) - set(default) == {
        "survival",
        "page_remaining_survival",
    }
    for name, value in default.items():
        if value.dtype == tf.string:
            np.testing.assert_array_equal(outputs[name], value)
        else:
            np.testing.assert_allclose(outputs[name], value, 1e-5, 1e-7)


def test_time_elapsed_tells_of_the_page_and_the_end_alone(exported):
    """The page's dwell is distributed given that it exceeds that time."""
    _, signatures = exported
    times = {"times_seconds": [[0.5, 30.0, 900.0]] * 4}
    just_come = [(items, dwell, 0.0) for items, dwell, _ in SESSIONS]
    expected = ask(signatures, just_come, **times)
    told = {
        "page_dwell_median_seconds",
        "page_remaining_quantiles_seconds",
        "page_remaining_survival",
        "session_end_probability",
    }
    for elapsed in (0.3, 40.0, 5000.0):
        later = [(items, dwell, elapsed) for items, dwell, _ in SESSIONS]
        found = ask(signatures, later, **times)
        for name, value in expected.items():
            if name not in told:
                np.testing.assert_array_equal(found[name], value, name)
        medians = [x["page_dwell_median_seconds"] for x in (found, expected)]
        assert (medians[0] >= medians[1]).all()


def test_survival_at_the_quantiles(exported):
    _, signatures = exported
    plain = ask(signatures, k=[2] * 4)
    for item in range(2):
        times = plain["dwell_quantiles_seconds"][:, item]
        survival = ask(signatures, k=[2] * 4, times_seconds=times)["survival"]
        longer = times > 1.0  # Nothing is shorter than a second.
        at_quantiles = np.broadcast_to([0.8, 0.5, 0.25], times.shape)
        np.testing.assert_allclose(
            survival[:, item][longer], at_quantiles[longer], atol=1e-4
        )


def test_what_is_left_of_the_page(exported):
    model, signatures = exported
    plain = ask(signatures)
    left = plain["page_remaining_quantiles_seconds"]
    times = [[-3.0, 0.0, 20.0, np.inf, *row] for row in left]
    outputs = ask(signatures, times_seconds=times)
    survival = outputs["page_remaining_survival"]
    for row, (items, dwell, elapsed) in enumerate(SESSIONS):
        if not items:
            assert (left[row] == 0).all()
            assert (survival[row] == 0).all()
            continue
        ids, before, _ = state(model, items, dwell)
        distribution = model.dwell_distribution(
            before[None], np.int32(ids[-1:])
        )
        staying = distribution.log_survival(elapsed) if elapsed else 0.0
        np.testing.assert_allclose(
            survival[row, :4],
            [
                1.0,
                1.0,
                np.exp(distribution.log_survival(20.0 + elapsed) - staying)[0],
                0.0,
            ],
            atol=1e-5,
        )
        longer = left[row] + elapsed > 1.0  # Nothing is shorter than a second.
        np.testing.assert_allclose(
            survival[row, 4:][longer],
            np.array([0.8, 0.5, 0.25])[longer],
            atol=2e-3,
        )
        total = outputs["page_dwell_median_seconds"][row]
        np.testing.assert_allclose(left[row, 1], total - elapsed, atol=1e-3)


def test_the_session_ends_by_bayes(exported):
    model, signatures = exported
    outputs = ask(signatures)
    if not model.config.end_weight:
        assert "session_end_probability" not in outputs
        return
    later = [(items, dwell, 900.0) for items, dwell, _ in SESSIONS]
    later = ask(signatures, later)["session_end_probability"]
    found = outputs["session_end_probability"]
    for row, (items, dwell, elapsed) in enumerate(SESSIONS):
        if not items:
            assert found[row] == later[row] == 0.0
            continue
        ids, before, _ = state(model, items, dwell)
        distribution, logits = model.dwell_and_end(
            before[None], np.int32(ids[-1:])
        )
        ends = special.expit(np.asarray(logits))[0]
        stays = (
            np.exp(distribution.log_survival(elapsed))[0] if elapsed else 1.0
        )
        np.testing.assert_allclose(
            found[row], ends / (ends + (1 - ends) * stays), 1e-4
        )
        assert later[row] > found[row]


@pytest.mark.parametrize(
    ("signature", "changes", "what"),
    [
        ("serving_default", {"rows": 2049}, "2048 rows"),
        ("serving_default", {"rows": 2000, "clicks": 200}, "rows x clicks"),
        ("recommend", {"rows": 2000, "times": 100}, "rows x items x times"),
        ("dwell", {"candidates": 10_000, "times": 10_000}, "items x times"),
        ("dwell", {"rows": 100, "candidates": 10_000}, "rows x items"),
        ("examples", {"rows": 600, "clicks": 10_000}, "longest `items`"),
    ],
)
def test_a_small_request_cannot_ask_for_too_much(
    exported, signature, changes, what
):
    """A few bytes can say "ten thousand times the same", and multiply it."""
    sizes = {"rows": 1, "clicks": 1, "candidates": 1, "times": 1} | changes
    rows, clicks = sizes["rows"], sizes["clicks"]
    inputs = {
        "items": tf.fill([rows, clicks], "item-1"),
        "dwell_seconds": tf.fill([rows, clicks], 9.0),
        "elapsed_seconds": tf.zeros([rows]),
        "k": tf.fill([rows], MAX_K),
        "exclude_seen": tf.fill([rows], False),
        "allow": tf.fill([rows, 0], ""),
        "deny": tf.fill([rows, 0], ""),
        "candidates": tf.fill([rows, sizes["candidates"]], "item-2"),
        "times_seconds": tf.fill([rows, sizes["times"]], 9.0),
    }
    if signature == "examples":
        features = {
            "items": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[b"item-1"] * clicks)
            )
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        short = tf.train.Example().SerializeToString()
        texts = [example.SerializeToString(), *[short] * (rows - 1)]
        inputs["examples"] = tf.constant(texts)
    answer = exported[1][signature]
    asked = answer.structured_input_signature[1]
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"must ask for at most .*{what}"
    ):
        answer(**{name: inputs[name] for name in asked})

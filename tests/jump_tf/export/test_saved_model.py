"""The exported answers against the model itself, and laws of both."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from jump_tf import schema
from jump_tf.models.atrp import ATRP
from jump_tf.models.jump import JUMP
from jump_tf.models.nsr import NSR
from jump_tf.models.rmtpp import RMTPP
from jump_tf.tasks import export_model
from tests.small_models import LOG
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model

QUANTILES = (0.1, 0.5, 0.8)
MAX_SESSION_LENGTH = 7
SESSIONS = [
    (["item-3", "item-1", "größe 10"], [12.0, 700.0, -1.0]),
    (["item-0"], [np.nan]),
    ([], []),
    (["never seen", "item-5", "item-5", "item-2"], [3.0, 0.0, 40.0, 9.0]),
]
ELAPSED = np.float32([30.0, 5.0, 8.0, np.nan])


@pytest.fixture(scope="module", params=list(OPTIONS))
def exported(request, tmp_path_factory):
    """A model and what was read back from a folder that has moved."""
    model = make_model(OPTIONS[request.param])
    folder = export_model(
        model,
        VOCABULARY,
        tmp_path_factory.mktemp("models"),
        max_session_length=MAX_SESSION_LENGTH,
        top_k=4,
        quantiles=QUANTILES,
    )
    moved = folder.rename(tmp_path_factory.mktemp("elsewhere") / "5")
    loaded = tf.saved_model.load(str(moved))
    return model, loaded.signatures


def arrays(sessions):
    longest = max((len(items) for items, _ in sessions), default=0)
    items = np.full((len(sessions), longest), "", object)
    dwell = np.full((len(sessions), longest), 99.0, np.float32)
    for row, (names, seconds) in enumerate(sessions):
        items[row, : len(names)] = names
        dwell[row, : len(seconds)] = seconds
    return items, dwell


def recommend(signatures, items, dwell_seconds, elapsed=None):
    if elapsed is None:
        elapsed = np.zeros(len(items), np.float32)
    outputs = signatures["serving_default"](
        items=tf.constant(items, tf.string),
        dwell_seconds=tf.constant(dwell_seconds, tf.float32),
        elapsed_seconds=tf.constant(elapsed, tf.float32),
    )
    return {name: value.numpy() for name, value in outputs.items()}


def ask_dwell(signatures, items, dwell_seconds, candidates, times):
    outputs = signatures["dwell"](
        items=tf.constant(items, tf.string),
        dwell_seconds=tf.constant(dwell_seconds, tf.float32),
        candidates=tf.constant(candidates, tf.string),
        times_seconds=tf.constant(times, tf.float32),
    )
    return {name: value.numpy() for name, value in outputs.items()}


def item_id(item):
    if item not in VOCABULARY:
        return schema.OOV_ID
    return VOCABULARY.index(item) + schema.FIRST_ITEM_ID


def features_of(model, items, dwell_seconds, start_ms=None):
    """`[n + 1, d]` features of one session, by the model itself."""
    dwell_seconds = list(np.nan_to_num(dwell_seconds, nan=-1.0))
    ids = np.int32([[item_id(item) for item in items] + [schema.PAD_ID]])
    dwell = np.float32([[*dwell_seconds, 0.0]])
    inputs = {schema.ITEMS: ids, schema.DWELL_SECONDS: dwell}
    if start_ms is not None:
        inputs[schema.START_MS] = np.int64([start_ms])
    return model(inputs, training=False).numpy()[0][: len(items) + 1]


def location_and_scale(model, features, items):
    """Location and scale of the log dwell on each of `items`."""
    ids = np.int32([item_id(item) for item in items])
    distribution = model.dwell_distribution(
        np.repeat(features[np.newaxis], len(items), 0), ids
    )
    return np.float64(distribution.location), np.float64(distribution.scale)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        if value.dtype == object:
            np.testing.assert_array_equal(value, right[name], name)
        else:
            np.testing.assert_allclose(value, right[name], 1e-5, err_msg=name)


def test_recommendations_are_the_models_own(exported):
    model, signatures = exported
    outputs = recommend(signatures, *arrays(SESSIONS), ELAPSED)
    for row, (items, dwell) in enumerate(SESSIONS):
        features = features_of(model, items, dwell)[-1]
        scores = np.float64(model.click_scores(features[np.newaxis]))[0]
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        best = np.argsort(-scores, kind="stable")[:4]
        names = [VOCABULARY[i - schema.FIRST_ITEM_ID] for i in best]
        assert [x.decode() for x in outputs["items"][row]] == names
        np.testing.assert_allclose(
            outputs["probabilities"][row], probabilities[best], 1e-5
        )
        location, scale = location_and_scale(model, features, names)
        np.testing.assert_allclose(
            outputs["dwell_median_seconds"][row], np.exp(location), 1e-5
        )
        z = stats.norm.ppf(QUANTILES)
        np.testing.assert_allclose(
            outputs["dwell_quantiles_seconds"][row],
            np.exp(location[:, None] + scale[:, None] * z),
            1e-4,
        )
        np.testing.assert_array_equal(
            outputs["quantile_levels"][row], np.float32(QUANTILES)
        )


def test_page_dwell_is_the_conditional_median(exported):
    model, signatures = exported
    pages = recommend(signatures, *arrays(SESSIONS), ELAPSED)[
        "page_dwell_median_seconds"
    ]
    for row, (items, dwell) in enumerate(SESSIONS):
        if not items:
            assert pages[row] == 0.0
            continue
        before = features_of(model, items, dwell)[-2]
        (location,), (scale,) = location_and_scale(model, before, items[-1:])
        distribution = stats.norm(location, scale)
        staying = (
            distribution.sf(np.log(ELAPSED[row])) if ELAPSED[row] > 0 else 1.0
        )
        np.testing.assert_allclose(
            pages[row], np.exp(distribution.isf(staying / 2)), 1e-4
        )


@pytest.mark.parametrize("elapsed", [3.0, 60.0, 3600.0, 1e6])
def test_page_dwell_exceeds_what_has_passed(exported, elapsed):
    _, signatures = exported
    items, dwell = arrays(SESSIONS[:2])
    sooner = recommend(signatures, items, dwell, [elapsed / 2] * 2)
    later = recommend(signatures, items, dwell, [elapsed] * 2)
    name = "page_dwell_median_seconds"
    assert np.isfinite(later[name]).all()
    assert (later[name] > elapsed).all()
    assert (later[name] >= sooner[name]).all()


def test_dwell_is_the_models_own(exported):
    model, signatures = exported
    candidates = [["item-7", "item-0", "no such item"]] * len(SESSIONS)
    times = np.float32([[0.0, 1.0, 30.0, 4000.0]] * len(SESSIONS))
    outputs = ask_dwell(signatures, *arrays(SESSIONS), candidates, times)
    for row, (items, dwell) in enumerate(SESSIONS):
        features = features_of(model, items, dwell)[-1]
        location, scale = location_and_scale(model, features, candidates[row])
        distribution = stats.norm(location[:, None], scale[:, None])
        survival = distribution.sf(np.log(np.maximum(times[row], 1.0)))
        survival[:, 0] = 1.0
        np.testing.assert_allclose(
            outputs["survival"][row], survival, 1e-4, atol=1e-6
        )
        np.testing.assert_allclose(
            outputs["dwell_median_seconds"][row], np.exp(location), 1e-5
        )


@pytest.mark.parametrize(
    "kind",
    [
        RMTPP,
        ATRP,
        NSR,
        functools.partial(JUMP, dwell_head="shared", dwell_components=3),
    ],
)
def test_dwell_of_any_distribution_is_the_models_own(tmp_path, kind):
    model = kind(schema.FIRST_ITEM_ID + len(VOCABULARY), units=5)
    model.build()
    random = np.random.default_rng(6)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.3 * random.normal(size=weight.shape))
    folder = export_model(model, VOCABULARY, tmp_path, quantiles=QUANTILES)
    signatures = tf.saved_model.load(str(folder)).signatures
    candidates = [["item-7", "item-0", "no such item"]] * len(SESSIONS)
    times = np.float32([[0.0, 7.0, 30.0, 4000.0]] * len(SESSIONS))
    outputs = ask_dwell(signatures, *arrays(SESSIONS), candidates, times)
    pages = recommend(signatures, *arrays(SESSIONS), ELAPSED)
    ids = np.int32([item_id(item) for item in candidates[0]])
    for row, (items, dwell) in enumerate(SESSIONS):
        features = features_of(model, items, dwell)
        distribution = model.dwell_distribution(
            np.repeat(features[-1:], 3, 0), ids
        )
        median = np.asarray(distribution.median())
        np.testing.assert_allclose(
            outputs["dwell_median_seconds"][row], median, 1e-4
        )
        np.testing.assert_allclose(
            outputs["dwell_quantiles_seconds"][row],
            np.stack(
                [distribution.quantile(level) for level in QUANTILES], axis=1
            ),
            1e-4,
        )
        survival = [
            np.exp(distribution.log_survival(time)) for time in times[row, 1:]
        ]
        np.testing.assert_allclose(
            outputs["survival"][row, :, 1:], np.transpose(survival), 1e-4, 1e-6
        )
        if items:
            page = np.int32([item_id(items[-1])])
            distribution = model.dwell_distribution(features[-2:-1], page)
            elapsed = np.float32(np.nan_to_num(ELAPSED[row]))
            np.testing.assert_allclose(
                pages["page_dwell_median_seconds"][row],
                distribution.quantile(np.float32(0.5), elapsed)[0],
                1e-4,
            )


def test_dwell_agrees_with_recommendations(exported):
    _, signatures = exported
    items, dwell = arrays(SESSIONS)
    recommended = recommend(signatures, items, dwell)
    medians = recommended["dwell_median_seconds"][..., np.newaxis]
    for column in range(4):
        outputs = ask_dwell(
            signatures,
            items,
            dwell,
            recommended["items"][:, [column]],
            medians[:, column],
        )
        for name in ("dwell_median_seconds", "dwell_quantiles_seconds"):
            np.testing.assert_allclose(
                outputs[name][:, 0], recommended[name][:, column], 1e-5
            )
        at_median = outputs["survival"][:, 0, 0]
        longer_than_shortest = medians[:, column, 0] > 1.0
        np.testing.assert_allclose(at_median[longer_than_shortest], 0.5, 1e-4)


def test_survival_falls_and_quantiles_rise(exported):
    _, signatures = exported
    items, dwell = arrays(SESSIONS)
    candidates = [VOCABULARY] * len(items)
    times = np.tile(np.float32(np.geomspace(1.0, 1e5, 30)), (len(items), 1))
    outputs = ask_dwell(signatures, items, dwell, candidates, times)
    survival = outputs["survival"]
    assert (np.diff(survival) <= 0).all()
    assert (survival[..., 0] <= 1).all()
    assert (survival[..., -1] >= 0).all()
    assert (survival[..., -1] < survival[..., 0]).all()
    quantiles = outputs["dwell_quantiles_seconds"]
    assert (np.diff(quantiles) > 0).all()
    np.testing.assert_allclose(
        quantiles[..., 1], outputs["dwell_median_seconds"], 1e-5
    )


def test_probabilities_fall_and_sum_to_less_than_one(exported):
    _, signatures = exported
    probabilities = recommend(signatures, *arrays(SESSIONS))["probabilities"]
    assert (np.diff(probabilities) <= 0).all()
    assert (probabilities > 0).all()
    assert (probabilities.sum(-1) < 1.0).all()


def test_gaps_and_padding_change_nothing(exported):
    _, signatures = exported
    items, dwell = arrays(SESSIONS)
    rows = range(len(items))
    random = np.random.default_rng(1)
    spread = np.full((len(items), 15), "", object)
    spread_dwell = random.normal(size=spread.shape).astype(np.float32)
    for row in rows:
        places = np.sort(random.choice(15, items.shape[1], replace=False))
        spread[row, places] = items[row]
        spread_dwell[row, places] = dwell[row]
    assert_same(
        recommend(signatures, spread, spread_dwell, ELAPSED),
        recommend(signatures, items, dwell, ELAPSED),
    )


def test_a_batch_is_its_sessions_one_by_one(exported):
    _, signatures = exported
    together = recommend(signatures, *arrays(SESSIONS), ELAPSED)
    for row, session in enumerate(SESSIONS):
        alone = recommend(signatures, *arrays([session]), ELAPSED[[row]])
        assert_same(
            alone, {key: value[[row]] for key, value in together.items()}
        )


def test_the_last_clicks_of_a_long_session_count(exported):
    _, signatures = exported
    items = np.array([VOCABULARY * 1000], object)
    dwell = np.tile(np.float32([5.0, 200.0, 31.0, -1.0, 77.0]), (1, 2000))
    assert items.shape == dwell.shape == (1, 10_000)
    kept = slice(-MAX_SESSION_LENGTH, None)
    assert_same(
        recommend(signatures, items, dwell),
        recommend(signatures, items[:, kept], dwell[:, kept]),
    )


@pytest.mark.parametrize("unknown", [-1.0, -0.001, np.nan, -np.inf])
def test_every_negative_dwell_and_nan_is_unknown(exported, unknown):
    _, signatures = exported
    items = [["item-1", "item-2"]]
    expected = recommend(signatures, items, [[5.0, schema.UNKNOWN_DWELL]])
    assert_same(recommend(signatures, items, [[5.0, unknown]]), expected)


def test_unknown_items_are_all_the_same(exported):
    _, signatures = exported
    left = recommend(signatures, [["neither", "nor"]], [[3.0, 4.0]])
    right = recommend(signatures, [["x", "y"]], [[3.0, 4.0]])
    assert_same(left, right)
    known = recommend(signatures, [["item-1", "nor"]], [[3.0, 4.0]])
    assert (known["probabilities"] != left["probabilities"]).any()


def test_no_steps_and_no_sessions(exported):
    _, signatures = exported
    nothing = recommend(signatures, np.empty((1, 0), object), np.empty((1, 0)))
    assert_same(nothing, recommend(signatures, [[""]], [[3.0]]))
    none = recommend(signatures, np.empty((0, 2), object), np.empty((0, 2)))
    assert none["items"].shape == (0, 4)


def test_examples_answer_like_tensors(exported):
    _, signatures = exported
    items, dwell = arrays(SESSIONS)
    elapsed = np.float32([30.0, 5.0, 8.0, 0.0])
    examples = []
    for row, (names, seconds) in enumerate(SESSIONS):
        feature = {
            "items": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[x.encode() for x in names])
            ),
            # The dwell of the first session's last click is left out.
            "dwell_seconds": tf.train.Feature(
                float_list=tf.train.FloatList(
                    value=seconds[: 4 - 2 * (not row)]
                )
            ),
        }
        if elapsed[row]:
            feature["elapsed_seconds"] = tf.train.Feature(
                float_list=tf.train.FloatList(value=[elapsed[row]])
            )
        features = tf.train.Features(feature=feature)
        examples.append(tf.train.Example(features=features).SerializeToString())
    outputs = signatures["examples"](examples=tf.constant(examples))
    outputs = {name: value.numpy() for name, value in outputs.items()}
    assert outputs.pop("survival").shape == (4, 4, 0)
    assert outputs.pop("page_remaining_survival").shape == (4, 0)
    assert_same(outputs, recommend(signatures, items, dwell, elapsed))


def test_an_example_may_say_when_its_session_began(exported):
    model, signatures = exported
    names, seconds = SESSIONS[0]
    instants = [(LOG.origin_minute + minute) * 60_000 for minute in (3, 50)]
    examples = []
    for start_ms in (*instants, -1):
        feature = {
            "items": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[x.encode() for x in names])
            ),
            "dwell_seconds": tf.train.Feature(
                float_list=tf.train.FloatList(value=seconds)
            ),
            "start_ms": tf.train.Feature(
                int64_list=tf.train.Int64List(value=[start_ms])
            ),
            # All: what comes first may differ by less than a float resolves.
            "k": tf.train.Feature(
                int64_list=tf.train.Int64List(value=[len(VOCABULARY)])
            ),
        }
        features = tf.train.Features(feature=feature)
        examples.append(tf.train.Example(features=features).SerializeToString())
    found = signatures["examples"](examples=tf.constant(examples))
    now = recommend(signatures, *arrays([SESSIONS[0]]))["probabilities"]
    probabilities = found["probabilities"].numpy()
    assert probabilities.shape == (3, len(VOCABULARY))
    np.testing.assert_allclose(probabilities[-1:, : now.shape[1]], now, 1e-5)
    for row, start_ms in enumerate(instants):
        features = features_of(model, names, seconds, start_ms)[-1:]
        expected = tf.nn.softmax(model.click_scores(features)).numpy()[0]
        expected = np.sort(expected)[::-1][: len(VOCABULARY)]
        np.testing.assert_allclose(probabilities[row], expected, 1e-4)
    if model.reads_the_clock:
        assert (probabilities[0] != probabilities[1]).any()


def test_examples_may_ask_for_more(exported):
    _, signatures = exported
    texts = {
        "items": ["item-3", "item-1"],
        "allow": ["item-1", "item-5", "item-7", "item-0"],
        "deny": ["item-0"],
    }
    feature = {
        name: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[x.encode() for x in values])
        )
        for name, values in texts.items()
    }
    for name, number in (("k", 3), ("exclude_seen", 1)):
        feature[name] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=[number])
        )
    feature["times_seconds"] = tf.train.Feature(
        float_list=tf.train.FloatList(value=[0.0, 40.0])
    )
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    outputs = signatures["examples"](
        examples=tf.constant([example.SerializeToString()])
    )
    found = outputs["items"].numpy()[0].tolist()
    assert sorted(found[:2]) == [b"item-5", b"item-7"]
    assert found[2:] == [b""]
    assert outputs["survival"].shape == (1, 3, 2)
    assert (outputs["survival"].numpy()[0, :2, 0] == 1.0).all()


def test_top_k_is_at_most_the_number_of_items(tmp_path):
    folder = export_model(make_model({}), VOCABULARY, tmp_path, top_k=50)
    signatures = tf.saved_model.load(str(folder)).signatures
    outputs = recommend(signatures, [["item-1"]], [[3.0]])
    assert sorted(x.decode() for x in outputs["items"][0]) == sorted(VOCABULARY)
    np.testing.assert_allclose(outputs["probabilities"].sum(), 1.0, 1e-5)


def test_two_exports_keep_their_vocabularies_apart(tmp_path):
    model = make_model({})
    turned = VOCABULARY[::-1]
    folders = [
        export_model(model, items, tmp_path) for items in (VOCABULARY, turned)
    ]
    assert [folder.name for folder in folders] == ["1", "2"]
    first, second = (
        recommend(
            tf.saved_model.load(str(folder)).signatures, [[click]], [[5.0]]
        )
        for folder, click in zip(folders, ["item-0", "größe 10"], strict=True)
    )
    turn = dict(zip(VOCABULARY, turned, strict=True))
    assert [turn[x.decode()] for x in first["items"][0]] == [
        x.decode() for x in second["items"][0]
    ]


def test_a_version_appears_whole_or_not_at_all(tmp_path):
    seen = []

    def finish(folder):
        assert (folder / "saved_model.pb").is_file()
        seen.extend(path.name for path in folder.parent.iterdir())
        if len(seen) > 1:
            raise OSError("disk full")

    model = make_model({})
    first = export_model(model, VOCABULARY, tmp_path, version=9, finish=finish)
    assert first == tmp_path / "jump" / "9"
    assert first.stat().st_mode & 0o777 == 0o755
    with pytest.raises(OSError, match="disk full"):
        export_model(model, VOCABULARY, tmp_path, finish=finish)
    assert [path.name for path in first.parent.iterdir()] == ["9"]
    unfinished = [name for name in seen if name != "9"]
    assert len(unfinished) == 2
    for name in unfinished:
        with pytest.raises(ValueError, match="invalid literal"):
            int(name)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"vocabulary": VOCABULARY[1:]}, "10 item ids. Received: 9 items"),
        ({"vocabulary": [*VOCABULARY[1:], "item-1"]}, "must not repeat"),
        ({"vocabulary": [*VOCABULARY[1:], ""]}, "one line .* Received: ''"),
        ({"vocabulary": [*VOCABULARY[1:], "a\nb"]}, "must be one line"),
        ({"name": "../jump"}, "`name` must be the name of a folder"),
        ({"name": ""}, "`name` must be the name of a folder"),
        ({"version": 0}, "`version` must be positive"),
        ({"top_k": 0}, "`top_k` must be positive"),
        ({"max_session_length": 0}, "`max_session_length` must be positive"),
        ({"quantiles": (0.5, 0.5)}, r"`quantiles` must rise inside \(0, 1\)"),
        ({"quantiles": (0.5, 1.0)}, "`quantiles` must rise"),
        ({"quantiles": ()}, "`quantiles` must rise"),
    ],
)
def test_refuses_what_makes_no_sense(tmp_path, arguments, sentence):
    arguments = {"vocabulary": VOCABULARY, "output": tmp_path, **arguments}
    with pytest.raises(schema.InputError, match=sentence):
        export_model(make_model({}), **arguments)
    assert not list(tmp_path.iterdir())


def test_refuses_a_version_that_exists(tmp_path):
    (tmp_path / "jump" / "3").mkdir(parents=True)
    with pytest.raises(schema.InputError, match="not there yet"):
        export_model(make_model({}), VOCABULARY, tmp_path, version=3)

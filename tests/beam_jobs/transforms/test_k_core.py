"""What is left of a log when nothing in it is rare or short any more."""

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs import build_sessions
from beam_jobs.options import sessions as session_options
from beam_jobs.transforms import k_core
from beam_jobs.transforms import sessions as session_transforms
from jump_tf import schema
from tests import records
from tests.beam_jobs import oracle
from tests.beam_jobs import tampering
from tests.beam_jobs.transforms.test_sessions import cut
from tests.beam_jobs.transforms.test_sessions import told

# All of them are in the training split: the vocabulary has every item.
NAMES = [
    name
    for name in (f"s{n}" for n in range(400))
    if oracle.random_split(name) == schema.TRAIN
]
# Dropping `a` shortens the first, which makes `b` rare, and so on to the end.
CHAIN = ["ab", "bc", "cd", "de"]
CORE = ["pq", "qpr", "rr"]


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    monkeypatch.setattr(k_core, "ROUNDS", 6)


def prepare(folder, log, **changes):
    """What is kept of a log of sessions of items, and the manifest."""
    rows = [
        f"{name},{item},{number}"
        for name, items in zip(NAMES, log, strict=False)
        for number, item in enumerate(items)
    ]
    folder.mkdir()
    (folder / "log").write_text(
        "\n".join(["session_id,item_id,timestamp_ms", *rows])
    )
    asked = {"min_item_clicks": 2, "k_core": True, **changes}
    manifest = build_sessions.run(
        session_options.PrepareOptions(
            "csv", (str(folder / "log"),), str(folder / "data"), **asked
        )
    )
    text = (folder / "data" / schema.VOCABULARY_FILE).read_text()
    names = ["", "", *text.splitlines()]
    files = sorted(map(str, (folder / "data").glob("train-*.tfrecord.gz")))
    kept = {
        session.session_id: "".join(names[item] for item in session.items)
        for session in records.read_sessions(files)
    }
    assert sum(map(len, kept.values())) == manifest["clicks"]
    filtered = sum(manifest["filtered"].values())
    assert manifest["rows"] == len(rows) == manifest["clicks"] + filtered
    return kept, manifest


def test_by_hand(tmp_path):
    log = [*CHAIN, *CORE, "pxx", "x"]
    kept, manifest = prepare(tmp_path / "log", log)
    assert sorted(kept.values()) == sorted([*CORE, "pxx"])
    # Clicks on the items that are gone, then what is left of short sessions.
    assert manifest["filtered"] == {"rare item": 8, "short session": 1}


def test_what_is_not_stable_in_time_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(k_core, "ROUNDS", 2)
    sentence = (
        r"^`k_core` must be reached within 2 rounds .* Received: 3 items in "
        r"round 2, 1 less than before$"
    )
    with pytest.raises(schema.InputError, match=sentence):
        prepare(tmp_path / "log", [*CHAIN, *CORE])
    assert not (tmp_path / "log" / "data").exists()


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("Count1", tampering.lose),
        pytest.param("Count2", tampering.double, marks=pytest.mark.exhaustive),
        pytest.param(
            "Add1/UnKey", tampering.lose, marks=pytest.mark.exhaustive
        ),
    ],
)
def test_no_round_loses_or_doubles_in_silence(tmp_path, step, change):
    with (
        tampering.tampered(f"KeepTrainable/KCore/{step}", change),
        pytest.raises(RuntimeError, match="Stage `count items` must"),
    ):
        prepare(tmp_path / "log", [*CHAIN, *CORE])


def core(grouped, min_item_clicks, min_session_clicks):
    """The core of a batch, and how many rounds dropped something."""
    left = k_core._Left(pa.array(grouped.items.unique().to_pylist()))
    rounds = -1
    while left.dropped != 0:
        (counts,) = k_core._counts_in_core(grouped, left, min_session_clicks)
        left = k_core._narrowed(counts, left, min_item_clicks)
        rounds += 1
    frequent = session_transforms.with_items(grouped, k_core._stable(left))
    return session_transforms.at_least(frequent, min_session_clicks), rounds


@pytest.mark.parametrize("seed", range(5))
def test_a_core_is_the_largest_and_its_own_core(seed):
    random = np.random.default_rng(seed)
    rows = [
        (f"v{visit}", f"i{item}", time)
        for visit in range(60)
        for time, item in enumerate(random.zipf(1.3, random.integers(1, 7)))
        if item < 40
    ]
    grouped = cut(rows)
    found, rounds = core(grouped, 4, 3)
    assert 0 < found.num_clicks < grouped.num_clicks and rounds > 0
    assert min(found.lengths) >= 3
    assert min(session_transforms.item_counts(found).values()) >= 4
    assert told(core(found, 4, 3)[0]) == told(found)
    # Where one click at a time is dropped, the same is left.
    rules = oracle.Rules(min_item_clicks=4, min_session_clicks=3, k_core=True)
    sessions = [
        [oracle.Click(item, time, None) for item, time in clicks]
        for clicks in told(grouped).values()
    ]
    items = set(found.items.dictionary.to_pylist())
    assert oracle._k_core(sessions, rules) == items


def test_a_stable_round_counts_nothing():
    left = k_core._Left(pa.array(["a"]), 0)
    grouped = cut([("v", "a", 0), ("v", "a", 1)])
    assert list(k_core._counts_in_core(grouped, left, 2)) == []
    assert k_core._narrowed({}, left, 2) is left

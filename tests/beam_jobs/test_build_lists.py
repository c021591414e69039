import collections
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from beam_jobs import build_lists
from beam_jobs import counting
from beam_jobs.options import lists as list_options
from beam_jobs.transforms import lists as list_transforms
from jump_tf import schema
from tests import records

DAY_MS = 86_400_000
START_MS = 16_000 * DAY_MS
HEADER = "list_id,time_ms,item,shelf,click,conversion"
CSV = {
    "time_column": "time_ms",
    "feature_columns": ("item", "shelf"),
    "conversion_column": "conversion",
}


def simulate(num_lists=80, seed=3):
    """Rows in a random order: ties in time, missing shelves, rare items."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(num_lists):
        time_ms = START_MS + int(random.integers(6 * DAY_MS))
        for _ in range(int(random.geometric(0.2))):
            time_ms += int(random.choice([0, 700, 45_000]))
            item = f"i{random.zipf(1.3) % 50}"
            shelf = random.choice(["top", "low", ""])
            click = int(random.random() < 0.4)
            conversion = int(random.random() < (0.5 if click else 0.05))
            rows.append((f"l{number}", time_ms, item, shelf, click, conversion))
    return [rows[place] for place in random.permutation(len(rows))]


def write(path, rows, header=HEADER):
    body = [",".join(map(str, row)) for row in rows]
    path.write_text("\n".join([header, *body]) + "\n")
    return str(path)


def split_of(list_id):
    number = int(hashlib.sha256(list_id.encode()).hexdigest(), 16)
    if number % 100 < 20:
        return "test"
    return "validation" if number // 100 % 100 < 10 else "train"


def by_list(rows):
    """List id -> rows by time, then by their place in the log."""
    found = collections.defaultdict(list)
    for place, row in enumerate(rows):
        if row[4] or not row[5]:
            found[row[0]].append((row[1], place, row))
    return {
        name: [row for *_, row in sorted(mine)] for name, mine in found.items()
    }


def texts_of(row):
    return [f"item={row[2]}", f"shelf={row[3]}" if row[3] else ""]


def reference(rows, split_of=split_of, min_count=1):
    """Vocabulary and split -> list id -> columns, written by hand."""
    found = by_list(rows)
    counts = collections.Counter(
        text
        for name, mine in found.items()
        if split_of(name) == "train"
        for row in mine
        for text in texts_of(row)
        if text
    )
    ranked = sorted(
        (text for text in counts if counts[text] >= min_count),
        key=lambda text: (-counts[text], text),
    )
    ids = {text: index + 2 for index, text in enumerate(ranked)}
    expected = {split: {} for split in schema.SPLITS}
    for name, mine in found.items():
        start = mine[0][1]
        expected[split_of(name)][name] = (
            start,
            [float(np.float32((row[1] - start) / 1000)) for row in mine],
            [[ids.get(text, 1) for text in texts_of(row)] for row in mine],
            [[1.0, 1.0]] * len(mine),
            [row[4] for row in mine],
            [row[5] for row in mine],
        )
    return ranked, expected


def read_split(folder, split):
    paths = sorted(map(str, folder.glob(f"{split}-*.tfrecord.gz")))
    found = list(records.read_lists(paths))
    by_id = {
        each.list_id: (
            each.start_ms,
            each.offset_seconds,
            each.features,
            each.feature_values,
            each.clicked,
            each.converted,
        )
        for each in found
    }
    assert len(by_id) == len(found)
    return by_id


def read_all(folder):
    return {split: read_split(folder, split) for split in schema.SPLITS}


def all_lists(folder):
    return {
        name: found
        for split in read_all(folder).values()
        for name, found in split.items()
    }


def vocabulary(folder):
    return (folder / schema.VOCABULARY_FILE).read_text().splitlines()


def prepare(log, output, *beam_arguments, **changes):
    inputs = (log,) if isinstance(log, str) else log
    request = {"format": "csv", **({} if "format" in changes else CSV)}
    return build_lists.run(
        list_options.ListOptions(
            input=inputs, output=str(output), **{**request, **changes}
        ),
        beam_arguments,
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_law(manifest):
    dropped = {**manifest["rejected"], **manifest["filtered"]}
    assert manifest["rows"] == manifest["items"] + sum(dropped.values())
    assert manifest["items"] == sum(
        part["items"] for part in manifest["splits"].values()
    )


@pytest.fixture(scope="module")
def rows():
    return simulate()


@pytest.fixture(scope="module")
def log(rows, tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "log.csv", rows)


@pytest.fixture(scope="module")
def made(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "data"
    return folder, prepare(log, folder)


def test_lists_are_those_of_the_reference(rows, made):
    ranked, expected = reference(rows)
    assert vocabulary(made[0]) == ranked
    assert read_all(made[0]) == expected
    assert all(expected.values())


def test_the_simulated_log_has_every_case(rows):
    _, expected = reference(rows)
    written = [each for part in expected.values() for each in part.values()]
    assert any(len(offsets) != len(set(offsets)) for _, offsets, *_ in written)
    unknown = [ids for each in expected["test"].values() for ids in each[2]]
    assert {tuple(np.equal(ids, 1)) for ids in unknown} >= {
        (True, False),
        (False, True),
        (False, False),
    }
    assert any(row[5] > row[4] for row in rows)


def test_manifest_counts_what_is_written(made, rows):
    folder, manifest = made
    assert_law(manifest)
    assert manifest["kind"] == schema.LISTS
    assert manifest["rows"] == manifest["lines"] == len(rows)
    assert manifest["rejected"] == {}
    assert manifest["filtered"] == {
        list_transforms.NO_CLICK: sum(row[5] > row[4] for row in rows)
    }
    assert manifest["fields"] == ["item", "shelf"]
    assert manifest["num_features"] == len(vocabulary(folder))
    for split, written in read_all(folder).items():
        assert manifest["splits"][split] == {
            "lists": len(written),
            "items": sum(len(each[4]) for each in written.values()),
            "clicks": sum(sum(each[4]) for each in written.values()),
            "conversions": sum(sum(each[5]) for each in written.values()),
            "shards": 4,
        }
    text = (folder / schema.VOCABULARY_FILE).read_bytes()
    assert manifest["vocabulary_sha256"] == hashlib.sha256(text).hexdigest()
    assert json.loads((folder / schema.MANIFEST_FILE).read_text()) == manifest
    described = build_lists.describe(manifest)
    assert f"{len(rows)} rows, {manifest['items']} items kept" in described
    assert f"{manifest['num_features']} features (item, shelf)" in described


def test_nothing_converts_without_a_click(made):
    for *_, clicked, converted in all_lists(made[0]).values():
        assert all(np.less_equal(converted, clicked))


def test_rare_features_are_unknown(rows, log, tmp_path):
    prepare(log, tmp_path / "data", min_feature_count=4)
    ranked, expected = reference(rows, min_count=4)
    assert 2 < len(ranked) < len(reference(rows)[0])
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected


def test_temporal_split_is_by_the_start(rows, log, tmp_path):
    starts = {name: mine[0][1] for name, mine in by_list(rows).items()}
    end = max(starts.values())

    def temporal(name):
        days = (end - starts[name]) / DAY_MS
        if days <= 1.5:
            return "test"
        return "validation" if days <= 3 else "train"

    prepare(log, tmp_path / "data", split="temporal", test_days=1.5)
    ranked, expected = reference(rows, temporal)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected
    assert all(expected.values())


def test_short_lists_are_dropped_last(rows, log, tmp_path):
    manifest = prepare(log, tmp_path / "data", min_list_length=4)
    assert_law(manifest)
    kept = {
        name: mine for name, mine in by_list(rows).items() if len(mine) >= 4
    }
    found = all_lists(tmp_path / "data")
    assert {name: len(each[4]) for name, each in found.items()} == {
        name: len(mine) for name, mine in kept.items()
    }
    short = sum(map(len, by_list(rows).values())) - manifest["items"]
    assert manifest["filtered"][list_transforms.SHORT_LIST] == short > 0


def test_visitors_are_cut_at_pauses(rows, log, tmp_path):
    manifest = prepare(log, tmp_path / "data", list_gap=45.0)
    assert_law(manifest)
    last: dict = {}
    cut = []
    for place in sorted(range(len(rows)), key=lambda place: rows[place][1]):
        visitor, time_ms, *rest = rows[place]
        before, name = last.get(visitor, (-DAY_MS, ""))
        if time_ms - before >= 45_000:
            name = f"{visitor}/{time_ms}"
        last[visitor] = time_ms, name
        cut.append((name, time_ms, *rest))
    assert len({row[0] for row in cut}) > len({row[0] for row in rows})
    ranked, expected = reference(cut)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected


def test_without_a_clock_lists_keep_the_order_of_the_log(rows, log, tmp_path):
    prepare(log, tmp_path / "data", time_column=None)
    ordered = [(name, 0, *rest) for name, _, *rest in rows]
    ranked, expected = reference(ordered)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected


def test_a_second_run_writes_the_same_bytes(made, log, tmp_path):
    # In a process of its own: the order of hashed things differs there.
    code = (
        "import sys\n"
        "from beam_jobs import build_lists\n"
        "from beam_jobs.options import lists\n"
        "build_lists.run(lists.ListOptions('csv', (sys.argv[1],), "
        f"sys.argv[2], **{CSV!r}))"
    )
    again = tmp_path / "again"
    command = [sys.executable, "-c", code, log, str(again)]
    subprocess.run(command, check=True, capture_output=True)
    assert contents(again) == contents(made[0])


def test_small_blocks_give_the_same(made, log, tmp_path, monkeypatch):
    monkeypatch.setattr("beam_jobs.sources.lines.BLOCK_BYTES", 199)
    prepare(log, tmp_path / "data")
    assert contents(tmp_path / "data") == contents(made[0])


def test_bad_rows_are_kept_and_counted(rows, tmp_path):
    bad = [("l0", 5, "i1"), ("l0", 5, "i1", "top", 2, 0)]
    log = write(tmp_path / "log", [bad[0], *rows, bad[1]])
    manifest = prepare(log, tmp_path / "data", max_reject_share=0.1)
    assert_law(manifest)
    reasons = {"wrong number of columns": 1, "click is not 0 or 1": 1}
    assert manifest["rejected"] == reasons
    text = (tmp_path / "data" / schema.REJECTS_FILE).read_text()
    rejects = [json.loads(line) for line in text.splitlines()]
    assert [each["line_number"] for each in rejects] == [2, len(rows) + 3]
    with pytest.raises(schema.InputError, match=r"unreadable lines\. .* 2 of"):
        prepare(log, tmp_path / "other", max_reject_share=1e-6)
    assert not (tmp_path / "other").exists()


def test_a_lost_item_fails_and_leaves_nothing(log, tmp_path, monkeypatch):
    collect = counting.collect

    def lose_one(result):
        counts = collect(result)
        counts[counting.ITEMS][schema.TRAIN] -= 1
        return counts

    monkeypatch.setattr(counting, "collect", lose_one)
    with pytest.raises(RuntimeError, match="Stage `write` must pass on"):
        prepare(log, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_training_lists_is_refused(tmp_path):
    log = write(tmp_path / "log", [("l0", 5, "i1", "top", 0, 1)])
    with pytest.raises(schema.InputError, match="must leave something to tra"):
        prepare(log, tmp_path / "data")


def test_sequences_of_several_lines(tmp_path, monkeypatch):
    """Records that blocks of lines would cut, and one that is not whole."""
    monkeypatch.setattr("beam_jobs.sources.lines.BLOCK_BYTES", 40)
    cats = " 7" * 10
    rows, lengths = [], []
    for number in range(40):
        length = 1 + number % 5
        clicks = [(number + place) % 2 for place in range(length)]
        rows.append(f"{length} {number % 3 % 2}")
        rows += [f"{place} {click}{cats}" for place, click in enumerate(clicks)]
        kept = length - (number % 3 % 2 > clicks[-1])
        lengths += [kept] * (kept > 0)
    rows += ["3 1", f"0 1{cats}"]
    (tmp_path / "log").write_text("\n".join(rows))
    manifest = prepare(
        str(tmp_path / "log"),
        tmp_path / "data",
        format="criteo-sequences",
        max_reject_share=0.5,
    )
    assert_law(manifest)
    assert manifest["rejected"] == {"other length than its first line says": 2}
    assert manifest["filtered"][list_transforms.NO_CLICK] > 0
    found = all_lists(tmp_path / "data")
    assert sorted(len(each[4]) for each in found.values()) == sorted(lengths)
    assert {each[0] for each in found.values()} == {0}


def ali_ccp_logs(folder):
    samples = [
        f"{n},{n % 2},{int(n % 4 == 1)},c{n % 7},1,9\x02{n % 3}\x03{n % 2 + 1}"
        for n in range(60)
    ]
    common = [f"c{n},1,101\x02{n}\x030.5" for n in range(6)]
    (folder / "skeleton.csv").write_text("\n".join(samples))
    (folder / "common.csv").write_text("\n".join(common))
    return str(folder / "skeleton.csv"), str(folder / "common.csv")


@pytest.mark.parametrize("joined", [False, True])
def test_bags_with_and_without_common_features(tmp_path, joined):
    skeleton, common = ali_ccp_logs(tmp_path)
    manifest = prepare(
        skeleton,
        tmp_path / "data",
        format="ali-ccp",
        ali_ccp_common_features=(common,) if joined else (),
    )
    assert_law(manifest)
    assert manifest["rows"] == manifest["items"] == 60
    assert manifest["fields"] == []
    texts = vocabulary(tmp_path / "data")
    found = all_lists(tmp_path / "data")
    assert set(found) == {f"c{n}" for n in range(7)}
    train = {f"c{n}" for n in range(7) if split_of(f"c{n}") == "train"}
    for name, (
        start,
        offsets,
        bags,
        values,
        clicked,
        converted,
    ) in found.items():
        mine = range(int(name[1]), 60, 7)
        assert (start, set(offsets)) == (0, {0.0})
        assert clicked == [n % 2 for n in mine]
        assert converted == [int(n % 4 == 1) for n in mine]
        known = joined and name != "c6"  # Of which nothing is in common.
        shared = f"101={name[1]}" if name in train else None
        for n, bag, counts in zip(mine, bags, values, strict=True):
            expected = [f"9={n % 3}", *([shared] if known else [])]
            assert [texts[id_ - 2] if id_ > 1 else None for id_ in bag] == (
                expected
            )
            assert counts == [n % 2 + 1.0, *([0.5] if known else [])]


def test_common_features_of_other_lists_are_refused(tmp_path):
    skeleton, common = ali_ccp_logs(tmp_path)
    (tmp_path / "common.csv").write_text("d1,1,101\x027\x031")
    with pytest.raises(schema.InputError, match="must tell of lists of the in"):
        prepare(
            skeleton,
            tmp_path / "data",
            format="ali-ccp",
            ali_ccp_common_features=(common,),
        )
    assert not (tmp_path / "data").exists()


def test_copies_of_a_session_are_dropped(tmp_path):
    sessions = [
        " ".join(f"{sku}+5+{sku % 3}+7+2 {sku}+7+{sku % 3}+4+2" for sku in skus)
        for skus in ((1, 2, 3), (4, 5), (6,), (7, 8), (9, 1, 9), (2, 4))
    ]
    (tmp_path / "log").write_text("\n".join([*sessions, *sessions[1::2]]))
    again = tmp_path / "again"
    again.write_text("\n".join(sessions))
    logs = [(str(tmp_path / "log"),), (str(again), str(tmp_path / "log"))]
    for number, inputs in enumerate((*logs, (str(again),))):
        folder = tmp_path / f"data{number}"
        manifest = prepare(inputs, folder, format="jd-micro")
        assert_law(manifest)
        assert manifest["items"] == 13
        copies = {0: 6, 1: 19}.get(number)
        assert manifest["filtered"].get(list_transforms.REPEATED) == copies
        assert manifest["lines"] == {0: 9, 1: 15, 2: 6}[number]
    assert all_lists(tmp_path / "data0") == all_lists(tmp_path / "data1")
    assert all_lists(tmp_path / "data0") == all_lists(tmp_path / "data2")


def test_pages_of_sessions(tmp_path):
    header = "session_id,timestamp,action_type,reference,impressions,prices"
    steps = [
        row
        for n in range(30)
        for row in (
            f"s{n},{n},search for poi,x,,",
            f"s{n},{n},clickout item,b,a|b|c,3|2|1",
            f"s{n},{n},clickout item,z,a|d,1|2",
        )
    ]
    log = tmp_path / "log"
    log.write_text("\n".join([header, *steps]))
    manifest = prepare(str(log), tmp_path / "data", format="impressions")
    assert_law(manifest)
    assert manifest["lines"] == 90
    assert manifest["filtered"] == {"step without a page": 30}
    found = all_lists(tmp_path / "data")
    assert len(found) == 60
    clicked = collections.Counter(tuple(each[4]) for each in found.values())
    assert clicked == {(0, 1, 0): 30, (0, 0): 30}

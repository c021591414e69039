import bz2
import collections
import datetime
import gzip
import hashlib
import itertools
import json
import lzma
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from beam_jobs import build_sessions
from beam_jobs import counting
from beam_jobs.options import sessions as session_options
from beam_jobs.output import jobs
from beam_jobs.transforms import sessionize
from jump_tf import schema
from tests import records

DAY_MS = 86_400_000
START_MS = 16_000 * DAY_MS  # A midnight UTC.
REAL_LOGS = pathlib.Path(__file__).parents[3] / "shared" / "data"


def simulate(num_sessions=150, seed=0):
    """Rows (session, item, instant in ms): mixed, with ties and midnights."""
    random = np.random.default_rng(seed)
    rows = []
    for session in range(num_sessions):
        length = 1 + random.geometric(0.3)
        pauses = random.choice([0, 900, 45_000, 1_999_999, 2_000_000], length)
        begin = START_MS + random.integers(6 * DAY_MS)
        items = random.zipf(1.4, length) % 200
        if split_by_hash(f"s{session}") == "test":
            items[-1] = 1000  # Training never sees it.
        for item, time_ms in zip(items, begin + pauses.cumsum(), strict=True):
            rows.append((f"s{session}", str(item), int(time_ms)))
    # Sessions come mixed, the clicks of each in their order, ties included.
    order = random.permutation(len(rows))
    slots = collections.defaultdict(list)
    for place in sorted(order):
        slots[rows[order[place]][0]].append(place)
    mixed: list = [None] * len(rows)
    for row in rows:
        mixed[slots[row[0]].pop(0)] = row
    return mixed


def as_yoochoose(rows):
    for session, item, time_ms in rows:
        yield f"{session},{iso8601(time_ms)},{item},0"


def as_diginetica(rows):
    yield "sessionId;userId;itemId;timeframe;eventdate"
    days: dict = {}
    for session, _, time_ms in rows:
        day = time_ms // DAY_MS * DAY_MS
        days[session] = min(day, days.get(session, day))
    for session, item, time_ms in rows:
        # Midnight starts a new date, but the milliseconds go on.
        date = iso8601(time_ms)[:10]
        yield f"{session};NA;{item};{time_ms - days[session]};{date}"


def as_gru4rec(rows):
    yield "SessionId\tItemId\tTime"
    for session, item, time_ms in rows:
        yield f"{session}\t{item}\t{time_ms / 1000}"


def as_csv(rows):
    yield "item_id,note,timestamp_ms,session_id"
    for session, item, time_ms in rows:
        yield f'{item},"said ""a, b""",{time_ms},{session}'


LAYOUTS = {
    "yoochoose": as_yoochoose,
    "diginetica": as_diginetica,
    "gru4rec": as_gru4rec,
    "csv": as_csv,
}


def iso8601(time_ms):
    seconds, milliseconds = divmod(time_ms, 1000)
    instant = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def write_log(path, lines, pack=bytes):
    path.write_bytes(pack("".join(f"{line}\n" for line in lines).encode()))
    return str(path)


def split_by_hash(session_id):
    number = int(hashlib.sha256(session_id.encode()).hexdigest(), 16)
    if number % 100 < 20:
        return "test"
    return "validation" if (number // 100) % 100 < 10 else "train"


def reference(rows, split_of=lambda session_id, _: split_by_hash(session_id)):
    """What must be written: split -> session id -> (start, items, ...)."""
    counts = collections.Counter(item for _, item, _ in rows)
    clicks = collections.defaultdict(list)
    for session, item, time_ms in rows:
        if counts[item] >= 3:
            clicks[session].append((time_ms, item))
    kept = {
        session: sorted(mine, key=lambda click: click[0])
        for session, mine in clicks.items()
        if len(mine) >= 2
    }
    end_ms = max(mine[-1][0] for mine in kept.values())
    splits = {name: {} for name in ("train", "validation", "test")}
    for session, mine in kept.items():
        splits[split_of(session, end_ms - mine[-1][0])][session] = mine
    items = collections.Counter(
        item for mine in splits["train"].values() for _, item in mine
    )
    ranked = sorted(items, key=lambda item: (-items[item], item))
    ids = {item: index + 2 for index, item in enumerate(ranked)}
    return ranked, {
        split: {name: _written(mine, ids) for name, mine in found.items()}
        for split, found in splits.items()
    }


def _written(mine, ids):
    times = [time_ms for time_ms, _ in mine]
    gaps = [(b - a) / 1000 for a, b in itertools.pairwise(times)]
    dwell = np.float32([gap if gap < 2000 else 2000 for gap in gaps] + [30])
    censored = [int(not gap < 2000) for gap in gaps] + [1]
    items = [ids.get(item, 1) for _, item in mine]
    return times[0], items, dwell.tolist(), censored


def read_split(folder, split):
    paths = sorted(map(str, folder.glob(f"{split}-*.tfrecord.gz")))
    sessions = list(records.read_sessions(paths))
    found = {
        session.session_id: (
            session.start_ms,
            list(session.items),
            list(session.dwell_seconds),
            list(session.dwell_censored),
        )
        for session in sessions
    }
    assert len(found) == len(sessions)
    return found


def read_all(folder):
    return {split: read_split(folder, split) for split in schema.SPLITS}


def vocabulary(folder):
    return (folder / schema.VOCABULARY_FILE).read_text().splitlines()


def prepare(log, output, *beam_arguments, **changes):
    inputs = (log,) if isinstance(log, str) else log
    request = {"format": "csv", "input": inputs, "output": str(output)}
    request = session_options.PrepareOptions(**{**request, **changes})
    return build_sessions.run(request, beam_arguments)


def contents(folder, without=()):
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.name not in without
    }


@pytest.fixture(scope="module")
def rows():
    return simulate()


@pytest.fixture(scope="module")
def csv_log(rows, tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.csv", as_csv(rows))


@pytest.fixture(scope="module")
def made(csv_log, tmp_path_factory):
    """A data folder, with its manifest."""
    folder = tmp_path_factory.mktemp("made") / "data"
    return folder, prepare(csv_log, folder)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_format_gives_the_reference(rows, tmp_path, name):
    log = write_log(tmp_path / "log", LAYOUTS[name](rows))
    manifest = prepare(log, tmp_path / "data", format=name)
    ranked, expected = reference(rows)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected
    assert manifest["num_items"] == len(ranked)


def test_the_simulated_log_has_every_case(rows):
    _, expected = reference(rows)
    written = [
        session for split in expected.values() for session in split.values()
    ]
    dwells = {dwell for session in written for dwell in session[2]}
    assert dwells >= {0.0, 30.0, np.float32(1999.999), 2000.0}
    assert any(1 in session[1] for session in expected["test"].values())
    assert any(
        len({time_ms // DAY_MS for _, _, time_ms in mine}) > 1
        for _, mine in itertools.groupby(sorted(rows), key=lambda row: row[0])
    )


def test_training_knows_all_its_items(made):
    sessions = read_split(made[0], schema.TRAIN).values()
    items = {item for _, items, _, _ in sessions for item in items}
    assert items == set(range(2, 2 + made[1]["num_items"]))


def test_manifest_counts_what_is_written(made, rows):
    folder, manifest = made
    filtered = sum(manifest["filtered"].values())
    assert manifest["rows"] == len(rows) == manifest["clicks"] + filtered
    assert manifest["rejected"] == {}
    for split, written in read_all(folder).items():
        assert manifest["splits"][split] == {
            "sessions": len(written),
            "clicks": sum(len(items) for _, items, _, _ in written.values()),
            "shards": 4,
        }
    text = (folder / schema.VOCABULARY_FILE).read_bytes()
    assert manifest["vocabulary_sha256"] == hashlib.sha256(text).hexdigest()
    assert json.loads((folder / schema.MANIFEST_FILE).read_text()) == manifest


def test_shards_are_shuffled_by_digest(made):
    for path in made[0].glob("*.tfrecord.gz"):
        digests = [
            hashlib.sha256(session.session_id.encode()).digest()
            for session in records.read_sessions([str(path)])
        ]
        assert digests == sorted(digests)


def test_no_session_is_in_two_splits(made):
    ids = [set(sessions) for sessions in read_all(made[0]).values()]
    assert sum(map(len, ids)) == len(set.union(*ids))


def test_a_second_run_writes_the_same_bytes(made, csv_log, tmp_path):
    # In a process of its own: the order of hashed things differs there.
    code = (
        "import sys\n"
        "from beam_jobs import build_sessions\n"
        "from beam_jobs.options import sessions\n"
        "build_sessions.run(sessions.PrepareOptions('csv', (sys.argv[1],), "
        "sys.argv[2]))"
    )
    again = tmp_path / "again"
    command = [sys.executable, "-c", code, csv_log, str(again)]
    subprocess.run(command, check=True, capture_output=True)
    assert contents(again) == contents(made[0])


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".xz", lzma.compress),
        *(
            pytest.param(*packed, marks=pytest.mark.exhaustive)
            for packed in ((".gz", gzip.compress), (".bz2", bz2.compress))
        ),
    ],
)
def test_packing_of_the_log_does_not_matter(made, rows, tmp_path, suffix, pack):
    log = write_log(tmp_path / f"log.csv{suffix}", as_csv(rows), pack)
    prepare(log, tmp_path / "data")
    named = [schema.MANIFEST_FILE]  # It names the input.
    assert contents(tmp_path / "data", named) == contents(made[0], named)


def test_a_log_in_two_files_is_one_log(made, rows, tmp_path):
    half = len(rows) // 2
    logs = (
        # Files are read in the order given, not in the order of their names.
        write_log(tmp_path / "2.csv", as_csv(rows[:half])),
        write_log(tmp_path / "1.csv", as_csv(rows[half:])),
    )
    prepare(logs, tmp_path / "data")
    named = [schema.MANIFEST_FILE]
    assert contents(tmp_path / "data", named) == contents(made[0], named)


def test_small_blocks_give_the_same(made, csv_log, tmp_path, monkeypatch):
    monkeypatch.setattr("beam_jobs.sources.lines.BLOCK_BYTES", 997)
    monkeypatch.setattr(
        "beam_jobs.sources.click_logs.read.PARTITION_BYTES", 3000
    )
    prepare(csv_log, tmp_path / "data")
    assert contents(tmp_path / "data") == contents(made[0])


def test_every_shard_exists_even_empty(tmp_path):
    log = write_log(tmp_path / "log", ["session_id,item_id,timestamp_ms"])
    with pathlib.Path(log).open("a") as file:
        file.writelines(f"s1,a,{time_ms}\n" for time_ms in range(3))
    assert split_by_hash("s1") == "train"
    manifest = prepare(log, tmp_path / "data", shards_per_split=2)
    names = {path.name for path in (tmp_path / "data").glob("*.gz")}
    assert names == {
        f"{split}-0000{index}-of-00002.tfrecord.gz"
        for split in schema.SPLITS
        for index in range(2)
    }
    assert read_split(tmp_path / "data", "train")["s1"][1] == [2, 2, 2]
    assert manifest["splits"]["test"]["sessions"] == 0


def test_items_are_filtered_before_sessions(tmp_path):
    # Without b, which is rare, s4 is short. Its click on a still counted, so
    # a stays; and b stays out although no more filtering would find it.
    clicks = ["s1 a", "s1 a", "s4 a", "s4 b", "s0 c", "s0 c", "s0 c", "s0 b"]
    lines = [f"{click.replace(' ', ',')},5" for click in clicks]
    header = "session_id,item_id,timestamp_ms"
    log = write_log(tmp_path / "log", [header, *lines])
    manifest = prepare(log, tmp_path / "data")
    assert manifest["filtered"] == {"rare item": 2, "short session": 1}
    sessions = {
        session: clicks[1]
        for found in read_all(tmp_path / "data").values()
        for session, clicks in found.items()
    }
    assert {name: len(items) for name, items in sessions.items()} == {
        "s1": 2,
        "s0": 3,
    }


def test_visitors_are_cut_at_gaps(rows, tmp_path):
    log = write_log(tmp_path / "log", as_csv(rows))
    prepare(
        log,
        tmp_path / "data",
        visitor_column="session_id",
        session_gap=45.0,
    )
    last: dict = {}
    cut = []
    for visitor, item, time_ms in sorted(rows, key=lambda row: row[2]):
        before, session = last.get(visitor, (-DAY_MS, ""))
        if time_ms - before >= 45_000:
            session = f"{visitor}/{time_ms}"
        last[visitor] = time_ms, session
        cut.append((session, item, time_ms))
    ranked, expected = reference(cut)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected


def test_temporal_split(rows, csv_log, tmp_path):
    def split_of(_, before_the_end_ms):
        if before_the_end_ms <= 1.5 * DAY_MS:
            return "test"
        return "validation" if before_the_end_ms <= 3 * DAY_MS else "train"

    prepare(csv_log, tmp_path / "data", split="temporal", test_days=1.5)
    ranked, expected = reference(rows, split_of)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected
    assert all(expected.values())


@pytest.mark.parametrize("zone", ["", "+00:00"])
def test_sessions_that_end_too_late_are_dropped(rows, csv_log, tmp_path, zone):
    last: dict = {}
    for session, _, time_ms in rows:
        last[session] = max(time_ms, last.get(session, 0))
    until_ms = sorted(last.values())[len(last) // 2]
    until = datetime.datetime.fromtimestamp(until_ms / 1000, datetime.UTC)
    manifest = prepare(
        csv_log,
        tmp_path / "data",
        until=until.replace(tzinfo=None).isoformat() + zone,
    )
    in_time = [row for row in rows if last[row[0]] < until_ms]
    dropped = manifest["filtered"][sessionize.TOO_LATE]
    assert dropped == len(rows) - len(in_time) > 0
    ranked, expected = reference(in_time)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected


def test_a_clock_that_runs_backward_is_filtered(tmp_path):
    rows = [f"s1;NA;a;{ms};2016-05-09" for ms in (5, 6, 7)]
    rows += ["s4;NA;a;9;2016-05-09", "s4;NA;a;3;2016-05-10"]
    log = write_log(tmp_path / "log", [*as_diginetica([]), *rows])
    manifest = prepare(log, tmp_path / "data", format="diginetica")
    assert manifest["filtered"] == {"clock runs backward": 2}
    assert manifest["clicks"] == 3


BAD = ["x,y", "1,2,soon,s1", "", "1,2,-5,s1"]


def spoiled(path, rows):
    """Two bad lines at the start, one at the end, and one not UTF-8."""
    header, *good = as_csv(rows)
    log = write_log(path, [header, *BAD[:2], *good, *BAD[2:]])
    with pathlib.Path(log).open("ab") as file:
        file.write(b"1,\xff,5,s1\n")
    return log


def test_bad_rows_are_kept_and_counted(made, rows, tmp_path):
    log = spoiled(tmp_path / "log", rows)
    manifest = prepare(log, tmp_path / "data", max_reject_share=0.05)
    assert manifest["rejected"] == {
        "wrong number of columns": 2,
        "unreadable time": 1,
        "time out of range": 1,
        "not UTF-8": 1,
    }
    assert manifest["rows"] == len(rows) + 5
    assert manifest["clicks"] == made[1]["clicks"]
    last = len(rows) + 6
    text = (tmp_path / "data" / schema.REJECTS_FILE).read_text()
    rejects = [json.loads(line) for line in text.splitlines()]
    assert [reject["line_number"] for reject in rejects] == [
        *(2, 3),
        *(last - 2, last - 1, last),
    ]
    assert [reject["line"] for reject in rejects] == [*BAD, "1,\\xff,5,s1"]
    assert {reject["file"] for reject in rejects} == {log}
    assert rejects[0]["reason"] == "wrong number of columns"


def test_too_many_bad_rows_fail(rows, tmp_path):
    log = spoiled(tmp_path / "log", rows)
    share = 4.9 / (len(rows) + 5)
    sentence = r"`input` must have at most .* 5 of \d+ lines .*not UTF-8: 1"
    with pytest.raises(schema.InputError, match=sentence):
        prepare(log, tmp_path / "data", max_reject_share=share)
    assert {path.name for path in tmp_path.iterdir()} == {
        "log",
        "data.rejects.jsonl",
    }
    rejects = (tmp_path / "data.rejects.jsonl").read_text()
    assert len(rejects.splitlines()) == 5


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (None, "`input` must name files that exist.*Received: .*log"),
        ([], "`input` must hold at least one row.*log, empty"),
        (["item_id,timestamp_ms,session_id"], "must hold at least one row"),
        (["item_id,session_id", "1,2"], "`input` must have the columns.*log"),
    ],
)
def test_a_wrong_log_is_refused_at_once(tmp_path, lines, sentence):
    log = str(tmp_path / "log")
    if lines is not None:
        write_log(tmp_path / "log", lines)
    with pytest.raises(schema.InputError, match=sentence):
        prepare(log, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_log_that_is_not_packed_is_refused(tmp_path):
    log = write_log(tmp_path / "log.xz", ["item_id,timestamp_ms,session_id"])
    with pytest.raises(schema.InputError, match=r"readable files.*log\.xz"):
        prepare(log, tmp_path / "data")


def test_a_log_that_breaks_off_late_is_refused(tmp_path):
    rows = simulate(4000)
    log = write_log(tmp_path / "log.gz", as_csv(rows), gzip.compress)
    path = pathlib.Path(log)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(schema.InputError, match=r"log\.gz, which is damaged"):
        prepare(log, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["log.gz"]


def test_a_log_without_training_sessions_is_refused(tmp_path):
    lines = ["session_id,item_id,timestamp_ms", "s1,a,5", "s2,a,5"]
    log = write_log(tmp_path / "log", lines)
    with pytest.raises(schema.InputError, match="`input` must leave something"):
        prepare(log, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_lost_click_fails_and_leaves_nothing(csv_log, tmp_path, monkeypatch):
    collect = counting.collect

    def lose_one(result):
        counts = collect(result)
        counts[counting.CLICKS][schema.TRAIN] -= 1
        return counts

    monkeypatch.setattr(counting, "collect", lose_one)
    with pytest.raises(RuntimeError, match="Stage `write` must pass on"):
        prepare(csv_log, tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_existing_output(csv_log, made, tmp_path):
    prepare(csv_log, tmp_path / "data", min_session_clicks=3)
    with pytest.raises(schema.InputError, match="`output` must be a new or em"):
        prepare(csv_log, tmp_path / "data")
    prepare(csv_log, f"{tmp_path}/data/", overwrite=True)
    assert contents(tmp_path / "data") == contents(made[0])


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--direct_running_mode=multi_threading", "`direct_running_mode` must"),
        ("--tset-days=2", "`arguments` must be options.*--tset"),
    ],
)
def test_harmful_beam_arguments_are_refused(tmp_path, argument, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        prepare("no log", tmp_path / "data", argument)


@pytest.mark.parametrize(
    ("log", "output", "arguments", "sentence"),
    [
        ("no://log", "data", [], "`input` must be on a file system"),
        (None, "no://data", [], "`output` must be on a file system"),
        (None, "data", ["--runner=DataflowRunner"], "`arguments` .* project"),
        (None, "data", ["--runner=NoRunner"], "`arguments` .* NoRunner"),
    ],
)
def test_what_is_not_there_is_named(
    csv_log, tmp_path, monkeypatch, log, output, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(schema.InputError, match=sentence):
        prepare(log or csv_log, output, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_runner_is_pinned_where_none_is_named():
    def runner(*arguments):
        found = jobs.runner_options(arguments).get_all_options()
        return found["runner"]

    assert runner() == "FnApiRunner"
    assert runner("--direct_num_workers=2") == "FnApiRunner"
    assert runner("--runner=DataflowRunner") == "DataflowRunner"
    assert runner("--runner", "FlinkRunner") == "FlinkRunner"


def real_log(name):
    path = REAL_LOGS / name
    if not path.exists():
        pytest.skip("needs the real logs")
    return str(path)


def test_yoochoose_excerpt(tmp_path):
    log = real_log("yoochoose/yoochoose-clicks-100k_train_full.txt.xz")
    manifest = prepare(log, tmp_path / "data", format="gru4rec")
    assert manifest["rows"] == 70_278
    with lzma.open(log, "rt") as file:
        fields = [line.split() for line in file][1:]
    clicks = [(s, i, round(float(time) * 1000)) for s, i, time in fields]
    ranked, expected = reference(clicks)
    assert vocabulary(tmp_path / "data") == ranked
    assert read_all(tmp_path / "data") == expected

"""A stream gives the sessions that the batch job makes of the same clicks."""

import collections
import functools
import json
import math
import pathlib
import random
import uuid

import apache_beam as beam
import hypothesis
import numpy as np
import pytest
from apache_beam.options import pipeline_options
from apache_beam.testing import test_stream
from apache_beam.transforms import window as windows
from apache_beam.utils import windowed_value
from hypothesis import strategies as st

from beam_jobs import build_sessions
from beam_jobs import counting
from beam_jobs import stream_sessions
from beam_jobs.options import sessions as session_options
from beam_jobs.options import streaming as stream_options
from beam_jobs.output import manifest as output_manifest
from beam_jobs.streaming import messages
from beam_jobs.streaming import sessions as stream_transforms
from beam_jobs.streaming import window_folders
from beam_jobs.transforms import sessions as session_transforms
from jump_tf import schema
from tests import records

START_MS = 1_600_000_000_000
GAP, LATENESS = 100, 40  # Seconds.


def stream(**given):
    return stream_options.StreamOptions(
        **{
            "input_lines": ("log",),
            "output": "out",
            "vocabulary": "data",
            "session_gap": GAP,
            "allowed_lateness": LATENESS,
            "visitor_column": "visitor",
            "position_column": "position",
            **given,
        }
    )


def click(visitor, second, item, position=0, **more):
    return {
        "visitor": visitor,
        "timestamp_ms": START_MS + round(1000 * second),
        "item_id": item,
        "position": position,
        **more,
    }


def entries(tmp_path, events, **given):
    """What becomes of clicks, dicts, and watermarks, seconds, in order."""
    arguments = ["--runner=BundleBasedDirectRunner", "--streaming"]
    return run(tmp_path, received(events), arguments, **given)


def received(events):
    source = test_stream.TestStream(beam.coders.BytesCoder())
    source.advance_watermark_to(START_MS / 1000 - 1_000_000)
    for event in events:
        if isinstance(event, dict):
            source.add_elements([json.dumps(event).encode()])
        else:
            source.advance_watermark_to(START_MS / 1000 + event)
    return source.advance_watermark_to_infinity()


def run(tmp_path, source, arguments, **given):
    path = tmp_path / f"entries-{uuid.uuid4().hex}"
    path.touch()
    with beam.Pipeline(
        options=pipeline_options.PipelineOptions(arguments)
    ) as pipeline:
        _ = (
            pipeline
            | source
            | stream_sessions.Sessionize(stream(**given))
            | beam.Map(functools.partial(_append, str(path)))
        )
    return [json.loads(line) for line in path.read_text().splitlines()]


def _append(path, entry):
    with open(path, "a") as file:  # noqa: PTH123 (pickled without imports)
        file.write(json.dumps(entry) + "\n")


def found(written):
    """Session id -> its items, and all else, counted by reason."""
    complete = {
        name: "".join(row[2] for row in rows)
        for kind, (name, rows) in written
        if kind == stream_transforms.SESSION
    }
    kinds = [kind for kind, _ in written]
    assert kinds.count(stream_transforms.SESSION) == len(complete)
    counts: collections.Counter = collections.Counter()
    for kind, (reason, value) in written:
        if kind == counting.FILTERED:
            counts[reason] += value
        elif kind == counting.REJECTED:
            counts[reason] += 1
    return complete, dict(counts)


def batch(clicks, merge=False):
    """The same of the batch job's functions, on clicks in the log's order."""
    rows = [
        (
            each["visitor"],
            [(each["timestamp_ms"], 0, each["item_id"], math.nan)],
        )
        for each in clicks
    ]
    visitors = sorted({visitor for visitor, _ in rows})
    grouped = [
        (visitor, [row for mine, (row,) in rows if mine == visitor])
        for visitor in visitors
    ]
    whole = session_transforms.cut_sessions(
        stream_transforms.to_clicks(grouped), GAP, 2**50
    )
    if merge:
        whole = session_transforms.merge_repeats(whole)
    return {
        each.session_id: "".join(each.items)
        for each in session_transforms.one_by_one(whole, 2000, 30)
    }


def test_gap_cuts_at_exactly_its_length(tmp_path):
    just_below = GAP - 0.001
    clicks = [
        click("v", 0, "a"),
        click("v", just_below, "b"),
        click("v", just_below + GAP, "c"),
    ]
    complete, dropped = found(entries(tmp_path, clicks))
    assert complete == batch(clicks)
    assert list(complete.values()) == ["ab", "c"]
    assert dropped == {}


def test_interleaved_visitors_are_kept_apart(tmp_path):
    clicks = [
        click("vw"[place % 2], 30 * place, "abcde"[place % 5])
        for place in range(9)
    ]
    assert found(entries(tmp_path, clicks))[0] == batch(clicks)


def test_a_visitor_who_goes_on_is_not_cut(tmp_path):
    clicks = [click("v", 90 * place, "a", place) for place in range(12)]
    events = []
    for place, each in enumerate(clicks):
        events += [each, 90 * place + 80]
    complete, _ = found(entries(tmp_path, events))
    assert complete == batch(clicks) == {f"v/{START_MS}": "a" * 12}


@pytest.mark.parametrize(
    ("watermark", "joined"), [(GAP + LATENESS - 0.001, True), (160, False)]
)
def test_a_late_click_joins_two_sessions_or_is_rejected(
    tmp_path, watermark, joined
):
    """Pauses: 0, 60 (late), 150. Alone, the first ends the session at 0."""
    first, late, last = (
        click("v", second, item)
        for second, item in [(0, "a"), (60, "b"), (150, "c")]
    )
    written = entries(tmp_path, [first, last, watermark, late])
    complete, dropped = found(written)
    if joined:
        assert (
            complete == batch([first, late, last]) == {f"v/{START_MS}": "abc"}
        )
        assert dropped == {}
    else:
        assert sorted(complete.values()) == ["a", "c"]
        assert dropped == {stream_transforms.TOO_LATE: 1}
        ((_, (_, message)),) = [
            entry for entry in written if entry[0] == counting.REJECTED
        ]
        assert json.loads(message) == late


def test_ties_follow_the_position_and_else_the_item(tmp_path):
    clicks = [click("v", 0, item, n) for n, item in enumerate("cab")]
    events = [clicks[2], clicks[0], clicks[1]]
    assert found(entries(tmp_path, events))[0] == batch(clicks)
    unplaced = found(entries(tmp_path, events, position_column=None))[0]
    assert list(unplaced.values()) == ["abc"]


def test_doubles_are_told_by_their_position(tmp_path):
    clicks = [click("v", 0, "a", 1), click("v", 0, "a", 2)]
    events = [*clicks, clicks[0], 20, clicks[1], clicks[1]]
    complete, dropped = found(entries(tmp_path, events))
    assert complete == batch(clicks)
    assert dropped == {stream_transforms.DUPLICATE: 3}
    complete, dropped = found(entries(tmp_path, events, position_column=None))
    assert list(complete.values()) == ["aaaaa"]
    assert dropped == {}


def test_a_visitor_is_forgotten_after_a_time(tmp_path):
    events = [click("v", 0, "a"), 140, click("v", 1, "b"), 1140, 1150]
    events.append(click("v", 2, "c"))
    complete, dropped = found(entries(tmp_path, events, remember=1000))
    assert sorted(complete.values()) == ["a", "c"]
    assert dropped == {stream_transforms.TOO_LATE: 1}


def test_sessions_of_the_site_are_complete_when_they_idle(tmp_path):
    clicks = [click("s", second, "a") for second in (0, 99, 400)]
    written = entries(
        tmp_path, clicks, visitor_column=None, session_column="visitor"
    )
    ids = [name for _, (name, _) in written]
    assert ids == ["s", "s"]


@pytest.mark.parametrize("merge", [False, True])
def test_of_an_endless_session_its_last_clicks_are_kept(tmp_path, merge):
    clicks = [
        click("v", 20 * place, "aabbcacb"[place % 8], place)
        for place in range(60)
    ]
    events = []
    for place, each in enumerate(clicks):
        events += [each, 20 * place + 10]
    written = entries(
        tmp_path, events, max_session_length=5, merge_repeats=merge
    )
    ((name, rows),) = [
        e for kind, e in written if kind == stream_transforms.SESSION
    ]
    _, dropped = found(written)
    ((expected_name, expected),) = batch(clicks, merge).items()
    assert name == expected_name
    assert len(rows) + sum(dropped.values()) == 60
    assert len(rows) < 25  # Its state is bounded.
    kept = batch([click(name, row[0] / 1000, row[2]) for row in rows], merge)
    assert next(iter(kept.values()))[-5:] == expected[-5:]


@st.composite
def arrivals(draw):
    """Clicks in the log's order, and in one in which they may arrive."""
    times = draw(
        st.lists(st.sampled_from([0, 1, 39, 99, 100, 101, 250]), min_size=1)
    )
    clicks = [
        click(draw(st.sampled_from("vw")), second, item, place)
        for place, (second, item) in enumerate(
            zip(np.cumsum(times).tolist(), "abcabd" * 99, strict=False)
        )
    ]
    delays = st.sampled_from([0, 1, LATENESS - 1])
    arrive = [
        ((each["timestamp_ms"] - START_MS) / 1000 + draw(delays), each)
        for each in clicks
    ]
    return clicks, sorted(arrive, key=lambda pair: pair[0])


@pytest.mark.parametrize(
    "number", [5, pytest.param(12, marks=pytest.mark.exhaustive)]
)
def test_any_order_within_the_lateness_gives_the_sessions_of_the_batch(
    tmp_path, number
):
    @hypothesis.settings(
        max_examples=number,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(drawn=arrivals())
    def check(drawn):
        check_arrivals(tmp_path, *drawn)

    check()


def check_arrivals(tmp_path, clicks, arrive):
    events, watermark = [], -1
    for second, each in arrive:
        if second > watermark:
            events.append(second)
            watermark = second
        events.append(each)
    complete, dropped = found(entries(tmp_path, events))
    assert complete == batch(clicks)
    assert dropped == {}


def test_another_runner_gives_the_same(tmp_path):
    """As remote ones do, it speaks to workers by Beam's portable interface."""
    times = np.random.default_rng(0).choice([0, 60, 100, 250], 80).cumsum()
    clicks = [
        click("vwxyz"[place % 5], int(second), "abc"[place % 3], place)
        for place, second in enumerate(times)
    ]
    lines = [json.dumps(each).encode() for each in clicks[::-1]]
    written = run(tmp_path, beam.Create(lines), ["--runner=FnApiRunner"])
    assert found(written) == (batch(clicks), {})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"rubbish", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b'{"visitor": "v", "timestamp_ms": 1}', "no item id"),
        (
            b'{"visitor": true, "item_id": 1}',
            "session id is neither text nor whole number",
        ),
        (b'{"visitor": "\\ud800", "item_id": 1}', "not UTF-8"),
        (b'{"visitor": 1, "item_id": 2}', "unreadable time"),
        (
            b'{"visitor": 1, "item_id": 2, "timestamp_ms": -1}',
            "time out of range",
        ),
        (
            b'{"visitor": 1, "item_id": 2, "timestamp_ms": 5}',
            "unreadable position",
        ),
        (
            b'{"visitor": 1, "item_id": 2, "timestamp_ms": 5, '
            b'"position": 9223372036854775808}',
            "position out of range",
        ),
    ],
)
def test_a_message_that_is_no_click_has_a_reason(message, reason):
    with pytest.raises(ValueError, match=f"^{reason}$"):
        messages.Reader.of(stream()).read(message)


def test_a_message_says_what_a_log_would():
    reader = messages.Reader.of(
        stream(time_unit="s", dwell_column="dwell", position_column=None)
    )
    visit, row = reader.read(
        b'{"visitor": 12345678901234567890123, "item_id": " x ", "dwell": 2.5,'
        b' "timestamp_ms": 1.5, "other": []}'
    )
    assert (visit, row) == ("12345678901234567890123", (1500, 0, "x", 2.5))


def write_logs(folder, seed=4):
    """One log as csv in its order, and as JSON lines late and shuffled."""
    draw = random.Random(seed)
    clicks = []
    for visitor in range(40):
        second = draw.randrange(7200)
        for _ in range(draw.randrange(1, 9)):
            second += draw.choice([0, 0, 7, 60, GAP - 0.001, GAP, 500])
            item = f"i{draw.randrange(12)}"
            clicks.append(click(f"v{visitor}", second, item))
    draw.shuffle(clicks)
    # No session is cut by the log's end.
    clicks.append(click("last", 100_000, "i0"))
    for position, each in enumerate(clicks):
        each["position"] = position
    names = list(clicks[0])
    rows = [",".join(str(each[name]) for name in names) for each in clicks]
    (folder / "log.csv").write_text("\n".join([",".join(names), *rows]) + "\n")
    delay_ms = 1000 * LATENESS - 1
    arrive = sorted(
        clicks,
        key=lambda each: each["timestamp_ms"] + draw.randrange(delay_ms),
    )
    lines = [json.dumps(each) for each in [*arrive[:7], "no", *arrive[7:]]]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    return len(lines)


def contents(folders, split):
    """Session id -> session, of some data folders."""
    paths = [str(p) for f in folders for p in f.glob(f"{split}-*.tfrecord.gz")]
    read = list(records.read_sessions(sorted(paths)))
    by_id = {session.session_id: session for session in read}
    assert len(by_id) == len(read)
    return by_id


@pytest.mark.parametrize("longest", [None, 3])
def test_data_folders_hold_the_sessions_of_prepare(tmp_path, longest):
    received = write_logs(tmp_path)
    asked = {
        "visitor_column": "visitor",
        "merge_repeats": True,
        "max_session_length": longest,
    }
    prepared = build_sessions.run(
        session_options.PrepareOptions(
            format="csv",
            input=(str(tmp_path / "log.csv"),),
            output=str(tmp_path / "data"),
            session_gap=GAP,
            min_item_clicks=1,
            **asked,
        )
    )
    written = stream_sessions.run(
        stream(
            input_lines=(str(tmp_path / "log.jsonl"),),
            output=str(tmp_path / "out"),
            vocabulary=str(tmp_path / "data"),
            shards_per_split=2,
            **asked,
        )
    )
    folders = sorted((tmp_path / "out").iterdir())
    assert written["folders"] == len(folders) > 2
    assert written["rows"] == received
    assert written["rejected"] == {"not a JSON object": 1}
    assert written["filtered"] == prepared["filtered"]
    assert written["clicks"] == prepared["clicks"]
    for split in schema.SPLITS:
        expected = contents([tmp_path / "data"], split)
        assert contents(folders, split) == expected
        assert len(expected) == prepared["splits"][split]["sessions"] > 0
    _check_folders(folders, tmp_path / "data")


def _check_folders(folders, data):
    for folder in folders:
        manifest = json.loads((folder / schema.MANIFEST_FILE).read_text())
        dropped = [*manifest["rejected"].values()]
        dropped += manifest["filtered"].values()
        assert manifest["rows"] == manifest["clicks"] + sum(dropped)
        names = {path.name for path in folder.iterdir()}
        shards = {
            f"{split}-0000{shard}-of-00002.tfrecord.gz"
            for split in schema.SPLITS
            for shard in range(2)
        }
        assert names == shards | {
            schema.MANIFEST_FILE,
            schema.VOCABULARY_FILE,
            schema.REJECTS_FILE,
        }
        vocabulary = (data / schema.VOCABULARY_FILE).read_bytes()
        assert (folder / schema.VOCABULARY_FILE).read_bytes() == vocabulary


def test_ids_are_those_of_the_vocabulary(tmp_path):
    (tmp_path / "vocabulary.txt").write_text("b\na\n")
    log = tmp_path / "log.jsonl"
    clicks = [click("v", n, item) for n, item in enumerate("abc")]
    log.write_text("\n".join(map(json.dumps, clicks)))
    stream_sessions.run(
        stream(
            input_lines=(str(log),),
            output=f"{tmp_path}/out/",
            vocabulary=f"{tmp_path}/",
        )
    )
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.name == "20200913T120000Z-00000"
    (session,) = records.read_sessions(
        sorted(map(str, folder.glob("*.tfrecord.gz")))
    )
    assert session.items == [3, 2, schema.OOV_ID]
    assert session.dwell_seconds == [1, 1, 30]


def test_a_folder_of_rejects_alone(tmp_path):
    (tmp_path / "vocabulary.txt").write_text("a\n")
    log = tmp_path / "log.jsonl"
    log.write_text("no\n\nnö\n")
    written = stream_sessions.run(
        stream(
            input_lines=(str(log),),
            output=str(tmp_path / "out"),
            vocabulary=str(tmp_path),
            merge_repeats=True,
            max_session_length=2,
        )
    )
    assert written == {
        "folders": 1,
        "rows": 2,
        "clicks": 0,
        "rejected": {"not JSON": 2},
        "filtered": {},
    }
    (rejects,) = (tmp_path / "out").glob("*/rejects.jsonl")
    assert [json.loads(line) for line in rejects.open()] == [
        {"reason": "not JSON", "line": "no"},
        {"reason": "not JSON", "line": "nö"},
    ]


def test_a_worker_that_repeats_its_work_writes_the_same(tmp_path):
    (tmp_path / "vocabulary.txt").write_text("a\nb\n")
    asked = stream(output=str(tmp_path / "out"), vocabulary=str(tmp_path))
    write = window_folders._WriteFolder(
        asked, output_manifest.build(asked, {}, 2, "sha")
    )
    write.setup()
    rows = [(START_MS + n, 0, "ab"[n % 2], math.nan) for n in range(5)]
    entries = [
        (stream_transforms.SESSION, ("v/1", rows[:3])),
        (stream_transforms.SESSION, ("v/2", rows[3:])),
        (counting.FILTERED, (stream_transforms.DUPLICATE, 3)),
        (counting.REJECTED, (stream_transforms.TOO_LATE, "line")),
    ]
    window = windows.IntervalWindow(START_MS // 1000, START_MS // 1000 + 60)
    pane = windowed_value.PANE_INFO_UNKNOWN

    def contents():
        (folder,) = write.process((0, entries), window, pane)
        return {
            path.name: path.read_bytes()
            for path in pathlib.Path(folder).iterdir()
        }

    first = contents()
    entries.reverse()
    assert contents() == first
    made = json.loads(first[schema.MANIFEST_FILE])
    assert (made["rows"], made["clicks"]) == (9, 5)
    assert made["filtered"] == {"duplicate": 3}
    assert made["rejected"] == {"too late": 1}


def call(tmp_path, *arguments):
    (tmp_path / "vocabulary.txt").write_text("a\n")
    (tmp_path / "log.jsonl").write_text(json.dumps(click("v", 0, "a")))
    return stream_sessions.main([str(each) for each in arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--input-topic", "projects/p/topics/t", "--input-lines", "LOG"],
        ["--input-topic", "projects/p/topics/t"],
        ["--input-lines", "LOG", "--session-gap", "0"],
        ["--input-lines", "LOG", "--allowed-lateness", "-1"],
        ["--input-lines", "LOG", "--window", "0"],
        ["--input-lines", "LOG", "--timestamp-attribute", "t"],
        ["--input-lines", "LOG", "--max-session-length", "1"],
        ["--input-lines", "LOG", "--no-such-flag", "1"],
        ["--input-lines", "LOG", "--vocabulary", "nowhere"],
        ["--input-lines", "LOG", "--output", "DIR"],
        ["--input-lines", "nowhere"],
    ],
    ids=" ".join,
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    tmp_path, arguments, capsys
):
    if "--input-topic" in arguments:
        pytest.importorskip("apache_beam.io.gcp.pubsub")
    places = {"LOG": tmp_path / "log.jsonl", "DIR": tmp_path}
    given = [places.get(each, each) for each in arguments]
    usual = {"--output": tmp_path / "out", "--vocabulary": tmp_path}
    for flag, value in usual.items():
        if flag not in given:
            given += [flag, value]
    assert call(tmp_path, *given) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence.startswith("stream_sessions: `")
    assert "Received: " in sentence
    assert not (tmp_path / "out").exists()


def test_what_was_done_is_one_line(tmp_path, capsys):
    code = call(
        tmp_path,
        *("--input-lines", tmp_path / "log.jsonl", "--output"),
        *(tmp_path / "out", "--vocabulary", tmp_path),
        *("--session-column", "visitor"),
    )
    assert code == 0
    assert capsys.readouterr().out == (
        "1 messages, 0 clicks in 1 data folders, 1 dropped: short session\n"
    )

import bz2
import datetime
import decimal
import gzip
import json
import logging
import lzma
import math

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing import util

from beam_jobs import build_sessions
from beam_jobs.options import sessions as session_options
from beam_jobs.sources import fields
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources.click_logs import parquet
from beam_jobs.sources.click_logs import read as click_logs
from jump_tf import schema
from tests.beam_jobs import reading
from tests.beam_jobs.reading import START_MS as SECOND

DAY_MS = 86_400_000


def clicks(path, name, text, **changes):
    """(visit, item, time, origin, dwell or None)s."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    log = reading.read(name, path, **changes)
    assert log.rejects == []
    return [
        (*click[:4], None if math.isnan(click[4]) else click[4])
        for click in log.clicks
    ]


# As published: buys have a price and a quantity, which are often 0; sessions
# of diginetica are mostly anonymous; what Reddit's times are depends on who
# wrote the file; categories may be S for a special offer or a brand.
PUBLISHED = {
    "yoochoose": (
        "7,2014-04-07T08:51:09.277Z,214536502,0\n"
        "7,2014-04-07T08:51:09.277Z,214536500,S\n",
        [
            ("7", "214536502", SECOND, 0, None),
            ("7", "214536500", SECOND, 0, None),
        ],
    ),
    "yoochoose-buys": (
        "420374,2014-04-07T08:51:09.277Z,214537888,12462,1\n"
        "281626,2014-04-07T08:51:10Z,214535653,0,0\n",
        [
            ("420374", "214537888", SECOND, 0, None),
            ("281626", "214535653", SECOND + 723, 0, None),
        ],
    ),
    "diginetica": (
        "sessionId;userId;itemId;timeframe;eventdate\n"
        "1;NA;81766;526309;2016-05-09\n"
        "8;17;31331;1031018;2016-05-10\n",
        [
            ("1", "81766", 526_309, 16_930 * DAY_MS, None),
            ("8", "31331", 1_031_018, 16_931 * DAY_MS, None),
        ],
    ),
    "diginetica-purchases": (
        "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n"
        "150;18278;17100868;2016-05-06;16421;25911\n"
        "150;NA;17100868;2016-05-06;16421;175\n",
        [
            ("150", "25911", 17_100_868, 16_927 * DAY_MS, None),
            ("150", "175", 17_100_868, 16_927 * DAY_MS, None),
        ],
    ),
    "reddit": (
        "username,subreddit,utc\n"
        "kabanossen,photoshopbattles,1396860669.277\n"
        "[deleted],AskReddit,1396860669\n",
        [
            ("kabanossen", "photoshopbattles", SECOND, 0, None),
            ("[deleted]", "AskReddit", SECOND - 277, 0, None),
        ],
    ),
    "gru4rec": (
        "SessionId\tItemId\tTime\n"
        "11\t214821275\t1396860669.277\n"
        "11\t214821371\t1.396860669277E9\n",
        [
            ("11", "214821275", SECOND, 0, None),
            ("11", "214821371", SECOND, 0, None),
        ],
    ),
    # The first three behaviours are in one product, for 299 seconds.
    "jd-micro": (
        "882+5+753+14+299 882+6+753+11+299 882+9+753+274+299 "
        "131+1+12397+60+0 882+4+753+0+5\n",
        [
            ("6a2ce5ab", "882", 0, 0, 299.0),
            ("6a2ce5ab", "882", 14_000, 0, 0.0),
            ("6a2ce5ab", "882", 25_000, 0, 0.0),
            ("6a2ce5ab", "131", 299_000, 0, 0.0),
            ("6a2ce5ab", "882", 359_000, 0, 5.0),
        ],
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts(tmp_path, name):
    text, expected = PUBLISHED[name]
    found = clicks(tmp_path / "log", name, text)
    if name == "jd-micro":
        assert {len(click[0]) for click in found} == {32}
        expected = [(found[0][0], *click[1:]) for click in expected]
    assert found == expected


@pytest.mark.parametrize(
    ("name", "changes", "text", "click"),
    [
        (
            "csv",
            {"dwell_column": "stay"},
            "stay,item_id,x,session_id,timestamp_ms\n"
            f'3.5,"a ""b"", c",,s,{SECOND}',
            ("s", 'a "b", c', SECOND, 0, 3.5),
        ),
        (
            "csv",
            {"dwell_column": "stay", "quote": "'"},
            f"stay,item_id,session_id,timestamp_ms\n,'a, b',\"s, {SECOND} \n",
            ('"s', "a, b", SECOND, 0, None),
        ),
        (
            "csv",
            {
                "columns": ("when", "what", "who"),
                "item_column": "what",
                "time_column": "when",
                "visitor_column": "who",
                "session_gap": 60.0,
                "time_unit": "iso8601",
                "delimiter": "|",
                "quote": "none",
            },
            '2014-04-07T10:51:09.277+02:00| "a" |7\n',
            ("7", '"a"', SECOND, 0, None),
        ),
        (
            "tsv",
            {"time_unit": "s"},
            "timestamp_ms\titem_id\tsession_id\n1396860669.277\ta,b\t07\n",
            ("07", "a,b", SECOND, 0, None),
        ),
        (
            "jsonl",
            {"dwell_column": "stay"},
            '{"stay": 3.5, "session_id": 7, "item_id": "a \\"b\\"", '
            f'"timestamp_ms": {SECOND}, "more": {{"session_id": [1]}}}}\n',
            ("7", 'a "b"', SECOND, 0, 3.5),
        ),
        (
            "jsonl",
            {"time_unit": "s", "dwell_column": "stay"},
            '{"timestamp_ms":1396860669.277,"item_id":"\\u00e4","session_id":'
            '"s","stay":null}\n',
            ("s", "ä", SECOND, 0, None),
        ),
        (
            "jsonl",
            {"time_unit": "iso8601"},
            '{"timestamp_ms":"2014-04-07T08:51:09.277","item_id":-1,'
            '"session_id":12345678901234567890}\n',
            ("12345678901234567890", "-1", SECOND, 0, None),
        ),
    ],
)
def test_columns_by_name(tmp_path, name, changes, text, click):
    assert clicks(tmp_path / "log", name, text, **changes) == [click]


@pytest.mark.parametrize("name", reading._LINES)
def test_many_rows_are_read_as_few(tmp_path, monkeypatch, name):
    """In bulk, in blocks of some lines, and one by one."""
    path = tmp_path / "log"
    path.write_bytes(reading.encode(name, reading.good_rows(200)))
    whole = reading.read(name, path)
    assert (whole.num_lines, whole.num_records) == (200, 200)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 333)
    assert repr(reading.read(name, path).clicks) == repr(whole.clicks)
    monkeypatch.setattr(parsing, "FEW_LINES", 200)
    assert repr(reading.read(name, path).clicks) == repr(whole.clicks)


PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", reading._LINES)
def test_packed_logs(tmp_path, caplog, name, suffix):
    content = reading.encode(name, reading.good_rows(50))
    plain, packed = tmp_path / "log", tmp_path / f"log{suffix}"
    plain.write_bytes(content)
    packed.write_bytes(PACKERS[suffix](content))
    expected = reading.read(name, plain)
    caplog.set_level(logging.WARNING)
    assert not caplog.records
    assert repr(reading.read(name, packed, packed.parent / "log*z*")) == repr(
        reading.Log(expected.clicks * 2, [], 2 * expected.num_lines, 2 * 50)
    )
    (told,) = caplog.records
    assert told.getMessage().count(str(packed)) == 2


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        (
            "yoochoose",
            "7,2014-04-07T08:51:09.277Z,99",
            "wrong number of columns",
        ),
        ("yoochoose", "", "wrong number of columns"),
        ("yoochoose", "7,yesterday,99,0", "unreadable time"),
        (
            "yoochoose-buys",
            "7,2014-04-07T08:51:09Z,9,0",
            "wrong number of columns",
        ),
        ("diginetica", "7;NA;99;2500;1970-13-03", "unreadable time"),
        ("diginetica", "7;NA;99;soon;1970-01-03", "unreadable time"),
        ("diginetica", "7;NA;99;-1;1970-01-03", "time out of range"),
        ("diginetica", "7;NA;99;40000000000;1970-01-03", "time out of range"),
        (
            "diginetica-purchases",
            "7;NA;1;1970-01-03;9",
            "wrong number of columns",
        ),
        ("gru4rec", "7\t99\tnan", "unreadable time"),
        ("gru4rec", "7\t99\t1e999", "unreadable time"),
        ("gru4rec", "7\t99\t1396860669277", "time out of range"),
        ("gru4rec", "\t99\t5", "no session id"),
        ("gru4rec", "7\t \t5", "no item id"),
        ("csv", "7,x,99,-1", "time out of range"),
        ("csv", "7,x,9\r9,5", "line break in item id"),
        ("csv", '7,x,"99,5', "bad quoting"),
        ("csv", "7,x,99,5,8", "wrong number of columns"),
        ("jd-micro", "", "no behaviour"),
        ("jd-micro", "1+5+7+3+9 1+6+7+3", "wrong number of columns"),
        ("jd-micro", "1+11+7+3+9", "unknown behaviour"),
        ("jd-micro", "1+5+7+-3+9", "unreadable interval"),
        ("jd-micro", "1+5+7+" + "9" * 5000 + "+9", "unreadable interval"),
        ("jd-micro", "+5+7+3+9", "no item id"),
        ("jd-micro", "1+5+7+3+soon", "unreadable dwell"),
        ("jsonl", "", "not JSON"),
        ("jsonl", "[7]", "not a JSON object"),
        ("jsonl", '{"session_id":7,"item_id":9}', "unreadable time"),
        ("jsonl", '{"item_id":9,"timestamp_ms":5}', "no session id"),
        (
            "jsonl",
            '{"session_id":7,"item_id":9,"timestamp_ms":5,"item_id":9}',
            "column given twice",
        ),
        (
            "jsonl",
            '{"session_id":7,"item_id":9.0,"timestamp_ms":5}',
            "item id is neither text nor whole number",
        ),
        (
            "jsonl",
            '{"session_id":true,"item_id":9,"timestamp_ms":5}',
            "session id is neither text nor whole number",
        ),
        (
            "jsonl",
            '{"session_id":7,"item_id":9,"timestamp_ms":[]}',
            "unreadable time",
        ),
        (
            "jsonl",
            '{"session_id":7,"item_id":9,"timestamp_ms":-1}',
            "time out of range",
        ),
        (
            "jsonl",
            '{"session_id":7,"item_id":"\\ud800","timestamp_ms":5}',
            "not UTF-8",
        ),
        (
            "jsonl",
            '{"session_id":7,"item_id":"a\\nb","timestamp_ms":5}',
            "line break in item id",
        ),
    ],
)
def test_says_why_a_row_is_bad(tmp_path, name, row, reason):
    path = tmp_path / "log"
    good = reading.encode(name, reading.good_rows(3))
    path.write_bytes(good + f"{row}\n".encode())
    has_header = click_logs.log_format(reading.request(name, path)).has_header
    assert reading.read(name, path).rejects == [(4 + has_header, reason)]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("0", "ms", 0),
        ("1.0005", "s", 1000),
        ("1.001", "s", 1001),
        ("1396437466.94", "s", 1_396_437_466_940),
        ("1970-01-01", "iso8601", 0),
        ("1970-01-01T00:00:01.5", "iso8601", 1500),
        ("1970-01-01T02:00:00+02:00", "iso8601", 0),
    ],
)
def test_instants(text, unit, expected):
    assert fields.milliseconds(text, unit) == expected


@pytest.mark.parametrize(
    ("name", "first_line", "received"),
    [
        ("yoochoose", "SessionId\tItemId\tTime", "SessionId"),
        ("yoochoose-buys", "7,2014-04-07T08:51:09.277Z,99,0", "7, 2014"),
        ("diginetica", "session;item;time", "session, item, time"),
        ("gru4rec", "SessionId,ItemId,Time", "SessionId,ItemId,Time"),
        ("csv", "session_id,item_id", "session_id, item_id"),
        (
            "csv",
            "timestamp_ms,item_id,session_id,item_id",
            "timestamp_ms, item",
        ),
        ("jsonl", '{"session_id": 7, "item": 9}', "session_id, item$"),
        ("jd-micro", "1+5+7+3 2+5+7+3+9", "1, 5, 7, 3$"),
    ],
)
def test_other_columns_are_refused(tmp_path, name, first_line, received):
    path = tmp_path / "my.log"
    path.write_text(f"{first_line}\n{first_line}\n")
    sentence = f"`input` must have the columns .*my.log with {received}"
    with pytest.raises(schema.InputError, match=sentence):
        reading.read(name, path)


UTC = datetime.UTC
NOON = datetime.datetime(2014, 4, 7, 8, 51, 9, 277_000)
IDS = {"session_id": ["s", "t"], "item_id": [7, 8]}


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        (pa.array([SECOND, 0]), "ms"),
        (pa.array([SECOND, 0], pa.uint64()), "ms"),
        (pa.array([float(SECOND), 0.0]), "ms"),
        (pa.array([SECOND / 1000, 0.0]), "s"),
        (pa.array([str(SECOND), "0"]), "ms"),
        (pa.array(["2014-04-07T10:51:09.277+02:00", "1970-01-01"]), "iso8601"),
        (pa.array(["2014-04-07T08:51:09.277", "1970-01-01T00:00"]), "iso8601"),
        (
            pa.array([NOON, datetime.datetime(1970, 1, 1)], pa.timestamp("ms")),
            "s",
        ),
        (pa.array([SECOND, 0]).cast(pa.timestamp("ms", "Asia/Tokyo")), "ms"),
        (
            pa.array([SECOND * 1000 + 999, 0]).cast(pa.timestamp("us")),
            "iso8601",
        ),
        (pa.array([SECOND * 10**6, 0]).cast(pa.timestamp("ns", "UTC")), "ms"),
    ],
)
@pytest.mark.parametrize("few", [0, 32])
def test_parquet_times(tmp_path, monkeypatch, times, unit, few):
    monkeypatch.setattr(parsing, "FEW_LINES", few)
    content = reading.parquet_bytes({**IDS, "timestamp_ms": times})
    found = clicks(tmp_path / "log", "parquet", content, time_unit=unit)
    assert found == [("s", "7", SECOND, 0, None), ("t", "8", 0, 0, None)]


@pytest.mark.parametrize("few", [0, 32])
@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["7", "ä"]),
        pa.array(["7", "ä"], pa.large_string()),
        pa.array(["7", "ä"]).dictionary_encode(),
        pa.array([b"7", "ä".encode()]),
        pa.array(["7", "ä"], pa.string_view()),
    ],
)
def test_parquet_texts(tmp_path, monkeypatch, ids, few):
    monkeypatch.setattr(parsing, "FEW_LINES", few)
    table = {"who": ids, "item_id": ids, "when": [5, 6], "x": [[1], [2]]}
    content = reading.parquet_bytes({**table, "stay": [None, 2]})
    found = clicks(
        tmp_path / "log",
        "parquet",
        content,
        visitor_column="who",
        session_gap=9.0,
        time_column="when",
        dwell_column="stay",
    )
    assert found == [("7", "7", 5, 0, None), ("ä", "ä", 6, 0, 2.0)]


def test_parquet_row_groups_are_the_log(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.write_bytes(reading.encode("parquet", reading.good_rows(100)))
    named = click_logs.named_columns(reading.request("parquet", path))
    groups = parquet.plan([str(path)], named)
    sizes = [(group.first_row, group.num_rows) for group in groups]
    assert sizes == [(0, 33), (33, 33), (66, 33), (99, 1)]
    whole = reading.read("parquet", path)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 7)
    assert repr(reading.read("parquet", path)) == repr(
        whole._replace(rejects=whole.rejects)
    )
    assert [click[2] - SECOND for click in whole.clicks] == [
        1000 * n for n in range(100)
    ]


def test_bad_parquet_rows(tmp_path):
    path = tmp_path / "log"
    table = {
        "session_id": ["s", None, "s", " ", b"s\xff", "s", "s"],
        "item_id": [1, 1, None, 1, 1, 1, 1],
        "timestamp_ms": [5.0, 5.0, 5.0, 5.0, 5.0, math.nan, -1.0],
    }
    table["session_id"] = pa.array(
        [i.encode() if isinstance(i, str) else i for i in table["session_id"]]
    )
    path.write_bytes(reading.parquet_bytes(table))
    assert reading.read("parquet", path).rejects == [
        (2, "no session id"),
        (3, "no item id"),
        (4, "no session id"),
        (5, "not UTF-8"),
        (6, "unreadable time"),
        (7, "time out of range"),
    ]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("session_id", [[1], [2]]),
        ("item_id", [1.0, 2.0]),
        ("item_id", pa.array([None, None])),
        ("timestamp_ms", [True, False]),
        ("timestamp_ms", [datetime.date(2014, 4, 7)] * 2),
        ("stay", [decimal.Decimal("1.5")] * 2),
    ],
)
def test_parquet_types_that_are_refused(tmp_path, name, column):
    path = tmp_path / "my.log"
    table = {**IDS, "timestamp_ms": [5, 6], "stay": [1, 2], name: column}
    path.write_bytes(reading.parquet_bytes(table))
    with pytest.raises(
        schema.InputError, match=rf"my\.log with {name} of type"
    ):
        reading.read("parquet", path, dwell_column="stay")


def prepare(name, log, output, **changes):
    request = session_options.PrepareOptions(
        name, (str(log),), str(output), **changes
    )
    return build_sessions.run(request)


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_typed_logs_give_the_same_folder_as_csv(tmp_path, monkeypatch, name):
    monkeypatch.setattr(lines, "BLOCK_BYTES", 500)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 11)
    monkeypatch.setattr(click_logs, "PARTITION_ROWS", 30)
    folders = []
    for layout in ("csv", name):
        log = tmp_path / layout
        rows = reading.good_rows(100)
        spoiled = [*rows[:40], ("s", "", 5), *rows[40:], (" ", "a", 5)]
        log.write_bytes(reading.encode(layout, spoiled))
        folder = tmp_path / f"{layout}-data"
        manifest = prepare(layout, log, folder, max_reject_share=0.1)
        assert manifest["rejected"] == {"no item id": 1, "no session id": 1}
        folders.append({path.name: path for path in folder.iterdir()})
    for file, path in folders[0].items():
        if file not in (schema.MANIFEST_FILE, schema.REJECTS_FILE):
            assert path.read_bytes() == folders[1][file].read_bytes()
    of_csv, rejects = (
        [
            json.loads(line)
            for line in files[schema.REJECTS_FILE].read_text().splitlines()
        ]
        for files in folders
    )
    numbers = [reject["line_number"] for reject in of_csv]
    assert numbers == [42, 103]  # After the header.
    assert [reject["line_number"] for reject in rejects] == [41, 102]
    assert json.loads(rejects[0]["line"]) == {
        "session_id": "s",
        "item_id": "",
        "timestamp_ms": SECOND + 5,
    }


def test_jd_micro_rows_are_behaviours(tmp_path):
    """Views are clicks, and a session that is there twice counts once."""
    log = tmp_path / "log"
    session = "1+5+7+3+9 1+6+7+2+9 2+5+7+8+4 1+5+7+9+6"
    others = [f"{n}+5+7+1+1 1+5+7+0+2 2+5+7+0+3" for n in range(5, 9)]
    log.write_text("\n".join([session, *others, "bad", session, others[0]]))
    manifest = prepare("jd-micro", log, tmp_path / "data", max_reject_share=0.2)
    assert manifest["rows"] == 4 + 4 * 3 + 1 + 4 + 3
    assert manifest["rejected"] == {"wrong number of columns": 1}
    assert manifest["filtered"] == {
        "copy of a session": 4 + 3,
        "merged repeat": 1,
        "rare item": 4,
    }
    assert manifest["clicks"] == 3 + 4 * 2


def test_jd_micro_dwells_are_measured(tmp_path):
    log = tmp_path / "log"
    log.write_text("1+5+7+3+9 1+6+7+2+9 2+5+7+8+4 1+5+7+9+6\n" * 2)
    asked = session_options.PrepareOptions(
        "jd-micro", (str(log),), "data", min_item_clicks=1
    )
    with test_pipeline.TestPipeline(runner="FnApiRunner") as pipeline:
        kept = build_sessions.logged_sessions(asked, pipeline)
        dwells = kept | beam.MapTuple(
            lambda _, session: tuple(vars(session).values())[1:]
        )
        util.assert_that(
            dwells,
            util.equal_to(
                [(0, ["1", "2", "1"], [9.0, 4.0, 6.0], [0, 0, 0], 0)]
            ),
        )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"split": "temporal"}, "`split` must be random where the log has no"),
        ({"until": "2014-01-01"}, "`until` must be given where the log has a"),
        ({"session_gap": 5.0}, "`session_gap` must be given for logs of visit"),
        ({"dwell_column": "x"}, "`dwell_column` must be given with format="),
    ],
)
def test_jd_micro_has_no_clock(changes, sentence):
    with pytest.raises(schema.InputError, match=sentence):
        reading.request("jd-micro", "log", **changes)

"""What is read in bulk is what is read line by line, whatever the lines are."""

import json
import math

import hypothesis
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from beam_jobs import columns
from beam_jobs.options import sessions as session_options
from beam_jobs.sources import parsing
from beam_jobs.sources import typed_columns as sources_typed_columns
from beam_jobs.sources.click_logs import parquet
from beam_jobs.sources.click_logs import read as click_logs

IDS = [
    "7",
    "007",
    "a b",
    "ä",
    "x" * 300,
    "-1",
    "1.0",
    "None",
    "=1+1",
    "\u00e9\u0301",
]
ODD_IDS = [
    *("", " ", "\t", " 7", "7 ", "\u00a07", "7\u3000", "\u2003", "\x1f7"),
    *("7\u00858", "7\u2028", "7\r8", "7\x0b", "7\x0c8", "\x85", "\x1c"),
    *("\ufeff7", "7\x008", "\x00", '"7"', '"7""8"', '"7', '7"8', '"7"8', '""'),
    *("'7'", "7,8", '"7,8"', "\u200b", "\ud7ff", "\U0001f600", "\u180e7"),
]
NOT_UTF8 = "\udcff"  # The byte 0xFF, where errors are escaped.
SECONDS = ["0", "5", "1396860669.277", "1396860669", "86399.9995", "1e9"]
MILLISECONDS = ["0", "5", "1396860669277", "253402300799999", "0005"]
INSTANTS = [
    *("2014-04-07T08:51:09.277Z", "2014-04-07T08:51:09", "2014-04-07"),
    *("2014-04-07 08:51:09.5", "2014-04-07T10:51:09+02:00"),
    *("1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
]
ODD_TIMES = [
    *("", " ", " 5", "5 ", "+5", "-5", "-0", "- 5", "1_000", "0x10", "1e3"),
    *("1e999", "-1e999", "nan", "NaN", "inf", "-inf", "Infinity", "1,5", "5."),
    *(".5", "1e-400", "253402300800", "253402300800000", "9" * 18, "9" * 19),
    *("1" + "0" * 30, "0" * 30, "\u0661\u0662", "5\x00", "\x005", "5\r", "1d"),
    *("1396860669277.5", "0.0005", "0.0015", "0.00049999999999999999", "1f"),
    *("1e-3", "1E3", "0.1e1", "2.5e11", "4503599627370497.5", "true", "null"),
    *(
        "2014-04-07T24:00:00",
        "2014-04-07T23:59:60Z",
        "2014-02-29",
        "2016-02-29",
    ),
    *("2014-04-07T08:51:09.277123456Z", "2014-04-07T08:51:09.277123Z"),
    *("2014-04-07T08:51:09.1Z", "2014-04-07T08:51:09.12Z", "2014-04-07T08:51"),
    *("2014-04-07T08", "2014-04-07T085109", "20140407", "20140407T085109Z"),
    *("2014-W15-1", "2014W151", "2014-097", "2014", "2014-04", "+2014-04-07"),
    *("2014-04-07T08:51:09z", "2014-04-07t08:51:09Z", "2014-04-07_08:51:09"),
    *("2014-04-07T08:51:09+0200", "2014-04-07T08:51:09+02", "2014-04-07Z"),
    *("2014-04-07T08:51:09-00:00", "2014-04-07T08:51:09+24:00"),
    *("2014-04-07T08:51:09+02:00:30", "2014-04-07T08:51:09 +02:00"),
    *("2014-04-07T08:51:09,277Z", "2014-04-07T08:51:09.Z", " 2014-04-07 "),
    *("2014-4-7", "2014-04-07T8:51:09", "2014/04/07", "0000-01-01"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "10000-01-01"),
    *("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-01:00", "1969-12-31"),
    *("1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00+00:01", "now"),
    *("2014-04-07T08:51:09\u00a0", "\u00a02014-04-07", "2014-04-07\x00"),
]
DWELLS = ["", "0", "5", "12.5"]
TIMES = {"s": SECONDS, "ms": MILLISECONDS, "iso8601": INSTANTS}
FORMATS = {
    "yoochoose": {},
    "yoochoose-buys": {},
    "diginetica": {},
    "diginetica-purchases": {},
    "reddit": {},
    "gru4rec": {},
    "csv": {"dwell_column": "dwell"},
    "csv quoted with '": {"quote": "'", "time_unit": "s"},
    "csv without quotes": {"quote": "none", "time_unit": "iso8601"},
    "csv without header": {
        "columns": ("session_id", "x", "item_id", "timestamp_ms"),
        "delimiter": "|",
    },
    "tsv": {
        "time_unit": "s",
        "visitor_column": "session_id",
        "session_gap": 9.0,
    },
}
HEADERS = {
    "diginetica": "sessionId;userId;itemId;timeframe;eventdate",
    "diginetica-purchases": (
        "sessionId;userId;timeframe;eventdate;ordernumber;itemId"
    ),
    "reddit": "username,subreddit,utc",
    "gru4rec": "SessionId\tItemId\tTime",
    "csv": "session_id,dwell,x,item_id,timestamp_ms",
    "tsv": "session_id\tx\titem_id\ttimestamp_ms",
}
HEADERLESS = {
    "yoochoose": "session,time,item,x",
    "yoochoose-buys": "session,time,item,x,x",
    "csv without header": "session_id|x|item_id|timestamp_ms",
}
KINDS = {
    **dict.fromkeys(
        ("timeframe", "timestamp_ms", "utc", "Time", "time"), "time"
    ),
    "eventdate": "day",
    "dwell": "dwell",
}


def log_format(name):
    request = {"format": name.split()[0], "input": ("log",), "output": "out"}
    return click_logs.log_format(
        session_options.PrepareOptions(**request, **FORMATS[name])
    )


def first_line(name):
    kind = name.split()[0]
    return HEADERLESS.get(name) or HEADERS[kind]


def mostly(good, odd):
    """Good values; but one in some is not."""
    return st.integers(0, 15).flatmap(
        lambda n: st.sampled_from(odd) if n == 0 else st.sampled_from(good)
    )


def texts(kind, unit):
    if kind == "time":
        return mostly(TIMES[unit], ODD_TIMES + ODD_IDS)
    if kind == "day":
        return mostly(["2014-04-07", "1970-01-01"], ODD_TIMES)
    if kind == "dwell":
        return mostly(DWELLS, ODD_TIMES)
    return mostly(IDS, ODD_IDS)


def lines_of(name):
    shape = log_format(name)
    head = first_line(name)
    names = head.split(shape.delimiter)
    fields = [texts(KINDS.get(each), shape.time_unit) for each in names]
    row = st.tuples(*fields).map(lambda row: shape.delimiter.join(row).encode())
    odd = [
        *(b"", b" ", b"\r", b"a", b"\xff", b"\xef\xbb\xbf", b'"', b"," * 9),
        *(b";" * 9, b"\t" * 9, b"|" * 3, b"\x00"),
    ]
    rag = row.map(lambda line: line + shape.delimiter.encode() + b"x")
    bad = row.map(lambda line: line[:1] + b"\xff" + line[1:])
    cut = row.map(lambda line: line[: len(line) // 2])
    return log(mostly_rows(row, st.one_of(st.sampled_from(odd), rag, bad, cut)))


def mostly_rows(row, odd):
    return st.integers(0, 15).flatmap(lambda n: odd if n == 0 else row)


def log(row):
    """Lines, with the ends that files have."""
    ends = mostly([b"\n"], [b"\r\n", b"\r", b"\r\r\n", b"\n\n"])
    lines = st.lists(
        st.tuples(row, ends).map(b"".join), min_size=1, max_size=12
    )
    return st.tuples(lines, st.booleans()).map(
        lambda told: b"".join(told[0])[: -1 if told[1] else None] or b"\n"
    )


def told(parsed):
    """Clicks, their times and dwells as they are, and why lines are none."""
    found, bad = parsed
    clicks = []
    if found:
        whole = columns.concatenate(found)
        number = len(whole)
        origins = whole.origin_ms
        dwells = whole.dwell_seconds
        clicks = list(
            zip(
                whole.visits.to_pylist(),
                whole.items.to_pylist(),
                whole.time_ms.tolist(),
                [0] * number if origins is None else origins.tolist(),
                [math.nan] * number if dwells is None else dwells.tolist(),
                strict=True,
            )
        )
    return repr(clicks), [(offset, str(error)) for offset, error in bad]


def assert_alike(shape, head, data):
    number = parsing.lines.count_lines(data)
    row = shape.parser("log", head)
    column = shape.column_parser("log", head)
    one_by_one = parsing.parse(data, number, row, None)
    assert told(parsing.parse(data, number, row, column)) == told(one_by_one)
    clicks = sum(map(len, one_by_one[0]))
    assert clicks + len(one_by_one[1]) == number


@pytest.fixture
def few(monkeypatch):
    """Lets a single line be a few, and two be many."""
    monkeypatch.setattr(parsing, "FEW_LINES", 1)


def for_all(number, check):
    """Calls `check` with as many draws."""
    settings = hypothesis.settings(
        derandomize=True,
        deadline=None,
        max_examples=number,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    @settings
    @hypothesis.given(data=st.data())
    def run(data):
        check(data)

    run()


numbers = pytest.mark.parametrize(
    "number", [20, pytest.param(60, marks=pytest.mark.exhaustive)]
)


@pytest.mark.parametrize("name", FORMATS)
@numbers
def test_delimited_lines(few, name, number):
    def check(data):
        lines = data.draw(lines_of(name))
        assert_alike(log_format(name), first_line(name), lines)

    for_all(number, check)


def good_value(kind, unit):
    return {"time": TIMES[unit][1], "day": "1970-01-03", "dwell": "5"}.get(
        kind, "7"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_each_odd_value_beside_good_ones(few, name):
    shape = log_format(name)
    names = first_line(name).split(shape.delimiter)
    good = [good_value(KINDS.get(each), shape.time_unit) for each in names]
    good_line = shape.delimiter.join(good).encode()
    for place in range(len(names)):
        for odd in [*ODD_IDS, *ODD_TIMES, NOT_UTF8]:
            row = [*good[:place], odd, *good[place + 1 :]]
            line = shape.delimiter.join(row).encode(errors="surrogateescape")
            for data in ([good_line, line], [line, good_line], [line, line]):
                assert_alike(shape, first_line(name), b"\n".join(data))


JSON_IDS = [*map(json.dumps, IDS), "7", "-7", "0", "123456789012345678"]
ODD_JSON = [
    *map(json.dumps, ODD_IDS),
    *("null", "true", "7.0", "1e3", "-0", "9" * 25, "9" * 5000, "NaN", "Inf"),
    *("-Infinity", "-NaN", "[]", "[7]", "{}", '{"item_id": 7}', '"\\ud800"'),
    *(
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"\\u2028"',
        "'7'",
        "07",
        "+7",
        "",
        "1e999",
    ),
    *('"\x01"', '"7', "7//", '{"x":' * 20000 + "1", NOT_UTF8),
    *("[" * 600 + "]" * 600, "[" * 2000 + "]" * 2000),
    *('"\\n"', '"\\x"', '"\u0085"', "tru", "0x7", "1.", ".5", "2.5", "-1"),
]


def as_object(pairs, comma=","):
    return f"{{{comma.join(pairs)}}}".encode(errors="surrogateescape")


@pytest.mark.parametrize("unit", TIMES)
@numbers
def test_json_lines(few, unit, number):
    for_all(number, lambda data: check_json_lines(unit, data))


def check_json_lines(unit, data):
    shape = click_logs.jsonl.JsonLines(
        sources_typed_columns.Columns(
            "session_id", "item_id", "time", unit, "dwell"
        )
    )
    number = {"s": ["5", "1396860669.277", "1e9"], "ms": ["5", "1396860669277"]}
    good = data.draw(
        st.sampled_from([number.get(unit), [*map(json.dumps, TIMES[unit])]])
    )
    odd_times = [*ODD_JSON, *map(json.dumps, ODD_TIMES)]
    ids = data.draw(st.sampled_from([JSON_IDS[:10], JSON_IDS[10:]]))
    members = {
        "session_id": mostly(ids, ODD_JSON),
        "item_id": mostly(ids, ODD_JSON + JSON_IDS),
        "time": mostly(good or [*map(json.dumps, TIMES[unit])], odd_times),
        "dwell": mostly(["5", "2.5", "null"], odd_times),
        "other": mostly(['"x"', '{"a":[1,{"b":2}]}'], ODD_JSON),
    }
    row = st.tuples(
        *(
            value.map(lambda text, name=name: f'"{name}":{text}')
            for name, value in members.items()
        )
    )
    whole = row.map(as_object)
    fewer = row.map(lambda pairs: as_object(pairs[1:], ", "))
    twice = row.map(lambda pairs: as_object([*pairs, *pairs]))
    comma = row.map(lambda pairs: as_object([*pairs, ""]))
    two = whole.map(lambda line: line + line)
    spread = whole.map(lambda line: line.replace(b",", b",\n", 1))
    led = whole.map(lambda line: b" " + line)
    marked = whole.map(lambda line: b"\xef\xbb\xbf" + line)
    plain = st.sampled_from([b"", b"{}", b"[]", b"7", b"null", b"\xff", b"{"])
    odd = st.one_of(fewer, twice, comma, two, spread, led, marked, plain)
    head = '{"session_id":1,"item_id":1,"time":1,"dwell":1}'
    assert_alike(shape, head, data.draw(log(mostly_rows(whole, odd))))


@pytest.mark.parametrize("unit", TIMES)
def test_each_odd_json_value_beside_good_ones(few, unit):
    names = ["session_id", "item_id", "time", "dwell", "other"]
    shape = click_logs.jsonl.JsonLines(
        sources_typed_columns.Columns(*names[:3], unit, names[3])
    )
    good = ["7", '"7"', json.dumps(TIMES[unit][1]), "5", '[{"a":1}]']
    if unit != "iso8601":
        good[2] = "5"

    def line(values):
        pairs = zip(names, values, strict=True)
        return as_object([f'"{name}":{value}' for name, value in pairs])

    for place in range(len(names)):
        for odd in [*ODD_JSON, *map(json.dumps, ODD_TIMES)]:
            spoiled = line([*good[:place], odd, *good[place + 1 :]])
            for data in (
                [line(good), spoiled],
                [spoiled, line(good)],
                [spoiled, spoiled],
            ):
                assert_alike(shape, line(good).decode(), b"\n".join(data))


@pytest.mark.parametrize(
    "data",
    [
        b'{"i":7,"t":5}{"i":8,"t":6}\n\n{"i":9,"t":7}',
        b'{"i":7,"t":5}{"i":8,\n"t":6}',
        b'{"i":7,"t":5}{"i":8,"x":\n{},"t":6}',
        b'{"i":7,"t":5}\n{"i":8,\n"t":6} {"i":9,"t":6}',
    ],
)
def test_objects_are_not_counted_as_lines(few, data):
    shape = click_logs.jsonl.JsonLines(
        sources_typed_columns.Columns("i", "i", "t", "s")
    )
    assert_alike(shape, '{"i":7,"t":5}', data)


def typed_columns(unit):
    numbers = st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.integers(0, 2_000_000_000_000)
    )
    ids = mostly(IDS, [*ODD_IDS, None])
    text = [
        (pa.string(), ids),
        (pa.large_string(), ids),
        (pa.dictionary(pa.int32(), pa.string()), ids),
        (pa.binary(), ids.map(lambda t: None if t is None else t.encode())),
        (pa.binary(), mostly([b"7", "ä".encode()], [b"\xff", b"", None])),
    ]
    whole = [
        (pa.int64(), numbers),
        (pa.int64(), st.one_of(st.integers(0, 9**15), st.none())),
        (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
        (pa.uint64(), st.integers(0, 2**64 - 1)),
        (pa.int8(), st.integers(-128, 127)),
    ]
    fraction = [
        (pa.float64(), st.one_of(st.floats(), st.floats(0, 3e14), st.none())),
        (pa.float32(), st.floats(width=32)),
    ]
    stamps = [
        (pa.timestamp(each, zone), mostly_rows(st.integers(0, 10**15), numbers))
        for each in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin")
    ]
    times = mostly(TIMES[unit], [*ODD_TIMES, None])
    when = [
        (pa.string(), times),
        (pa.dictionary(pa.int8(), pa.string()), times),
    ]
    dwell = [(pa.string(), mostly(DWELLS, [*ODD_TIMES, None]))]
    return [
        st.one_of(*map(st.just, kinds))
        for kinds in (
            text + whole,
            text + whole,
            when + whole + fraction + stamps,
            dwell + whole + fraction,
        )
    ]


@pytest.mark.parametrize("unit", TIMES)
@numbers
def test_typed_columns(few, unit, number):
    for_all(number, lambda data: check_typed_columns(unit, data))


def check_typed_columns(unit, data):
    number = data.draw(st.integers(1, 12))
    arrays = []
    for kind in typed_columns(unit):
        type_, value = data.draw(kind)
        values = data.draw(st.lists(value, min_size=number, max_size=number))
        arrays.append(as_array(values, type_))
    in_bulk = parquet.parse(arrays, unit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "FEW_LINES", number)
        one_by_one = parquet.parse(arrays, unit)
    assert told(in_bulk) == told(one_by_one)
    assert sum(map(len, one_by_one[0])) + len(one_by_one[1]) == number


def as_array(values, type_):
    if pa.types.is_timestamp(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_dictionary(type_):
        return pa.array(values, pa.string()).dictionary_encode().cast(type_)
    if pa.types.is_floating(type_):
        return pa.array(values, type_, from_pandas=False)
    return pa.array(values, type_)

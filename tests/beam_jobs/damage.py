"""What can befall a log: kinds of damage, and what has to become of it.

A kind is a format and what is done to the bytes of a sound log of it.
"""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import pyarrow as pa

from beam_jobs.options import sessions as session_options
from tests.beam_jobs import reading

# What has to become of the log.
REFUSED = "refused"  # One sentence.
READ = "read"  # As if nothing had happened.
SOME = "some"  # What is damaged is rejected, and all else is read.
NONE = "none"  # All of it is rejected, or it is refused.
ANY = "any"  # The damage may not show; nothing gets lost without a count.

ROWS = reading.good_rows(60)
SPOILED = 30  # The row that is damaged, where it is one.
LONGEST_LINE = 4096  # To be set for these logs.
TEXTS = tuple(
    name for name in session_options.FORMATS if name != session_options.PARQUET
)
WITH_HEADER = {
    "diginetica": ";",
    "diginetica-purchases": ";",
    "reddit": ",",
    "gru4rec": "\t",
    "csv": ",",
    "tsv": "\t",
}
ITEM_COLUMNS = {"reddit": "subreddit", "gru4rec": "ItemId", "csv": "item_id"}
ITEM_COLUMNS["tsv"] = "item_id"
_TIMED = tuple(name for name in TEXTS if name not in ("jsonl", "jd-micro"))
RUBBISH = random.Random(0).randbytes(3000)
Damage = Callable[[bytes], bytes]


class Kind(NamedTuple):
    """A kind of damage; `content` is the file's, `suffix` ends its name."""

    log_format: str
    name: str
    content: bytes
    expected: str
    suffix: str = ""

    def __str__(self) -> str:
        return f"{self.log_format}{self.suffix}: {self.name}"


def in_line(change: Damage, *more: bytes) -> Damage:
    """Changes the spoiled row's line, and adds some after it."""

    def damage(content):
        rows = content.splitlines(keepends=True)
        place = SPOILED + len(rows) - len(ROWS)
        line = rows[place].rstrip(b"\n")
        rows[place : place + 1] = [change(line), b"\n", *more]
        return b"".join(rows)

    return damage


def _other_delimiter(content):
    return content.translate(bytes.maketrans(b",;\t+", b"||||"))


_TEXT: dict[str, tuple[Damage, str]] = {
    "cut within a line": (lambda c: c[:-4], ANY),
    "cut in the middle": (lambda c: c[: len(c) // 2], ANY),
    "no last line end": (lambda c: c[:-1], READ),
    "cut within the first line": (lambda c: c[:5], NONE),
    "binary rubbish": (lambda c: RUBBISH, NONE),
    "rubbish at the end": (lambda c: c + RUBBISH, SOME),
    "rubbish in a line": (in_line(lambda line: RUBBISH[:200]), SOME),
    "a byte that is not UTF-8": (in_line(lambda line: line + b"\xff"), SOME),
    "Latin-1": (in_line(lambda line: b"\xe4" + line), SOME),
    "half a character": (in_line(lambda line: b"\xe2\x82" + line), SOME),
    "a byte order mark": (lambda c: b"\xef\xbb\xbf" + c, READ),
    "Windows line ends": (lambda c: c.replace(b"\n", b"\r\n"), READ),
    "old Macintosh line ends": (lambda c: c.replace(b"\n", b"\r"), NONE),
    "mixed line ends": (in_line(lambda line: line + b"\r"), READ),
    "a return in a line": (
        in_line(lambda line: line[:3] + b"\r" + line[3:]),
        ANY,
    ),
    "nothing": (lambda c: b"", REFUSED),
    "blank lines only": (lambda c: b"\n" * 70, NONE),
    "zeros only": (lambda c: bytes(5000), NONE),
    "zeros at the end": (lambda c: c + bytes(5000), SOME),
    "zeros in a line": (in_line(lambda line: bytes(len(line))), SOME),
    "a blank line": (in_line(lambda line: line, b"\n"), SOME),
    "a line of blanks": (in_line(lambda line: line, b"   \n"), SOME),
    "UTF-16": (lambda c: c.decode().encode("utf-16"), NONE),
    "UTF-16, big end first": (lambda c: c.decode().encode("utf-16-be"), NONE),
    "UTF-32": (lambda c: c.decode().encode("utf-32"), NONE),
    "one column more": (in_line(lambda line: line + b",1;1\t1+1"), SOME),
    "one column less": (in_line(lambda line: line[:2]), SOME),
    "another delimiter": (_other_delimiter, NONE),
    "all lines twice": (lambda c: c + c, ANY),
    "a line that is far too long": (
        in_line(lambda line: line.replace(b"i", b"i" * 9000, 1)),
        SOME,
    ),
    "a page of a web server": (lambda c: b"<html>\n<p>404\n</html>\n", NONE),
    "packed without saying so": (gzip.compress, NONE),
    "packed, and not so": (lambda c: c, REFUSED),
}
_HEADER: dict[str, tuple[Damage, str]] = {
    "a header only": (lambda c: c[: c.find(b"\n") + 1], REFUSED),
    "a header without an end": (lambda c: c[: c.find(b"\n")], REFUSED),
    "no header": (lambda c: c[c.find(b"\n") + 1 :], REFUSED),
}
_ODD_TIMES = ("-5", "9" * 20, "253402300800000", "soon", "", "nan", "1e999")
_ODD_IDS = ("", " ", "i\u20285", "i\x855", '"i5')


def _time(name, ms):
    if name.startswith("yoochoose"):
        return reading.iso8601(ms)
    if name.startswith("diginetica"):
        return f";{ms};"
    if name in ("reddit", "gru4rec"):
        return str((reading.START_MS + ms) / 1000)
    return str(reading.START_MS + ms)


def _texts():
    for name in TEXTS:
        sound = reading.encode(name, ROWS)
        for damage, (change, expected) in _TEXT.items():
            suffix = ".gz" if damage == "packed, and not so" else ""
            yield Kind(name, damage, change(sound), expected, suffix)
    for name, delimiter in WITH_HEADER.items():
        sound = reading.encode(name, ROWS)
        head, _, rows = sound.decode().partition("\n")
        for damage, (change, expected) in _HEADER.items():
            yield Kind(name, damage, change(sound), expected)
        item = ITEM_COLUMNS.get(name, "itemId")
        more = rows.replace("\n", f"{delimiter}i7\n")
        for damage, header, body, expected in (
            ("a column missing", head.replace(item, "other"), rows, REFUSED),
            ("a column twice", f"{head}{delimiter}{item}", more, REFUSED),
            ("two logs end to end", head, f"{rows}{head}\n{rows}", ANY),
            ("columns more than named", head, more, NONE),
            ("columns less than named", f"{head}{delimiter}x", rows, NONE),
        ):
            yield Kind(name, damage, f"{header}\n{body}".encode(), expected)


def _values():
    session, _, ms = ROWS[SPOILED]
    for name in (*_TIMED, "jsonl"):
        for odd in _ODD_TIMES:
            old = _time(name, ms)
            new = f";{odd};" if name.startswith("diginetica") else odd
            change = in_line(
                lambda line, old=old, new=new: line.replace(
                    old.encode(), new.encode()
                )
            )
            content = change(reading.encode(name, ROWS))
            yield Kind(name, f"the time {odd!r}", content, SOME)
    for name in _TIMED:
        for odd in _ODD_IDS:
            rows = [*ROWS[:SPOILED], (session, odd, ms), *ROWS[SPOILED + 1 :]]
            content = reading.encode(name, rows)
            yield Kind(name, f"the item {odd!r}", content, SOME)


def _mixed_zones():
    for name, zone in (("yoochoose", "+02:00"), ("yoochoose-buys", "")):
        change = in_line(
            lambda line, zone=zone: (
                line.replace(b"T08", b"T10").replace(b"Z", zone.encode())
                if zone
                else line.replace(b"Z", b"")
            )
        )
        content = change(reading.encode(name, ROWS))
        yield Kind(name, "mixed zones", content, READ)


_ROW = {"session_id": "s7", "item_id": "i2", "timestamp_ms": reading.START_MS}
_JSON: dict[str, tuple[str, str]] = {
    "an array": ("[1, 2]", SOME),
    "a number": ("7", SOME),
    "a text": ('"s7"', SOME),
    "null": ("null", SOME),
    "an empty object": ("{}", SOME),
    "single quotes": (str(_ROW), SOME),
    "a trailing comma": (json.dumps(_ROW)[:-1] + ",}", SOME),
    "a comment": (json.dumps(_ROW) + " // the last", SOME),
    "an unclosed text": (json.dumps(_ROW)[:-1] + ', "x": "y}', SOME),
    "an unclosed object": (json.dumps(_ROW)[:-1], SOME),
    "two objects": (json.dumps(_ROW) + json.dumps(_ROW), SOME),
    "an object over lines": (json.dumps(_ROW).replace(", ", ",\n"), SOME),
    "an object in an array": (json.dumps([_ROW]), SOME),
    "a name twice": (json.dumps(_ROW)[:-1] + ', "item_id": "i3"}', SOME),
    "other names": (json.dumps({"session": "s7", "item": 5}), SOME),
    "a control character": (
        json.dumps({**_ROW, "x": "y"}).replace("y", "\x01"),
        SOME,
    ),
    "half a pair": (json.dumps({**_ROW, "item_id": "\ud800"}), SOME),
    "deep arrays": (
        json.dumps(_ROW)[:-1] + ', "x": ' + "[" * 1500 + "]" * 1500 + "}",
        ANY,
    ),
}
_JSON_VALUES: dict[str, tuple[Any, ...]] = {
    "session_id": (None, "", 1.5, True, [7], {"id": 7}, "a\nb"),
    "item_id": (None, " ", 1e300, False, [], {}, "a\u2028b"),
    "timestamp_ms": (
        *(None, "", "soon", True, [5], {}, -1, 1e300, float("nan")),
        *(float("-inf"), 253_402_300_800_000, 10**400, "2014-04-07", "1e3"),
    ),
}


def _json():
    sound = reading.encode("jsonl", ROWS)
    texts = dict(_JSON)
    for column, values in _JSON_VALUES.items():
        for value in values:
            named = f"{column} = {str(value)[:30]!r}"
            texts[named] = json.dumps({**_ROW, column: value}), SOME
    for name, (text, expected) in texts.items():
        change = in_line(lambda _, text=text: text.encode())
        yield Kind("jsonl", name, change(sound), expected)
    rows = [json.loads(line) for line in sound.splitlines()]
    for name, value, expected in (
        ("one array", json.dumps(rows).encode(), NONE),
        ("one array over lines", json.dumps(rows, indent=2).encode(), NONE),
        ("objects over lines", sound.replace(b", ", b",\n"), NONE),
        ("a first line without a column", b'{"x":1}\n' + sound, REFUSED),
        ("a first line with a column twice", b'{"session_id":1,' * 2, NONE),
    ):
        yield Kind("jsonl", name, value, expected)


_PACK: dict[str, tuple[Damage, bytes]] = {
    ".gz": (gzip.compress, b"\x1f\x8b"),
    ".xz": (lzma.compress, b"\xfd7zXZ\0"),
    ".bz2": (bz2.compress, b"BZh9"),
}


def _packed():
    for name in ("csv", "jsonl", "jd-micro", "yoochoose"):
        sound = reading.encode(name, ROWS)
        for suffix, (pack, magic) in _PACK.items():
            whole = pack(sound)
            half = len(whole) // 2
            for damage, content, expected in (
                ("cut in the magic", whole[:1], REFUSED),
                ("cut after the magic", magic, REFUSED),
                ("cut in the middle", whole[:half], REFUSED),
                ("cut by a byte", whole[:-1], REFUSED),
                ("cut in its end", whole[:-7], REFUSED),
                ("wrong magic", b"PK\3\4" + whole[4:], REFUSED),
                ("rubbish", RUBBISH, REFUSED),
                ("rubbish in it", _flipped(whole, half), REFUSED),
                ("rubbish after it", whole + RUBBISH, REFUSED),
                ("a second one cut", whole + whole[:half], REFUSED),
                ("a second one damaged", whole + b"X" + whole[1:], REFUSED),
                ("nothing", b"", REFUSED),
                ("nothing, packed", pack(b""), REFUSED),
                ("rubbish, packed", pack(RUBBISH), NONE),
                ("packed twice", pack(whole), NONE),
                ("zeros after it", whole + bytes(8), READ),
                ("in two parts", pack(sound[:50]) + pack(sound[50:]), READ),
            ):
                yield Kind(name, damage, content, expected, suffix)


def _flipped(content, place):
    changed = bytes(byte ^ 0x5A for byte in content[place : place + 9])
    return content[:place] + changed + content[place + 9 :]


def _parquet():
    sound = reading.encode("parquet", ROWS)
    half = len(sound) // 2
    for name, content, expected in (
        ("nothing", b"", REFUSED),
        ("a text", reading.encode("csv", ROWS), REFUSED),
        ("rubbish", RUBBISH, REFUSED),
        ("zeros", bytes(5000), REFUSED),
        ("the magic only", b"PAR1", REFUSED),
        ("the magic twice", b"PAR1PAR1", REFUSED),
        ("cut at its start", sound[1:], ANY),
        ("cut in the middle", sound[:half], REFUSED),
        ("cut by a byte", sound[:-1], REFUSED),
        ("cut in its end", sound[:-300], REFUSED),
        ("rubbish after it", sound + RUBBISH, REFUSED),
        ("zeros after it", sound + bytes(8), REFUSED),
        ("rubbish before it", RUBBISH + sound, ANY),
        ("packed", gzip.compress(sound), REFUSED),
        ("a length far too long", sound[:-8] + b"\xff" * 4 + b"PAR1", REFUSED),
        ("another magic", sound[:-4] + b"PARE", REFUSED),
        ("rubbish in its pages", _flipped(sound, 40), ANY),
        ("zeros in its pages", sound[:20] + bytes(99) + sound[119:], ANY),
        ("rubbish in its end", _flipped(sound, len(sound) - 200), ANY),
        ("its middle missing", sound[:half] + sound[half + 100 :], ANY),
    ):
        yield Kind("parquet", name, content, expected)
    visits, items, times = map(list, zip(*ROWS, strict=True))
    columns = {
        "session_id": pa.array(visits),
        "item_id": pa.array(items),
        "timestamp_ms": pa.array([reading.START_MS + ms for ms in times]),
    }
    without = {name: columns[name] for name in ("session_id", "item_id")}
    twice = pa.Table.from_arrays(
        [*columns.values(), columns["item_id"]], [*columns, "item_id"]
    )
    for name, table in (
        ("no rows", pa.table(columns).slice(0, 0)),
        ("no columns", pa.table({"x": [1]})),
        ("a column missing", pa.table(without)),
        ("a column twice", twice),
    ):
        yield Kind("parquet", name, reading.parquet_bytes(table), REFUSED)
    number = len(ROWS)
    for column, values in (
        ("session_id", pa.array([[1]] * number)),
        ("session_id", pa.array([{"a": 1}] * number)),
        ("session_id", pa.nulls(number)),
        ("session_id", pa.array([1.5] * number)),
        ("item_id", pa.array([True] * number)),
        ("item_id", columns["timestamp_ms"].cast(pa.timestamp("ms"))),
        ("timestamp_ms", pa.array([True] * number)),
        ("timestamp_ms", pa.array([[5]] * number)),
        ("timestamp_ms", pa.array([5] * number).cast(pa.duration("ms"))),
    ):
        table = pa.table({**columns, column: values})
        named = f"{column} of type {values.type}"
        yield Kind("parquet", named, reading.parquet_bytes(table), REFUSED)
    for column, values, bad in (
        ("session_id", columns["session_id"], pa.scalar(None, pa.string())),
        ("session_id", columns["session_id"], pa.scalar(" ")),
        ("item_id", columns["item_id"], pa.scalar("a\nb")),
        ("item_id", columns["item_id"].cast(pa.binary()), pa.scalar(b"\xff")),
        ("timestamp_ms", columns["timestamp_ms"], pa.scalar(-1)),
        ("timestamp_ms", columns["timestamp_ms"], pa.scalar(2**62)),
        ("timestamp_ms", columns["timestamp_ms"], pa.scalar(None, pa.int64())),
        (
            "timestamp_ms",
            columns["timestamp_ms"].cast(pa.float64()),
            pa.scalar(float("nan")),
        ),
        (
            "timestamp_ms",
            columns["timestamp_ms"].cast(pa.timestamp("ms", "UTC")),
            pa.scalar(-1, pa.timestamp("ms", "UTC")),
        ),
    ):
        parts = [values[:SPOILED], pa.array([bad.as_py()], values.type)]
        spoiled = pa.concat_arrays([*parts, values[SPOILED + 1 :]])
        content = reading.parquet_bytes({**columns, column: spoiled})
        named = f"{column} {bad} of type {bad.type}"
        yield Kind("parquet", named, content, SOME)
    text = columns["timestamp_ms"].cast(pa.string())
    content = reading.parquet_bytes({**columns, "timestamp_ms": text})
    yield Kind("parquet", "times as texts", content, READ)


# Where a format takes another view of what is done to it.
_EXCEPTIONS = {
    ("jd-micro", "another delimiter"): REFUSED,
}


def _expected(kind: Kind) -> Kind:
    own = _EXCEPTIONS.get((kind.log_format, kind.name), kind.expected)
    return kind._replace(expected=own)


KINDS = [
    _expected(kind)
    for kinds in (
        *(_texts(), _values(), _mixed_zones(), _json(), _packed(), _parquet()),
    )
    for kind in kinds
]

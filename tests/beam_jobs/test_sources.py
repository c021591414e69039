import bz2
import gzip
import lzma

import pytest

from beam_jobs.sources import base
from beam_jobs.sources import delimited
from beam_jobs.sources import diginetica
from beam_jobs.sources import gru4rec
from beam_jobs.sources import lines
from beam_jobs.sources import yoochoose
from jump_tf import schema

SECOND = 1_396_860_669_277  # 2014-04-07T08:51:09.277Z


def shuffled_csv(**changes):
    settings = {
        "visit": "who",
        "item": "what",
        "time": "when",
        "time_unit": "ms",
        "delimiter": ",",
    }
    return delimited.Delimited(**{**settings, **changes})


FORMATS = {
    "yoochoose": (yoochoose.Yoochoose(), "1,2014-04-07T08:51:09.277Z,2,0"),
    "diginetica": (
        diginetica.Diginetica(),
        "sessionId;userId;itemId;timeframe;eventdate",
    ),
    "gru4rec": (gru4rec.GRU4REC, "SessionId\tItemId\tTime"),
    "csv": (shuffled_csv(), "when,other,what,who"),
}


def parse(name, row):
    log_format, first_line = FORMATS[name]
    return log_format.parser("log", first_line)(row)


@pytest.mark.parametrize(
    ("name", "row", "click"),
    [
        (
            "yoochoose",
            "7,2014-04-07T08:51:09.277Z,99,S",
            base.Click("7", "99", SECOND),
        ),
        (
            "diginetica",
            "7;NA;99;2500;1970-01-03",
            base.Click("7", "99", 2500, 2 * 86_400_000),
        ),
        (
            "gru4rec",
            "7\t99\t1396860669.277",
            base.Click("7", "99", SECOND),
        ),
        ("csv", f"{SECOND},x,99,7", base.Click("7", "99", SECOND)),
        (
            "csv",
            f'{SECOND},x,"a ""b"", c",7',
            base.Click("7", 'a "b", c', SECOND),
        ),
        ("csv", f" {SECOND} ,, 99 , 07 ", base.Click("07", "99", SECOND)),
    ],
)
def test_reads_a_row(name, row, click):
    assert parse(name, row) == click


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("yoochoose", "7,2014-04-07T08:51:09.277Z,99", "wrong number of col"),
        ("yoochoose", "", "wrong number of columns"),
        ("yoochoose", "7,yesterday,99,0", "unreadable time"),
        ("diginetica", "7;NA;99;2500;1970-13-03", "unreadable time"),
        ("diginetica", "7;NA;99;soon;1970-01-03", "unreadable time"),
        ("diginetica", "7;NA;99;-1;1970-01-03", "time out of range"),
        ("diginetica", "7;NA;99;1", "wrong number of columns"),
        ("gru4rec", "7\t99\tnan", "unreadable time"),
        ("gru4rec", "7\t99\t1e999", "unreadable time"),
        ("gru4rec", "7\t99\t1396860669277", "time out of range"),
        ("gru4rec", "\t99\t5", "no session id"),
        ("gru4rec", "7\t \t5", "no item id"),
        ("csv", "-1,x,99,7", "time out of range"),
        ("csv", "5,x,9\r9,7", "line break in item id"),
        ("csv", '5,x,"99,7', "bad quoting"),
        ("csv", "5,x,99,7,8", "wrong number of columns"),
    ],
)
def test_says_why_a_row_is_bad(name, row, reason):
    with pytest.raises(ValueError, match=f"^{reason}"):
        parse(name, row)


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
    assert base.milliseconds(text, unit) == expected


@pytest.mark.parametrize(
    ("name", "first_line", "received"),
    [
        ("yoochoose", "SessionId\tItemId\tTime", "SessionId"),
        ("diginetica", "session;item;time", "session, item, time"),
        ("gru4rec", "SessionId,ItemId,Time", "SessionId,ItemId,Time"),
        ("csv", "when,what", "when, what"),
        ("csv", "when,what,who,who", "when, what, who, who"),
    ],
)
def test_other_columns_are_refused(name, first_line, received):
    sentence = f"`input` must have the columns .* my.log with {received}"
    with pytest.raises(schema.InputError, match=sentence):
        FORMATS[name][0].parser("my.log", first_line)


PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}
PACKERS[".xz"] = lzma.compress


@pytest.mark.parametrize("suffix", PACKERS)
def test_blocks_cover_every_line_once(tmp_path, suffix):
    rows = [b"%d\n" % number for number in range(7)]
    path = tmp_path / f"log{suffix}"
    path.write_bytes(PACKERS[suffix](b"\xef\xbb\xbfhead\r\n" + b"".join(rows)))
    blocks = list(lines.read_blocks(4, str(path), True, block_lines=3))
    assert [row for block in blocks for row in block.rows] == rows
    assert [block.line_number for block in blocks] == [2, 5, 8]
    assert {block.first_line for block in blocks} == {"head"}
    assert {block.file_index for block in blocks} == {4}


def test_without_header_the_first_line_is_a_row(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"\xef\xbb\xbfone\ntwo")
    (block,) = lines.read_blocks(0, str(path), False, 100)
    assert block.rows == [b"one\n", b"two"]
    assert (block.line_number, block.first_line) == (1, "one")


def test_a_damaged_file_says_where(tmp_path):
    path = tmp_path / "log.gz"
    text = b"".join(b"%d\n" % (number**5) for number in range(30_000))
    path.write_bytes(gzip.compress(text)[:-1000])
    sentence = r"`input` must name readable files.*log\.gz, .* after line \d+"
    with pytest.raises(schema.InputError, match=sentence):
        list(lines.read_blocks(0, str(path), True, block_lines=10))

"""Whatever a log has been through: one clear sentence, or counted rejects."""

import collections
import gzip
import json
import re

import pytest

from beam_jobs.sources import lines
from jump_tf import schema
from jump_tf.cli import main as cli
from tests.beam_jobs import damage
from tests.beam_jobs import reading
from tests.beam_jobs.damage import KINDS

REASONS = {
    *("not UTF-8", "line too long", "wrong number of columns", "bad quoting"),
    *("unreadable time", "time out of range", "no session id", "no item id"),
    *("line break in session id", "line break in item id"),
    *("not JSON", "not a JSON object", "column given twice"),
    *("session id is neither text nor whole number", "no behaviour"),
    *("item id is neither text nor whole number", "unknown behaviour"),
    *("unreadable interval", "unreadable dwell"),
}


def write(folder, kind):
    path = folder / f"log{kind.suffix}"
    path.write_bytes(kind.content)
    return path


def assert_is_a_sentence(text, path):
    assert re.fullmatch(r"`input` must .* Received: .*", text), text
    assert str(path) in text
    assert text.isprintable() or not str(path).isprintable()
    assert len(text) < 1000


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The clicks of an undamaged log, by format."""
    found = {}
    for name in {kind.log_format for kind in KINDS}:
        path = tmp_path_factory.mktemp("sound") / "log"
        path.write_bytes(reading.encode(name, damage.ROWS))
        clicks = reading.read(name, path).clicks
        found[name] = collections.Counter(map(repr, clicks))
    return found


@pytest.mark.parametrize(
    "name", sorted({kind.log_format + kind.suffix for kind in KINDS})
)
def test_damage(tmp_path, monkeypatch, sound, name):
    """All kinds of damage to a format; what went wrong names the kind."""
    monkeypatch.setattr(lines, "LONGEST_LINE", damage.LONGEST_LINE)
    wrong = []
    for kind in KINDS:
        if kind.log_format + kind.suffix == name:
            try:
                check_damage(kind, tmp_path, sound[kind.log_format])
            except Exception as error:
                wrong.append(f"{kind}: {type(error).__name__}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_damage_of_a_kind(tmp_path, monkeypatch, sound, kind):
    monkeypatch.setattr(lines, "LONGEST_LINE", damage.LONGEST_LINE)
    check_damage(kind, tmp_path, sound[kind.log_format])


def check_damage(kind, folder, sound):
    path = write(folder, kind)
    try:
        log = reading.read(kind.log_format, path)
    except schema.InputError as error:
        assert kind.expected in (damage.REFUSED, damage.NONE, damage.ANY)
        assert_is_a_sentence(str(error), path)
        return
    assert kind.expected != damage.REFUSED
    assert log.num_lines == log.num_records + len(log.rejects)
    assert {reason for _, reason in log.rejects} <= REASONS
    if not kind.suffix and kind.log_format != "parquet":
        assert log.num_lines == num_lines(kind)
    clicks = collections.Counter(map(repr, log.clicks))
    if kind.expected == damage.READ:
        assert clicks == sound
        assert not log.rejects
    elif kind.expected == damage.SOME:
        assert log.rejects
        assert clicks <= sound
        assert (sound - clicks).total() <= sound.total() // len(damage.ROWS)
    elif kind.expected == damage.NONE:
        assert not clicks


def num_lines(kind):
    """Lines of the file without its header, by another hand."""
    ends = kind.content.count(b"\n") + (not kind.content.endswith(b"\n"))
    return ends - (kind.log_format in damage.WITH_HEADER)


def test_there_are_many_kinds():
    assert len({str(kind) for kind in KINDS}) == len(KINDS) >= 200
    expected = collections.Counter(kind.expected for kind in KINDS)
    assert expected[damage.ANY] < len(KINDS) / 8


@pytest.mark.parametrize("name", ["csv", "yoochoose", "jsonl", "jd-micro"])
@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_a_packed_log_cut_anywhere_is_refused(tmp_path, name, suffix):
    pack = damage._PACK[suffix][0]
    whole = pack(reading.encode(name, damage.ROWS))
    path = tmp_path / f"log{suffix}"
    for size in range(1, len(whole), 1 + len(whole) // 60):
        path.write_bytes(whole[:size])
        with pytest.raises(schema.InputError) as caught:
            reading.read(name, path)
        assert_is_a_sentence(str(caught.value), path)


def test_a_parquet_file_damaged_anywhere_is_no_crash(tmp_path):
    """A changed value cannot be told from a true one; all else is."""
    whole = reading.encode("parquet", damage.ROWS)
    path = tmp_path / "log"
    refused = 0
    for place in range(0, len(whole), 1 + len(whole) // 300):
        for content in (whole[:place], damage._flipped(whole, place)):
            path.write_bytes(content)
            try:
                log = reading.read("parquet", path)
            except schema.InputError as error:
                refused += 1
                assert_is_a_sentence(str(error), path)
                continue
            assert log.num_lines == log.num_records + len(log.rejects)
            assert {reason for _, reason in log.rejects} <= REASONS
    assert refused > 300


@pytest.mark.parametrize("name", ["csv", "parquet"])
@pytest.mark.parametrize(
    "path", ["missing", "folder", "none-*", "fold*", "", "a\0b", "zip://x", "["]
)
def test_files_that_are_none(tmp_path, monkeypatch, name, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(schema.InputError) as caught:
        reading.read(name, path)
    assert_is_a_sentence(str(caught.value), path)


def test_one_damaged_file_of_several_is_named(tmp_path):
    good, bad = tmp_path / "a.csv", tmp_path / "b.csv"
    good.write_bytes(reading.encode("csv", damage.ROWS))
    bad.write_bytes(b"session_id,item_id\n1,2\n")
    with pytest.raises(schema.InputError, match=r"b\.csv with session_id, it"):
        reading.read("csv", tmp_path / "*.csv")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_line_of_64_mb(tmp_path, suffix):
    rows = reading.encode("csv", damage.ROWS)
    content = rows + b"x" * (64 << 20) + b"\n" + rows.split(b"\n", 1)[1]
    path = tmp_path / f"log{suffix}"
    path.write_bytes(gzip.compress(content, 1) if suffix else content)
    log = reading.read("csv", path)
    assert len(log.clicks) == 2 * len(damage.ROWS)
    assert [reason for _, reason in log.rejects] == ["line too long"]


# Through the whole job and the command line: what each must say, or the
# reasons that its manifest must count.
COMMANDS = {
    "csv: nothing": "at least one row",
    "csv: binary rubbish": "must have the columns",
    "csv: a column missing": "must have the columns",
    "csv: a line that is far too long": {"line too long"},
    "csv: Windows line ends": set(),
    "tsv: UTF-16": "must have the columns",
    "reddit: old Macintosh line ends": "at least one row",
    "jsonl: one array": "unreadable lines",
    "jsonl: a name twice": {"column given twice"},
    "jd-micro: one column less": {"wrong number of columns"},
    "csv.gz: cut in the middle": "readable files",
    "jsonl.bz2: a second one damaged": "readable files",
    "jd-micro.xz: wrong magic": "readable files",
    "parquet: cut in the middle": "readable files",
    "parquet: item_id of type bool": "ids that are texts or whole numbers",
    "parquet: timestamp_ms -1 of type int64": {"time out of range"},
}
MORE_COMMANDS = {
    "csv: rubbish in a line": {"not UTF-8"},
    "csv: the time '-5'": {"time out of range"},
    "yoochoose: UTF-16": "unreadable lines",
    "yoochoose: mixed zones": set(),
    "yoochoose: a byte order mark": set(),
    "diginetica: columns more than named": "unreadable lines",
    "gru4rec: zeros at the end": {"line too long"},
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *COMMANDS.items(),
        *(
            pytest.param(*more, marks=pytest.mark.exhaustive)
            for more in MORE_COMMANDS.items()
        ),
    ],
)
def test_the_command_line(tmp_path, monkeypatch, capsys, name, expected):
    monkeypatch.setattr(lines, "LONGEST_LINE", damage.LONGEST_LINE)
    (kind,) = (kind for kind in KINDS if str(kind) == name)
    path, data = write(tmp_path, kind), tmp_path / "data"
    code = prepare(kind.log_format, path, data, "--max-reject-share=0.05")
    sentence = capsys.readouterr().err.strip().split("\n")[-1]
    if isinstance(expected, str):
        assert code == 2
        assert sentence.startswith("jump-tf: `input` must ")
        assert expected in sentence
        kept = {path.name, "data.rejects.jsonl"}
        assert {each.name for each in tmp_path.iterdir()} <= kept
        return
    assert code == 0
    assert_conserved(data, expected)


def prepare(name, path, data, *more):
    flags = ["--format", name, "--input", str(path), "--output", str(data)]
    return cli.main(["prepare", *flags, *more])


def assert_conserved(data, reasons):
    manifest = json.loads((data / schema.MANIFEST_FILE).read_text())
    assert set(manifest["rejected"]) == reasons
    dropped = {**manifest["rejected"], **manifest["filtered"]}
    assert manifest["rows"] == manifest["clicks"] + sum(dropped.values())
    rejects = (data / schema.REJECTS_FILE).read_text().splitlines()
    assert len(rejects) == sum(manifest["rejected"].values())


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
@pytest.mark.parametrize(
    "name", ["parquet", pytest.param("csv", marks=pytest.mark.exhaustive)]
)
def test_damage_that_is_found_late(tmp_path, capfd, name, mode):
    """Where no worker of this process can be tampered with."""
    path = tmp_path / "log"
    if name == "csv":
        rows = b"s%d,note,i%d,5\n"
        text = b"".join(rows % (n, n) for n in range(900_000))
        content = gzip.compress(
            b"session_id,note,item_id,timestamp_ms\n" + text, 1
        )
        path = tmp_path / "log.gz"
        path.write_bytes(content[:-99])
        assert len(text) > lines.BLOCK_BYTES
    else:
        content = reading.encode("parquet", damage.ROWS)
        path.write_bytes(content[:4] + bytes(99) + content[103:])
    code = prepare(
        *(name, path, tmp_path / "data"),
        *(f"--direct_running_mode={mode}", "--direct_num_workers=2"),
    )
    assert code == 2
    sentence = capfd.readouterr().err.strip().split("\n")[-1]
    assert sentence.startswith("jump-tf: `input` must name readable files.")
    assert str(path) in sentence
    assert "while running" not in sentence
    assert [each.name for each in tmp_path.iterdir()] == [path.name]

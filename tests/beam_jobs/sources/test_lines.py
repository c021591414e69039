import bz2
import gzip
import itertools
import lzma

import pytest

from beam_jobs.sources import lines
from beam_jobs.sources import planning
from jump_tf import schema


class Layout:
    def __init__(self, has_header):
        self.has_header = has_header

    def parser(self, path, first_line):
        return str


def make_lines(number=40):
    """Lines of very unequal lengths, some of them empty."""
    return [b"x" * (7 * n % 23) + b"," + str(n).encode() for n in range(number)]


def ranges(path, size, whole):
    last = path.stat().st_size
    return [
        lines.Range(str(path), 0, "", start, min(start + size, last))
        for start in range(0, 1 if whole else last, size)
    ]


def read(parts, has_header, starts=None):
    """(range's start, line number, line)s of all blocks."""
    found = []
    for part in parts:
        for block in lines.read_blocks(part, has_header, starts):
            mine = lines.split_lines(block.data)
            assert len(mine) == block.num_lines
            found += [
                (part.start, block.line_number + offset, line)
                for offset, line in enumerate(mine)
            ]
    return found


@pytest.mark.parametrize("has_header", [True, False])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_is_in_one_range(tmp_path, has_header, end, last):
    path = tmp_path / "log"
    mine = make_lines()
    path.write_bytes(end.join(mine) + end * last)
    expected = [line + end.removesuffix(b"\n") for line in mine[:-1]]
    expected.append(mine[-1] + end.removesuffix(b"\n") * last)
    for size in range(1, 90, 4):
        found = read(ranges(path, size, whole=False), has_header)
        assert [line for _, _, line in found] == expected[has_header:]
        # Numbers go on within a range, after the file's header.
        for start, group in itertools.groupby(found, lambda line: line[0]):
            numbers = [number for _, number, _ in group]
            first = has_header + (start == 0)
            assert numbers == list(range(first, first + len(numbers)))


def test_blocks_are_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "log"
    mine = make_lines()
    path.write_bytes(b"\n".join(mine))
    for size in (1, 5, 64, 1000):
        monkeypatch.setattr(lines, "BLOCK_BYTES", size)
        found = read([lines.Range(str(path), 0, "")], has_header=False)
        assert found == [(0, n, line) for n, line in enumerate(mine, 1)]


def test_records_of_several_lines_stay_together(tmp_path, monkeypatch):
    path = tmp_path / "log"
    records = [[b"> %d" % n, *[b"body"] * (n % 4)] for n in range(30)]
    path.write_bytes(b"".join(b"%s\n" % line for r in records for line in r))
    for size in (1, 40, 100):
        monkeypatch.setattr(lines, "BLOCK_BYTES", size)
        part = lines.Range(str(path), 0, "")
        blocks = list(
            lines.read_blocks(part, False, lambda line: line[:1] == b">")
        )
        assert len(blocks) > 1
        assert all(block.data.startswith(b">") for block in blocks)
        assert b"".join(block.data for block in blocks) == path.read_bytes()


@pytest.mark.parametrize("size", [3, 50, 10_000])
def test_a_line_that_is_far_too_long_is_cut(tmp_path, monkeypatch, size):
    monkeypatch.setattr(lines, "LONGEST_LINE", 20)
    monkeypatch.setattr(lines, "BLOCK_BYTES", size)
    path = tmp_path / "log"
    fits, long = b"y" * 20, b"z" * 21
    mine = [b"a", fits, long, b"b", long * 9, long * 7, fits, b"", long]
    path.write_bytes(b"\n".join(mine))
    for parts in (
        [lines.Range(str(path), 0, "")],
        ranges(path, 50, whole=False),
    ):
        found = [line for _, _, line in read(parts, has_header=False)]
        assert found == [line[:21] for line in mine]
    for line in mine:
        if len(line) > 20:
            with pytest.raises(ValueError, match="line too long"):
                lines.decode(line)
    assert lines.decode(fits) == "y" * 20


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".bz2", bz2.compress),
    ],
)
def test_packed_files_are_one_range(tmp_path, caplog, suffix, pack):
    content = b"head\n" + b"".join(b"%d\n" % n for n in range(900))
    path = tmp_path / f"log{suffix}"
    path.write_bytes(pack(content))
    parts = planning.plan([str(path)], Layout(True))
    found = read(parts, has_header=True)
    assert [line for _, _, line in found] == [b"%d" % n for n in range(900)]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == bool(suffix)
    assert all("cannot be split" in text and suffix in text for text in told)


def test_ranges_cover_a_plain_file(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK_BYTES", 100)
    path = tmp_path / "log"
    path.write_bytes(b"head\n" + b"0123456789\n" * 40)
    parts = planning.plan([str(path)], Layout(True))
    assert [(part.start, part.stop) for part in parts] == [
        (0, 100),
        (100, 200),
        (200, 300),
        (300, 400),
        (400, 445),
    ]
    assert {part.first_line for part in parts} == {"head"}
    assert planning.num_bytes(parts) == 445
    assert len(planning.plan([str(path)], Layout(True), split=False)) == 1


def test_a_mark_at_the_start_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "log"
    path.write_bytes("\ufeffa\nb\n".encode())
    (part,) = planning.plan([str(path)], Layout(False))
    assert part.first_line == "a"
    found = read([part], has_header=False)
    assert [line for _, _, line in found] == [b"a", b"b"]


def test_patterns_name_files_in_order(tmp_path):
    for name in ("b-2", "b-1", "a"):
        (tmp_path / name).write_bytes(b"line\n")
    named = planning.named_files([f"{tmp_path}/b-*", f"{tmp_path}/a"])
    assert named == [f"{tmp_path}/{name}" for name in ("b-1", "b-2", "a")]


@pytest.mark.parametrize("name", ["missing", "none-*", "folder"])
def test_no_such_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(schema.InputError, match=f"that exist.*{name[:5]}"):
        planning.named_files([f"{tmp_path}/{name}"])

import collections
import csv
import itertools
import json
import pathlib
import sys

import duckdb
import pytest
import tensorflow as tf

from jump_tf.experiments import session_simulator
from tests.benchmarks import big_log
from tests.benchmarks import duckdb_sessions
from tests.benchmarks import per_row_beam
from tests.benchmarks import prepare_speed
from tests.benchmarks import processes

CLICKS = 2345


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log.csv"
    big_log.write(log, CLICKS)
    with log.open(newline="") as lines:
        return list(csv.DictReader(lines))


class TestBigLog:
    def test_it_is_in_the_order_of_time(self, rows):
        assert tuple(rows[0]) == session_simulator.HEADER
        assert len(rows) == CLICKS
        times = [int(row["timestamp_ms"]) for row in rows]
        assert times == sorted(times)

    def test_sessions_have_six_clicks(self, rows):
        # Those that the log's end cuts are few.
        clicks = collections.Counter(row["session_id"] for row in rows)
        assert CLICKS / len(clicks) == pytest.approx(6, rel=0.1)


class TestProcesses:
    def test_memory_of_children_counts(self):
        # The child holds 64 MiB more than its parent, for a second.
        child = "import time; kept = bytearray(1 << 26); time.sleep(1)"
        parent = "import subprocess, sys; subprocess.run(sys.argv[1:])"
        alone, both = (
            processes.run([sys.executable, "-c", *code]).peak_bytes
            for code in (
                [child],
                [parent, sys.executable, "-c", child],
            )
        )
        assert alone > 1 << 26
        assert both > alone + (1 << 20)

    def test_seconds_and_output(self):
        code = "import time; time.sleep(0.3); print('done')"
        finished = processes.run([sys.executable, "-c", code])
        assert finished.seconds >= 0.3
        assert finished.output == "done\n"

    def test_a_failure_says_what_was_said(self):
        with pytest.raises(RuntimeError, match=r"(?s)Received: 1\n.*no luck"):
            processes.run([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_peers_read_the_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    big_log.write(pathlib.Path("log.csv"), CLICKS)
    duckdb_sessions.main(["log.csv", "sql"])
    per_row_beam.main(["log.csv", "rows"])
    clicks = duckdb.sql("FROM 'sql/*/*.parquet'").fetchall()
    files = [str(path) for path in pathlib.Path("rows").glob("*.gz")]
    sessions = list(tf.data.TFRecordDataset(files, "GZIP"))
    assert len(clicks) < CLICKS
    assert len({click[0] for click in clicks}) < len(sessions)


@pytest.mark.exhaustive
def test_it_measures_and_compares(tmp_path, capsys):
    sizes = f"--clicks={CLICKS} --per-row-clicks=321"
    output = tmp_path / "result.json"
    prepare_speed.main(
        [*sizes.split(), f"--work={tmp_path}", f"--output={output}"]
    )
    result = json.loads(output.read_text())["measured"]
    assert [row["clicks"] for row in result.values()] == [
        *(CLICKS, CLICKS, CLICKS, 321),
    ]
    assert 1 < result[prepare_speed.DUCKDB]["clicks_kept"] < CLICKS
    assert result[prepare_speed.DUCKDB]["ratio_to_duckdb"] == 1
    assert all(row["peak_bytes"] > 2**20 for row in result.values())
    printed = capsys.readouterr().out
    assert "misses clicks/s" in printed
    assert printed.count(prepare_speed.PER_ROW) == 2


def measured(clicks, seconds, peak_bytes):
    return {
        "clicks": clicks,
        "seconds": seconds,
        "clicks_per_second": clicks / seconds,
        "peak_bytes": peak_bytes,
        "clicks_kept": clicks,
    }


def test_ratios_growth_and_what_is_missed():
    of_ten = {
        prepare_speed.IN_MEMORY: measured(10e6, 20, 1.5e9),
        prepare_speed.MULTI_PROCESSING: measured(10e6, 40, 2.5e9),
        prepare_speed.DUCKDB: measured(10e6, 10, 1e9),
        prepare_speed.PER_ROW: measured(5e5, 10, 1e9),
    }
    of_twenty = {
        prepare_speed.IN_MEMORY: measured(20e6, 40, 2.5e9),
        prepare_speed.MULTI_PROCESSING: measured(20e6, 80, 4.5e9),
    }
    result = prepare_speed.summary(of_ten, of_twenty)
    first, second = itertools.islice(result["measured"].values(), 2)
    assert first["ratio_to_duckdb"] == 0.5
    assert first["ratio_to_per_row_beam"] == 10
    assert first["growth_bytes_per_click"] == 100
    assert second["growth_bytes_per_click"] == 200
    *_, good, bad = prepare_speed.table(result).splitlines()
    assert good.endswith("in_memory         misses nothing")
    assert bad.endswith("misses clicks/s, peak MiB, B/click")


def test_others_must_keep_the_same_clicks():
    kept = {"prepare": measured(5, 1, 1), "DuckDB": measured(6, 1, 1)}
    with pytest.raises(RuntimeError, match=r"same clicks.*'DuckDB': 6"):
        prepare_speed.check_same_clicks(kept)

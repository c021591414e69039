"""Nothing is lost in silence, and a job that ends early leaves nothing."""

import contextlib
import pathlib
import signal
import subprocess
import sys

import apache_beam as beam
import numpy as np
import pytest

from beam_jobs import build_sessions
from beam_jobs import counting
from beam_jobs import storage
from beam_jobs.options import sessions as session_options
from beam_jobs.output import jobs
from beam_jobs.output import manifest
from beam_jobs.output import sinks
from beam_jobs.sources import lines
from beam_jobs.sources.click_logs import read as click_logs
from jump_tf import schema
from tests.beam_jobs import tampering

CLICKS = 400
# Which stage must be named where a step loses or doubles something.
STAGES = {
    "Read/Ranges/Map(decode)": "read",
    "Read/Read/ParDo(_Read)": "parse",
    "Parse/ParDo(_Parse)/ParDo(_Parse)": "(list rejects|group)",
    "LogEnd/Last/UnKey": "cut",
    "Sessionize/ByVisit": "group",
    "Sessionize/Cut": "count items",
    "KeepTrainable/Items": "count items",
    "KeepTrainable/CountItems/UnKey": "count items",
    "KeepTrainable/Keep": "write",
    "Split/End/UnKey": "split",
    "Split/Temporal": "write",
    "Vocabulary/Training": "vocabulary",
    "Vocabulary/Texts": "vocabulary",
    "Vocabulary/Count/UnKey": "vocabulary",
    "WriteShards/KeyByShard": "write",
    "WriteRejects/ToList/ToList/UnKey": "list rejects",
}
TWO_WORKERS = (
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of visitors with two bad lines."""
    random = np.random.default_rng(0)
    times = np.sort(random.integers(0, 9 * 86_400_000, CLICKS))
    rows = [
        f"v{random.integers(40)},i{min(random.zipf(1.5), 60)},{time_ms}"
        for time_ms in times
    ]
    rows[5] = "no columns"
    rows[300] = "v1,i1,soon"
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_text("\n".join(["visitor,item_id,timestamp_ms", *rows]))
    return path


@pytest.fixture(scope="module", autouse=True)
def small_batches():
    """Several elements at every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", 1500)
        patch.setattr(click_logs, "PARTITION_BYTES", 3000)
        yield


@pytest.fixture(scope="module")
def made(log, tmp_path_factory):
    """The files of an undisturbed run."""
    folder = tmp_path_factory.mktemp("made") / "data"
    run(log, folder)
    return contents(folder)


def request(log, folder, **changes):
    return session_options.PrepareOptions(
        format="csv",
        input=(str(log),),
        output=str(folder),
        visitor_column="visitor",
        session_gap=80_000.0,
        split="temporal",
        shards_per_split=2,
        **changes,
    )


def run(log, folder, *beam_arguments, **changes):
    asked = request(log, folder, max_reject_share=0.1, **changes)
    return build_sessions.run(asked, beam_arguments)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def steps(log):
    pipeline = beam.Pipeline(options=jobs.runner_options([]))
    build_sessions.build(request(log, "data"), pipeline, "data")
    return list(tampering.steps(pipeline))


def test_the_steps_are_those_of_the_job(steps):
    assert set(STAGES) < set(steps)


# Between them, the three tests below tamper with every step once; the full run
# does with every step in each of them.
EVERY = [3, pytest.param(1, marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize("every", EVERY)
def test_a_crash_at_any_step_leaves_nothing(log, made, steps, tmp_path, every):
    for label in steps[::every]:
        with (
            tampering.tampered(label, tampering.crash),
            pytest.raises(RuntimeError, match=tampering.CRASHED),
        ):
            run(log, tmp_path / "data")
        assert list(tmp_path.iterdir()) == [], label
    run(log, tmp_path / "data")
    assert contents(tmp_path / "data") == made


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize(
    ("change", "first"),
    [
        (tampering.lose, 1),
        pytest.param(tampering.double, 2, marks=pytest.mark.exhaustive),
    ],
)
def test_no_step_loses_or_doubles_in_silence(
    log, made, steps, tmp_path, change, first, every
):
    """The job fails, or what was lost or doubled did not matter."""
    chosen = steps[first % every :: every]
    for number, label in enumerate(chosen):
        folder = tmp_path / str(number)
        with tampering.tampered(label, change):
            if label in STAGES:
                with pytest.raises(RuntimeError, match=named(label, change)):
                    run(log, folder)
                continue
            # An instant that is lost need not have been the latest, Beam wants
            # just one result where one is asked for, and a file may be missing.
            errors = RuntimeError, TypeError, ValueError, OSError
            with contextlib.suppress(*errors):
                run(log, folder)
        assert not folder.exists() or contents(folder) == made, label
    assert len(list(tmp_path.iterdir())) < len(chosen)


def named(label, change):
    """What must be said; Beam itself notices a second result."""
    if label.endswith("/UnKey") and change is tampering.double:
        return "AssertionError"
    return f"Stage `{STAGES[label]}` must"


def test_processes_write_the_same_bytes(log, made, tmp_path):
    run(log, tmp_path / "data", *TWO_WORKERS)
    assert contents(tmp_path / "data") == made


def write_half(path, content):
    pathlib.Path(path).write_bytes(content[: len(content) // 2])
    raise RuntimeError(tampering.CRASHED)


def fail(*_):
    raise RuntimeError(tampering.CRASHED)


CRASHES = (
    (storage, "write", write_half),
    (counting, "collect", fail),
    (sinks, "count_rejects", fail),
    (sinks, "read_vocabulary", fail),
    (manifest, "build", fail),
    (sinks, "write_manifest", fail),
    (storage, "_publish_local", fail),
)


@pytest.mark.parametrize(
    "is_new", [pytest.param(True, marks=pytest.mark.exhaustive), False]
)
def test_a_crash_elsewhere_leaves_what_was_there(
    log, made, tmp_path, monkeypatch, is_new
):
    folder = tmp_path / "data"
    older = {schema.MANIFEST_FILE: b"{}"}
    if not is_new:
        folder.mkdir()
        (folder / schema.MANIFEST_FILE).write_bytes(b"{}")
    for module, name, crash in CRASHES:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, crash)
            with pytest.raises(RuntimeError, match=tampering.CRASHED):
                run(log, folder, overwrite=not is_new)
        left = [] if is_new else [folder]
        assert list(tmp_path.iterdir()) == left, name
        assert is_new or contents(folder) == older, name
    run(log, folder, overwrite=not is_new)
    assert contents(folder) == made


# Dies with a file half written, or between the two renames of `overwrite`.
DIE = """
import os, pathlib, signal, sys
from beam_jobs import storage
from tests.beam_jobs import test_conservation as tests

_, log, folder, writes = sys.argv
left = int(writes)
write, rename = storage.write, pathlib.Path.rename

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying_write(path, content):
    global left
    left -= 1
    if left == 0:
        write(path, content[: len(content) // 2])
        die()
    write(path, content)

def dying_rename(path, target):
    if path.name != "data":
        die()
    return rename(path, target)

storage.write = dying_write
pathlib.Path.rename = dying_rename
tests.lines.BLOCK_BYTES, tests.click_logs.PARTITION_BYTES = 1500, 3000
tests.run(log, folder, overwrite=True)
"""


@pytest.mark.parametrize(
    "writes",
    [
        *(4, 100),
        *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (1, 9)),
    ],
)
def test_a_killed_job_leaves_no_half_of_anything(log, made, tmp_path, writes):
    """6 shards, then vocabulary, rejects and manifest; then the renames."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / schema.MANIFEST_FILE).write_bytes(b"{}")
    killed = subprocess.run(
        [sys.executable, "-c", DIE, str(log), str(folder), str(writes)],
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if folder.exists():
        assert contents(folder) == {schema.MANIFEST_FILE: b"{}"}
    run(log, folder, overwrite=True)
    assert contents(folder) == made

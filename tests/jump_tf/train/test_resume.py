"""Nothing is lost: whatever ends a run, it goes on to the same end."""

import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.models.jump import JUMP
from jump_tf.runs import folder as run_folder
from jump_tf.runs.checkpoints import Checkpoints
from jump_tf.runs.checkpoints import Position
from jump_tf.train import callbacks
from jump_tf.train import interruptions
from tests import small_runs

SETTINGS = (*small_runs.SHARED, small_runs.EVERY_STEP)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kills", [20])
def test_killed_at_random_moments(kills, finished_run, data_folder, tmp_path):
    """SIGKILL in a step, while saving, in validation, before the first save."""
    run = tmp_path / "run"
    settings = (*small_runs.SETTINGS, *SETTINGS)
    script = ["-m", "tests.killing", str(data_folder), str(run), str(kills)]
    done = subprocess.run(
        [sys.executable, *script, "1", *settings],
        cwd=small_runs.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *killed, last = done.stdout.splitlines()
    assert last.split()[1] == "0"
    assert len(killed) >= kills // 2
    assert all(line.split()[1] == "-9" for line in killed)
    small_runs.assert_same_run(run, finished_run)


def after_batch(number, monkeypatch, do):
    """Calls `do(model)` before the next batch of that number, once."""
    begin = callbacks.StepRecorder.on_train_batch_begin

    def act(self, batch, logs=None):
        if batch == number:
            monkeypatch.setattr(
                callbacks.StepRecorder, "on_train_batch_begin", begin
            )
            do(self.model)

    monkeypatch.setattr(callbacks.StepRecorder, "on_train_batch_begin", act)


def test_what_ends_a_run_one_after_the_other(
    finished_run, data_folder, tmp_path, monkeypatch
):
    """SIGTERM, then a loss that is no number, then a full disk."""
    run = tmp_path / "run"
    told_to_stop(data_folder, run)
    no_number(data_folder, run, monkeypatch)
    full_disk(data_folder, run, monkeypatch)
    small_runs.train_here(data_folder, run, SETTINGS, resume=True)
    small_runs.assert_same_run(run, finished_run)


def told_to_stop(data, run):
    process = small_runs.train_there(data, run, SETTINGS)
    while not list(run.glob("checkpoints/last-*.index")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    code, said = small_runs.finish(process)
    assert code == 143
    assert "saved after batch" in said
    assert "go on with --resume" in said


def no_number(data, run, monkeypatch):
    """It is noticed within the epoch."""

    def spoil(model):
        model.start.assign(np.full(model.start.shape, np.nan))

    after_batch(3, monkeypatch, spoil)
    with pytest.raises(
        interruptions.TrainingError, match="loss must be a number"
    ):
        small_runs.train_here(data, run, SETTINGS, resume=True)


def full_disk(data, run, monkeypatch):
    error = tf.errors.ResourceExhaustedError(
        None, None, "last.data; No space left on device"
    )

    def fill(_):
        def write(*_):
            raise error

        monkeypatch.setattr(tf.train.Checkpoint, "write", write)

    write = tf.train.Checkpoint.write
    after_batch(3, monkeypatch, fill)
    with pytest.raises(interruptions.TrainingError, match="must have room"):
        small_runs.train_here(data, run, SETTINGS, resume=True)
    monkeypatch.setattr(tf.train.Checkpoint, "write", write)
    assert not (run / "checkpoints" / "writing").exists()


def make_checkpoints(run, units=4):
    """Checkpoints of a small model."""
    model = JUMP(25, units=units)
    model.build()
    model.compile(keras.optimizers.Adam())
    return Checkpoints(run, model, Position())


def save(checkpoints, *epochs):
    for epoch in epochs:
        checkpoints.checkpoint.position.move(epoch, 2 * epoch, 0.5)
        checkpoints.save_last()


def restored(run, **options):
    """The epoch that is taken up."""
    checkpoints = make_checkpoints(run, **options)
    checkpoints.restore_last()
    position = checkpoints.checkpoint.position
    assert int(position.batch) == 2 * int(position.epoch)
    return int(position.epoch)


def test_two_checkpoints_are_kept(tmp_path):
    assert restored(tmp_path) == 0
    save(make_checkpoints(tmp_path), 1, 2, 3)
    names = sorted(p.name for p in (tmp_path / "checkpoints").glob("*.index"))
    assert names == ["last-2.index", "last-3.index"]
    assert restored(tmp_path) == 3


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint" * 9, None])
def test_a_damaged_checkpoint_is_passed_over(part, content, tmp_path, caplog):
    save(make_checkpoints(tmp_path), 1, 2)
    folder = tmp_path / "checkpoints"
    damaged = folder / f"last-2.{part}"
    if content is None:
        content = damaged.read_bytes()[:-70]
    damaged.write_bytes(content)
    assert restored(tmp_path) == 1
    assert "cannot be read" in caplog.text
    checkpoints = make_checkpoints(tmp_path)
    checkpoints.restore_last()
    save(checkpoints, 2)
    assert restored(tmp_path) == 2
    for path in folder.glob("*.index"):
        path.write_bytes(b"")
    with pytest.raises(schema.InputError, match="must be whole"):
        restored(tmp_path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save(make_checkpoints(tmp_path), 1, 2)
    with pytest.raises(schema.InputError, match="of the same model"):
        restored(tmp_path, units=5)


def test_what_breaks_off_while_saving_is_as_if_it_had_not_begun(
    tmp_path, monkeypatch
):
    checkpoints = make_checkpoints(tmp_path)
    save(checkpoints, 1)
    replace = type(tmp_path).replace
    monkeypatch.setattr(
        type(tmp_path),
        "replace",
        lambda self, to: replace(self, to) if "data" in self.name else 1 / 0,
    )
    with pytest.raises(ZeroDivisionError):
        save(checkpoints, 2)
    assert restored(tmp_path) == 1


def test_a_small_disk(tmp_path):
    """The real thing, where a file system may be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        checkpoints = make_checkpoints(tmp_path)
        save(checkpoints, 1)
        room = os.statvfs(tmp_path)
        filler = tmp_path / "filler"
        filler.write_bytes(b"x" * (room.f_bavail * room.f_bsize - 8192))
        with pytest.raises((OSError, tf.errors.OpError), match="No space"):
            save(checkpoints, 2)
        filler.unlink()
        assert restored(tmp_path) == 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_run_folder_is_whole_or_not_there(data_folder, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "_environment", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            small_runs.train_here(data_folder, run, SETTINGS)
    assert run_folder.is_new(run)

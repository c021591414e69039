import itertools
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import preset
from jump_tf.data import encoding
from jump_tf.evaluate.sessions import validation_summaries
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import callbacks
from jump_tf.train import interruptions
from jump_tf.train import trainer
from tests import evaluated
from tests import pictures
from tests import records
from tests import small_runs

EPOCHS = 2
ONE_THREAD = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


@pytest.fixture(scope="module")
def config():
    """Of the finished run."""
    return small_runs.small_config()


@pytest.fixture(scope="module")
def run(finished_run):
    return finished_run


class Killed(BaseException):
    pass


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("place", "epochs_on_record"),
    [
        ((validation_summaries.ImageSummaries, "on_epoch_end"), 1),
        ((trainer.Checkpoints, "save_last"), 1),
        ((trainer.Checkpoints, "save_best"), 0),
    ],
    ids=["after all", "before the checkpoint", "before anything"],
)
def test_a_killed_run_resumes_to_the_same_end(
    place, epochs_on_record, run, config, data_folder, tmp_path, monkeypatch
):
    """Dropout, hidden inputs, negatives and order are all random.

    Kills at random moments, which test_resume.py has, may come anywhere.
    """
    folder = tmp_path / "killed"

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*place, die)
        with pytest.raises(Killed):
            tasks.train(config, data_folder, folder, verbose=0)
    assert len(run_folder.read_history(folder)) == epochs_on_record
    tasks.train(config, data_folder, folder, resume=True, verbose=0)
    resumed, whole = map(run_folder.read_history, (folder, run))
    assert [record["epoch"] for record in resumed] == [1, 2]
    for ours, theirs in zip(resumed, whole, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - {"training_seconds"}:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5), name
    for ours, theirs in zip(
        model_factory.load_run(folder).weights,
        model_factory.load_run(run).weights,
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.exhaustive
def test_on_one_processor_no_epoch_begins_asleep(
    data_folder, sessions, tmp_path
):
    """tf.data's tuning slept there for as long as the epoch before took."""
    data, times = tmp_path / "data", 4
    shutil.copytree(data_folder, data)
    for shard in range(2):
        path = data / encoding.shard_name(schema.TRAIN, shard, 2)
        repeated = times * sessions[schema.TRAIN][shard::2]
        records.write_sessions(str(path), repeated)
    manifest = json.loads((data / schema.MANIFEST_FILE).read_text())
    for counted in ("sessions", "clicks"):
        manifest["splits"][schema.TRAIN][counted] *= times
    (data / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, "-m", "tests.waiting", data, "4"],
        env=os.environ | dict.fromkeys(ONE_THREAD, "1"),
        preexec_fn=lambda: os.sched_setaffinity(0, {one}),
        cwd=small_runs.ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    _, *epochs = (line.split() for line in done.stdout.splitlines())
    assert len(epochs) == 3  # The first one is traced.
    for first, others in epochs:
        assert float(first) < 0.2 * float(others)


def test_a_finished_run_has_nothing_to_resume(run, data_folder):
    before = run_folder.read_history(run)
    best = small_runs.train_here(data_folder, run, resume=True)
    assert run_folder.read_history(run) == before
    assert best in before


def test_the_best_epoch_is_what_is_loaded(run, data_folder):
    best = max(
        run_folder.read_history(run),
        key=lambda record: record["val_recall_at_20"],
    )
    measured = evaluated.quick_metrics(
        model_factory.load_run(run), data_folder, schema.VALIDATION
    )
    for name, value in measured.items():
        assert best[f"val_{name}"] == pytest.approx(value, rel=1e-5), name


def test_run_folder_says_what_it_was(run, config, data_folder):
    assert run_folder.read_vocabulary(run) == [f"item-{n}" for n in range(23)]
    assert run_folder.read_data_folder(run) == data_folder.resolve()
    environment = json.loads((run / run_folder.ENVIRONMENT_FILE).read_text())
    assert environment["seed"] == config.training.seed
    assert environment["versions"]["tensorflow"] == tf.__version__
    stored = run_folder.read_config(run).model
    assert stored.initial_log_dwell == pytest.approx(4.0, abs=0.5)
    assert stored.units == 6


def test_a_model_of_the_click_alone_trains_all_the_same(
    data_folder, tmp_path, recwarn
):
    config = preset("gru4rec").override(
        ["model.units=4", "model.negatives=5", "training.epochs=1"]
    )
    with pictures.drawn():
        tasks.train(config, data_folder, tmp_path / "run", verbose=0)
    # Nobody is told that what is not to be learned has no gradient.
    assert not [w for w in recwarn if "Gradients" in str(w.message)]
    images = tmp_path / "run" / run_folder.TENSORBOARD_FOLDER / "images"
    accumulator = event_accumulator.EventAccumulator(
        str(images), size_guidance={event_accumulator.TENSORS: 0}
    )
    accumulator.Reload()
    assert accumulator.Tags()["tensors"] == ["dwell_calibration"]


def test_early_stopping_waits_for_patience():
    def after(recalls, patience=2, epochs=9):
        history = [
            {"epoch": n, callbacks.MONITORED: recall}
            for n, recall in enumerate(recalls, 1)
        ]
        return callbacks.EpochRecorder(
            None, None, None, history, epochs, patience, None, None
        )

    assert not after([]).finished
    assert not after([0.1, 0.3, 0.2]).finished
    assert after([0.1, 0.3, 0.2, 0.3]).finished
    assert after([0.1, 0.2], epochs=2).finished
    assert after([0.3, 0.3]).best["epoch"] == 1


def test_learning_rate_schedules(config):
    cosine = [
        trainer.learning_rate(config.training, epoch) for epoch in range(EPOCHS)
    ]
    assert cosine[0] == pytest.approx(0.01)
    assert all(a > b > 0.0001 for a, b in itertools.pairwise(cosine))
    constant = config.override(["training.schedule=constant"]).training
    assert trainer.learning_rate(constant, 0) == 0.01
    assert trainer.learning_rate(constant, 2) == 0.01


@pytest.mark.exhaustive  # It is one of the ends in test_resume.py.
def test_a_loss_that_is_no_number_stops_the_run(
    config, data_folder, tmp_path, monkeypatch
):
    folder = tmp_path / "nan"
    broken = keras.initializers.Constant(np.nan)
    monkeypatch.setattr(
        "jump_tf.layers.highway.keras.initializers.Constant",
        lambda value: broken,
    )
    with pytest.raises(interruptions.TrainingError, match="must be a number"):
        tasks.train(config, data_folder, folder, verbose=0)
    assert run_folder.read_history(folder) == []
    with pytest.raises(schema.InputError, match=r"no checkpoints/best"):
        model_factory.load_run(folder)


def test_what_is_not_a_run_is_refused(run, config, data_folder, tmp_path):
    other = config.override(["model.units=7"])
    with pytest.raises(schema.InputError, match="new or empty folder"):
        tasks.train(config, data_folder, run)
    with pytest.raises(schema.InputError, match="keep the configuration"):
        tasks.train(other, data_folder, run, resume=True)
    with pytest.raises(schema.InputError, match=r"no config\.yaml"):
        tasks.train(config, data_folder, tmp_path, resume=True)
    with pytest.raises(schema.InputError, match=r"no manifest\.json"):
        tasks.train(config, tmp_path, tmp_path / "run")


def test_another_vocabulary_is_refused(run, data_folder, tmp_path):
    """As many items, but other ones: ids would mean something else."""
    config = run_folder.read_config(run)
    other = tmp_path / "data"
    shutil.copytree(data_folder, other)
    vocabulary = other / schema.VOCABULARY_FILE
    vocabulary.write_text(vocabulary.read_text().replace("item-3", "item-x"))
    with pytest.raises(schema.InputError, match="must have the vocabulary"):
        run_folder.check_vocabulary(run, other)
    with pytest.raises(schema.InputError, match="must have the vocabulary"):
        tasks.train(config, other, run, resume=True)


def test_an_empty_validation_split_is_refused_at_once(
    config, data_folder, tmp_path
):
    other = tmp_path / "data"
    shutil.copytree(data_folder, other)
    manifest = json.loads((other / schema.MANIFEST_FILE).read_text())
    manifest["splits"][schema.VALIDATION]["sessions"] = 0
    (other / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    with pytest.raises(schema.InputError, match="`validation` must hold a"):
        tasks.train(config, other, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_epoch_without_validation_recall_is_never_the_best():
    history = [
        {"epoch": n, callbacks.MONITORED: recall}
        for n, recall in enumerate([float("nan"), 0.1, 0.2], 1)
    ]
    mine = callbacks.EpochRecorder(None, None, None, history, 9, 2, None, None)
    assert mine.best["epoch"] == 3
    assert not mine.finished


def test_damaged_weights_are_refused(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "checkpoints" / "best.weights.h5").write_bytes(b"not weights")
    with pytest.raises(schema.InputError, match="must be whole"):
        model_factory.load_run(copy)

"""A run is given the recent clicks of another data folder."""

import json

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config.run import preset
from jump_tf.data import folders
from jump_tf.runs import model_factory
from jump_tf.runs import refreshed_model
from tests.records import write_sessions

SETTINGS = (
    *("model.units=4", "training.epochs=1", "training.batch_sessions=64"),
    *("model.negatives=8", "model.pointer_clicks=2"),
)
READING = (*SETTINGS, "model.recent_transitions=3")


@pytest.fixture(scope="module")
def run(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    config = preset("gru4rec").override(READING)
    tasks.train(config, data_folder, folder, verbose=0)
    return folder


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """A log of one visitor, from item 5 to 7; ids are not those of the run."""
    folder = tmp_path_factory.mktemp("later")
    session = schema.Session(
        session_id="later",
        start_ms=5_000 * 60_000,
        items=[4, 2, 3],
        dwell_seconds=[10.0, 20.0, 30.0],
        dwell_censored=[0, 0, 1],
        session_cut=0,
    )
    path = folder / "train-00000-of-00001.tfrecord.gz"
    write_sessions(str(path), [session])
    names = ["item-5", "item-7", "new"]
    folders.write_vocabulary(folder / schema.VOCABULARY_FILE, names)
    manifest = {"splits": {schema.TRAIN: {"clicks": 3}}, "num_items": 3}
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def test_only_the_log_is_another(run, later):
    before = model_factory.load_run(run)
    after = refreshed_model.load_refreshed(run, later)
    tables = [
        {id(w) for w in m.recent_transitions.table} for m in (before, after)
    ]
    for old, new in zip(before.weights, after.weights, strict=True):
        if id(old) not in tables[0]:
            assert id(new) not in tables[1]
            np.testing.assert_array_equal(np.array(old), np.array(new))
    five, seven = (schema.FIRST_ITEM_ID + n for n in (5, 7))
    starts = np.array(after.recent_transitions.starts)
    assert np.diff(starts)[five] == starts[-1] == 1
    assert np.array(after.recent_transitions.followers)[0] == seven


@pytest.mark.exhaustive
def test_it_is_exported_by_the_command(run, later, tmp_path, capsys):
    flags = ["export", "--run", run, "--output", tmp_path]
    flags += ["--recent-clicks", later]
    assert cli.main([str(flag) for flag in flags]) == 0
    assert (tmp_path / "jump" / "1" / "saved_model.pb").is_file()


def test_a_run_that_reads_none_is_refused(later, run, monkeypatch):
    config = preset("gru4rec").override(SETTINGS)
    monkeypatch.setattr(refreshed_model.folder, "read_config", lambda _: config)
    with pytest.raises(schema.InputError, match=r"Received: .*which has none"):
        refreshed_model.load_refreshed(run, later)

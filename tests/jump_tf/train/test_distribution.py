import collections
import json
import time

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import session_batches
from jump_tf.train import distribution
from tests import small_runs

# Dropout and hidden inputs repeat from replica to replica; negatives are the
# same on all.
SETTINGS = (
    "model.negatives=9",
    "model.dropout=0",
    "model.dwell_dropout=0",
    "model.unknown_dwell_rate=0",
    "model.unknown_item_rate=0",
    "training.batch_sessions=41",
)
SECONDS_TO_NOTICE = 60  # It takes 6 to 15; CI's cores are shared.


@pytest.fixture(scope="module")
def whole(data_folder, tmp_path_factory):
    """A run of one process on one device."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    small_runs.train_here(data_folder, folder, SETTINGS)
    return folder


@pytest.mark.exhaustive  # Two workers, below, say as much.
def test_two_devices_train_as_one(whole, data_folder, tmp_path):
    process = small_runs.train_there(
        data_folder,
        tmp_path / "run",
        SETTINGS,
        *("--strategy", "mirrored", "--logical-cpus", "2"),
    )
    assert small_runs.finish(process)[0] == 0
    small_runs.assert_same_run(tmp_path / "run", whole)


def test_two_workers_train_as_one(whole, data_folder, tmp_path):
    all_finish(small_runs.two_workers(data_folder, tmp_path / "run", SETTINGS))
    small_runs.assert_same_run(tmp_path / "run", whole)


def all_finish(workers):
    for worker in workers:
        code, said = small_runs.finish(worker)
        assert code == 0, said


@pytest.mark.exhaustive
def test_one_of_two_workers_dies(whole, data_folder, tmp_path):
    """The other one notices, and both go on from the last checkpoint."""
    run, settings = tmp_path / "run", (*SETTINGS, small_runs.EVERY_STEP)
    workers = small_runs.two_workers(data_folder, run, settings)
    while not list(run.glob("checkpoints/last-*.index")):
        time.sleep(0.05)
        assert workers[0].poll() is None
    workers[1].kill()
    code, said = small_runs.finish(workers[0], SECONDS_TO_NOTICE)
    assert code == 1
    assert "All workers must stay in touch" in said
    assert "again with --resume" in said
    workers[1].communicate()
    all_finish(small_runs.two_workers(data_folder, run, settings, "--resume"))
    small_runs.assert_same_run(run, whole)


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 41])
@pytest.mark.parametrize("replicas", [1, 2, 3, 8])
def test_slices_make_up_the_batch(rows, replicas):
    batch = tf.reshape(tf.range(3 * rows), [rows, 3])
    slices = [
        distribution._slice(batch, tf.constant(n, tf.int64), replicas)
        for n in range(replicas)
    ]
    np.testing.assert_array_equal(tf.concat(slices, 0), batch)
    sizes = [len(part) for part in slices]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("processes", "local"),
    [
        (2, 2),
        *(pytest.param(n, 1, marks=pytest.mark.exhaustive) for n in (2, 3)),
    ],
)
def test_workers_together_see_each_session_once_an_epoch(
    data_folder, sessions, processes, local
):
    """Each of them reads by itself, and all make as many steps."""
    replicas = processes * local
    seen, steps = collections.Counter(), set()
    for process in range(processes):
        slices = distribution.own_slices(
            session_batches.training_batches(
                data_folder,
                batch_sessions=13,
                batch_clicks=40,
                seed=4,
                epoch=tf.Variable(2, dtype=tf.int64),
            ),
            replicas,
            processes,
            process,
        )
        steps.add(sum(1 for _ in slices))
        for _, targets, weights in slices:
            rows = targets[schema.DWELL_SECONDS].numpy()
            lengths = weights.numpy().sum(1).astype(int)
            seen.update(
                tuple(row[:length])
                for row, length in zip(rows, lengths, strict=True)
            )
    assert seen == collections.Counter(
        tuple(np.float32(session.dwell_seconds))
        for session in sessions[schema.TRAIN]
    )
    assert len(steps) == 1


def task(kind="worker", index=0, **cluster):
    cluster = cluster or {"worker": ["a:1", "b:1"]}
    return {"cluster": cluster, "task": {"type": kind, "index": index}}


@pytest.mark.parametrize(
    ("config", "chief"),
    [
        (task(), True),
        (task(index=1), False),
        (task("chief", chief=["c:1"], worker=["a:1"]), True),
        (task(chief=["c:1"], worker=["a:1"]), False),
    ],
)
def test_one_process_is_the_chief(config, chief):
    assert distribution._read_cluster(json.dumps(config)) is chief


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "worker 1 of 2",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        json.dumps(task(index=2)),
        json.dumps(task(index=-1)),
        json.dumps(task(index="0")),
        json.dumps(task("ps", ps=["a:1"], worker=["b:1"])),
        json.dumps(task("chief")),
    ],
)
def test_a_cluster_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.delenv(distribution.CLUSTER, raising=False)
    if text is not None:
        monkeypatch.setenv(distribution.CLUSTER, text)
    with pytest.raises(schema.InputError, match="variable TF_CONFIG"):
        distribution.Devices(distribution.MULTIWORKER)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(schema.InputError, match="`--strategy` must be one"):
        distribution.Devices("parameter-server")


def test_logical_processors_come_before_any_work():
    tf.constant(0)
    with pytest.raises(schema.InputError, match="before any work"):
        distribution.split_cpu(2)

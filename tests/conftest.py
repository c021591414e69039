"""Fixtures that several test modules share: small, seeded, of unequal sizes."""

import gc
import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.data import encoding
from tests import records

NUM_ITEMS = 23
SESSIONS = {schema.TRAIN: 311, schema.VALIDATION: 57, schema.TEST: 83}


# Two workers end together where the files that train come first.
LONG = ("test_readme", "experiments/", "train/")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not any(part in item.nodeid for part in LONG))


def pytest_collection_finish():
    """What is imported stays: the garbage collector need not search it."""
    gc.collect()
    gc.freeze()


def make_session(name, random, max_length=11):
    length = int(random.integers(2, max_length))
    dwell = np.minimum(np.exp(random.normal(4.0, 1.5, length)), 2000.0)
    censored = (dwell >= 2000.0).astype(int)
    dwell[-1], censored[-1] = schema.LAST_DWELL_SECONDS, 1
    # The next item mostly follows the last one, so that there is something to
    # learn.
    items = [int(random.integers(0, NUM_ITEMS))]
    while len(items) < length:
        jump = 1 if random.random() < 0.7 else int(random.integers(NUM_ITEMS))
        items.append((items[-1] + jump) % NUM_ITEMS)
    return schema.Session(
        name,
        1_700_000_000_000 + int(random.integers(10**9)),
        [item + schema.FIRST_ITEM_ID for item in items],
        [float(np.float32(seconds)) for seconds in dwell],
        [int(flag) for flag in censored],
    )


@pytest.fixture(scope="session")
def sessions():
    """All sessions of the tiny data folder, by split."""
    random = np.random.default_rng(7)
    return {
        split: [make_session(f"{split}-{n}", random) for n in range(count)]
        for split, count in SESSIONS.items()
    }


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory, sessions):
    """A data folder as `jump-tf prepare` writes it, with 23 items."""
    folder = tmp_path_factory.mktemp("data")
    for split, mine in sessions.items():
        for shard in range(2):
            name = encoding.shard_name(split, shard, 2)
            records.write_sessions(str(folder / name), mine[shard::2])
    names = [f"item-{n}" for n in range(NUM_ITEMS)]
    (folder / schema.VOCABULARY_FILE).write_text("\n".join(names) + "\n")
    manifest = {
        "format_version": 1,
        "num_items": NUM_ITEMS,
        "max_dwell_seconds": schema.MAX_DWELL_SECONDS,
        "last_dwell_seconds": schema.LAST_DWELL_SECONDS,
        "splits": {
            split: {
                "sessions": len(mine),
                "clicks": sum(map(len, mine)),
                "shards": 2,
            }
            for split, mine in sessions.items()
        },
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="session")
def finished_run(data_folder, tmp_path_factory):
    """A run of two epochs that nothing ended; whoever changes it copies it.

    Dropout, masked inputs, negatives and the order of the data are random.
    """
    from tests import small_runs  # Tests of the jobs do without TensorFlow.

    folder = tmp_path_factory.mktemp("runs") / "finished"
    small_runs.train_here(data_folder, folder)
    return folder

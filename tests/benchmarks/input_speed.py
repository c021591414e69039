"""How fast batches come out of packed records, beside the usual way.

    python -m tests.benchmarks.input_speed [--data DATA]

Without `--data`, of simulated sessions: 4 clicks on average, 60 at most. For
each size of a batch, in sessions, with room for four clicks a session, the
training split, the best of some passes:

jump_tf        `session_batches.training_batches`: a shuffled epoch.
one by one     the same sessions, one `tf.train.Example` each, unshuffled:
               `parse_single_example` and `bucket_by_sequence_length`.
records parsed the packed records to ragged columns, without batches.
records read   the packed records as bytes: the bound.

Padding efficiency is the share of a batch's cells that hold a click.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time
from collections.abc import Iterable
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import encoding
from jump_tf.data import folders
from jump_tf.data import session_batches
from jump_tf.data import session_records
from tests import records

SHARDS = 4
MAX_LENGTH = 60
LOG_LENGTH = (1.01, 0.8)  # Mean and deviation, before lengths are rounded.
CLICKS = 4  # A session, of which a batch has room; as the presets have it.
_FEATURE = {
    schema.ITEMS: tf.int64,
    schema.DWELL_SECONDS: tf.float32,
    schema.DWELL_CENSORED: tf.int64,
}


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--passes", type=int, default=3)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or simulated(
            pathlib.Path(folder) / "data", arguments.sessions
        )
        single = one_by_one(data, pathlib.Path(folder) / "single")
        split = folders.read_manifest(data)["splits"][schema.TRAIN]
        print(f"{split['sessions']} sessions, {split['clicks']} clicks")
        print(f"{'':26}sessions/s     clicks/s  padding efficiency")
        for size in arguments.batch:
            ours, theirs = packed_batches(data, size), peer(single, size)
            for name, batches in (("jump_tf", ours), ("one by one", theirs)):
                seconds, efficiency = measure(batches, arguments.passes)
                line(f"{name}, batch {size}", split, seconds, efficiency)
        files = folders.shards(data, schema.TRAIN)
        for name, dataset in (
            (
                "records parsed",
                batching.shuffle_pools(files, session_records.decode),
            ),
            ("records read", tf.data.TFRecordDataset(files, "GZIP")),
        ):
            line(name, split, best_seconds(dataset, arguments.passes))


def line(name, split, seconds, efficiency=None):
    """Prints one line of the table."""
    speeds = (
        f"{split[what] / seconds:13,.0f}" for what in ("sessions", "clicks")
    )
    shown = "" if efficiency is None else f"{efficiency:20.3f}"
    print(f"{name:23}{''.join(speeds)}{shown}", flush=True)


def measure(batches: Iterable, passes: int) -> tuple[float, float]:
    """Seconds of the fastest pass, and the padding efficiency."""
    clicks = cells = 0
    for *_, weights in batches:
        clicks += int(np.count_nonzero(weights))
        cells += np.size(weights)
    return best_seconds(batches, passes), clicks / cells


def best_seconds(dataset: Iterable, passes: int) -> float:
    """Of the fastest pass."""
    seconds = []
    for _ in range(passes):
        start = time.perf_counter()
        for _ in dataset:
            pass
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def packed_batches(data: pathlib.Path, size: int) -> tf.data.Dataset:
    """An epoch as models are trained on it."""
    return session_batches.training_batches(
        data,
        batch_sessions=size,
        batch_clicks=CLICKS * size,
        seed=0,
        epoch=tf.Variable(0, dtype=tf.int64),
    )


def peer(file: pathlib.Path, size: int) -> tf.data.Dataset:
    """The batches of tf.data's own bucketing, of one Example a session."""
    features = {
        name: tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)
        for name, dtype in _FEATURE.items()
    }
    longest = [n for n in session_batches.LENGTHS if n < MAX_LENGTH]
    room = [CLICKS * size // (n - 1) for n in (*longest, MAX_LENGTH)]
    sessions = tf.data.TFRecordDataset(str(file), "GZIP").map(
        lambda record: tf.io.parse_single_example(record, features),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    return (
        sessions.bucket_by_sequence_length(
            lambda clicks: tf.size(clicks[schema.ITEMS]),
            [n + 1 for n in longest],
            [min(max(number, 1), size) for number in room],
        )
        .map(_targets, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(8)
    )


def _targets(clicks):
    """The parts of a batch that our pipeline makes, too."""
    items = tf.cast(clicks[schema.ITEMS], tf.int32)
    real = tf.cast(items > 0, tf.float32)
    later = tf.pad(real[:, 1:], [[0, 0], [0, 1]])
    dwell = clicks[schema.DWELL_SECONDS]
    inputs = {
        schema.ITEMS: items[:, :-1] * tf.cast(later[:, :-1], tf.int32),
        schema.DWELL_SECONDS: dwell[:, :-1] * later[:, :-1],
    }
    targets = {
        schema.ITEMS: items,
        schema.DWELL_SECONDS: dwell,
        schema.DWELL_CENSORED: tf.cast(
            clicks[schema.DWELL_CENSORED], tf.float32
        ),
        schema.SESSION_END: real - later,
    }
    return inputs, targets, real


def one_by_one(data: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """Writes each training session as an Example of its own."""
    with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
        for session in records.read_sessions(
            folders.shards(data, schema.TRAIN)
        ):
            writer.write(
                encoding.pack(
                    {
                        name: np.array(
                            getattr(session, name), dtype.as_numpy_dtype
                        )
                        for name, dtype in _FEATURE.items()
                    }
                )
            )
    return file


def simulated(folder: pathlib.Path, number: int) -> pathlib.Path:
    """A data folder of which only the training split is there."""
    folder.mkdir()
    random = np.random.default_rng(0)
    lengths = np.exp(random.normal(*LOG_LENGTH, number))
    lengths = np.clip(np.rint(lengths), 2, MAX_LENGTH).astype(int)
    parts = np.array_split(lengths, SHARDS)
    for shard, part in enumerate(parts):
        name = encoding.shard_name(schema.TRAIN, shard, SHARDS)
        records.write_sessions(str(folder / name), _sessions(part, random))
    split = {"sessions": number, "clicks": int(lengths.sum())}
    manifest = {"splits": {schema.TRAIN: split}}
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def _sessions(lengths, random) -> Iterator[schema.Session]:
    for number, length in enumerate(lengths):
        dwell = np.exp(random.normal(4.0, 1.5, length))
        dwell = np.minimum(dwell, schema.MAX_DWELL_SECONDS)
        yield schema.Session(
            str(number),
            1_700_000_000_000 + number,
            random.integers(schema.FIRST_ITEM_ID, 40_000, length).tolist(),
            dwell.tolist(),
            (dwell == schema.MAX_DWELL_SECONDS).astype(int).tolist(),
        )


if __name__ == "__main__":
    main()

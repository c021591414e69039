"""Data folders -> what they say of themselves, and batches of sessions.

What a batch holds, see `session_batches`.
"""

import json
import math
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import batching
from jump_tf.data import encoding
from jump_tf.data import session_batches
from jump_tf.data import session_records


def read_manifest(data: str | pathlib.Path) -> dict[str, Any]:
    """The manifest of a data folder.

    Raises:
        InputError: the folder holds no manifest, or a broken one.
    """
    path = pathlib.Path(data) / schema.MANIFEST_FILE
    if not path.is_file():
        raise schema.InputError(
            "The data folder must be the output of `jump-tf prepare`. "
            f"Received: {data}, which has no {schema.MANIFEST_FILE}"
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise schema.InputError(
            f"The manifest must be JSON. Received: {path} ({error})"
        ) from error


def read_vocabulary(path: str | pathlib.Path) -> list[str]:
    """Raw item ids in the order of their ids, from `FIRST_ITEM_ID` on."""
    # Not `splitlines`, which also cuts at characters an id may hold.
    with pathlib.Path(path).open(encoding="utf-8", newline="\n") as lines:
        return [line.removesuffix("\n") for line in lines]


def vocabulary_length(data: str | pathlib.Path) -> int:
    """Items, or features of lists, in the vocabulary of a data folder."""
    manifest = read_manifest(data)
    return manifest.get("num_items") or manifest["num_features"]


def shards(data: str | pathlib.Path, split: str) -> list[str]:
    """The record files of a split, in order.

    Raises:
        InputError: there are none, or their number is not the one in their
            names.
    """
    found = sorted(
        str(path)
        for path in pathlib.Path(data).glob(f"{split}-*{encoding.FILE_SUFFIX}")
    )
    expected = [
        str(pathlib.Path(data) / encoding.shard_name(split, index, len(found)))
        for index in range(len(found))
    ]
    if not found or found != expected:
        raise schema.InputError(
            f"Split `{split}` must be complete in the data folder. "
            f"Received: {data} with {[pathlib.Path(f).name for f in found]}"
        )
    return found


def item_counts(data: str | pathlib.Path, num_items: int) -> np.ndarray:
    """Clicks of each id in training, `[FIRST_ITEM_ID + num_items]`.

    Raises:
        InputError: not all of the split could be read.
    """
    counts = np.zeros(schema.FIRST_ITEM_ID + num_items, np.int64)
    for _, columns in _pools(shards(data, schema.TRAIN)):
        ids = columns[schema.ITEMS].values.numpy()
        counts += np.bincount(ids, minlength=len(counts))
    check_complete(data, schema.TRAIN, int(counts.sum()))
    return counts


def check_complete(
    data: str | pathlib.Path, split: str, number: int, what: str = "clicks"
) -> None:
    """Refuses a split of which not every click, or item, was read.

    TensorFlow takes a compressed file that breaks off for one that ends.

    Raises:
        InputError: the manifest counts more of them, or fewer.
    """
    expected = read_manifest(data)["splits"][split][what]
    if number != expected:
        raise schema.InputError(
            f"The files of split `{split}` must be whole. Received: {number} "
            f"{what} in {data}, of {expected} in {schema.MANIFEST_FILE}"
        )


def mean_log_dwell(data: str | pathlib.Path) -> float:
    """Mean log of the training split's uncensored dwells, in log seconds."""
    total, number = 0.0, 0
    for _, columns in _pools(shards(data, schema.TRAIN)):
        seen = columns[schema.DWELL_CENSORED].values == 0
        seconds = columns[schema.DWELL_SECONDS].values[seen]
        total += float(tf.reduce_sum(tf.math.log(tf.maximum(seconds, 1.0))))
        number += len(seconds)
    return total / max(number, 1)


def training_batches(
    data: str | pathlib.Path,
    *,
    batch_sessions: int,
    batch_clicks: int,
    seed: int,
    epoch: tf.Variable,
    step_seconds: float = math.inf,
    fixed_shapes: bool = False,
) -> tf.data.Dataset:
    """Shuffled batches of the training split; a new order for each epoch.

    Args:
        data: the data folder.
        batch_sessions: at most so many sessions a batch.
        batch_clicks: at most so many input steps a batch, padding included,
            unless one session alone is longer.
        seed: of the order.
        epoch: int64 variable, read when an epoch begins, see
            `batching.epochs`.
        step_seconds: dwell that a step of the model stands for; a click
            takes at least one.
        fixed_shapes: whether every batch has one of few shapes, see
            `session_batches`.
    """
    cut = session_batches.Cut(
        batch_sessions,
        batch_clicks,
        step_seconds=step_seconds,
        fixed_shapes=fixed_shapes,
    )
    files = shards(data, schema.TRAIN)
    return batching.epochs(files, session_records.decode, cut, seed, epoch)


def evaluation_batches(
    data: str | pathlib.Path,
    split: str,
    *,
    moment: str = schema.PAGE_LEAVE,
    batch_clicks: int = 8192,
    step_seconds: float = math.inf,
) -> tf.data.Dataset:
    """Every session of a split once, in a fixed order.

    Args:
        data: the data folder.
        split: its split.
        moment: `page_leave`: one row a session. `page_load`: one row for each
            click to predict, in which the dwell of the click before it is
            unknown; the weights are 1 on that click alone (and on the first
            click of the session in its first row), so that the sums over both
            moments are over the same clicks.
        batch_clicks: at most so many steps a batch, roughly.
        step_seconds: see `training_batches`.

    Targets have one more column, `session` `[B]` int64: numbers that grow in
    the order of the files, whatever the batches.
    """
    page_load = moment == schema.PAGE_LOAD
    cut = session_batches.Cut(
        batch_clicks,
        batch_clicks,
        step_seconds=step_seconds,
        squared=page_load,
    )
    dataset = _pools(shards(data, split)).flat_map(cut)
    if page_load:
        dataset = dataset.map(session_batches.each_click_on_its_own)
    return dataset.prefetch(4)


def _pools(files: list[str]) -> tf.data.Dataset:
    return batching.pools(files, session_records.decode)

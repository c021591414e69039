"""What a new version is asked before it is taken into service.

Of each signature three batches: of one row without clicks or items, of one row
with one, and of many rows of several lengths.
"""

import itertools
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from jump_tf import schema
from serving.client import lists as list_client
from serving.protocol import tensors
from serving.warmup import Request

_BATCHES: tuple[tuple[int, ...], ...] = ((0,), (1,), (1, 2, 4, 20) * 4)
_DWELLS = (5.0, 20.0, 60.0, 250.0)


def session_requests(folder: pathlib.Path) -> Iterator[Request]:
    """Yields requests for every signature of a model of sessions.

    Args:
        folder: a SavedModel with its vocabulary.
    """
    items = _vocabulary(folder)
    step = _signatures(folder).get(schema.STEP)
    for lengths in _BATCHES:
        yield from _sessions(items, lengths)
        if step is not None:
            yield from _new_sessions(items, len(lengths), step)


def list_requests(folder: pathlib.Path, num_fields: int) -> Iterator[Request]:
    """Yields requests for every signature of a model of lists.

    Args:
        folder: a SavedModel with its vocabulary.
        num_fields: features of an item.
    """
    features = _vocabulary(folder)
    for lengths in _BATCHES:
        shown = [
            list_client.ShownItems(
                [_first(features, num_fields)] * length, [1.0][:length]
            )
            for length in lengths
        ]
        yield schema.SERVING_DEFAULT, list_client.to_arrays(shown)
        examples = np.array(list(map(list_client.to_example, shown)), object)
        yield schema.EXAMPLES, {schema.EXAMPLES: examples}


def _vocabulary(folder: pathlib.Path) -> list[str]:
    path = folder / "assets" / schema.VOCABULARY_FILE
    with path.open(encoding="utf-8", newline="\n") as lines:
        return [line.rstrip("\n") for line in itertools.islice(lines, 20)]


def _signatures(folder: pathlib.Path):
    saved_model = saved_model_pb2.SavedModel.FromString(
        (folder / tf.saved_model.SAVED_MODEL_FILENAME_PB).read_bytes()
    )
    return dict(saved_model.meta_graphs[0].signature_def)


def _sessions(items: list[str], lengths: tuple[int, ...]) -> Iterator[Request]:
    """Yields one batch of sessions of these lengths for each signature."""
    sessions = [_first(items, length) for length in lengths]
    # All but the page on screen have been left.
    dwells = [
        [*_first(_DWELLS, length)[:-1], schema.UNKNOWN_DWELL][:length]
        for length in lengths
    ]
    clicks = {
        schema.ITEMS: tensors.padded(sessions, "", object),
        schema.DWELL_SECONDS: tensors.padded(dwells, 0.0, np.float32),
    }
    size = len(lengths)
    elapsed = {schema.ELAPSED_SECONDS: np.full(size, 5.0, np.float32)}
    yield schema.SERVING_DEFAULT, {**clicks, **elapsed}
    times = np.tile(np.array(_DWELLS, np.float32), (size, 1))
    candidates = np.array([items] * size, object)
    yield (
        schema.RECOMMEND,
        {
            **clicks,
            **elapsed,
            schema.K: np.full(size, 10, np.int32),
            schema.EXCLUDE_SEEN: np.full(size, True),
            schema.ALLOW: np.full([size, 0], "", object),
            schema.DENY: candidates,
            schema.TIMES_SECONDS: times,
        },
    )
    yield (
        schema.DWELL,
        {**clicks, schema.CANDIDATES: candidates, schema.TIMES_SECONDS: times},
    )
    examples = np.array(list(map(_example, sessions, dwells)), object)
    yield schema.EXAMPLES, {schema.EXAMPLES: examples}


def _new_sessions(items: list[str], size: int, step) -> Iterator[Request]:
    """Yields a batch of `size` new sessions for `start` and for `step`."""
    yield (
        schema.START,
        {
            schema.ITEMS: np.array([items[:1]] * size, object),
            schema.DWELL_SECONDS: np.full([size, 1], _DWELLS[0], np.float32),
            schema.ELAPSED_SECONDS: np.zeros(size, np.float32),
        },
    )
    # A state of zeros is that of a new session.
    arrays = {}
    for name, info in step.inputs.items():
        _, *inner = (dim.size for dim in info.tensor_shape.dim)
        dtype = tf.as_dtype(info.dtype).as_numpy_dtype
        arrays[name] = np.zeros([size, *(max(n, 0) for n in inner)], dtype)
    arrays[schema.ITEM] = np.array(items[:1] * size, object)
    yield schema.STEP, arrays


def _first(values, length: int) -> list:
    return list(itertools.islice(itertools.cycle(values), length))


def _example(items: list[str], dwell_seconds: list[float]) -> bytes:
    values = [item.encode() for item in items]
    feature = {
        schema.ITEMS: tf.train.Feature(
            bytes_list=tf.train.BytesList(value=values)
        ),
        schema.DWELL_SECONDS: tf.train.Feature(
            float_list=tf.train.FloatList(value=dwell_seconds)
        ),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)

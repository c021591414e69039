"""Requests that a server runs before it takes a new version into service.

The first run of a graph is a hundred times slower than the next ones; TF
Serving and our own server replay these requests while the old version still
answers.
"""

import functools
import itertools
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from jump_tf import schema
from serving.client import lists as list_client
from serving.protocol import errors
from serving.protocol import tensors

WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_REQUESTS = 1000  # TF Serving refuses a version with more.
_BATCHES: tuple[tuple[int, ...], ...] = ((0,), (1,), (1, 2, 4, 20) * 4)
_DWELLS = (5.0, 20.0, 60.0, 250.0)


def write_warmup_requests(
    folder: str | pathlib.Path, list_fields: int | None = None
) -> None:
    """Adds warm-up requests for every signature to a version folder.

    Args:
        folder: `<name>/<anything>`, a SavedModel with its vocabulary.
        list_fields: for a model of lists, the features of an item.
    """
    folder = pathlib.Path(folder)
    vocabulary = folder / "assets" / schema.VOCABULARY_FILE
    with vocabulary.open(encoding="utf-8", newline="\n") as lines:
        items = [line.rstrip("\n") for line in itertools.islice(lines, 20)]
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for lengths in _BATCHES:
            requests = (
                itertools.chain(
                    _requests(items, lengths),
                    _live_requests(folder, items, len(lengths)),
                )
                if list_fields is None
                else _list_requests(items, lengths, list_fields)
            )
            for request in requests:
                request.model_spec.name = folder.parent.name
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())


def writer(config: Any) -> Callable[[pathlib.Path], None]:
    """What adds warm-up requests for a model of a configuration."""
    # Lists alone have fields.
    fields = getattr(config, "num_fields", None)
    return functools.partial(write_warmup_requests, list_fields=fields)


def read_warmup_requests(
    folder: str | pathlib.Path,
) -> Iterator[predict_pb2.PredictRequest]:
    """The warm-up requests of a version folder; none where it has no file.

    Raises:
        ServingError: as in TF Serving, a record is none, or one too many.
        tf.errors.OpError: the file is damaged.
    """
    path = pathlib.Path(folder) / WARMUP_FILE
    if not path.is_file():
        return
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    for number, record in enumerate(records):
        if number == MAX_REQUESTS:
            raise errors.invalid_argument(
                "Number of warmup records exceeds the maximum "
                f"({MAX_REQUESTS}) at {path}"
            )
        try:
            log = prediction_log_pb2.PredictionLog.FromString(record)
        except message.DecodeError as error:
            raise errors.invalid_argument(
                f"Failed to parse warmup record {number} from {path}"
            ) from error
        if log.WhichOneof("log_type") == "predict_log":
            yield log.predict_log.request


def _requests(
    items: list[str], lengths: tuple[int, ...]
) -> Iterator[predict_pb2.PredictRequest]:
    """One batch of sessions of these lengths for each signature."""
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
    elapsed = np.full(size, 5.0, np.float32)
    yield _request(
        schema.SERVING_DEFAULT, {**clicks, schema.ELAPSED_SECONDS: elapsed}
    )
    times = np.tile(np.array(_DWELLS, np.float32), (size, 1))
    candidates = np.array([items] * size, object)
    yield _request(
        schema.RECOMMEND,
        {
            **clicks,
            schema.ELAPSED_SECONDS: elapsed,
            schema.K: np.full(size, 10, np.int32),
            schema.EXCLUDE_SEEN: np.full(size, True),
            schema.ALLOW: np.full([size, 0], "", object),
            schema.DENY: candidates,
            schema.TIMES_SECONDS: times,
        },
    )
    yield _request(
        schema.DWELL,
        {**clicks, schema.CANDIDATES: candidates, schema.TIMES_SECONDS: times},
    )
    examples = np.array(list(map(_example, sessions, dwells)), object)
    yield _request(schema.EXAMPLES, {schema.EXAMPLES: examples})


def _live_requests(
    folder: pathlib.Path, items: list[str], size: int
) -> Iterator[predict_pb2.PredictRequest]:
    """So many new sessions for `start` and `step`, of a model that has them."""
    saved_model = saved_model_pb2.SavedModel.FromString(
        (folder / tf.saved_model.SAVED_MODEL_FILENAME_PB).read_bytes()
    )
    signatures = saved_model.meta_graphs[0].signature_def
    if schema.STEP not in signatures:
        return
    yield _request(
        schema.START,
        {
            schema.ITEMS: np.array([items[:1]] * size, object),
            schema.DWELL_SECONDS: np.full([size, 1], _DWELLS[0], np.float32),
            schema.ELAPSED_SECONDS: np.zeros(size, np.float32),
        },
    )
    # A state of zeros is that of a new session.
    arrays = {}
    for name, info in signatures[schema.STEP].inputs.items():
        _, *inner = (dim.size for dim in info.tensor_shape.dim)
        dtype = tf.as_dtype(info.dtype).as_numpy_dtype
        arrays[name] = np.zeros([size, *(max(n, 0) for n in inner)], dtype)
    arrays[schema.ITEM] = np.array(items[:1] * size, object)
    yield _request(schema.STEP, arrays)


def _list_requests(
    features: list[str], lengths: tuple[int, ...], fields: int
) -> Iterator[predict_pb2.PredictRequest]:
    """One batch of lists of these lengths for each signature."""
    shown = [
        list_client.ShownItems(
            [_first(features, fields)] * length, [1.0][:length]
        )
        for length in lengths
    ]
    yield _request(schema.SERVING_DEFAULT, list_client.to_arrays(shown))
    examples = np.array(list(map(list_client.to_example, shown)), object)
    yield _request(schema.EXAMPLES, {schema.EXAMPLES: examples})


def _first(values, length: int) -> list:
    return list(itertools.islice(itertools.cycle(values), length))


def _request(signature_name: str, arrays) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = signature_name
    for name, array in arrays.items():
        request.inputs[name].CopyFrom(tensors.to_proto(array))
    return request


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
    return example.SerializeToString()

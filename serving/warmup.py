"""Requests that a server runs before it takes a new version into service.

The first run of a graph is a hundred times slower than the next ones; TF
Serving and our own server replay these requests while the old version still
answers. `serving.client.warmup_requests` makes them.
"""

import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_log_pb2

from serving.protocol import errors
from serving.protocol import tensors

Request = tuple[str, Mapping[str, np.ndarray]]  # A signature and its inputs.
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
MAX_REQUESTS = 1000  # TF Serving refuses a version with more.


def write_warmup_requests(
    folder: str | pathlib.Path,
    requests: Callable[[pathlib.Path], Iterable[Request]],
) -> None:
    """Adds warm-up requests to a version folder.

    Args:
        folder: `<name>/<anything>`, a SavedModel.
        requests: yields, of the folder, what a server is to run, in order.
    """
    folder = pathlib.Path(folder)
    path = folder / WARMUP_FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature_name, arrays in requests(folder):
            request = tensors.predict_request(
                folder.parent.name, signature_name, arrays
            )
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString(deterministic=True))


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

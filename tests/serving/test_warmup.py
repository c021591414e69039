import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from jump_tf import schema
from serving import warmup
from serving.protocol.errors import ServingError
from serving.runtime.servable import ServedVersion
from tests.serving import tiny_saved_model


def records(folder):
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def write(folder, records):
    path = folder / warmup.WARMUP_FILE
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def test_every_signature_is_warmed_up(models_folder, vocabulary, name):
    folder = models_folder / name / "7"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in records(folder)
    ]
    requests = [log.predict_log.request for log in logs]
    assert requests == list(warmup.read_warmup_requests(folder))
    assert {request.model_spec.name for request in requests} == {name}
    assert {request.model_spec.signature_name for request in requests} == {
        schema.SERVING_DEFAULT,
        schema.RECOMMEND,
        schema.DWELL,
        schema.EXAMPLES,
        schema.START,
        schema.STEP,
    }
    items = {
        item.decode()
        for request in requests
        if schema.ITEMS in request.inputs
        for item in request.inputs[schema.ITEMS].string_val
    }
    assert items == {"", *vocabulary}


def test_every_request_is_answered(served, models_folder, name):
    for request in warmup.read_warmup_requests(models_folder / name / "7"):
        response = served[name].predict_at_once(request)
        batch = next(iter(request.inputs.values())).tensor_shape.dim[0].size
        for output in response.outputs.values():
            assert output.tensor_shape.dim[0].size == batch


def test_a_request_that_fails_fails_the_load(tmp_path):
    folder = tiny_saved_model.write(tmp_path / "8")
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "no such signature"
    write(folder, [log.SerializeToString()])
    with pytest.raises(ServingError, match="FAILED_PRECONDITION"):
        ServedVersion("tiny", folder)


def test_no_file_is_no_request(tmp_path):
    assert list(warmup.read_warmup_requests(tmp_path)) == []


def test_one_request_too_many_is_refused(tmp_path):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "jump"
    path = write(tmp_path, [log.SerializeToString()] * 1001)
    with pytest.raises(ServingError, match=rf"maximum \(1000\) at {path}"):
        list(warmup.read_warmup_requests(tmp_path))


def test_what_is_no_request_is_refused(tmp_path):
    path = write(tmp_path, [b"", b"no message"])
    with pytest.raises(ServingError, match=f"warmup record 1 from {path}"):
        list(warmup.read_warmup_requests(tmp_path))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(tf.errors.DataLossError):
        list(warmup.read_warmup_requests(tmp_path))

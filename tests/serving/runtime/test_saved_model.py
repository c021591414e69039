"""A SavedModel in a session, against the same in TensorFlow's eager mode."""

import gc
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from serving.runtime.saved_model import LoadedModel
from tests.serving import tiny_saved_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_saved_model.write(tmp_path_factory.mktemp("tiny") / "5")


@pytest.fixture(scope="module")
def tiny(folder):
    model = LoadedModel(folder)
    yield model
    model.close()


INPUTS = {
    "serving_default": {
        "names": np.array([[b"a", b""], [b"\xff", b"b"]], object),
        "values": np.float32([[1.5, 2.5], [0.0, 7.0]]),
    },
    "scaled": {"values": np.float32([[1.5]]), "factor": np.float32(-3.0)},
    "whole": {"values": np.float32([[1.5, 2.5]])},
}


@pytest.mark.parametrize("key", list(INPUTS))
def test_signatures_answer_as_tensorflow_calls_them(tiny, folder, key):
    signature = tf.saved_model.load(str(folder)).signatures[key]
    inputs = {name: tf.constant(value) for name, value in INPUTS[key].items()}
    expected = signature(**inputs)
    answer = tiny.run(key, INPUTS[key])
    assert answer.keys() == expected.keys()
    for name, value in expected.items():
        wanted = np.asarray(value)
        assert answer[name].dtype == wanted.dtype
        np.testing.assert_array_equal(answer[name], wanted)


def test_many_threads_get_their_own_answers(tiny):
    def ask(number):
        values = np.full((1, number + 1), number, np.float32)
        names = np.array([[b"n"] * (number + 1)], object)
        answer = tiny.run("serving_default", {"names": names, "values": values})
        return answer["sum"].tolist(), answer["joined"].tolist()

    with futures.ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(ask, range(60)))
    assert answers == [
        ([float(n * (n + 1))], [b"n" * (n + 1)]) for n in range(60)
    ]


def test_bytes_that_end_in_zero_survive(tiny):
    names = np.array([[b"\x00a", b"b\x00"]], object)
    answer = tiny.run(
        "serving_default", {"names": names, "values": np.zeros((1, 2), "f")}
    )
    assert answer["joined"].tolist() == [b"\x00ab\x00"]


def test_what_the_graph_refuses(tiny):
    inputs = {
        "names": np.array([[b""]], object),
        "values": np.float32([[-1.0]]),
    }
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative"):
        tiny.run("serving_default", inputs)


def test_folders_without_a_saved_model(tmp_path):
    with pytest.raises(schema.InputError, match="must hold a SavedModel"):
        LoadedModel(tmp_path / "1")


def test_closing_frees_the_graph(folder):
    def graphs():
        return sum(isinstance(thing, tf.Graph) for thing in gc.get_objects())

    gc.collect()
    before = graphs()
    model = LoadedModel(folder)
    model.run("scaled", INPUTS["scaled"])
    assert graphs() == before + 1
    model.close()
    assert graphs() == before

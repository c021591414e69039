"""Tensors of the wire, against TensorFlow's own reader and writer."""

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import tensor_pb2

from serving.protocol import tensors

FIELDS = {
    tf.float32: ("float_val", st.floats(width=32)),
    tf.float64: ("double_val", st.floats()),
    tf.int32: ("int_val", st.integers(-(2**31), 2**31 - 1)),
    tf.int64: ("int64_val", st.integers(-(2**63), 2**63 - 1)),
    tf.bool: ("bool_val", st.booleans()),
    tf.string: ("string_val", st.binary(max_size=3)),
    tf.uint8: ("int_val", st.integers(-(2**31), 2**31 - 1)),
    tf.float16: ("half_val", st.integers(0, 2**15)),
}


def proto(dtype, shape, **fields):
    return tensor_pb2.TensorProto(
        dtype=dtype.as_datatype_enum,
        tensor_shape=tf.TensorShape(shape).as_proto(),
        **fields,
    )


def parsed(message):
    """TensorFlow's reading, or None where it refuses."""
    try:
        tensor = tf.io.parse_tensor(message.SerializeToString(), message.dtype)
    except tf.errors.InvalidArgumentError:
        return None
    return np.asarray(tensor.numpy(), tensor.dtype.as_numpy_dtype)


def read(message):
    try:
        return tensors.to_array(message)
    except ValueError:
        return None


def assert_same(actual, expected):
    assert (actual is None) == (expected is None)
    if expected is not None:
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(actual, expected)


@st.composite
def typed(draw):
    """Of any type and shape, with too few, enough or too many values."""
    dtype = draw(st.sampled_from(list(FIELDS)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    field, values = FIELDS[dtype]
    return proto(dtype, shape, **{field: draw(st.lists(values, max_size=9))})


@st.composite
def packed(draw):
    """The same as raw content, of the right size or not."""
    dtype = draw(st.sampled_from(list(FIELDS)))
    shape = draw(st.lists(st.integers(0, 3), max_size=2))
    size = int(np.prod(shape)) * (dtype.size or 1) + draw(st.integers(-1, 2))
    content = draw(st.binary(min_size=max(size, 0), max_size=max(size, 0)))
    return proto(dtype, shape, tensor_content=content)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.one_of(typed(), packed()))
def test_reads_what_tensorflow_reads(message):
    assert_same(read(message), parsed(message))


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(
    arrays.arrays(
        st.sampled_from([np.float32, np.int64, np.int32, np.bool_, np.float16]),
        arrays.array_shapes(min_dims=0, min_side=0, max_side=4),
    )
)
def test_numbers_there_and_back(array):
    message = tensors.to_proto(array)
    assert_same(tensors.to_array(message), array)
    assert_same(tf.make_ndarray(message), array)


def test_texts_there_and_back():
    array = np.array([["größe 10", ""], [b"a\x00", b"\xff"]], object)
    message = tensors.to_proto(array)
    assert message.string_val
    back = tensors.to_array(message)
    assert back.tolist() == [["größe 10".encode(), b""], [b"a\x00", b"\xff"]]


@pytest.mark.parametrize(
    "message",
    [
        proto(tf.float32, [2], tensor_content=b"12345"),
        tensor_pb2.TensorProto(
            dtype=1, tensor_shape={"dim": [{"size": -1}]}, float_val=[1.0]
        ),
        tensor_pb2.TensorProto(dtype=99),
        tensor_pb2.TensorProto(),
        proto(tf.float32, [2**40, 2**40], float_val=[1.0]),
    ],
)
def test_what_is_no_tensor(message):
    with pytest.raises(ValueError):
        tensors.to_array(message)

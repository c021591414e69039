import gzip

import numpy as np
import pytest
import tensorflow as tf

from jump_tf.data import encoding

COLUMNS = {
    "names": [b"", b"x" * 200, "Zürich".encode()],
    "seconds": np.float32([0.0, 1.5, np.inf]),
    "numbers": np.array([0, 1, 127, 128, 300, 2**31, 2**62, 2**63 - 1]),
    "none": np.zeros(0, np.int64),
}


def test_a_record_is_the_example_that_tensorflow_writes():
    feature = {
        "names": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=COLUMNS["names"])
        ),
        "seconds": tf.train.Feature(
            float_list=tf.train.FloatList(value=COLUMNS["seconds"])
        ),
        "numbers": tf.train.Feature(
            int64_list=tf.train.Int64List(value=COLUMNS["numbers"])
        ),
    }
    expected = tf.train.Example(features=tf.train.Features(feature=feature))
    columns = {name: COLUMNS[name] for name in feature}
    assert encoding.pack(columns) == expected.SerializeToString(
        deterministic=True
    )


def test_an_empty_column_is_empty():
    example = tf.train.Example.FromString(encoding.pack(COLUMNS))
    assert len(example.features.feature["none"].int64_list.value) == 0


@pytest.mark.parametrize("name", ["numbers", "none"])
def test_numbers_are_read_back(name):
    found = encoding.unpack_integers(encoding.pack(COLUMNS), name)
    np.testing.assert_array_equal(found, COLUMNS[name])


def test_a_column_that_is_not_there():
    with pytest.raises(KeyError, match="other"):
        encoding.unpack_integers(encoding.pack(COLUMNS), "other")


def test_files_are_those_of_tensorflow(tmp_path):
    records = [b"", b"one", b"x" * 100_000]
    path = tmp_path / "a.tfrecord.gz"
    path.write_bytes(encoding.to_file(records))
    read = tf.data.TFRecordDataset(str(path), compression_type="GZIP")
    assert [record.numpy() for record in read] == records
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)
    assert list(encoding.from_file(path.read_bytes())) == records


def test_the_same_records_are_the_same_file():
    assert encoding.to_file([b"a", b"b"]) == encoding.to_file([b"a", b"b"])


@pytest.mark.parametrize("place", [0, 9, 14, -1])
def test_a_damaged_file_is_noticed(place):
    data = bytearray(gzip.decompress(encoding.to_file([b"record", b"another"])))
    data[place] ^= 1
    with pytest.raises(ValueError, match="must be whole"):
        list(encoding.from_file(gzip.compress(data)))

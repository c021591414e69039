import dataclasses

import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import encoding
from jump_tf.data import list_records
from tests import records
from tests import small_lists

KINDS = {"fields": small_lists.FIELDS, "bags": ()}


@pytest.fixture(scope="module", params=KINDS, ids=str)
def lists(request):
    return small_lists.make_splits(KINDS[request.param])[schema.VALIDATION]


def test_encode_and_decode_are_inverse(lists):
    packs = [lists[:5], [], lists[5:]]
    columns = list_records.decode(
        tf.constant([*map(encoding.encode_list_record, packs)])
    )
    ids = [list_id.decode() for list_id in columns[schema.LIST_ID].numpy()]
    assert ids == [each.list_id for each in lists]
    assert list(columns[schema.START_MS].numpy()) == [
        each.start_ms for each in lists
    ]
    for name in (
        schema.OFFSET_SECONDS,
        schema.FEATURES,
        schema.FEATURE_VALUES,
        schema.CLICKED,
        schema.CONVERTED,
    ):
        assert columns[name].to_list() == [
            getattr(each, name) for each in lists
        ]


def test_a_record_of_one_list_is_the_same_format(lists):
    packed = list_records.decode(
        tf.constant([encoding.encode_list_record(lists[:3])])
    )
    single = list_records.decode(
        tf.constant([encoding.encode_list_record([each]) for each in lists[:3]])
    )
    assert packed.keys() == single.keys()
    assert (
        packed[schema.FEATURES].to_list() == single[schema.FEATURES].to_list()
    )


@pytest.mark.parametrize("limit", ["LISTS_PER_RECORD", "FEATURES_PER_RECORD"])
def test_written_files_are_read_back_in_order(
    tmp_path, lists, monkeypatch, limit
):
    monkeypatch.setattr(encoding, limit, 7)
    mine = [dataclasses.replace(lists[0], list_id="Zürich/1"), *lists[1:]]
    path = str(tmp_path / "lists.tfrecord.gz")
    records.write_lists(path, mine)
    assert list(records.read_lists([path])) == mine


def test_records_hold_a_bounded_number_of_features(
    tmp_path, lists, monkeypatch
):
    monkeypatch.setattr(encoding, "FEATURES_PER_RECORD", 40)
    path = str(tmp_path / "lists.tfrecord.gz")
    records.write_lists(path, lists)
    sizes = [
        [sum(map(len, each)) for each in found[schema.FEATURES].to_list()]
        for found in (
            list_records.decode(record[tf.newaxis])
            for record in tf.data.TFRecordDataset(path, "GZIP")
        )
    ]
    assert 1 < len(sizes) < len(lists)
    assert all(sum(each) <= 40 or len(each) == 1 for each in sizes)


def test_a_file_without_lists_reads_as_none(tmp_path):
    path = str(tmp_path / "none.tfrecord.gz")
    records.write_lists(path, [])
    assert list(records.read_lists([path])) == []


def test_a_list_has_as_many_of_everything():
    with pytest.raises(ValueError, match="must have the same length"):
        schema.ShownList("a", 0, [0.0], [[2]], [[1.0]], [0, 1], [0])

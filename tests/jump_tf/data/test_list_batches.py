import collections
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import list_batches
from tests import small_lists

KINDS = {"fields": small_lists.FIELDS, "bags": ()}


@pytest.fixture(scope="module", params=KINDS)
def folder_and_lists(request, tmp_path_factory):
    fields = KINDS[request.param]
    folder = tmp_path_factory.mktemp("lists")
    lists = small_lists.make_splits(fields)
    small_lists.write_folder(folder, lists, fields)
    return folder, lists


@pytest.fixture(scope="module")
def folder(folder_and_lists):
    return folder_and_lists[0]


@pytest.fixture(scope="module")
def lists(folder_and_lists):
    return folder_and_lists[1]


def training(folder, epoch=0, seed=4, lists=9, items=50, longest=100):
    return list_batches.training_batches(
        folder,
        batch_lists=lists,
        batch_items=items,
        max_list_length=longest,
        seed=seed,
        epoch=tf.Variable(epoch, dtype=tf.int64),
    )


def as_arrays(batch):
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), batch)


def lists_in(batches):
    """The rows of all batches as a multiset; checks the padding of each."""
    found = collections.Counter()
    for inputs, targets, weights in map(as_arrays, batches):
        features, values = (
            inputs.pop(schema.FEATURES),
            inputs.pop(schema.FEATURE_VALUES),
        )
        targets.pop(schema.LIST, None)
        columns = [
            inputs[schema.OFFSET_SECONDS],
            inputs[schema.CLICKED],
            targets[schema.CONVERTED],
        ]
        np.testing.assert_array_equal(
            inputs[schema.CLICKED], targets[schema.CLICKED]
        )
        assert features.dtype == np.int32
        assert features.shape == values.shape
        for array in (*columns, values, weights):
            assert array.dtype == np.float32
        for row, weight in enumerate(weights):
            length = int(weight.sum())
            assert (weight == (np.arange(len(weight)) < length)).all()
            for array in (*columns, features, values):
                assert not array[row, length:].any()
            mine = []
            for ids, counts in zip(
                features[row, :length], values[row, :length], strict=True
            ):
                size = np.count_nonzero(ids)
                assert not ids[size:].any()
                assert not counts[size:].any()
                mine.append((tuple(ids[:size]), tuple(counts[:size])))
            told = [tuple(column[row, :length]) for column in columns]
            found[(tuple(mine), *told)] += 1
    return found


def expected(lists, longest=100):
    return collections.Counter(
        (
            tuple(
                (tuple(ids), tuple(np.float32(values)))
                for ids, values in zip(
                    each.features[-longest:],
                    each.feature_values[-longest:],
                    strict=True,
                )
            ),
            tuple(np.float32(each.offset_seconds[-longest:])),
            tuple(each.clicked[-longest:]),
            tuple(each.converted[-longest:]),
        )
        for each in lists
    )


def test_an_epoch_has_each_training_list_once(folder, lists):
    batches = training(folder)
    assert batches.cardinality() == len(list(batches))
    assert lists_in(batches) == expected(lists[schema.TRAIN])


@pytest.mark.parametrize("split", [schema.VALIDATION, schema.TEST])
def test_evaluation_has_each_list_once(folder, lists, split):
    batches = list_batches.evaluation_batches(
        folder, split, max_list_length=100, batch_items=60
    )
    assert lists_in(batches) == expected(lists[split])


def test_longer_lists_keep_their_last_items(folder, lists):
    """And the times that these had, counted from the list's first item."""
    assert lists_in(training(folder, longest=5)) == expected(
        lists[schema.TRAIN], longest=5
    )
    batches = list_batches.evaluation_batches(
        folder, schema.TEST, max_list_length=5
    )
    assert lists_in(batches) == expected(lists[schema.TEST], longest=5)


def test_batches_hold_similar_lengths_within_the_bounds(folder):
    real = slots = 0
    for _, _, weights in map(as_arrays, training(folder)):
        rows, items = weights.shape
        assert rows <= 9
        assert rows == 1 or rows * items <= 50
        real += weights.sum()
        slots += weights.size
    assert real / slots > 0.9


def test_order_depends_on_seed_and_epoch_alone(folder):
    def order(**options):
        return [
            inputs[schema.FEATURES].numpy().tolist()
            for inputs, *_ in training(folder, **options)
        ]

    once = order(epoch=3)
    assert once == order(epoch=3)
    assert once != order(epoch=4)
    assert once != order(epoch=3, seed=5)


def test_list_numbers_grow_in_the_order_of_the_files(folder, lists):
    mine = lists[schema.TEST]
    in_files = [
        each
        for shard in range(small_lists.SHARDS)
        for each in mine[shard :: small_lists.SHARDS]
    ]

    def by_number(batch_items):
        found = {}
        for inputs, targets, _ in list_batches.evaluation_batches(
            folder, schema.TEST, max_list_length=100, batch_items=batch_items
        ):
            first = inputs[schema.FEATURES][:, 0]
            for number, ids in zip(
                targets[schema.LIST].numpy(), first.numpy(), strict=True
            ):
                assert number not in found
                found[number] = ids[ids > 0].tolist()
        return [found[number] for number in sorted(found)]

    firsts = [each.features[0] for each in in_files]
    assert by_number(40) == by_number(4000) == firsts


def test_fields_settle_the_last_dimension(folder):
    (spec, *_) = training(folder).element_spec
    manifest = json.loads((folder / schema.MANIFEST_FILE).read_text())
    last = spec[schema.FEATURES].shape[-1]
    assert last == (len(manifest["fields"]) or None)
    assert spec[schema.FEATURE_VALUES].shape[-1] == last


def test_a_split_that_is_not_whole_is_refused(folder, lists, tmp_path):
    list_batches.check_complete(folder, schema.TEST)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    first, second = sorted(tmp_path.glob("test-*"))
    shutil.copy(first, second)  # A file that reads well, and is another.
    items = sum(map(len, lists[schema.TEST]))
    sentence = rf"`test` must be whole. Received: \d+ items in .*, of {items}"
    with pytest.raises(schema.InputError, match=sentence):
        list_batches.check_complete(tmp_path, schema.TEST)


def test_a_folder_of_sessions_is_refused(tmp_path):
    manifest = tmp_path / schema.MANIFEST_FILE
    manifest.write_text(json.dumps({"num_items": 3}))
    with pytest.raises(schema.InputError, match=r"must hold lists.* sessions"):
        training(tmp_path)


def test_no_pipeline_is_tuned_while_it_runs(folder):
    """Where one thread runs all, the tuning sleeps in it; see `batching`."""
    evaluation = list_batches.evaluation_batches(
        folder, schema.VALIDATION, max_list_length=100
    )
    for batches in (training(folder), evaluation):
        assert batches.options().autotune.enabled is False

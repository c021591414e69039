import collections
import hashlib

import numpy as np
import pytest

from beam_jobs import columns
from beam_jobs.transforms import splits
from beam_jobs.transforms import vocabulary
from jump_tf import schema

DAY = 86_400_000


def split_by_hand(session_id):
    text = hashlib.sha256(session_id.encode("utf-8")).hexdigest()
    number = int(text, 16)
    if int(str(number)[-2:]) < 20:
        return "test"
    return "validation" if int(str(number)[-4:-2]) < 10 else "train"


def split_of(*session_ids):
    digests = columns.digests(each.encode() for each in session_ids)
    return [schema.SPLITS[n] for n in splits.random_splits(digests)]


def test_random_split_is_the_stated_rule():
    ids = ["1", "é", "visitor/1396860669277", *map(str, range(999))]
    assert split_of(*ids) == list(map(split_by_hand, ids))


def test_random_split_proportions():
    count = 20_000
    shares = collections.Counter(split_of(*map(str, range(count))))
    assert shares[schema.TEST] / count == pytest.approx(0.2, abs=0.01)
    assert shares[schema.VALIDATION] / count == pytest.approx(0.08, abs=0.01)
    assert shares[schema.TRAIN] / count == pytest.approx(0.72, abs=0.01)


def test_shards_are_the_stated_rule():
    ids = ["é", *map(str, range(999))]
    digests = columns.digests(each.encode() for each in ids)
    numbers = [
        int(hashlib.sha256(each.encode()).hexdigest(), 16) for each in ids
    ]
    for shards in (1, 7, 50):
        expected = [number // 10_000 % shards for number in numbers]
        assert splits.shards(digests, shards).tolist() == expected
    shuffled = splits.shuffled(digests)
    assert shuffled.tolist() == sorted(range(1000), key=numbers.__getitem__)


def test_shards_of_a_split_are_of_like_size():
    ids = list(map(str, range(20_000)))
    digests = columns.digests(each.encode() for each in ids)
    tested = splits.random_splits(digests) == 2
    sizes = collections.Counter(splits.shards(digests[tested], 50).tolist())
    assert sorted(sizes) == list(range(50))
    mean = tested.sum() / 50
    assert all(abs(size - mean) < 0.5 * mean for size in sizes.values())


@pytest.mark.parametrize("validation_days", [2.0, 0.5])
def test_temporal_split(validation_days):
    end, middle = 100 * DAY, 2 + validation_days
    days = [0, 2, 2 + 1e-6, middle, middle + 1e-6, 99]
    last = np.array([round(end - before * DAY) for before in days])
    numbers = splits.temporal_splits(last, end, 2.0, validation_days)
    found = [schema.SPLITS[n] for n in numbers]
    assert found == ["test"] * 2 + ["validation"] * 2 + ["train"] * 2


def test_vocabulary_breaks_ties_by_text():
    counts = {"b": 2, "10": 2, "9": 2, "a": 3, "B": 2}
    assert vocabulary.ranked(counts) == ["a", "10", "9", "B", "b"]


def test_first_item_follows_the_special_ids():
    assert vocabulary.ids(["x", "y"]) == {"x": 2, "y": 3}


def test_counts_merge_like_one_count():
    count = vocabulary.CountTexts()
    parts = []
    for sessions in (["a b", "a"], [], ["c a"]):
        accumulator = count.create_accumulator()
        for session in sessions:
            accumulator = count.add_input(accumulator, session.split())
        parts.append(accumulator)
    parts.append(count.add_input(count.create_accumulator(), {"a": 2, "d": 1}))
    merged = count.extract_output(count.merge_accumulators(parts))
    assert merged == {"a": 5, "b": 1, "c": 1, "d": 1}

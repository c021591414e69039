import collections
import hashlib

import pytest

from beam_jobs import splits
from beam_jobs import vocabulary
from jump_tf import schema

DAY = 86_400_000


def split_by_hand(session_id):
    text = hashlib.sha256(session_id.encode("utf-8")).hexdigest()
    number = int(text, 16)
    if int(str(number)[-2:]) < 20:
        return "test"
    return "validation" if int(str(number)[-4:-2]) < 10 else "train"


def test_random_split_is_the_stated_rule():
    for session_id in ["1", "é", "visitor/1396860669277", *map(str, range(99))]:
        assert splits.random_split(session_id) == split_by_hand(session_id)


def test_random_split_proportions():
    count = 20_000
    shares = collections.Counter(
        splits.random_split(str(number)) for number in range(count)
    )
    assert shares[schema.TEST] / count == pytest.approx(0.2, abs=0.01)
    assert shares[schema.VALIDATION] / count == pytest.approx(0.08, abs=0.01)
    assert shares[schema.TRAIN] / count == pytest.approx(0.72, abs=0.01)


def test_shards_of_a_split_are_of_like_size():
    tested = [
        session_id
        for session_id in map(str, range(20_000))
        if splits.random_split(session_id) == schema.TEST
    ]
    sizes = collections.Counter(splits.shard(each, 50) for each in tested)
    assert sorted(sizes) == list(range(50))
    mean = len(tested) / 50
    assert all(abs(size - mean) < 0.5 * mean for size in sizes.values())


@pytest.mark.parametrize(
    ("days_before_the_end", "split"),
    [
        (0, schema.TEST),
        (2, schema.TEST),
        (2 + 1e-6, schema.VALIDATION),
        (4, schema.VALIDATION),
        (4 + 1e-6, schema.TRAIN),
    ],
)
def test_temporal_split(days_before_the_end, split):
    end = 100 * DAY
    last = round(end - days_before_the_end * DAY)
    assert splits.temporal_split(last, end, 2.0) == split


def test_vocabulary_breaks_ties_by_text():
    counts = {"b": 2, "10": 2, "9": 2, "a": 3, "B": 2}
    assert vocabulary.ranked(counts) == ["a", "10", "9", "B", "b"]


def test_first_item_follows_the_special_ids():
    assert vocabulary.ids(["x", "y"]) == {"x": 2, "y": 3}


def test_counts_merge_like_one_count():
    count = vocabulary.CountItems()
    parts = []
    for sessions in (["a b", "a"], [], ["c a"]):
        accumulator = count.create_accumulator()
        for session in sessions:
            accumulator = count.add_input(accumulator, session.split())
        parts.append(accumulator)
    merged = count.extract_output(count.merge_accumulators(parts))
    assert merged == {"a": 3, "b": 1, "c": 1}

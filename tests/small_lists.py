"""Small seeded data folders of lists, with fields or with bags of features."""

import json

import numpy as np

from jump_tf import schema
from jump_tf.data import encoding
from tests import records

FIELDS = ("item", "shelf", "band")
NUM_FEATURES = 29
LISTS = {schema.TRAIN: 157, schema.VALIDATION: 31, schema.TEST: 43}
SHARDS = 2


def make_list(name, random, fields=FIELDS, max_length=13):
    """A list of unequal length; conversions follow on clicks only."""
    length = int(random.integers(1, max_length))
    sizes = [len(fields) or int(random.integers(1, 6)) for _ in range(length)]
    clicked = random.random(length) < 0.4
    converted = clicked & (random.random(length) < 0.3)
    offsets = np.cumsum(random.integers(0, 90, length)) / 4
    return schema.ShownList(
        name,
        1_700_000_000_000 + int(random.integers(10**9)),
        (offsets - offsets[0]).tolist(),
        [random.integers(1, NUM_FEATURES + 2, size).tolist() for size in sizes],
        [
            [1.0] * size
            if fields
            else np.float32(random.exponential(size=size)).tolist()
            for size in sizes
        ],
        clicked.astype(int).tolist(),
        converted.astype(int).tolist(),
    )


def make_splits(fields=FIELDS, seed=11):
    """All lists of a folder, by split."""
    random = np.random.default_rng(seed)
    return {
        split: [make_list(f"{split}-{n}", random, fields) for n in range(count)]
        for split, count in LISTS.items()
    }


def write_folder(folder, splits, fields=FIELDS, vocabulary=None):
    """A data folder as the job writes it."""
    if vocabulary is None:
        vocabulary = [f"field={n}" for n in range(NUM_FEATURES)]
    for split, mine in splits.items():
        for shard in range(SHARDS):
            name = encoding.shard_name(split, shard, SHARDS)
            records.write_lists(str(folder / name), mine[shard::SHARDS])
    lines = "".join(f"{text}\n" for text in vocabulary)
    (folder / schema.VOCABULARY_FILE).write_text(lines)
    manifest = {
        "kind": schema.LISTS,
        "format_version": 1,
        "fields": list(fields),
        "num_features": len(vocabulary),
        "splits": {
            split: {
                "lists": len(mine),
                "items": sum(map(len, mine)),
                "clicks": sum(sum(each.clicked) for each in mine),
                "conversions": sum(sum(each.converted) for each in mine),
                "shards": SHARDS,
            }
            for split, mine in splits.items()
        },
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))

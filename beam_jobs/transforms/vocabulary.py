"""Lists the items or features of training, in the order of their ids."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_jobs import counting
from jump_tf import schema

# What is counted: texts, or how often each is there.
Texts = list[str] | Mapping[str, int]


class CountTexts(beam.CombineFn):
    """Sums `Texts`, raw item ids or features, to one mapping: text -> count."""

    def create_accumulator(self):
        return collections.Counter()

    def add_input(self, accumulator, texts):
        accumulator.update(texts)
        return accumulator

    def merge_accumulators(self, accumulators):
        merged: collections.Counter[str] = collections.Counter()
        for counts in accumulators:
            merged.update(counts)
        return merged

    def extract_output(self, accumulator):
        return dict(accumulator)


def ranked(counts: Mapping[str, int], min_count: int = 1) -> list[str]:
    """Returns the frequent texts by (count descending, text ascending)."""
    frequent = (text for text, count in counts.items() if count >= min_count)
    return sorted(frequent, key=lambda text: (-counts[text], text))


def frequent(counts: Mapping[str, int], min_count: int) -> pa.Array:
    """Returns the items with enough clicks, all of which are counted here."""
    counting.counter(counting.COUNTED).inc(sum(counts.values()))
    return pa.array(ranked(counts, min_count), pa.string())


def ids(items: Sequence[str]) -> dict[str, int]:
    """Returns text -> id of the items or features of a vocabulary."""
    return {item: id_ for id_, item in enumerate(items, schema.FIRST_ITEM_ID)}


class Vocabulary(beam.PTransform):
    """Turns `(split, grouped)`s into the training texts in id order.

    Args:
        texts: of what is counted.
        min_count: rarer ones get no id.
    """

    def __init__(
        self,
        texts: Callable[[Any], Texts],
        min_count: int = 1,
    ):
        super().__init__()
        self.texts = texts
        self.min_count = min_count

    def expand(self, grouped):
        return (
            grouped
            | "Training" >> beam.Filter(lambda each: each[0] == schema.TRAIN)
            | "Texts" >> beam.Map(_texts, self.texts)
            | "Count" >> beam.CombineGlobally(CountTexts())
            | "Rank" >> beam.Map(_ranked, self.min_count)
        )


def _ranked(counts, min_count):
    counting.counter(counting.RANKED).inc(sum(counts.values()))
    return ranked(counts, min_count)


def _texts(split_grouped, texts):
    return texts(split_grouped[1])

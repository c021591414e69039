"""Which items or features there are, in the order of their ids."""

import collections
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import apache_beam as beam

from jump_tf import schema


class CountItems(beam.CombineFn):
    """Lists of raw item ids, or of features, to one mapping: text -> count."""

    def create_accumulator(self):
        return collections.Counter()

    def add_input(self, accumulator, items):
        accumulator.update(items)
        return accumulator

    def merge_accumulators(self, accumulators):
        merged: collections.Counter[str] = collections.Counter()
        for counts in accumulators:
            merged.update(counts)
        return merged

    def extract_output(self, accumulator):
        return dict(accumulator)


def ranked(counts: Mapping[str, int], min_count: int = 1) -> list[str]:
    """Texts seen often enough, by (count descending, text ascending)."""
    frequent = (text for text, count in counts.items() if count >= min_count)
    return sorted(frequent, key=lambda text: (-counts[text], text))


def ids(items: list[str]) -> dict[str, int]:
    """Text -> id of the items or features of a vocabulary."""
    return {item: id_ for id_, item in enumerate(items, schema.FIRST_ITEM_ID)}


def visit_items(visit) -> list[str]:
    """The raw item ids of a `Visit`."""
    return visit[1]


class Vocabulary(beam.PTransform):
    """`(split, Visit)`s, and the like, to the training texts in id order.

    Args:
        texts: of what is counted.
        min_count: rarer ones get no id.
    """

    def __init__(
        self,
        texts: Callable[[Any], list[str]] = visit_items,
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
            | "Count" >> beam.CombineGlobally(CountItems())
            | "Rank" >> beam.Map(ranked, self.min_count)
        )


def _texts(split_grouped, texts):
    return texts(split_grouped[1])

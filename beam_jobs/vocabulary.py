"""Which items there are, in the order of their ids."""

import collections
from collections.abc import Mapping

import apache_beam as beam

from jump_tf import schema


class CountItems(beam.CombineFn):
    """Lists of raw item ids to one mapping: raw id -> number of clicks."""

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


def ranked(counts: Mapping[str, int]) -> list[str]:
    """Raw ids by (count descending, raw id ascending as text)."""
    return sorted(counts, key=lambda item: (-counts[item], item))


def ids(items: list[str]) -> dict[str, int]:
    """Raw id -> id of the items of a vocabulary."""
    return {item: id_ for id_, item in enumerate(items, schema.FIRST_ITEM_ID)}


class Vocabulary(beam.PTransform):
    """`(split, Visit)`s to one list: the training items in id order."""

    def expand(self, visits):
        return (
            visits
            | "Training" >> beam.Filter(lambda each: each[0] == schema.TRAIN)
            | "Items" >> beam.Map(lambda each: each[1][1])
            | "Count" >> beam.CombineGlobally(CountItems())
            | "Rank" >> beam.Map(ranked)
        )

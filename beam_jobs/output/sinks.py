"""The files of a data folder that the job writes.

Each has a fixed name and a content that depends on the log and the options
only, so a worker that repeats its work writes the same bytes again.
"""

import bisect
import hashlib
import itertools
import json
import logging
from collections.abc import Mapping
from collections.abc import Sequence

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import storage
from beam_jobs.output.shards import ShardFormat
from beam_jobs.sources.parsing import Reject
from beam_jobs.transforms import splits
from jump_tf import schema
from jump_tf.data import encoding

_LOGGER = logging.getLogger(__name__)


class WriteShards(beam.PTransform):
    """Writes `(split, splits.Grouped)`s to record files; none is left out.

    A worker holds a shard in memory: large splits need more shards.
    """

    def __init__(
        self, folder: str, texts, shards_per_split: int, shards: ShardFormat
    ):
        super().__init__()
        self.texts = texts
        self.shards_per_split = shards_per_split
        self.write = _WriteShard(folder, shards_per_split, shards)

    def expand(self, grouped):
        shards = [
            ((split, index), None)
            for split in schema.SPLITS
            for index in range(self.shards_per_split)
        ]
        nothing = grouped.pipeline | "EveryShard" >> beam.Create(shards)
        something = grouped | "KeyByShard" >> beam.FlatMapTuple(
            _by_shard, number=self.shards_per_split
        )
        return (
            (something, nothing)
            | beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | "Write"
            >> beam.ParDo(self.write, beam.pvalue.AsSingleton(self.texts))
        )


class WriteVocabulary(beam.PTransform):
    """Writes the list of items or features to a text file, one a line."""

    def __init__(self, folder: str):
        super().__init__()
        self.path = storage.join(folder, schema.VOCABULARY_FILE)

    def expand(self, items):
        return items | beam.Map(_write_lines, self.path)


class WriteRejects(beam.PTransform):
    """Writes `Reject`s to one file of JSON lines, in the order of the log.

    Args:
        folder: where.
        line_counts: of every range, as `lines.ReadBlocks` gives them.
    """

    def __init__(self, folder: str, line_counts):
        super().__init__()
        self.path = storage.join(folder, schema.REJECTS_FILE)
        self.line_counts = line_counts

    def expand(self, rejects):
        return (
            rejects
            | beam.combiners.ToList()
            | "Json"
            >> beam.Map(_json_lines, beam.pvalue.AsList(self.line_counts))
            | "Write" >> beam.Map(_write_lines, self.path)
        )


def write_manifest(folder: str, manifest: Mapping) -> None:
    """Writes `manifest.json`, the last file of a data folder."""
    path = storage.join(folder, schema.MANIFEST_FILE)
    storage.write(path, encode_manifest(manifest))


def encode_manifest(manifest: Mapping) -> bytes:
    """Returns the content of `manifest.json`."""
    return storage.as_lines(
        [json.dumps(manifest, indent=2, ensure_ascii=False)]
    )


def count_rejects(folder: str) -> int:
    """Returns the number of lines in `rejects.jsonl`."""
    path = storage.join(folder, schema.REJECTS_FILE)
    return storage.read(path).count(b"\n")


def read_vocabulary(folder: str) -> tuple[int, str]:
    """Returns the number of texts in `vocabulary.txt`, and its SHA-256."""
    content = storage.read(storage.join(folder, schema.VOCABULARY_FILE))
    return content.count(b"\n"), hashlib.sha256(content).hexdigest()


class _WriteShard(beam.DoFn):
    def __init__(self, folder, count, shards):
        self.folder = folder
        self.count = count
        self.shards = shards

    def process(self, shard, texts):
        (split, index), grouped = shard
        name = encoding.shard_name(split, index, self.count)
        path = storage.join(self.folder, name)
        content, sizes = self.shards.file(
            (each for each in grouped if each is not None), texts
        )
        storage.write(path, content)
        for counted, size in sizes.items():
            counting.counter(counted, split).inc(size)
        for counted, size in self.shards.sizes(storage.read(path)).items():
            counting.counter(counting.READ_BACK + counted, split).inc(size)
        told = ", ".join(f"{size} {counted}" for counted, size in sizes.items())
        _LOGGER.info("%s: %s", name, told)
        yield name


def _by_shard(split, grouped, number=1):
    for index, mine in splits.by_shard(grouped, number):
        yield (split, index), mine


def _write_lines(lines: Sequence[str], path: str) -> None:
    storage.write(path, storage.as_lines(lines))


def _json_lines(rejects, line_counts) -> list[str]:
    """Returns the rejects as JSON, with the line number in the file."""
    ordered = sorted(line_counts)
    before = [0, *itertools.accumulate(number for _, number in ordered)]
    places = [place for place, _ in ordered]

    def counted(reject: Reject):
        file, start, line_number = reject[:3]
        if start > 0:
            first = bisect.bisect_left(places, (file, 0))
            here = bisect.bisect_left(places, (file, start))
            line_number += before[here] - before[first] + 1
        return {
            "file": reject.file,
            "line_number": line_number,
            "reason": reject.reason,
            "line": reject.line,
        }

    return [
        json.dumps(counted(reject), ensure_ascii=False)
        for reject in sorted(rejects)
    ]

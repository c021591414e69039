"""The files of a data folder that the job writes.

Each has a fixed name and a content that depends on the log and the options
only, so a worker that repeats its work writes the same bytes again.
"""

import dataclasses
import hashlib
import json
import logging
import pathlib
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import sessions
from beam_jobs import splits
from beam_jobs import storage
from beam_jobs import vocabulary
from jump_tf import records
from jump_tf import schema

_LOGGER = logging.getLogger(__name__)


class ShardFormat(Protocol):
    """How what is grouped, sessions or lists, is written to a shard."""

    def to_records(
        self, grouped: Sequence, ids: Mapping[str, int]
    ) -> Sequence[Any]:
        """As they are written, with the ids of the vocabulary's texts."""

    def write(self, path: str, written: Sequence[Any]) -> None:
        """Writes one record file."""

    def sizes(self, written: Sequence[Any]) -> Mapping[str, int]:
        """What the manifest counts of them, under the counters' names."""


class WriteShards(beam.PTransform):
    """`(split, grouped)` to record files; every split has all its files.

    What is grouped, `Visit`s or `Shown`s, begins with its id. That of a shard
    is held in memory: more of it wants more shards.
    """

    def __init__(
        self, folder: str, items, shards_per_split: int, shards: ShardFormat
    ):
        super().__init__()
        self.items = items
        self.shards_per_split = shards_per_split
        self.write = _WriteShard(folder, shards_per_split, shards)

    def expand(self, grouped):
        shards = [
            ((split, index), None)
            for split in schema.SPLITS
            for index in range(self.shards_per_split)
        ]
        nothing = grouped.pipeline | "EveryShard" >> beam.Create(shards)
        something = grouped | "KeyByShard" >> beam.Map(
            _key_by_shard, self.shards_per_split
        )
        return (
            (something, nothing)
            | beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | "Write"
            >> beam.ParDo(self.write, beam.pvalue.AsSingleton(self.items))
        )


class WriteVocabulary(beam.PTransform):
    """The one list of items or features to a text file, one a line."""

    def __init__(self, folder: str):
        super().__init__()
        self.path = storage.join(folder, schema.VOCABULARY_FILE)

    def expand(self, items):
        return items | beam.Map(_write_lines, self.path)


class WriteRejects(beam.PTransform):
    """`Reject`s to one file of JSON lines, in the order of the log."""

    def __init__(self, folder: str):
        super().__init__()
        self.path = storage.join(folder, schema.REJECTS_FILE)

    def expand(self, rejects):
        return (
            rejects
            | beam.combiners.ToList()
            | "Json" >> beam.Map(_json_lines)
            | "Write" >> beam.Map(_write_lines, self.path)
        )


def write_manifest(folder: str, manifest: Mapping) -> None:
    """Writes `manifest.json`, the last file of a data folder."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    storage.write(
        storage.join(folder, schema.MANIFEST_FILE), f"{text}\n".encode()
    )


def read_vocabulary(folder: str) -> tuple[int, str]:
    """The number of texts in `vocabulary.txt`, and its SHA-256 in hex."""
    content = storage.read(storage.join(folder, schema.VOCABULARY_FILE))
    return content.count(b"\n"), hashlib.sha256(content).hexdigest()


@dataclasses.dataclass(frozen=True)
class SessionShards:
    """Sessions as they are written: ids of items, censored dwells.

    Attributes:
        max_dwell_seconds: c1 of eq. 4.
        last_dwell_seconds: c2 of eq. 4.
    """

    max_dwell_seconds: float
    last_dwell_seconds: float

    def to_records(
        self, grouped: Sequence[sessions.Visit], ids: Mapping[str, int]
    ) -> list[schema.Session]:
        """Items that are not in the vocabulary become `OOV_ID`."""
        return [self._session(visit, ids) for visit in grouped]

    def write(self, path: str, written: Sequence[schema.Session]) -> None:
        """Writes one record file."""
        records.write(path, written)

    def sizes(self, written: Sequence[schema.Session]) -> dict[str, int]:
        """Sessions and clicks."""
        return {
            counting.SESSIONS: len(written),
            counting.CLICKS: sum(map(len, written)),
        }

    def _session(self, visit, ids):
        session_id, items, times_ms = visit
        dwell, censored = sessions.censored_dwell(
            times_ms, self.max_dwell_seconds, self.last_dwell_seconds
        )
        known = [ids.get(item, schema.OOV_ID) for item in items]
        return schema.Session(session_id, times_ms[0], known, dwell, censored)


class _WriteShard(beam.DoFn):
    def __init__(self, folder, count, shards):
        self.folder = folder
        self.count = count
        self.shards = shards

    def process(self, shard, items):
        (split, index), grouped = shard
        # By digest, not by time: the files are shuffled when written.
        ordered = sorted(
            (each for each in grouped if each is not None),
            key=lambda each: splits.digest(each[0]),
        )
        written = self.shards.to_records(ordered, vocabulary.ids(items))
        name = records.shard_name(split, index, self.count)
        with tempfile.TemporaryDirectory() as folder:
            local = pathlib.Path(folder, name)
            self.shards.write(str(local), written)
            storage.write(storage.join(self.folder, name), local.read_bytes())
        for counted, size in self.shards.sizes(written).items():
            counting.counter(counted, split).inc(size)
        _LOGGER.info("%s: %d written", name, len(written))
        yield name


def _key_by_shard(split_grouped, shards):
    split, grouped = split_grouped
    return (split, splits.shard(grouped[0], shards)), grouped


def _write_lines(lines: Sequence[str], path: str) -> None:
    storage.write(path, "".join(f"{line}\n" for line in lines).encode())


def _json_lines(rejects) -> list[str]:
    return [
        json.dumps(reject._asdict(), ensure_ascii=False)
        for reject in sorted(rejects)
    ]

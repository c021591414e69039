"""The files of a data folder that the job writes.

Each has a fixed name and a content that depends on the log and the options
only, so a worker that repeats its work writes the same bytes again.
"""

import hashlib
import json
import logging
import pathlib
import tempfile
from collections.abc import Mapping
from collections.abc import Sequence

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import sessions
from beam_jobs import splits
from beam_jobs import storage
from beam_jobs import vocabulary
from jump_tf import records
from jump_tf import schema

_LOGGER = logging.getLogger(__name__)


class WriteShards(beam.PTransform):
    """`(split, Visit)`s to record files; every split has all its files.

    A shard's sessions are held in memory: more sessions want more shards.
    """

    def __init__(
        self,
        folder: str,
        items,
        *,
        shards_per_split: int,
        max_dwell_seconds: float,
        last_dwell_seconds: float,
    ):
        super().__init__()
        self.items = items
        self.shards_per_split = shards_per_split
        self.write = _WriteShard(
            folder, shards_per_split, max_dwell_seconds, last_dwell_seconds
        )

    def expand(self, visits):
        shards = [
            ((split, index), None)
            for split in schema.SPLITS
            for index in range(self.shards_per_split)
        ]
        nothing = visits.pipeline | "EveryShard" >> beam.Create(shards)
        something = visits | "KeyByShard" >> beam.Map(
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
    """The one list of raw item ids to a text file, one a line."""

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
    """The number of items in `vocabulary.txt`, and its SHA-256 in hex."""
    content = storage.read(storage.join(folder, schema.VOCABULARY_FILE))
    return content.count(b"\n"), hashlib.sha256(content).hexdigest()


def to_session(
    visit: sessions.Visit,
    item_ids: Mapping[str, int],
    max_dwell_seconds: float,
    last_dwell_seconds: float,
) -> schema.Session:
    """A session as it is written: ids of items, censored dwells."""
    session_id, items, times_ms = visit
    dwell, censored = sessions.censored_dwell(
        times_ms, max_dwell_seconds, last_dwell_seconds
    )
    known = [item_ids.get(item, schema.OOV_ID) for item in items]
    return schema.Session(session_id, times_ms[0], known, dwell, censored)


class _WriteShard(beam.DoFn):
    def __init__(self, folder, shards, max_dwell_seconds, last_dwell_seconds):
        self.folder = folder
        self.shards = shards
        self.dwell_bounds = (max_dwell_seconds, last_dwell_seconds)

    def process(self, shard, items):
        (split, index), visits = shard
        item_ids = vocabulary.ids(items)
        # By digest, not by time: the files are shuffled when written.
        ordered = sorted(
            (visit for visit in visits if visit is not None),
            key=lambda visit: splits.digest(visit[0]),
        )
        written = [
            to_session(visit, item_ids, *self.dwell_bounds) for visit in ordered
        ]
        name = records.shard_name(split, index, self.shards)
        _write_records(storage.join(self.folder, name), written)
        clicks = sum(map(len, written))
        counting.counter(counting.SESSIONS, split).inc(len(written))
        counting.counter(counting.CLICKS, split).inc(clicks)
        _LOGGER.info("%s: %d sessions", name, len(written))
        yield name


def _key_by_shard(split_visit, shards):
    split, visit = split_visit
    return (split, splits.shard(visit[0], shards)), visit


def _write_records(path: str, written: Sequence[schema.Session]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        local = pathlib.Path(folder, "shard" + records.FILE_SUFFIX)
        records.write(str(local), written)
        storage.write(path, local.read_bytes())


def _write_lines(lines: Sequence[str], path: str) -> None:
    storage.write(path, "".join(f"{line}\n" for line in lines).encode())


def _json_lines(rejects) -> list[str]:
    return [
        json.dumps(reject._asdict(), ensure_ascii=False)
        for reject in sorted(rejects)
    ]

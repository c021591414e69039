"""Writes the sessions that a window of time completed to a data folder.

A folder is complete when its manifest is there. Each of its files is complete
or absent: it is written beside its name, then renamed. A worker that repeats
its work writes the same files again.
"""

import collections
import functools
import itertools
import json
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms import trigger
from apache_beam.transforms import window as windows

from beam_jobs import columns
from beam_jobs import counting
from beam_jobs import storage
from beam_jobs.options.streaming import StreamOptions
from beam_jobs.output import manifest
from beam_jobs.output import session_shards
from beam_jobs.output import sinks
from beam_jobs.sources import fields
from beam_jobs.streaming import sessions as stream_transforms
from beam_jobs.transforms import sessionize
from beam_jobs.transforms import sessions as session_transforms
from beam_jobs.transforms import splits
from beam_jobs.transforms.sessions import Sessions
from jump_tf import schema
from jump_tf.data import encoding

Filter = Callable[[Sessions], Sessions]
_Counts = dict[str, collections.Counter[str]]


class WriteFolders(beam.PTransform):
    """Writes `stream_transforms.Entry`s to data folders; gives their names.

    One worker holds a window's entries in memory. Entries that come after
    their window has been written get a folder with the next number.

    Args:
        options: what is asked for.
        about: the manifest of a data folder without sessions.
    """

    def __init__(self, options: StreamOptions, about: Mapping[str, Any]):
        super().__init__()
        self.window = options.window
        # The clock of a replay stands still.
        self.late = (
            trigger.AfterCount(1)
            if options.input_lines
            else trigger.AfterProcessingTime(options.window)
        )
        self.write = _WriteFolder(options, about)

    def expand(self, entries):
        return (
            entries
            | "Window"
            >> beam.WindowInto(
                windows.FixedWindows(self.window),
                trigger=trigger.AfterWatermark(late=self.late),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
                # Longer than a click's instant can be past: none is dropped.
                allowed_lateness=fields.LATEST_MS // 1000,
            )
            | "OneFolder" >> beam.WithKeys(0)
            | "GroupByWindow" >> beam.GroupByKey()
            | "Write" >> beam.ParDo(self.write)
        )


def filters(options: StreamOptions) -> list[tuple[str, Filter]]:
    """Returns the filters of complete sessions: (reason, function)s."""
    shortest, longest = options.min_session_clicks, options.max_session_length
    found: list[tuple[str, Filter]] = [
        (sessionize.SHORT_SESSION, functools.partial(_long, shortest))
    ]
    if options.merge_repeats:
        found.insert(0, (sessionize.REPEAT, session_transforms.merge_repeats))
    if longest is not None:
        last = functools.partial(session_transforms.last_clicks, most=longest)
        found.append((sessionize.TOO_EARLY, last))
    return found


def totals(output: str) -> dict[str, Any]:
    """Returns the sums of the counts in the manifests of a stream's folders."""
    (match,) = FileSystems.match([f"{output}/*/{schema.MANIFEST_FILE}"])
    found = [
        json.loads(storage.read(each.path)) for each in match.metadata_list
    ]
    summed: dict[str, Any] = {
        name: sum(made[name] for made in found) for name in ("rows", "clicks")
    }
    for name in ("rejected", "filtered"):
        summed[name] = collections.Counter()
        for made in found:
            summed[name].update(made[name])
    return {"folders": len(found), **summed}


class _WriteFolder(beam.DoFn):
    def __init__(self, options, about):
        self.options = options
        self.about = about
        self.filters = filters(options)
        self.shards = session_shards.SessionShards(
            options.max_dwell_seconds, options.last_dwell_seconds
        )

    def setup(self):
        path = storage.join(self.options.vocabulary, schema.VOCABULARY_FILE)
        self.vocabulary = storage.read(path)
        self.texts = self.vocabulary.decode().removesuffix("\n").split("\n")

    def process(
        self,
        keyed,
        window=beam.DoFn.WindowParam,
        pane=beam.DoFn.PaneInfoParam,
    ):
        start = window.start.to_utc_datetime(has_tz=True)
        folder = storage.join(
            self.options.output.rstrip("/"),
            f"{start:%Y%m%dT%H%M%SZ}-{pane.index:05d}",
        )
        counts: _Counts = collections.defaultdict(collections.Counter)
        found, rejects = _apart(keyed[1], counts)
        for name, content in self._shards(self._filter(found, counts), counts):
            path = storage.join(folder, name)
            storage.write_atomically(path, content)
            _count_back(name, self.shards.sizes(storage.read(path)), counts)
        counting.check(counts, counting.WINDOW_STAGES)
        made = {
            **self.about,
            **manifest.of_counts(self.options, counts),
            "window_start": start.isoformat(),
        }
        for name, content in (
            (schema.VOCABULARY_FILE, self.vocabulary),
            (schema.REJECTS_FILE, _json_lines(rejects)),
            (schema.MANIFEST_FILE, sinks.encode_manifest(made)),
        ):
            storage.write_atomically(storage.join(folder, name), content)
        for name in counts.keys() - {counting.PARSED, counting.REJECTED}:
            for part, number in counts[name].items():
                counting.counter(name, part).inc(number)
        yield folder

    def _filter(self, found: Sessions, counts: _Counts) -> Sessions:
        for reason, keep in self.filters:
            before = found.num_clicks
            found = keep(found)
            if dropped := before - found.num_clicks:
                counts[counting.FILTERED][reason] += dropped
        counts[counting.KEPT][""] += found.num_clicks
        return found

    def _shards(self, found: Sessions, counts: _Counts):
        number = self.options.shards_per_split
        of_each = splits.random_splits(found.digests)
        parts = {
            (schema.SPLITS[split], index): [mine]
            for split, rows in columns.groups(of_each)
            for index, mine in splits.by_shard(found.take(rows), number)
        }
        for split, index in itertools.product(schema.SPLITS, range(number)):
            content, sizes = self.shards.file(
                parts.get((split, index), []), self.texts
            )
            for counted, size in sizes.items():
                counts[counted][split] += size
            yield encoding.shard_name(split, index, number), content


def _apart(
    entries: Iterable[stream_transforms.Entry], counts: _Counts
) -> tuple[Sessions, list[tuple[str, str]]]:
    """Returns the sessions and the rejects, and counts all entries by kind."""
    complete, rejects = [], []
    for kind, (name, value) in entries:
        if kind == counting.REJECTED:
            rejects.append((name, value))
            counts[kind][name] += 1
        elif kind == stream_transforms.SESSION:
            complete.append((name, value))
            counts[counting.PARSED][""] += len(value)
        else:
            counts[kind][name] += value
            counts[counting.PARSED][""] += value
    clicks = stream_transforms.to_clicks(sorted(complete))
    return session_transforms.cut_sessions(clicks, None, 0), sorted(rejects)


def _long(shortest: int, found: Sessions) -> Sessions:
    return found.take(np.flatnonzero(found.lengths >= shortest))


def _count_back(name: str, sizes: Mapping[str, int], counts: _Counts) -> None:
    split = name.split("-", 1)[0]
    for counted, size in sizes.items():
        counts[counting.READ_BACK + counted][split] += size


def _json_lines(rejects: Sequence[tuple[str, str]]) -> bytes:
    return storage.as_lines(
        json.dumps({"reason": reason, "line": line}, ensure_ascii=False)
        for reason, line in rejects
    )

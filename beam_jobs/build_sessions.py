"""The job behind `jump-tf prepare`: a click log to a data folder."""

import functools
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.options.sessions import PrepareOptions
from beam_jobs.output import jobs
from beam_jobs.output import manifest
from beam_jobs.output import session_shards
from beam_jobs.output import sinks
from beam_jobs.sources.click_logs import read as click_logs
from beam_jobs.transforms import sessionize
from beam_jobs.transforms import sessions as session_transforms
from beam_jobs.transforms import splits
from beam_jobs.transforms import vocabulary


class Kept(NamedTuple):
    """What the job makes of a log, before it is written.

    Attributes:
        sessions: `(split, sessions.Sessions)`s.
        rejects: `parsing.Reject`s.
        line_counts: of the ranges, as `lines.ReadBlocks` gives them.
        num_ranges: of the log, that are to be read.
    """

    sessions: beam.PCollection
    rejects: beam.PCollection
    line_counts: beam.PCollection
    num_ranges: int


def run(
    options: PrepareOptions, beam_arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Makes the data folder `options.output`; all of it, or nothing.

    Args:
        options: what is asked for.
        beam_arguments: flags of Beam, e.g. `--direct_num_workers=2`.

    Returns:
        The manifest.

    Raises:
        schema.InputError: the request or the log is wrong.
        RuntimeError: a stage lost or doubled clicks, or the runner failed.
    """
    return jobs.make_folder(
        options,
        beam_arguments,
        build=functools.partial(build, options),
        stages=counting.SESSION_STAGES,
        manifest=functools.partial(manifest.build, options),
    )


def build(options: PrepareOptions, pipeline: beam.Pipeline, folder: str) -> int:
    """Adds the whole job to a pipeline; it writes into `folder`.

    Returns:
        The number of ranges of the log that are to be read.
    """
    kept = keep_sessions(options, pipeline)
    items = kept.sessions | "Vocabulary" >> vocabulary.Vocabulary(
        session_transforms.item_counts
    )
    shards = session_shards.SessionShards(
        options.max_dwell_seconds, options.last_dwell_seconds
    )
    _ = kept.sessions | "WriteShards" >> sinks.WriteShards(
        folder, items, options.shards_per_split, shards
    )
    _ = items | "WriteVocabulary" >> sinks.WriteVocabulary(folder)
    _ = kept.rejects | "WriteRejects" >> sinks.WriteRejects(
        folder, kept.line_counts
    )
    return kept.num_ranges


def logged_sessions(
    options: PrepareOptions, pipeline: beam.Pipeline
) -> beam.PCollection:
    """Adds the job up to `(split, schema.Session)`s with raw item ids.

    Callers write files of their own. What is filtered or rejected is counted.

    Raises:
        schema.InputError: the log is wrong.
    """
    kept = keep_sessions(options, pipeline)
    return kept.sessions | "OneByOne" >> beam.FlatMapTuple(
        _one_by_one,
        max_dwell_seconds=options.max_dwell_seconds,
        last_dwell_seconds=options.last_dwell_seconds,
    )


def keep_sessions(options: PrepareOptions, pipeline: beam.Pipeline) -> Kept:
    """Adds the job up to the sessions that are kept, each in its split.

    Raises:
        schema.InputError: the log is wrong.
    """
    log = click_logs.read_clicks(options, pipeline)
    log_end_ms = log.clicks | "LogEnd" >> sessionize.LogEnd(options.gap_seconds)
    kept = (
        log.clicks
        | "Sessionize"
        >> sessionize.Sessionize(options, log_end_ms, log.partitions)
        | "KeepTrainable" >> sessionize.KeepTrainable(options)
        | "Split" >> splits.Split(options)
    )
    return Kept(kept, log.rejects, log.line_counts, log.num_ranges)


def _one_by_one(split, kept, max_dwell_seconds=0.0, last_dwell_seconds=0.0):
    for session in session_transforms.one_by_one(
        kept, max_dwell_seconds, last_dwell_seconds
    ):
        yield split, session

"""The job behind `jump-tf prepare`: a click log to a data folder."""

import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import jobs
from beam_jobs import manifest
from beam_jobs import sessions
from beam_jobs import sinks
from beam_jobs import sources
from beam_jobs import splits
from beam_jobs import vocabulary
from beam_jobs.options import PrepareOptions
from beam_jobs.sources import lines


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
        logs=[(options.input, sources.log_format(options))],
        build=functools.partial(build, options),
        stages=counting.SESSION_STAGES,
        manifest=functools.partial(manifest.build, options),
    )


def build(
    options: PrepareOptions, pipeline: beam.Pipeline, folder: str
) -> None:
    """Adds the whole job to a pipeline; it writes into `folder`."""
    log_format = sources.log_format(options)
    parsed = (
        pipeline
        | "Read" >> lines.ReadBlocks(options.input, log_format.has_header)
        | "Parse" >> lines.ParseClicks(log_format)
    )
    visits = (
        parsed[lines.CLICKS]
        | "Sessionize" >> sessions.Sessionize(options.session_gap)
        | "EndBefore" >> sessions.EndBefore(options.until_ms)
        | "KeepTrainable"
        >> sessions.KeepTrainable(
            options.min_item_clicks, options.min_session_clicks
        )
        | "Split" >> splits.Split(options.split, options.test_days)
    )
    items = visits | "Vocabulary" >> vocabulary.Vocabulary()
    _ = visits | "WriteShards" >> sinks.WriteShards(
        folder,
        items,
        options.shards_per_split,
        sinks.SessionShards(
            options.max_dwell_seconds, options.last_dwell_seconds
        ),
    )
    _ = items | "WriteVocabulary" >> sinks.WriteVocabulary(folder)
    _ = parsed[lines.REJECTS] | "WriteRejects" >> sinks.WriteRejects(folder)

"""The job behind `jump-tf prepare`: a click log to a data folder."""

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.runners import runner

from beam_jobs import counting
from beam_jobs import manifest
from beam_jobs import sessions
from beam_jobs import sinks
from beam_jobs import sources
from beam_jobs import splits
from beam_jobs import storage
from beam_jobs import vocabulary
from beam_jobs.options import PrepareOptions
from beam_jobs.sources import lines
from jump_tf import schema


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
    beam_options = runner_options(beam_arguments)
    output = options.output.rstrip("/")
    log_format = sources.log_format(options)
    lines.check_inputs(options.input, log_format)
    with storage.staged(output, options.overwrite) as folder:
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline, options, folder)
        counts = _finish(pipeline)
        _check_rejects(counts, options, folder, output)
        counting.check(counts)
        made = manifest.build(options, counts, *sinks.read_vocabulary(folder))
        _check_trainable(made)
        sinks.write_manifest(folder, made)
    return made


def build(pipeline: beam.Pipeline, options: PrepareOptions, folder: str):
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
        shards_per_split=options.shards_per_split,
        max_dwell_seconds=options.max_dwell_seconds,
        last_dwell_seconds=options.last_dwell_seconds,
    )
    _ = items | "WriteVocabulary" >> sinks.WriteVocabulary(folder)
    _ = parsed[lines.REJECTS] | "WriteRejects" >> sinks.WriteRejects(folder)


def runner_options(
    beam_arguments: Sequence[str],
) -> pipeline_options.PipelineOptions:
    """Beam's options; runs in this process where no runner is named.

    Beam's own default looks for a program to download first, so what runs
    would depend on the network.

    Raises:
        schema.InputError: an argument is unknown, which Beam would ignore, or
            asks for threads, with which Beam 2.77 loses elements and says
            nothing.
    """
    known = pipeline_options.PipelineOptions([]).get_all_options()
    given = pipeline_options.PipelineOptions(list(beam_arguments))
    values = given.get_all_options(retain_unknown_options=True)
    if unknown := sorted(set(values) - set(known)):
        raise schema.InputError(
            "`arguments` must be options of prepare or of Beam. Received: "
            + ", ".join(f"--{name}" for name in unknown)
        )
    if values["direct_running_mode"] == "multi_threading":
        raise schema.InputError(
            "`direct_running_mode` must be in_memory or multi_processing, as "
            "Beam silently loses data with threads. Received: multi_threading"
        )
    if values["runner"] is None:
        given.view_as(pipeline_options.StandardOptions).runner = "FnApiRunner"
    return given


def _finish(pipeline: beam.Pipeline) -> dict[str, dict[str, int]]:
    result = pipeline.run()
    state = result.wait_until_finish()
    if state != runner.PipelineState.DONE:
        raise RuntimeError(f"The runner must finish the job. Received: {state}")
    return counting.collect(result)


def _check_rejects(counts, options, folder, output):
    rows = counting.total(counts, counting.ROWS)
    rejected = counting.total(counts, counting.REJECTED)
    if rejected <= options.max_reject_share * rows:
        return
    kept = f"{output}.{schema.REJECTS_FILE}"
    storage.move_file(storage.join(folder, schema.REJECTS_FILE), kept)
    raise schema.InputError(
        "`input` must have at most a share of max_reject_share="
        f"{options.max_reject_share} unreadable rows. Received: {rejected} of "
        f"{rows} rows ({_reasons(counts)}), listed in {kept}"
    )


def _reasons(counts) -> str:
    reasons = sorted(counts[counting.REJECTED].items())
    return ", ".join(f"{reason}: {number}" for reason, number in reasons)


def _check_trainable(made):
    if not made["splits"][schema.TRAIN]["sessions"]:
        raise schema.InputError(
            "`input` must leave a session to train on. Received: "
            f"{made['rows']} rows, of which the filters dropped "
            f"{made['filtered']}, and splits {made['splits']}"
        )

"""What all jobs that make a data folder share: run, count, publish."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.runners import runner

from beam_jobs import counting
from beam_jobs import sinks
from beam_jobs import storage
from beam_jobs.job_options import JobOptions
from beam_jobs.sources import lines
from jump_tf import schema


def make_folder(
    options: JobOptions,
    beam_arguments: Sequence[str],
    logs: Sequence[tuple[Sequence[str], lines.LogLayout]],
    build: Callable[[beam.Pipeline, str], None],
    stages: Sequence[counting.Stage],
    manifest: Callable[[counting.Counts, int, str], dict[str, Any]],
) -> dict[str, Any]:
    """Makes the data folder `options.output`; all of it, or nothing.

    Args:
        options: what is asked for.
        beam_arguments: flags of Beam, e.g. `--direct_num_workers=2`.
        logs: paths and layout of the files to look at before the job starts.
        build: adds the whole job to a pipeline; it writes into a folder.
        stages: the law that the job's counts must follow.
        manifest: made of the counts, the vocabulary's size and its SHA-256.

    Returns:
        The manifest.

    Raises:
        schema.InputError: the request or the log is wrong.
        RuntimeError: a stage lost or doubled something, or the runner failed.
    """
    beam_options = runner_options(beam_arguments)
    output = options.output.rstrip("/")
    for paths, layout in logs:
        lines.check_inputs(paths, layout)
    with storage.staged(output, options.overwrite) as folder:
        pipeline = beam.Pipeline(options=beam_options)
        build(pipeline, folder)
        counts = _finish(pipeline)
        _check_rejects(counts, options, folder, output)
        counting.check(counts, stages)
        made = manifest(counts, *sinks.read_vocabulary(folder))
        _check_trainable(made)
        sinks.write_manifest(folder, made)
    return made


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
    read = counting.total(counts, counting.LINES)
    rejected = counting.total(counts, counting.REJECTED)
    if rejected <= options.max_reject_share * read:
        return
    kept = f"{output}.{schema.REJECTS_FILE}"
    storage.move_file(storage.join(folder, schema.REJECTS_FILE), kept)
    raise schema.InputError(
        "`input` must have at most a share of max_reject_share="
        f"{options.max_reject_share} unreadable lines. Received: {rejected} of "
        f"{read} lines ({_reasons(counts)}), listed in {kept}"
    )


def _reasons(counts) -> str:
    reasons = sorted(counts[counting.REJECTED].items())
    return ", ".join(f"{reason}: {number}" for reason, number in reasons)


def _check_trainable(made: Mapping) -> None:
    part = made["splits"][schema.TRAIN]
    if not any(part[name] for name in ("sessions", "lists") if name in part):
        raise schema.InputError(
            "`input` must leave something to train on. Received: "
            f"{made['rows']} rows, of which the filters dropped "
            f"{made['filtered']}, and splits {made['splits']}"
        )

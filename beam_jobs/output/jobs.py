"""What all jobs that make a data folder share: run, count, publish."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.runners import runner

from beam_jobs import counting
from beam_jobs import storage
from beam_jobs.options.base import JobOptions
from beam_jobs.output import local_runner
from beam_jobs.output import sinks
from jump_tf import schema

_STAGE = " [while running "


def make_folder(
    options: JobOptions,
    beam_arguments: Sequence[str],
    build: Callable[[beam.Pipeline, str], int],
    stages: Sequence[counting.Stage],
    manifest: Callable[[counting.Counts, int, str], dict[str, Any]],
) -> dict[str, Any]:
    """Makes the data folder `options.output`; all of it, or nothing.

    Args:
        options: what is asked for.
        beam_arguments: flags of Beam, e.g. `--direct_num_workers=2`.
        build: adds the whole job to a pipeline; it writes into a folder. It
            looks at the log's files before any of them is read, and returns
            the number of ranges that are to be read.
        stages: the equations that the job's counts must satisfy.
        manifest: made of the counts, the vocabulary's size and its SHA-256.

    Returns:
        The manifest.

    Raises:
        schema.InputError: the request or the log is wrong.
        RuntimeError: a stage lost or doubled something, or the runner failed.
    """
    beam_options = runner_options(beam_arguments)
    output = options.output.rstrip("/")
    storage.check_filesystem("output", output)
    with storage.staged(output, options.overwrite) as folder:
        pipeline = _pipeline(beam_options)
        num_ranges = build(pipeline, folder)
        counts = {
            **_finish(pipeline),
            counting.PLANNED: {"": num_ranges},
            counting.LISTED: {"": sinks.count_rejects(folder)},
        }
        _check_rejects(counts, options, folder, output)
        counting.check(counts, stages)
        made = manifest(counts, *sinks.read_vocabulary(folder))
        _check_trainable(made)
        sinks.write_manifest(folder, made)
    return made


def runner_options(
    beam_arguments: Sequence[str],
) -> pipeline_options.PipelineOptions:
    """Returns Beam's options; where no runner is named, it is this process.

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
    return pin_runner(given)


def pin_runner(
    given: pipeline_options.PipelineOptions,
) -> pipeline_options.PipelineOptions:
    """Sets the patched local runner where none is named; refuses threads.

    Raises:
        schema.InputError: Beam is asked for threads.
    """
    direct = given.view_as(pipeline_options.DirectOptions)
    if direct.direct_running_mode == "multi_threading":
        raise schema.InputError(
            "`direct_running_mode` must be in_memory or multi_processing, as "
            "Beam silently loses data with threads. Received: multi_threading"
        )
    local_runner.mend()
    standard = given.view_as(pipeline_options.StandardOptions)
    if standard.runner is None:
        standard.runner = "FnApiRunner"
    return given


def _pipeline(options: pipeline_options.PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:  # What a runner lacks, over several lines.
        lacking = " ".join(str(error).split())
        raise schema.InputError(
            "`arguments` must be all that the runner needs. Received: "
            f"{lacking}"
        ) from error


def _finish(pipeline: beam.Pipeline) -> dict[str, dict[str, int]]:
    try:
        result = pipeline.run()
        state = result.wait_until_finish()
    except Exception as error:
        if sentence := _about_input(error):
            raise schema.InputError(sentence) from error
        raise
    if state != runner.PipelineState.DONE:
        raise RuntimeError(f"The runner must finish the job. Received: {state}")
    return counting.collect(result)


def _about_input(error: Exception) -> str:
    """Returns the sentence of an `InputError` that a stage raised, or "".

    Beam adds the stage to the sentence, and raises the error of another process
    again as a text with the traceback.
    """
    text = str(error)
    if not isinstance(error, schema.InputError):
        text = text.rpartition(f"{schema.InputError.__name__}: ")[2]
        if text == str(error):
            return ""
    return text.partition("\n")[0].partition(_STAGE)[0]


def check_rejects(counts: counting.Counts, max_reject_share: float) -> None:
    """Refuses a log of which too much cannot be read.

    Raises:
        schema.InputError: more than `max_reject_share` of its lines.
    """
    read = counting.total(counts, counting.LINES)
    rejected = counting.total(counts, counting.REJECTED)
    if rejected > max_reject_share * read:
        raise schema.InputError(
            "`input` must have at most a share of max_reject_share="
            f"{max_reject_share} unreadable lines. Received: {rejected} of "
            f"{read} lines ({_reasons(counts)})"
        )


def _check_rejects(counts, options, folder, output):
    try:
        check_rejects(counts, options.max_reject_share)
    except schema.InputError as error:
        kept = f"{output}.{schema.REJECTS_FILE}"
        storage.move_file(storage.join(folder, schema.REJECTS_FILE), kept)
        raise schema.InputError(f"{error}, listed in {kept}") from None


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

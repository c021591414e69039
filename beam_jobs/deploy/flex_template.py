"""The program of the Dataflow Flex Template: `jump-tf prepare` as a job.

A template's launcher may only store the graph of a job and leave; it can
neither wait for the job, nor check what it counted, nor publish the folder.
So the job of the template is one element on one worker, and that worker runs
`prepare`: it submits the job that does the work, waits, checks and publishes.
"""

import argparse
import dataclasses
import logging
import sys
import typing
from collections.abc import Iterator
from collections.abc import Sequence

import apache_beam as beam

from beam_jobs import build_sessions
from beam_jobs.options import sessions as session_options
from beam_jobs.output import jobs
from beam_jobs.output import manifest
from jump_tf import schema

_LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Stores or runs the template's job; returns the exit code.

    Args:
        argv: parameters of the template, `--name=value` each, and options of
            Beam. A parameter has the name of a field of `PrepareOptions`;
            where the field takes several values, blanks separate them.
    """
    try:
        request, beam_arguments = parse(sys.argv[1:] if argv is None else argv)
        alone = [*beam_arguments, "--num_workers=1", "--max_num_workers=1"]
        pipeline = beam.Pipeline(options=jobs.runner_options(alone))
    except schema.InputError as error:
        print(f"flex_template: {error}", file=sys.stderr)
        return 2
    build(pipeline, request, for_the_work(beam_arguments))
    pipeline.run()
    return 0


def parse(
    argv: Sequence[str],
) -> tuple[session_options.PrepareOptions, list[str]]:
    """Returns what to prepare, and the options of Beam.

    Raises:
        schema.InputError: a value is out of its range.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    session_options.add_arguments(parser)
    arguments, rest = parser.parse_known_args(list(_flags(argv)))
    return session_options.PrepareOptions.from_arguments(arguments), rest


def for_the_work(beam_arguments: Sequence[str]) -> list[str]:
    """Returns Beam's options for the job that the template's worker submits."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--template_location")
    parser.add_argument("--job_name")
    template, rest = parser.parse_known_args(beam_arguments)
    if template.job_name is None:
        return rest
    return [*rest, f"--job_name={template.job_name}-work"]


def build(
    pipeline: beam.Pipeline,
    request: session_options.PrepareOptions,
    beam_arguments: Sequence[str],
) -> None:
    """Adds the job of the template to a pipeline."""
    _ = (
        pipeline
        | "Request" >> beam.Create([request])
        | "Prepare" >> beam.Map(prepare, beam_arguments)
        # A step that fails is repeated. The work is not, once it has ended.
        | "Keep" >> beam.Reshuffle()
        | "Report" >> beam.Map(_report)
    )


def prepare(
    request: session_options.PrepareOptions, beam_arguments: Sequence[str]
) -> tuple[bool, str]:
    """Makes a data folder; returns whether it did, and what it holds or why."""
    try:
        made = build_sessions.run(request, beam_arguments)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
    return True, manifest.describe(made)


def _report(outcome: tuple[bool, str]) -> None:
    done, what = outcome
    if not done:
        raise RuntimeError(what)
    _LOGGER.info("%s", what)


def _flags(argv: Sequence[str]) -> Iterator[str]:
    """Yields the flags of `prepare` for the parameters of a template."""
    fields = {
        field.name: field
        for field in dataclasses.fields(session_options.PrepareOptions)
    }
    for argument in argv:
        name, _, value = argument.removeprefix("--").partition("=")
        flag = f"--{name.replace('_', '-')}"
        if name not in fields:
            yield argument
        elif fields[name].type is bool:
            if value == "true":
                yield flag
        elif typing.get_origin(fields[name].type) is tuple:
            yield from (flag, *value.split())
        else:
            yield f"{flag}={value}"


if __name__ == "__main__":
    # Workers import what a job refers to; they do not have this script.
    from beam_jobs.deploy import flex_template

    sys.exit(flex_template.main())

"""The job that turns a stream of clicks into data folders of sessions.

The sessions are those that `jump-tf prepare` makes of the same clicks. Each
window of time becomes a data folder with the items of a given vocabulary.
`python -m beam_jobs.stream_sessions --help` lists the flags.
"""

import argparse
import contextlib
import logging
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options import pipeline_options
from apache_beam.runners.runner import PipelineState
from apache_beam.testing import test_stream
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from beam_jobs import storage
from beam_jobs.options import streaming as stream_options
from beam_jobs.options.streaming import StreamOptions
from beam_jobs.output import jobs
from beam_jobs.output import manifest
from beam_jobs.output import sinks
from beam_jobs.streaming import messages
from beam_jobs.streaming import sessions as stream_transforms
from beam_jobs.streaming import window_folders
from jump_tf import schema

# Beam's `DirectRunner` would look for a program to download first.
_LOCAL_RUNNER = "BundleBasedDirectRunner"
_ENDED = (PipelineState.DONE, PipelineState.DRAINED, PipelineState.CANCELLED)
_TICK_MS = 60_000


def run(
    options: StreamOptions, beam_arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Runs until the stream ends; a stream of Pub/Sub must be drained.

    Args:
        options: what is asked for.
        beam_arguments: flags of Beam, e.g. `--runner=DataflowRunner`.

    Returns:
        The sums over all data folders that `window_folders.totals` gives.

    Raises:
        schema.InputError: the request is wrong.
        RuntimeError: a stage lost or doubled clicks, or the runner failed.
    """
    beam_options = _runner_options(beam_arguments)
    size, sha256 = _read_vocabulary(options.vocabulary)
    _check_free(options.output)
    lines = list(_lines(options.input_lines))
    pipeline = beam.Pipeline(options=beam_options)
    _ = (
        pipeline
        | "Receive" >> (replay(options, lines) if lines else pubsub(options))
        | "Sessionize" >> Sessionize(options)
        | "WriteFolders"
        >> window_folders.WriteFolders(
            options, manifest.build(options, {}, size, sha256)
        )
    )
    state = pipeline.run().wait_until_finish()
    if state not in _ENDED:
        raise RuntimeError(f"The runner must go on. Received: {state}")
    written = window_folders.totals(options.output.rstrip("/"))
    if lines and written["rows"] != len(lines):
        raise RuntimeError(
            f"All lines must be written or counted. Received: {len(lines)} "
            f"lines, {written['rows']} in the data folders"
        )
    return written


class Sessionize(beam.PTransform):
    """Turns messages, bytes, into the entries of data folders."""

    def __init__(self, options: StreamOptions):
        super().__init__()
        self.options = options

    def expand(self, received):
        parsed = received | "Parse" >> messages.ParseMessages(self.options)
        complete = parsed[messages.CLICKS] | "Complete" >> beam.ParDo(
            stream_transforms.CompleteSessions(self.options)
        ).with_output_types(stream_transforms.Entry)
        return (complete, parsed[messages.ENTRIES]) | beam.Flatten()


def pubsub(options: StreamOptions) -> beam.PTransform:
    """Reads the topic or subscription that the options name.

    Raises:
        schema.InputError: Pub/Sub's client is missing.
    """
    try:
        from google.cloud import pubsub  # noqa: F401 (Beam would say it late)
    except ImportError:
        raise schema.InputError(
            "`input_subscription` and `input_topic` must have what `pip "
            "install jump-tf[gcp]` brings. Received: no google-cloud-pubsub"
        ) from None
    return beam.io.ReadFromPubSub(
        topic=options.input_topic,
        subscription=options.input_subscription,
        id_label=options.id_attribute,
        timestamp_attribute=options.timestamp_attribute,
    )


def replay(
    options: StreamOptions, lines: Sequence[bytes]
) -> test_stream.TestStream:
    """Replays lines as a stream, in their order, without waiting.

    The watermark follows the latest instant so far, a minute at least at a
    time: a click that stands behind a later one is as late as it is earlier.
    """
    reader = messages.Reader.of(options)
    stream = test_stream.TestStream(beam.coders.BytesCoder())
    watermark_ms = latest_ms = 0
    waiting: list[TimestampedValue] = []
    for line in lines:
        with contextlib.suppress(ValueError):
            _, (time_ms, *_) = reader.read(line)
            latest_ms = max(latest_ms, time_ms)
        waiting.append(TimestampedValue(line, _instant(latest_ms)))
        if latest_ms >= watermark_ms + _TICK_MS:
            stream.add_elements(waiting)
            _advance(stream, options, watermark_ms, latest_ms)
            watermark_ms, waiting = latest_ms, []
    stream.add_elements(waiting)
    last_ms = latest_ms + options.gap_ms + options.lateness_ms
    _advance(stream, options, watermark_ms, last_ms)
    return stream.advance_watermark_to_infinity()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the job; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parser = argparse.ArgumentParser(
        "python -m beam_jobs.stream_sessions",
        description="Turn a stream of clicks into data folders, one a window.",
        epilog="All flags of Beam are taken, too.",
        allow_abbrev=False,
    )
    stream_options.add_arguments(parser)
    arguments, rest = parser.parse_known_args(argv)
    try:
        written = run(StreamOptions.from_arguments(arguments), rest)
    except schema.InputError as error:
        print(f"stream_sessions: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(describe(written))
    return 0


def describe(written: Mapping[str, Any]) -> str:
    """Returns a line that tells what became of all messages."""
    dropped = {**written["rejected"], **written["filtered"]}
    return (
        f"{written['rows']} messages, {written['clicks']} clicks in "
        f"{written['folders']} data folders"
    ) + "".join(
        f", {number} dropped: {why}" for why, number in sorted(dropped.items())
    )


def _runner_options(beam_arguments):
    beam_options = jobs.runner_options([*beam_arguments, "--streaming"])
    standard = beam_options.view_as(pipeline_options.StandardOptions)
    if (
        standard.runner == "FnApiRunner"
    ):  # As all jobs have where none is named.
        standard.runner = _LOCAL_RUNNER
    return beam_options


def _read_vocabulary(data: str) -> tuple[int, str]:
    try:
        return sinks.read_vocabulary(data.rstrip("/"))
    except OSError as error:
        raise schema.InputError(
            f"`vocabulary` must be a data folder with its "
            f"{schema.VOCABULARY_FILE}. Received: {data} ({error})"
        ) from error


def _check_free(output: str) -> None:
    pattern = storage.join(output.rstrip("/"), "**")
    (match,) = FileSystems.match([pattern], limits=[1])
    if match.metadata_list:
        raise schema.InputError(
            "`output` must be a new or empty folder, as a stream that starts "
            "anew does not know what an earlier one wrote. Received: "
            f"{output}, which holds {match.metadata_list[0].path}"
        )


def _lines(paths: Sequence[str]) -> Iterator[bytes]:
    for path in paths:
        try:
            with FileSystems.open(path) as file:
                content = file.read()
        except (OSError, EOFError) as error:
            raise schema.InputError(
                f"`input_lines` must be readable. Received: {path} ({error})"
            ) from error
        yield from filter(bytes.strip, content.split(b"\n"))


def _advance(stream, options, from_ms: int, to_ms: int) -> None:
    """Moves a watermark; stops before the end of every window with timers.

    Unlike others, Beam's local runner ends a window without waiting for what
    its timers emit.
    """
    window_ms = options.window * 1000
    ends = range(from_ms // window_ms * window_ms + window_ms, to_ms, window_ms)
    timers = (options.gap_ms + options.lateness_ms) // window_ms + 2
    stops = {end - 1 for end in ends[:timers]} - {from_ms}
    for stop_ms in sorted(stops | {to_ms}):
        stream.advance_watermark_to(_instant(stop_ms))


def _instant(time_ms: int) -> Timestamp:
    return Timestamp(micros=time_ms * 1000)


if __name__ == "__main__":
    sys.exit(main())

"""The job that turns a log of shown items into a data folder of lists."""

import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_jobs import counting
from beam_jobs.options.lists import ListOptions
from beam_jobs.output import jobs
from beam_jobs.output import list_shards
from beam_jobs.output import manifest
from beam_jobs.output import sinks
from beam_jobs.sources import lines
from beam_jobs.sources import parsing
from beam_jobs.sources import planning
from beam_jobs.sources.impression_logs import ali_ccp
from beam_jobs.sources.impression_logs import formats as impression_logs
from beam_jobs.sources.impression_logs import parsing as list_parsing
from beam_jobs.transforms import lists as list_transforms
from beam_jobs.transforms import splits
from beam_jobs.transforms import vocabulary
from jump_tf import schema

describe = manifest.describe_lists


def run(
    options: ListOptions, beam_arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """Makes the data folder `options.output`; all of it, or nothing.

    Args:
        options: what is asked for.
        beam_arguments: flags of Beam, e.g. `--direct_num_workers=2`.

    Returns:
        The manifest.

    Raises:
        schema.InputError: the request or the log is wrong.
        RuntimeError: a stage lost or doubled items, or the runner failed.
    """
    log_format = impression_logs.log_format(options)
    return jobs.make_folder(
        options,
        beam_arguments,
        build=functools.partial(build, options),
        stages=counting.LIST_STAGES,
        manifest=functools.partial(_manifest, options, log_format.fields),
    )


def build(options: ListOptions, pipeline: beam.Pipeline, folder: str) -> int:
    """Adds the whole job to a pipeline; it writes into `folder`.

    Returns:
        The number of ranges of the log that are to be read.
    """
    log_format = impression_logs.log_format(options)
    # Records may take several lines, and be called after the line they are on.
    ranges = planning.plan(options.input, log_format, split=False)
    read = pipeline | "Read" >> lines.ReadBlocks(
        ranges, log_format.has_header, log_format.starts_record
    )
    parsed = read[lines.BLOCKS] | "Parse" >> list_parsing.ParseItems(log_format)
    shown = parsed[list_parsing.ITEMS] | "Group" >> list_transforms.GroupLists(
        options.list_gap, log_format.once
    )
    rejects = parsed[parsing.REJECTS]
    num_ranges = len(ranges)
    if options.ali_ccp_common_features:
        common, number = _common_features(
            pipeline, options.ali_ccp_common_features
        )
        num_ranges += number
        shown = {
            "shown": shown,
            "common": common[list_parsing.ITEMS],
        } | "Join" >> list_transforms.JoinFeatures()
        rejects = (rejects, common[parsing.REJECTS]) | beam.Flatten()
    written = (
        shown
        | "KeepLists" >> list_transforms.KeepLists(options.min_list_length)
        | "Batch" >> list_transforms.BatchLists()
        | "Split" >> splits.Split(options)
    )
    features = written | "Vocabulary" >> vocabulary.Vocabulary(
        list_transforms.feature_texts, options.min_feature_count
    )
    _ = written | "WriteShards" >> sinks.WriteShards(
        folder,
        features,
        options.shards_per_split,
        list_shards.ListShards(options.has_clock),
    )
    _ = features | "WriteVocabulary" >> sinks.WriteVocabulary(folder)
    _ = rejects | "WriteRejects" >> sinks.WriteRejects(
        folder, read[lines.LINE_COUNTS]
    )
    return num_ranges


def _common_features(pipeline, paths):
    log_format = ali_ccp.AliCCP(common=True)
    ranges = planning.plan(paths, log_format, split=False)
    read = pipeline | "ReadCommon" >> lines.ReadBlocks(
        ranges, log_format.has_header
    )
    parsed = read[lines.BLOCKS] | "ParseCommon" >> list_parsing.ParseItems(
        log_format, shown=False
    )
    return parsed, len(ranges)


def _manifest(options, fields, counts, *vocabulary_size_and_digest):
    common = options.ali_ccp_common_features
    if common and not counting.total(counts, counting.JOINED):
        raise schema.InputError(
            "`ali_ccp_common_features` must tell of lists of the input. "
            f"Received: {list(common)}, which know none of them"
        )
    return manifest.build_lists(
        options, fields, counts, *vocabulary_size_and_digest
    )

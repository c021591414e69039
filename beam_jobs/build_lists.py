"""The job that turns a log of shown items into a data folder of lists."""

import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from beam_jobs import counting
from beam_jobs import jobs
from beam_jobs import list_sources
from beam_jobs import lists
from beam_jobs import manifest
from beam_jobs import sinks
from beam_jobs import splits
from beam_jobs import vocabulary
from beam_jobs.list_options import ListOptions
from beam_jobs.list_sources import ali_ccp
from beam_jobs.list_sources import items
from beam_jobs.sources import lines
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
    log_format = list_sources.log_format(options)
    common = options.ali_ccp_common_features
    return jobs.make_folder(
        options,
        beam_arguments,
        logs=[(options.input, log_format), (common, ali_ccp.CommonFeatures())],
        build=functools.partial(build, options),
        stages=counting.LIST_STAGES,
        manifest=functools.partial(_manifest, options, log_format.fields),
    )


def build(options: ListOptions, pipeline: beam.Pipeline, folder: str) -> None:
    """Adds the whole job to a pipeline; it writes into `folder`."""
    log_format = list_sources.log_format(options)
    parsed = (
        pipeline
        | "Read"
        >> lines.ReadBlocks(
            options.input, log_format.has_header, log_format.starts_record
        )
        | "Parse" >> items.ParseItems(log_format)
    )
    shown = parsed[items.ITEMS] | "Group" >> lists.GroupLists(
        options.list_gap, log_format.once
    )
    rejects = parsed[lines.REJECTS]
    if options.ali_ccp_common_features:
        common = _common_features(pipeline, options.ali_ccp_common_features)
        shown = {
            "shown": shown,
            "common": common[items.ITEMS],
        } | "Join" >> lists.JoinFeatures()
        rejects = (rejects, common[lines.REJECTS]) | beam.Flatten()
    written = (
        shown
        | "KeepLists" >> lists.KeepLists(options.min_list_length)
        | "Split"
        >> splits.Split(options.split, options.test_days, lists.start_ms)
    )
    features = written | "Vocabulary" >> vocabulary.Vocabulary(
        lists.feature_texts, options.min_feature_count
    )
    _ = written | "WriteShards" >> sinks.WriteShards(
        folder,
        features,
        options.shards_per_split,
        lists.ListShards(options.has_clock),
    )
    _ = features | "WriteVocabulary" >> sinks.WriteVocabulary(folder)
    _ = rejects | "WriteRejects" >> sinks.WriteRejects(folder)


def _common_features(pipeline, paths):
    log_format = ali_ccp.CommonFeatures()
    return (
        pipeline
        | "ReadCommon" >> lines.ReadBlocks(paths, log_format.has_header)
        | "ParseCommon" >> items.ParseItems(log_format, shown=False)
    )


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

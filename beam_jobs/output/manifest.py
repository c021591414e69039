"""The manifest of a data folder: counts, options and versions."""

import dataclasses
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from beam_jobs import counting
from beam_jobs.options.base import JobOptions
from beam_jobs.options.sessions import PrepareOptions
from jump_tf import schema

FORMAT_VERSION = 1

_PACKAGES = ("jump-tf", "apache-beam", "tensorflow")


def build(
    options: PrepareOptions,
    counts: counting.Counts,
    num_items: int,
    vocabulary_sha256: str,
) -> dict[str, Any]:
    """Returns the manifest of sessions; the same for the same log and options.

    Args:
        options: what was asked for.
        counts: what the stages counted. A row is a click that was read, or a
            line that cannot be read.
        num_items: items in the vocabulary, without padding and unknown.
        vocabulary_sha256: of the vocabulary file, in hex.
    """
    return {
        "format_version": FORMAT_VERSION,
        **of_counts(options, counts),
        "num_items": num_items,
        "max_dwell_seconds": options.max_dwell_seconds,
        "last_dwell_seconds": options.last_dwell_seconds,
        "vocabulary_sha256": vocabulary_sha256,
        "options": _requested(options),
        "versions": _versions(),
    }


def of_counts(
    options: PrepareOptions, counts: counting.Counts
) -> dict[str, Any]:
    """Returns the counts in the manifest of a data folder of sessions."""
    return {
        "rows": _rows(counts),
        "clicks": counting.total(counts, counting.CLICKS),
        "rejected": _by_name(counts, counting.REJECTED),
        "filtered": _by_name(counts, counting.FILTERED),
        "splits": _splits(
            options, counts, (counting.SESSIONS, counting.CLICKS)
        ),
    }


def build_lists(
    options: JobOptions,
    fields: Sequence[str],
    counts: counting.Counts,
    num_features: int,
    vocabulary_sha256: str,
) -> dict[str, Any]:
    """Returns the manifest of a data folder of lists.

    Args:
        options: what was asked for.
        fields: what each of an item's features tells, in their order; empty
            where items have bags of features.
        counts: what the stages counted. A row is an item that was shown, a
            line that cannot be read, or what else the log format counts.
        num_features: features in the vocabulary, without padding and unknown.
        vocabulary_sha256: of the vocabulary file, in hex.
    """
    parts = (
        counting.LISTS,
        counting.ITEMS,
        counting.CLICKS,
        counting.CONVERSIONS,
    )
    return {
        "kind": schema.LISTS,
        "format_version": FORMAT_VERSION,
        "lines": counting.total(counts, counting.LINES),
        "rows": _rows(counts),
        "items": counting.total(counts, counting.ITEMS),
        "rejected": _by_name(counts, counting.REJECTED),
        "filtered": _by_name(counts, counting.FILTERED),
        "splits": _splits(options, counts, parts),
        "fields": list(fields),
        "num_features": num_features,
        "vocabulary_sha256": vocabulary_sha256,
        "options": _requested(options),
        "versions": _versions(),
    }


def describe(manifest: dict[str, Any]) -> str:
    """Returns a few lines that tell what a data folder of sessions holds."""
    lines = [_kept(manifest, "clicks")]
    lines += [
        f"{split}: {part['sessions']} sessions, {part['clicks']} clicks"
        for split, part in manifest["splits"].items()
    ]
    return "\n".join([*lines, f"vocabulary: {manifest['num_items']} items"])


def describe_lists(manifest: dict[str, Any]) -> str:
    """Returns a few lines that tell what a data folder of lists holds."""
    lines = [_kept(manifest, "items")]
    lines += [
        f"{split}: {part['lists']} lists, {part['items']} items, "
        f"{part['clicks']} clicks, {part['conversions']} conversions"
        for split, part in manifest["splits"].items()
    ]
    fields = ", ".join(manifest["fields"]) or "bags"
    size = f"vocabulary: {manifest['num_features']} features ({fields})"
    return "\n".join([*lines, size])


def _rows(counts):
    return sum(
        counting.total(counts, name)
        for name in (counting.PARSED, counting.REJECTED)
    )


def _kept(manifest, what):
    dropped = {**manifest["rejected"], **manifest["filtered"]}
    return f"{manifest['rows']} rows, {manifest[what]} {what} kept" + "".join(
        f", {number} dropped: {why}" for why, number in dropped.items()
    )


def _splits(options, counts, names):
    return {
        split: {
            **{name: counts.get(name, {}).get(split, 0) for name in names},
            "shards": options.shards_per_split,
        }
        for split in schema.SPLITS
    }


def _by_name(counts, name):
    return dict(sorted(counts.get(name, {}).items()))


def _requested(options):
    requested = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(options).items()
    }
    # Where the folder stands is no property of the data in it.
    for name in ("output", "overwrite"):
        del requested[name]
    return requested


def _versions():
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return {**versions, "python": platform.python_version()}

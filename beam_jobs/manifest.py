"""What a data folder says about itself."""

import dataclasses
import platform
from importlib import metadata
from typing import Any

from beam_jobs import counting
from beam_jobs.options import PrepareOptions
from jump_tf import schema

FORMAT_VERSION = 1

_PACKAGES = ("jump-tf", "apache-beam", "tensorflow")


def build(
    options: PrepareOptions,
    counts: counting.Counts,
    num_items: int,
    vocabulary_sha256: str,
) -> dict[str, Any]:
    """The manifest of a data folder; the same for the same log and options.

    Args:
        options: what was asked for.
        counts: what the stages counted.
        num_items: items in the vocabulary, without padding and unknown.
        vocabulary_sha256: of the vocabulary file, in hex.
    """
    return {
        "format_version": FORMAT_VERSION,
        "rows": counting.total(counts, counting.ROWS),
        "clicks": counting.total(counts, counting.CLICKS),
        "rejected": _by_name(counts, counting.REJECTED),
        "filtered": _by_name(counts, counting.FILTERED),
        "splits": {
            split: _split(options, counts, split) for split in schema.SPLITS
        },
        "num_items": num_items,
        "max_dwell_seconds": options.max_dwell_seconds,
        "last_dwell_seconds": options.last_dwell_seconds,
        "vocabulary_sha256": vocabulary_sha256,
        "options": _requested(options),
        "versions": _versions(),
    }


def describe(manifest: dict[str, Any]) -> str:
    """What a prepared data folder holds, in a few lines."""
    dropped = {**manifest["rejected"], **manifest["filtered"]}
    lines = [
        f"{manifest['rows']} rows, {manifest['clicks']} clicks kept"
        + "".join(f", {n} dropped: {why}" for why, n in dropped.items())
    ]
    lines += [
        f"{split}: {part['sessions']} sessions, {part['clicks']} clicks"
        for split, part in manifest["splits"].items()
    ]
    return "\n".join([*lines, f"vocabulary: {manifest['num_items']} items"])


def _split(options, counts, split):
    return {
        "sessions": counts.get(counting.SESSIONS, {}).get(split, 0),
        "clicks": counts.get(counting.CLICKS, {}).get(split, 0),
        "shards": options.shards_per_split,
    }


def _by_name(counts, name):
    return dict(sorted(counts.get(name, {}).items()))


def _requested(options):
    requested = dataclasses.asdict(options)
    requested["input"] = list(options.input)
    # Where the folder stands is no property of the data in it.
    for name in ("output", "overwrite"):
        del requested[name]
    return requested


def _versions():
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return {**versions, "python": platform.python_version()}

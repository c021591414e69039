"""Plans a job: which worker reads which part of the log's files."""

import codecs
import logging
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from apache_beam.io.filesystems import FileSystems

from beam_jobs import storage
from beam_jobs.sources import lines
from beam_jobs.sources import unpacking
from jump_tf import schema

_UNPACKED_TIMES = 6  # What a packed log grows to, roughly.
_LOGGER = logging.getLogger(__name__)


class LogLayout(Protocol):
    """What a plan needs to know of a log format."""

    @property
    def has_header(self) -> bool:
        """Whether the first line names the columns."""

    def parser(self, path: str, first_line: str) -> Callable[..., Any]:
        """Checks the columns of a file, as `fields.LogFormat` does."""


def named_files(paths: Sequence[str]) -> list[str]:
    """Returns the files that paths and patterns name, in their order.

    Raises:
        schema.InputError: there is none, or it is a folder.
    """
    files: list[str] = []
    for path in paths:
        found = _matches(path)
        if not found or any(pathlib.Path(name).is_dir() for name in found):
            raise schema.InputError(
                f"`input` must name files that exist. Received: {path}"
            )
        files += found
    return files


def plan(
    paths: Sequence[str], layout: LogLayout, split: bool = True
) -> list[lines.Range]:
    """Looks at the head of every file, and cuts plain ones into ranges.

    Args:
        paths: of the files, or patterns.
        layout: of all of them.
        split: whether a file may be read by several workers.

    Raises:
        schema.InputError: a file is missing, empty, not readable, or has
            other columns than its format.
    """
    ranges: list[lines.Range] = []
    packed = []
    for index, path in enumerate(named_files(paths)):
        first_line, has_rows = _head(path, layout.has_header)
        whole = lines.Range(path, index, first_line)
        if not has_rows:
            raise schema.InputError(
                f"`input` must hold at least one row. Received: {path}, empty"
            )
        layout.parser(path, whole.first_line)
        if unpacking.is_packed(path):
            packed.append(path)
        if unpacking.is_packed(path) or not split:
            ranges.append(whole)
            continue
        size = _size(path)
        ranges += (
            whole._replace(
                start=start, stop=min(start + lines.BLOCK_BYTES, size)
            )
            for start in range(0, size, lines.BLOCK_BYTES)
        )
    if packed:
        _LOGGER.warning(
            "Packed files cannot be split: each is read by one worker. "
            "Received: %s",
            ", ".join(packed),
        )
    return ranges


def num_bytes(ranges: Sequence[lines.Range]) -> int:
    """Returns about how many bytes of text all ranges hold."""
    return sum(
        _size(part.path) * _UNPACKED_TIMES
        if part.stop is None
        else part.stop - part.start
        for part in ranges
    )


def _matches(path: str) -> list[str]:
    storage.check_filesystem("input", path)
    try:
        if FileSystems.exists(path):
            return [path]
        if not any(sign in path for sign in "*?["):
            return []
        (match,) = FileSystems.match([path])
    except OSError as error:  # A file system that is remote, and set up wrong.
        raise schema.InputError(
            "`input` must name files that can be reached. Received: "
            f"{path}, of which {' '.join(str(error).split())}"
        ) from error
    return sorted(found.path for found in match.metadata_list)


def _size(path: str) -> int:
    return FileSystems.get_filesystem(path).size(path)


def _head(path: str, has_header: bool) -> tuple[str, bool]:
    """A file's first line, and whether it has any row.

    No more is read than these take: there may be many files, and far away.
    """
    try:
        with unpacking.opened(path) as log:
            head = log.readline(lines.LONGEST_LINE).removeprefix(
                codecs.BOM_UTF8
            )
            has_rows = bool(log.read(1) if has_header else head)
    except unpacking.DAMAGED as error:
        raise schema.InputError(
            f"`input` must name readable files. Received: {path}, which is "
            f"damaged at its start: {error}"
        ) from error
    first_line = head.rstrip(b"\r\n").decode(errors="backslashreplace")
    return first_line, has_rows

"""The output folder: written beside its final name, then renamed.

Local folders are renamed as a whole. Object stores know no folders: there the
files are renamed one by one, the manifest last.
"""

import contextlib
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable
from collections.abc import Iterator

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from jump_tf import schema


def check_filesystem(name: str, path: str) -> None:
    """Refuses a path of a file system that is not installed.

    Args:
        name: of the option that holds the path.
        path: local or remote.

    Raises:
        schema.InputError: Beam does not know it.
    """
    try:
        FileSystems.get_filesystem(path)
    except ValueError as error:
        raise schema.InputError(
            f"`{name}` must be on a file system that is installed (gs:// needs "
            f"the extra `gcp`). Received: {path}"
        ) from error


def join(folder: str, name: str) -> str:
    """Returns the path of a file of a local or remote folder."""
    return f"{folder}/{name}"


def write(path: str, content: bytes) -> None:
    """Replaces a local or remote file, or makes it."""
    with FileSystems.create(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    ) as file:
        file.write(content)


def write_atomically(path: str, content: bytes) -> None:
    """Writes a file under another name, then renames it: whole or absent."""
    beside = f"{path}.tmp-{uuid.uuid4().hex[:8]}"
    write(beside, content)
    move_file(beside, path)


def as_lines(texts: Iterable[str]) -> bytes:
    """Returns the content of a file with one text a line, in UTF-8."""
    return "".join(f"{text}\n" for text in texts).encode()


def read(path: str) -> bytes:
    """Returns the content of a local or remote file, still packed if it is."""
    with FileSystems.open(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    ) as file:
        return file.read()


def move_file(source: str, destination: str) -> None:
    """Renames a local or remote file; what is at the destination is lost."""
    if _is_remote(source):
        FileSystems.rename([source], [destination])
    else:
        pathlib.Path(source).replace(destination)


@contextlib.contextmanager
def staged(output: str, overwrite: bool) -> Iterator[str]:
    """Gives a folder beside `output`, and renames it so if nothing is raised.

    Args:
        output: the final name, local or remote.
        overwrite: whether a data folder may stand there; it stays until the
            new one is complete.

    Raises:
        schema.InputError: `output` is taken.
    """
    _check_free(output, overwrite)
    folder = f"{output}.tmp-{uuid.uuid4().hex[:8]}"
    FileSystems.mkdirs(folder)
    try:
        yield folder
        if _is_remote(output):
            _publish_remote(folder, output)
        else:
            _publish_local(folder, output)
    finally:
        _remove(folder)


def _is_remote(path: str) -> bool:
    return "://" in path


def _check_free(output: str, overwrite: bool) -> None:
    if not _is_remote(output) and pathlib.Path(output).is_file():
        raise schema.InputError(
            f"`output` must be a folder. Received: {output}, a file"
        )
    names = [pathlib.PurePath(path).name for path in _files(output)]
    if names and not overwrite:
        raise schema.InputError(
            "`output` must be a new or empty folder, unless --overwrite is "
            f"given. Received: {output}, which holds {len(names)} files"
        )
    # A mistyped --output must not cost more than an older data folder.
    if names and schema.MANIFEST_FILE not in names:
        raise schema.InputError(
            "`output` must be a data folder, with its "
            f"{schema.MANIFEST_FILE}, to be overwritten. Received: {output}"
        )


def _files(folder: str) -> list[str]:
    if _is_remote(folder):
        (match,) = FileSystems.match([join(folder, "*")])
        return sorted(metadata.path for metadata in match.metadata_list)
    path = pathlib.Path(folder)
    return sorted(map(str, path.iterdir())) if path.exists() else []


def _publish_local(folder: str, output: str) -> None:
    if not _files(output):
        os.replace(folder, output)  # noqa: PTH105 (onto an empty folder, too)
        return
    older = f"{folder}-older"
    pathlib.Path(output).rename(older)
    pathlib.Path(folder).rename(output)
    shutil.rmtree(older)


def _publish_remote(folder: str, output: str) -> None:
    if older := _files(output):
        FileSystems.delete(older)
    names = [pathlib.PurePath(path).name for path in _files(folder)]
    names.sort(key=lambda name: name == schema.MANIFEST_FILE)
    for name in names:
        move_file(join(folder, name), join(output, name))


def _remove(folder: str) -> None:
    if not _is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif files := _files(folder):
        FileSystems.delete(files)

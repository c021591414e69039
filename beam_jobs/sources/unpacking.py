"""Unpacks the files of a log by the endings of their names.

The modules `bz2` and `lzma` take what does not start like a packed stream for
the end of the file, and say nothing. Files that several processes packed, or
that were appended to, are streams end to end: a damaged one would be lost with
all that follow it.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import pathlib
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

# What reading a damaged file raises.
DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)

_CHUNK_BYTES = 1 << 18


class Streams(io.RawIOBase):
    """Unpacks streams, end to end, to the last byte of a file.

    Args:
        packed: the file.
        new_stream: makes what unpacks one stream.

    Raises:
        EOFError: the last stream breaks off.
        OSError: there is something else between or after the streams.
    """

    def __init__(self, packed: BinaryIO, new_stream: Callable[[], Any]):
        super().__init__()
        self.packed = packed
        self.new_stream = new_stream
        self.stream: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        unpacked = b""
        while not unpacked:
            given = b""
            if self.stream is None or self.stream.eof:
                if not (given := self._next_stream()):
                    return 0
                self.stream = self.new_stream()
            elif self.stream.needs_input:
                given = self._more()
            unpacked = self.stream.decompress(given, len(buffer))
        buffer[: len(unpacked)] = unpacked
        return len(unpacked)

    def _more(self) -> bytes:
        if not (chunk := self.packed.read(_CHUNK_BYTES)):
            raise EOFError("it ends within a packed stream")
        return chunk

    def _next_stream(self) -> bytes:
        """What follows a stream and the zeros that may pad it."""
        rest = self.stream.unused_data.lstrip(b"\0") if self.stream else b""
        while not rest and (chunk := self.packed.read(_CHUNK_BYTES)):
            rest = chunk.lstrip(b"\0")
        return rest


def _streams(new_stream: Callable[[], Any]) -> Callable[[BinaryIO], Any]:
    def unpack(packed):
        return io.BufferedReader(Streams(packed, new_stream), _CHUNK_BYTES)

    return unpack


_UNPACK: dict[str, Callable[[BinaryIO], Any]] = {
    ".xz": _streams(lzma.LZMADecompressor),
    ".gz": gzip.open,
    ".bz2": _streams(bz2.BZ2Decompressor),
}


def is_packed(path: str) -> bool:
    """Returns whether the name of a file ends as that of a packed one."""
    return _suffix(path) in _UNPACK


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Opens a local or remote file, unpacked, for reading bytes."""
    unpack = _UNPACK.get(_suffix(path), contextlib.nullcontext)
    with (
        FileSystems.open(
            path, compression_type=CompressionTypes.UNCOMPRESSED
        ) as packed,
        unpack(packed) as log,
    ):
        yield log


def _suffix(path):
    return pathlib.PurePath(path).suffix.lower()

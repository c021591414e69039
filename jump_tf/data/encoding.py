"""Sessions and lists as bytes, without TensorFlow: what the data jobs write.

A record is one `tf.train.Example` that holds `n` sessions as columns: the
values of all their clicks end to end, and the length of each session. A record
of lists holds the values of their items likewise, and the features of all
items end to end with the number that each item has. Packing many into a record
makes files smaller and parsing faster than one Example each; `n = 1` is the
same format. Files are gzipped TFRecords.

`session_records` and `list_records` read them into tensors. Importing
TensorFlow takes a worker longer than writing a million clicks.
"""

import gzip
import io
import itertools
import struct
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import google_crc32c
import numpy as np

from jump_tf import schema

SESSIONS_PER_RECORD = 1024
LISTS_PER_RECORD = 1024
# Items may have hundreds of features; the reader holds many records at once.
FEATURES_PER_RECORD = 1 << 16
FILE_SUFFIX = ".tfrecord.gz"

_COMPRESSION = 3  # A third of the time of 6, and as small within 2 %.
_MASK_DELTA = 0xA282EAD8


def shard_name(split: str, index: int, count: int) -> str:
    """Returns a shard's file name, e.g. `train-00000-of-00004.tfrecord.gz`."""
    return f"{split}-{index:05d}-of-{count:05d}{FILE_SUFFIX}"


def encode_sessions(
    session_ids: Sequence[bytes],
    lengths: np.ndarray,
    of_sessions: Mapping[str, np.ndarray],
    of_clicks: Mapping[str, np.ndarray],
) -> Iterator[bytes]:
    """Packs sessions into serialized records of `SESSIONS_PER_RECORD`.

    Args:
        session_ids: `S` ids, UTF-8.
        lengths: `[S]` clicks of each session.
        of_sessions: `start_ms` and `session_cut`, `[S]`. Of the latter a
            record says nothing where no session of it is cut.
        of_clicks: `items`, `dwell_seconds` and `dwell_censored`, `[C]`: all
            sessions end to end.
    """
    ends = np.cumsum(lengths)
    clicks = 0
    for first in range(0, len(lengths), SESSIONS_PER_RECORD):
        mine = slice(first, first + SESSIONS_PER_RECORD)
        start, clicks = clicks, ends[mine][-1]
        yield pack(
            {schema.SESSION_ID: session_ids[mine]}
            | {schema.SESSION_LENGTH: lengths[mine]}
            | {
                name: column[mine]
                for name, column in of_sessions.items()
                if name != schema.SESSION_CUT or column[mine].any()
            }
            | {name: column[start:clicks] for name, column in of_clicks.items()}
        )


def encode_lists(lists: Iterable[schema.ShownList]) -> Iterator[bytes]:
    """Packs lists into as many serialized records as they fill."""
    return map(encode_list_record, _packs(lists))


def encode_list_record(lists: Sequence[schema.ShownList]) -> bytes:
    """Packs all `lists` into one serialized record."""

    def items(name):
        return [value for each in lists for value in getattr(each, name)]

    features = items(schema.FEATURES)
    integers = {
        schema.START_MS: (each.start_ms for each in lists),
        schema.LIST_LENGTH: map(len, lists),
        schema.FEATURES_LENGTH: map(len, features),
        schema.FEATURES: itertools.chain(*features),
        schema.CLICKED: items(schema.CLICKED),
        schema.CONVERTED: items(schema.CONVERTED),
    }
    floats = {
        schema.OFFSET_SECONDS: items(schema.OFFSET_SECONDS),
        schema.FEATURE_VALUES: itertools.chain(*items(schema.FEATURE_VALUES)),
    }
    return pack(
        {schema.LIST_ID: [each.list_id.encode() for each in lists]}
        | {name: np.array([*of], np.int64) for name, of in integers.items()}
        | {name: np.array([*of], np.float32) for name, of in floats.items()}
    )


def pack(columns: Mapping[str, Sequence[bytes] | np.ndarray]) -> bytes:
    """Returns a serialized `tf.train.Example` of columns.

    Args:
        columns: texts in bytes, floats, which become float32, or whole
            numbers, none of them negative.
    """
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _feature(column)))
        for name, column in sorted(columns.items())
    )
    return _field(1, b"".join(entries))


def unpack_integers(record: bytes, name: str) -> np.ndarray:
    """Returns a column of whole numbers of a serialized `tf.train.Example`.

    Raises:
        KeyError: there is no such column.
    """
    ((_, features),) = _fields(record)
    for _, entry in _fields(features):
        (_, key), (_, feature) = _fields(entry)
        if key == name.encode():
            ((_, values),) = _fields(feature)
            return np.concatenate(
                [_from_varints(v) for _, v in _fields(values)]
            )
    raise KeyError(name)


def to_file(records: Iterable[bytes]) -> bytes:
    """Returns a gzipped TFRecord file; the same for the same records."""
    content = io.BytesIO()
    # A file's own time and name would make every run's bytes differ.
    with gzip.GzipFile("", "wb", _COMPRESSION, content, mtime=0) as file:
        for record in records:
            length = struct.pack("<Q", len(record))
            file.write(length + _crc(length) + record + _crc(record))
    return content.getvalue()


def from_file(content: bytes) -> Iterator[bytes]:
    """Yields the records of a gzipped TFRecord file.

    Raises:
        ValueError: it is damaged.
    """
    data = memoryview(gzip.decompress(content))
    place = 0
    while place < len(data):
        length, start = data[place : place + 8], place + 12
        (size,) = struct.unpack("<Q", length)
        record = bytes(data[start : start + size])
        sums = data[place + 8 : start], data[start + size : start + size + 4]
        if sums != (_crc(bytes(length)), _crc(record)):
            raise ValueError(f"A record must be whole. Received: byte {place}")
        yield record
        place = start + size + 4


def _packs(
    lists: Iterable[schema.ShownList],
) -> Iterator[list[schema.ShownList]]:
    """Consecutive lists that fill a record; one list alone may overfill it."""
    pack: list[schema.ShownList] = []
    room = FEATURES_PER_RECORD
    for each in lists:
        size = sum(map(len, each.features))
        if pack and (len(pack) == LISTS_PER_RECORD or size > room):
            yield pack
            pack, room = [], FEATURES_PER_RECORD
        pack.append(each)
        room -= size
    if pack:
        yield pack


def _crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
    return struct.pack("<I", masked)


# Of the wire format of protocol buffers all that an Example needs: fields that
# tell their length, and whole numbers in groups of seven bits, the low first.


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _feature(column) -> bytes:
    if not isinstance(column, np.ndarray):
        return _field(1, b"".join(_field(1, text) for text in column))
    if column.dtype.kind == "f":
        return _field(2, _field(1, column.astype("<f4").tobytes()))
    return _field(3, _field(1, _varints(column)))


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*groups, number])


def _varints(numbers: np.ndarray) -> bytes:
    left = numbers.astype(np.uint64)
    widest = max(int(left.max(initial=0)).bit_length() + 6, 7) // 7
    groups = left[:, np.newaxis] >> np.arange(0, 7 * widest, 7, dtype=np.uint64)
    used = groups > 0
    used[:, 0] = True
    more = np.zeros_like(used)
    more[:, :-1] = used[:, 1:]
    return (groups.astype(np.uint8) & 0x7F | more * np.uint8(0x80))[
        used
    ].tobytes()


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(message):
        number = message[place] >> 3
        size, shift, place = 0, 0, place + 1
        while True:
            group = message[place]
            size |= (group & 0x7F) << shift
            shift, place = shift + 7, place + 1
            if group < 0x80:
                break
        yield number, message[place : place + size]
        place += size


def _from_varints(content: bytes) -> np.ndarray:
    groups = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(groups < 0x80) + 1
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    place = np.arange(len(groups)) - np.repeat(
        starts, np.diff(starts, append=len(groups))
    )
    bits = (groups & 0x7F).astype(np.int64) << 7 * place
    return np.add.reduceat(bits, starts) if len(starts) else bits

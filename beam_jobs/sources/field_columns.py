"""Reads ids and times from whole columns of texts.

`fields` defines what one text means. Here a column is read at once where all
its texts are plain; else `DoubtError` tells the caller to use `fields`.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.sources import fields

_LONGEST_NUMBER = 18  # Digits that fit into an int64.
_MILLISECOND = 1000  # In microseconds.
# Bytes that may start a blank or a line break; ids without any are clean.
_ODD = np.zeros(256, bool)
_ODD[:0x21] = True
_ODD[[0x7F, 0xC2, 0xE1, 0xE2, 0xE3]] = True


class DoubtError(Exception):
    """A column holds a text that must be read by itself."""


def require(holds: bool) -> None:
    """Checks a condition for reading rows in bulk.

    Raises:
        DoubtError: it does not hold.
    """
    if not holds:
        raise DoubtError


def require_utf8(data: bytes) -> None:
    """Checks that some rows are UTF-8.

    Raises:
        DoubtError: they are not.
    """
    try:
        data.isascii() or data.decode()
    except UnicodeDecodeError as error:
        raise DoubtError from error


def identifiers(texts: pa.StringArray, kind: str) -> pa.DictionaryArray:
    """Returns raw ids as `fields.identifier` does, each text once.

    Raises:
        DoubtError: some text is no id.
    """
    coded = texts.dictionary_encode()
    names = coded.dictionary
    if not len(names) or not pc.min(pc.binary_length(names)).as_py():
        raise DoubtError
    content = np.frombuffer(names.buffers()[2], np.uint8)
    if not _ODD[content].any():
        return coded
    try:
        clean = [fields.identifier(name, kind) for name in names.to_pylist()]
    except ValueError as error:
        raise DoubtError from error
    again = pa.array(clean, pa.string()).dictionary_encode()
    return again.take(coded.indices)


def milliseconds(texts: pa.StringArray, unit: str) -> np.ndarray:
    """Returns `[n]` int64 instants as `fields.milliseconds` does.

    Raises:
        DoubtError: some text may be no instant.
    """
    if unit == fields.ISO8601:
        return instants(_from_iso8601(texts))
    scale = 1000 if unit == fields.SECONDS else 1
    if _are_digits(texts):
        return instants(pc.cast(texts, pa.int64()).to_numpy(), scale)
    require(unit == fields.SECONDS)
    return instants(_numbers(texts), scale)


def instants(numbers: np.ndarray, scale: int = 1) -> np.ndarray:
    """Returns `[n]` int64 milliseconds of numbers in units of `scale` ms.

    Raises:
        DoubtError: some number is no instant.
    """
    # Before they are scaled, or they might no longer fit.
    require(bool((numbers < fields.LATEST_MS).all()))
    scaled = numbers * scale
    if scaled.dtype.kind == "f":
        scaled = np.rint(scaled)
    require(bool(((scaled >= 0) & (scaled < fields.LATEST_MS)).all()))
    return scaled.astype(np.int64, copy=False)


def dwells(texts: pa.StringArray) -> np.ndarray:
    """Returns `[n]` float64 seconds as `fields.measured_dwell` does.

    Raises:
        DoubtError: some text may be no number.
    """
    empty = pc.equal(texts, "")
    return measured(_numbers(pc.if_else(empty, "-1", texts)))


def measured(seconds: np.ndarray) -> np.ndarray:
    """Returns `[n]` float64, NaN where a dwell is negative or not finite."""
    # Of zeros there are two.
    known = np.isfinite(seconds) & (seconds >= 0)
    return np.where(known, abs(seconds), np.nan)


def midnights(texts: pa.StringArray) -> np.ndarray:
    """Returns `[n]` int64 milliseconds UTC of days, each day read once.

    Raises:
        DoubtError: some text may be no day.
    """
    coded = texts.dictionary_encode()
    try:
        days = [
            fields.milliseconds(day, fields.ISO8601)
            for day in coded.dictionary.to_pylist()
        ]
    except ValueError as error:
        raise DoubtError from error
    return np.array(days, np.int64)[coded.indices.to_numpy()]


def _are_digits(texts: pa.StringArray) -> bool:
    longest = pc.max(pc.binary_length(texts)).as_py()
    return (
        longest <= _LONGEST_NUMBER
        and pc.all(pc.ascii_is_decimal(texts)).as_py()
    )


def _numbers(texts: pa.StringArray) -> np.ndarray:
    try:
        return pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise DoubtError from error


def _from_iso8601(texts: pa.StringArray) -> np.ndarray:
    # One call reads columns with zones or without; mixed ones are in doubt.
    for zone in ("UTC", None):
        try:
            instants = pc.cast(texts, pa.timestamp("us", zone))
        except pa.ArrowInvalid:
            continue
        return instants.cast(pa.int64()).to_numpy() // _MILLISECOND
    raise DoubtError

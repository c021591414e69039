"""What a data folder says of itself: its manifest, vocabulary and shards."""

import json
import pathlib
from collections.abc import Iterable
from typing import Any

from jump_tf import schema
from jump_tf.data import encoding


def read_manifest(data: str | pathlib.Path) -> dict[str, Any]:
    """The manifest of a data folder.

    Raises:
        InputError: the folder holds no manifest, or a broken one.
    """
    path = pathlib.Path(data) / schema.MANIFEST_FILE
    if not path.is_file():
        raise schema.InputError(
            "The data folder must be the output of `jump-tf prepare`. "
            f"Received: {data}, which has no {schema.MANIFEST_FILE}"
        )
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise schema.InputError(
            f"The manifest must be JSON. Received: {path} ({error})"
        ) from error


def read_vocabulary(path: str | pathlib.Path) -> list[str]:
    """Raw item ids in the order of their ids, from `FIRST_ITEM_ID` on."""
    # Not `splitlines`, which also cuts at characters an id may hold.
    with pathlib.Path(path).open(encoding="utf-8", newline="\n") as lines:
        return [line.removesuffix("\n") for line in lines]


def write_vocabulary(path: pathlib.Path, names: Iterable[str]) -> None:
    """Writes raw ids in the order of their ids, one a line."""
    text = "".join(f"{name}\n" for name in names)
    path.write_text(text, encoding="utf-8", newline="\n")


def vocabulary_length(data: str | pathlib.Path) -> int:
    """Items, or features of lists, in the vocabulary of a data folder."""
    manifest = read_manifest(data)
    return manifest.get("num_items") or manifest["num_features"]


def shards(data: str | pathlib.Path, split: str) -> list[str]:
    """The record files of a split, in order.

    Raises:
        InputError: there are none, or their number is not the one in their
            names.
    """
    found = sorted(
        str(path)
        for path in pathlib.Path(data).glob(f"{split}-*{encoding.FILE_SUFFIX}")
    )
    expected = [
        str(pathlib.Path(data) / encoding.shard_name(split, index, len(found)))
        for index in range(len(found))
    ]
    if not found or found != expected:
        raise schema.InputError(
            f"Split `{split}` must be complete in the data folder. "
            f"Received: {data} with {[pathlib.Path(f).name for f in found]}"
        )
    return found


def check_complete(
    data: str | pathlib.Path, split: str, number: int, what: str = "clicks"
) -> None:
    """Refuses a split of which not every click, or item, was read.

    TensorFlow takes a compressed file that breaks off for one that ends.

    Raises:
        InputError: the manifest counts more of them, or fewer.
    """
    expected = read_manifest(data)["splits"][split][what]
    if number != expected:
        raise schema.InputError(
            f"The files of split `{split}` must be whole. Received: {number} "
            f"{what} in {data}, of {expected} in {schema.MANIFEST_FILE}"
        )

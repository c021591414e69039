"""What is counted of a log, kept with its results."""

import json
import pathlib
from typing import Any

from jump_tf.data import folders
from jump_tf.data import inspection
from jump_tf.reporting import files as evaluation_files

FILE = "data.json"
_MANIFEST = "manifest"


def of(data: pathlib.Path, folder: pathlib.Path) -> dict[str, Any]:
    """The facts of a data folder, counted once and then read.

    Args:
        data: the data folder.
        folder: of the log in the results, which keeps them.
    """
    path, manifest = folder / FILE, folders.read_manifest(data)
    if path.is_file():
        kept = json.loads(path.read_text())
        if kept[_MANIFEST] == manifest:
            return kept
    counted = {_MANIFEST: manifest, **inspection.read(data).statistics}
    folder.mkdir(parents=True, exist_ok=True)
    evaluation_files.write_json(path, counted)
    return counted

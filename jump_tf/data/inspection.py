"""Data folders as they are inspected: read once, counted, compared, written."""

import dataclasses
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.data import click_log
from jump_tf.data import drift
from jump_tf.data import folders
from jump_tf.data import inspection_figures
from jump_tf.data import statistics
from jump_tf.data.click_log import ClickLog
from jump_tf.reporting import files as evaluation_files

Tree = dict[str, Any]
JSON_FILE = "inspection.json"
PICTURE_FILE = "inspection.png"


@dataclasses.dataclass(frozen=True)
class Folder:
    """A data folder of sessions.

    Attributes:
        path: of it.
        manifest: its own.
        log: the sessions of all splits.
        facts: see `statistics`, as JSON has them.
    """

    path: pathlib.Path
    manifest: Tree
    log: ClickLog
    facts: Tree

    def item_counts(self) -> dict[str, int]:
        """Clicks of each item of the vocabulary, by raw id."""
        names = folders.read_vocabulary(self.path / schema.VOCABULARY_FILE)
        counts = statistics.item_counts(self.log, len(names))
        return dict(zip(names, counts.tolist(), strict=True))


def read(data: pathlib.Path) -> Folder:
    """A data folder of sessions, and the facts about it.

    Raises:
        InputError: it is none, or not all of it is there.
    """
    manifest = folders.read_manifest(data)
    logs = {
        split: click_log.read(data, split)
        if part["clicks"]
        else click_log.joined([])
        for split, part in manifest["splits"].items()
    }
    counted = evaluation_files.plain(statistics.count(logs, manifest))
    log = click_log.joined(logs.values())
    return Folder(data, manifest, log, counted)


def compare(before: Folder, after: Folder) -> Tree:
    """What changed from one to the other, see `drift`."""
    both = before, after
    items, frequencies = drift.items(*(one.item_counts() for one in both))
    changes = {
        "items": items,
        "frequencies": frequencies,
        **drift.sessions(
            [one.log for one in both],
            [one.manifest["max_dwell_seconds"] for one in both],
            [one.facts for one in both],
        ),
        "dropped": drift.dropped([one.manifest for one in both]),
    }
    return evaluation_files.plain(changes)


def write(
    output: pathlib.Path, folder: Folder, before: Folder | None, changes: Tree
) -> list[pathlib.Path]:
    """Writes the numbers and the picture; returns their paths.

    Raises:
        InputError: pictures cannot be drawn here.
    """
    picture = inspection_figures.overview(
        folder.facts, None if before is None else before.facts
    )
    output.mkdir(parents=True, exist_ok=True)
    numbers = {"data": str(folder.path), **folder.facts}
    if before is not None:
        numbers |= {"against": str(before.path), "changes": changes}
    beside = output / f"{PICTURE_FILE}.partial"
    beside.write_bytes(picture)
    return [
        evaluation_files.write_json(output / JSON_FILE, numbers),
        beside.replace(output / PICTURE_FILE),
    ]

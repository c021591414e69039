"""The datasets of a reproduction: prepared ones, and those still to be made."""

import argparse
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from beam_jobs.options import sessions as session_options
from beam_jobs.options.sessions import PrepareOptions
from jump_tf import schema
from jump_tf.data import folders
from jump_tf.data import inspection
from jump_tf.experiments.reproduction import published
from jump_tf.reporting import files as evaluation_files

FOLDER = "data"  # Of what is prepared, in the results folder.
STUDIES = "tuning"
STATISTICS_FILE = "data.json"
RESERVED = (FOLDER, STUDIES)
_OURS = ("like", "note", "set", "splits", "prepared")
# Of the options of `prepare`, what is not asked by the name it has there.
_SET_HERE = {"split", "output", "overwrite"}
# The paper's dataset that a format is of.
_LIKE = {"yoochoose": published.RECSYS15, "diginetica": published.CIKM16}


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A dataset: a log with one split.

    Attributes:
        name: its folder in the results.
        prepared: its data folder, if it is there already.
        request: options of `prepare` by name, if it is not.
        like: the dataset of `published` that it can stand beside.
        note: what readers of the numbers must know.
        set: changes to every model on it, such as the size of batches.
    """

    name: str
    prepared: pathlib.Path | None = None
    request: tuple[tuple[str, Any], ...] = ()
    like: str | None = None
    note: str = ""
    set: tuple[str, ...] = ()

    def __post_init__(self):
        if self.like is not None and self.like not in published.NAMES:
            raise schema.InputError(
                f"`like` must be one of {published.NAMES}. "
                f"Received: {self.like!r} for {self.name}"
            )
        if self.prepared is not None:
            folders.read_manifest(self.prepared)
        else:
            self.options(pathlib.Path())

    def folder(self, results: pathlib.Path) -> pathlib.Path:
        """The data folder."""
        return self.prepared or results / FOLDER / self.name

    def options(self, results: pathlib.Path) -> PrepareOptions:
        """Returns the options of `prepare`."""
        output = ("output", str(self.folder(results)))
        return _options([*self.request, output], self.name)


def prepared(folder: pathlib.Path) -> DataSet:
    """Returns the dataset of a data folder that is prepared."""
    manifest = folders.read_manifest(folder)
    like = _LIKE.get(manifest.get("options", {}).get("format"))
    return DataSet(folder.resolve().name, folder, like=like)


def data_sets(
    name: str, entry: Mapping[str, Any], beside: pathlib.Path
) -> list[DataSet]:
    """What an entry of a plan's `data` asks for, one for each split.

    Args:
        name: of the dataset.
        entry: see `plans/paper.yaml`.
        beside: the plan's folder; its paths start there.

    Raises:
        InputError: it asks for what `prepare` does not know.
    """
    like = entry.get("like", _LIKE.get(str(entry.get("format"))))
    note = str(entry.get("note", ""))
    changes = entry.get("set", [])
    if not isinstance(changes, list):
        raise schema.InputError(
            f"`data: {name}: set` must be a list. Received: {changes!r}"
        )
    common = {"like": like, "note": note, "set": tuple(map(str, changes))}
    if "prepared" in entry:
        others = set(entry) - {"prepared", *common}
        if others:
            raise schema.InputError(
                f"`data: {name}` must have no {sorted(others)} beside "
                "`prepared`. Received: both"
            )
        folder = _beside(beside, str(entry["prepared"]))
        return [DataSet(name, pathlib.Path(folder), **common)]
    if taken := set(map(str, entry)) & _SET_HERE:
        raise schema.InputError(
            f"`data: {name}` must have a list of `splits`, and its folders "
            f"where the results are. Received: {sorted(taken)}"
        )
    splits = entry.get("splits", [session_options.RANDOM])
    if not isinstance(splits, list) or not splits:
        raise schema.InputError(
            f"`data: {name}: splits` must be a list. Received: {splits!r}"
        )
    request = {str(key): entry[key] for key in entry if key not in _OURS}
    inputs = request.get("input", [])
    inputs = inputs if isinstance(inputs, list) else [inputs]
    request["input"] = tuple(_beside(beside, str(path)) for path in inputs)
    return [
        DataSet(
            f"{name}-{split}",
            request=tuple(sorted({**request, "split": split}.items())),
            **common,
        )
        for split in splits
    ]


def check_names(names: Iterable[str]) -> None:
    """Refuses names that cannot each be a folder of the results."""
    seen: set[str] = set()
    for name in names:
        fit = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
        if not fit or name in RESERVED or name in seen:
            raise schema.InputError(
                "Names must be folders, each once and none of "
                f"{RESERVED}. Received: {name!r}"
            )
        seen.add(name)


def prepare(data: DataSet, results: pathlib.Path) -> None:
    """Makes the data folder, unless it is there.

    Raises:
        InputError: another one is there, or the log is refused.
    """
    folder, options = data.folder(results), data.options(results)
    if (folder / schema.MANIFEST_FILE).is_file():
        if not _is_as_asked(folders.read_manifest(folder), options):
            raise schema.InputError(
                "A results folder must keep its data as it was prepared. "
                f"Received: another request than that of {folder}"
            )
        return
    from beam_jobs import build_sessions  # Beam is an extra.

    build_sessions.run(options)


def statistics(data: pathlib.Path, folder: pathlib.Path) -> dict[str, Any]:
    """The statistics of a data folder, counted once and then read.

    Args:
        data: the data folder.
        folder: of the dataset in the results, which keeps them.
    """
    path = folder / STATISTICS_FILE
    manifest = folders.read_manifest(data)
    if path.is_file():
        kept = json.loads(path.read_text())
        if kept["manifest"] == manifest:
            return kept
    counted = {"manifest": manifest, **inspection.read(data).statistics}
    folder.mkdir(parents=True, exist_ok=True)
    evaluation_files.write_json(path, counted)
    return counted


def _is_as_asked(manifest, options) -> bool:
    """Returns whether a folder was made by a request."""
    made = manifest["options"]
    asked = json.loads(json.dumps(dataclasses.asdict(options)))
    return all(
        made.get(field.name, field.default) == asked[field.name]
        for field in dataclasses.fields(options)
        if field.name not in ("output", "overwrite")
    )


class _Parser(argparse.ArgumentParser):
    """The flags of `prepare`, whose refusals are errors of the input."""

    def error(self, message):
        raise schema.InputError(f"`{self.prog}` must be as asked: {message}")


def _options(request, name) -> PrepareOptions:
    """Parses a request by the parser of the command line."""
    parser = _Parser(prog=f"data: {name}", allow_abbrev=False, add_help=False)
    session_options.add_arguments(parser)
    words: list[str] = []
    for key, value in request:
        values = value if isinstance(value, tuple | list) else (value,)
        if isinstance(value, bool):  # A flag that is given, or not.
            words += [f"--{key.replace('_', '-')}"] * value
        else:
            words += [f"--{key.replace('_', '-')}", *map(str, values)]
    return PrepareOptions.from_arguments(parser.parse_args(words))


def _beside(folder: pathlib.Path, path: str) -> str:
    return path if "://" in path else str(folder / path)

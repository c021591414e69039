"""Writes a model as a SavedModel version folder that TF Serving takes."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from jump_tf import schema
from jump_tf.data import folders


def export_model(
    model: Any,
    vocabulary: Sequence[str],
    output: str | pathlib.Path,
    signatures: Callable[[pathlib.Path], Any],
    *,
    name: str,
    version: int | None = None,
    finish: Callable[[pathlib.Path], None] | None = None,
) -> pathlib.Path:
    """Writes `<output>/<name>/<version>/`, whole or not at all.

    Args:
        model: a trained model.
        vocabulary: raw item ids, or features, in the order of their ids, from
            `FIRST_ITEM_ID` on. It becomes a file inside the SavedModel.
        output: the folder of all models.
        signatures: returns, for the vocabulary file, an object whose
            `functions()` are the traced signatures by name, and whose
            `tables` are what they look up.
        name: of the model.
        version: a positive number; by default one more than the largest there.
        finish: called with the folder before it gets its final name, to add
            what belongs to it, such as warm-up requests.

    Returns:
        The version folder.

    Raises:
        InputError: the vocabulary does not fit the model, the version exists,
            or the signatures refuse their settings.
    """
    _check_vocabulary(vocabulary, model.vocabulary_size)
    if not name or name.startswith(".") or pathlib.Path(name).name != name:
        raise schema.InputError(
            "`name` must be the name of a folder that is not hidden. "
            f"Received: name={name!r}"
        )
    base = pathlib.Path(output) / name
    version = _next_version(base) if version is None else version
    final = base / str(version)
    if version < 1 or final.exists():
        raise schema.InputError(
            "`version` must be positive and not there yet. "
            f"Received: version={version} under {base}"
        )
    new = not base.exists()
    base.mkdir(parents=True, exist_ok=True)
    # A server that polls `base` takes integers only for versions.
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f".{version}-", dir=base))
    try:
        _write(vocabulary, partial, signatures)
        partial.chmod(0o755)  # Temporary folders are the owner's alone.
        if finish is not None:
            finish(partial)
        return partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):  # Another export came first.
                base.rmdir()
        raise


def _write(vocabulary, folder, make_signatures):
    # Tables are shared by the path of their file within a process: a path of
    # its own keeps the vocabularies of two exports apart.
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary_file = pathlib.Path(scratch) / schema.VOCABULARY_FILE
        folders.write_vocabulary(vocabulary_file, vocabulary)
        signatures = make_signatures(vocabulary_file)
        functions = signatures.functions()
        # Only what the functions read: no optimizer, no counts, and no weight
        # twice, as Keras tracks it under several names.
        root = tf.Module()
        root.tables = signatures.tables
        root.weights = list(
            {
                id(variable): variable
                for function in functions.values()
                for variable in function.variables
            }.values()
        )
        tf.saved_model.save(root, str(folder), signatures=functions)


def _next_version(base: pathlib.Path) -> int:
    present = base.iterdir() if base.is_dir() else ()
    return 1 + max(
        (int(path.name) for path in present if path.name.isdecimal()),
        default=0,
    )


def _check_vocabulary(vocabulary: Sequence[str], vocabulary_size: int) -> None:
    expected = vocabulary_size - schema.FIRST_ITEM_ID
    if len(vocabulary) != expected or not vocabulary:
        raise schema.InputError(
            "The vocabulary must have one item for each of the model's "
            f"{expected} item ids. Received: {len(vocabulary)} items"
        )
    if len(set(vocabulary)) != len(vocabulary):
        raise schema.InputError("The vocabulary must not repeat an item.")
    for item in vocabulary:
        if not item or "\n" in item or "\r" in item:
            raise schema.InputError(
                "An item of the vocabulary must be one line that is not "
                f"empty. Received: {item!r}"
            )

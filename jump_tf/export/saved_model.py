"""Writes a model as a SavedModel version folder that TF Serving takes."""

import itertools
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from jump_tf import schema
from jump_tf.export.exact_search import Catalogue
from jump_tf.export.list_signatures import ListSignatures
from jump_tf.export.session_signatures import Signatures
from jump_tf.models.list_model import ListModel
from jump_tf.models.session_model import SessionModel


def export_model(
    model: SessionModel | ListModel,
    vocabulary: Sequence[str],
    output: str | pathlib.Path,
    *,
    name: str = "jump",
    version: int | None = None,
    max_session_length: int = 200,
    top_k: int = 20,
    max_k: int = 100,
    quantiles: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
    index: Callable = Catalogue,
    finish: Callable[[pathlib.Path], None] | None = None,
) -> pathlib.Path:
    """Writes `<output>/<name>/<version>/`, whole or not at all.

    Args:
        model: a trained model; what is answered is said in `Signatures`, and
            in `ListSignatures` for one of lists.
        vocabulary: raw item ids, or features, in the order of their ids, from
            `FIRST_ITEM_ID` on. It becomes a file inside the SavedModel.
        output: the folder of all models.
        name: of the model.
        version: a positive number; by default one more than the largest there.
        max_session_length: clicks of a session that are read, the last ones.
        top_k: items to recommend to a session.
        max_k: items that a request may ask for.
        quantiles: levels of its dwell quantiles, rising, inside (0, 1).
        index: how the best items of a catalogue are found, see `NextItems`.
        finish: called with the folder before it gets its final name, to add
            what belongs to it, such as warm-up requests.

    Returns:
        The version folder.

    Raises:
        InputError: the vocabulary does not fit the model, the version exists,
            or a setting makes no sense.
    """
    _check_vocabulary(vocabulary, model.vocabulary_size)
    _check_settings(max_session_length, top_k, max_k, quantiles)
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
    base.mkdir(parents=True, exist_ok=True)
    # A server that polls `base` takes integers only for versions.
    partial = pathlib.Path(tempfile.mkdtemp(prefix=f".{version}-", dir=base))
    try:
        _write(
            model,
            vocabulary,
            partial,
            max_session_length=max_session_length,
            top_k=top_k,
            max_k=max_k,
            quantiles=quantiles,
            index=index,
        )
        partial.chmod(0o755)  # Temporary folders are the owner's alone.
        if finish is not None:
            finish(partial)
        return partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write(model, vocabulary, folder, **settings):
    # Tables are shared by the path of their file within a process: a path of
    # its own keeps the vocabularies of two exports apart.
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary_file = pathlib.Path(scratch) / schema.VOCABULARY_FILE
        vocabulary_file.write_text(
            "".join(f"{item}\n" for item in vocabulary),
            encoding="utf-8",
            newline="\n",
        )
        signatures = (
            ListSignatures(model, vocabulary_file)
            if isinstance(model, ListModel)
            else Signatures(model, vocabulary_file, **settings)
        )
        functions = signatures.functions()
        # What the answers read and nothing else: no optimizer, no counts, and
        # no weight twice, as under the names that Keras has for it, too.
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


def _check_settings(max_session_length, top_k, max_k, quantiles) -> None:
    for setting, value in (
        ("max_session_length", max_session_length),
        ("top_k", top_k),
        ("max_k", max_k),
    ):
        if value < 1:
            raise schema.InputError(
                f"`{setting}` must be positive. Received: {setting}={value}"
            )
    rising = all(a < b for a, b in itertools.pairwise(quantiles))
    if not quantiles or not rising or not 0 < quantiles[0] <= quantiles[-1] < 1:
        raise schema.InputError(
            "`quantiles` must rise inside (0, 1). "
            f"Received: quantiles={tuple(quantiles)}"
        )

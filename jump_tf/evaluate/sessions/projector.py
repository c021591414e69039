"""Item vectors for TensorBoard's projector, with raw ids and clicks."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

MOST_ITEMS = 10_000  # What a browser still turns and projects.
VECTORS_FILE = "items.tsv"
METADATA_FILE = "metadata.tsv"
NAME = "items"


def write(
    folder: pathlib.Path,
    vectors: np.ndarray,
    names: Sequence[str],
    clicks: np.ndarray,
) -> None:
    """Writes the most popular items as a run that the projector shows.

    The projector reads none of Keras' own files, and looks only into folders
    with an event file.

    Args:
        folder: of this run alone.
        vectors: `[N, d]`, a row for each item.
        names: `[N]` raw ids.
        clicks: `[N]` clicks in training.
    """
    top = np.argsort(-clicks, kind="stable")[:MOST_ITEMS]
    folder.mkdir(parents=True, exist_ok=True)
    _replace(
        folder / VECTORS_FILE,
        ("\t".join(f"{value:.5g}" for value in vectors[item]) for item in top),
    )
    _replace(
        folder / METADATA_FILE,
        [
            "item\tclicks",
            *(f"{_cell(names[item])}\t{clicks[item]}" for item in top),
        ],
    )
    config = projector.ProjectorConfig()
    config.embeddings.add(
        tensor_name=NAME,
        tensor_path=VECTORS_FILE,
        metadata_path=METADATA_FILE,
    )
    projector.visualize_embeddings(str(folder), config)
    if not any(folder.glob("events.*")):
        tf.summary.create_file_writer(str(folder)).close()


def _cell(name: str) -> str:
    return " ".join(name.split()) or "?"


def _replace(path, lines):
    beside = path.with_suffix(".writing")
    with beside.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines)
    beside.replace(path)

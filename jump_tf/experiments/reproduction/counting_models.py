"""Counting models of the next click, which stand beside those that are trained.

They are too slow to stand in every evaluation.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jump_tf import schema
from jump_tf.baselines import choice
from jump_tf.baselines import decayed_markov
from jump_tf.baselines import session_knn
from jump_tf.baselines import vstan
from jump_tf.baselines.base import Scorer
from jump_tf.data import click_log
from jump_tf.data import folders
from jump_tf.evaluate.sessions import baselines
from jump_tf.evaluate.sessions import evaluation
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions
from jump_tf.evaluate.sessions import slices
from jump_tf.experiments.reproduction import experiment
from jump_tf.reporting import files


@dataclasses.dataclass(frozen=True)
class CountingModel:
    """A counting model of the next click, and what it is chosen from.

    Attributes:
        kind: of the model; settings are its keyword arguments.
        grid: the settings that validation chooses from.
    """

    kind: Callable[..., Scorer]
    grid: Sequence[Mapping[str, Any]] = ({},)


MODELS: dict[str, CountingModel] = {
    "S-kNN": CountingModel(session_knn.SKNN),
    "VS-kNN": CountingModel(session_knn.VSKNN),
    "VSTAN": CountingModel(vstan.VSTAN, vstan.GRID),
    "decayed-Markov": CountingModel(
        decayed_markov.DecayedMarkov, decayed_markov.GRID
    ),
    "decayed-Markov-refreshed": CountingModel(
        functools.partial(decayed_markov.DecayedMarkov, refreshed=True),
        decayed_markov.GRID,
    ),
}


def measure(name: str, run: pathlib.Path, data: pathlib.Path) -> None:
    """Fits one of `MODELS` and writes its evaluation on the test split.

    None reads a dwell; at `page_leave` they are asked later.
    """
    size = schema.FIRST_ITEM_ID + folders.read_manifest(data)["num_items"]
    past, held_out, log = (
        click_log.read(data, split) for split in schema.SPLITS
    )
    fitted, settings = choice.fit_best(
        MODELS[name].kind,
        MODELS[name].grid,
        baselines.with_a_clock(past),
        baselines.with_a_clock(held_out),
        size,
    )
    clicks = predictions.read_clicks(data, schema.TEST)
    chosen = [f"{key}={value:g}" for key, value in settings.items()]
    counts = np.bincount(past.item, minlength=size)
    for moment in schema.MOMENTS:
        asked = baselines.with_a_clock(log, moment)
        result, table = _measured(fitted, clicks, asked, counts)
        evaluation.write_evaluation(
            run, {**result, "moment": moment, "settings": chosen}, table
        )


def _measured(fitted, clicks, log, counts):
    """The evaluation of a counting model at a moment, and its table."""
    table = baselines.prediction_tables({"": fitted}, clicks, log)[""]
    measures = prediction_table.measures(table)
    (judged,) = prediction_table.judge([table], experiment.REPLICATES)
    result = {
        "split": schema.TEST,
        "ties": "conservative",
        **judged.numbers,
        "intervals": judged.intervals,
        "unseen": metrics.unseen(clicks),
        "slices": slices.slices(clicks, counts, measures),
    }
    return files.plain(result), table

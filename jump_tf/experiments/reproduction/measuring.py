"""The numbers of a run: evaluated once, compared once, then read."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from jump_tf import schema
from jump_tf.evaluate import comparison
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.experiments.reproduction import bars
from jump_tf.reporting.files import EVALUATION_FOLDER
from jump_tf.reporting.files import plain
from jump_tf.reporting.files import write_json
from jump_tf.runs import model_factory

REPLICATES = 500


def path(run: pathlib.Path, moment: str, kind: str = "json") -> pathlib.Path:
    """A file of a run's evaluation on the test split."""
    folder = run / EVALUATION_FOLDER
    return folder / f"{schema.TEST}.{moment}.{kind}"


def is_measured(run: pathlib.Path) -> bool:
    """Whether the run is evaluated at both moments."""
    return all(
        path(run, moment, kind).is_file()
        for moment in schema.MOMENTS
        for kind in ("json", "clicks.npz")
    )


def read(run: pathlib.Path, moment: str) -> dict[str, Any]:
    """The evaluation of a run."""
    return json.loads(path(run, moment).read_text())


def measure_run(run: pathlib.Path, data: pathlib.Path) -> None:
    """Evaluates a trained run on the test split, at both moments."""
    session_evaluation.evaluate_moments(model_factory.load_run(run), data, run)


def measure_bar(name: str, run: pathlib.Path, data: pathlib.Path) -> None:
    """Fits and evaluates a bar; the same at both moments."""
    result, table = bars.measure(bars.BARS[name], data)
    for moment in schema.MOMENTS:
        session_evaluation.write_evaluation(
            run, {**result, "moment": moment}, table
        )


def compared(
    mine: Sequence[pathlib.Path], theirs: Sequence[pathlib.Path], moment: str
) -> dict[str, Any]:
    """Differences of two models, kept until one is evaluated again.

    Args:
        mine: a model's runs, one for each seed.
        theirs: another's on the same data; the first keeps the file.
        moment: of asking.
    """
    files = [
        [path(run, moment, "clicks.npz") for run in runs]
        for runs in (mine, theirs)
    ]
    name = "-".join([*mine[0].parts[-2:], f"{len(mine)}-{len(theirs)}"])
    kept = path(theirs[0], moment, f"against-{name}.json")
    newest = max(file.stat().st_mtime for each in files for file in each)
    if kept.is_file() and kept.stat().st_mtime >= newest:
        return json.loads(kept.read_text())
    first, second = (
        [prediction_table.read(one) for one in each] for each in files
    )
    judged = prediction_table.judge([*first, *second], REPLICATES)
    result = comparison.compare(judged[: len(mine)], judged[len(mine) :])
    write_json(kept, result)
    return plain(result)

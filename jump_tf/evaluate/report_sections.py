"""The report of a run: what those on sessions and on lists have alike."""

import html
import json
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jump_tf import schema
from jump_tf.reporting import figures
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.files import EVALUATION_FOLDER
from jump_tf.reporting.tables import NO_LOSS
from jump_tf.reporting.tables import numbers
from jump_tf.runs import folder as runs_folder

REPORT_FILE = "report.html"


def write(
    run_folder: str | pathlib.Path,
    files: Iterable[str],
    sections: Callable[[list[dict[str, Any]]], Iterable[str]],
    curves: Sequence[tuple[str, str]],
) -> pathlib.Path:
    """Writes `report.html`, one file that needs no other, into a run folder.

    What the run lacks is said in a sentence.

    Args:
        run_folder: of a run that was evaluated.
        files: names of evaluation files, in the order in which they are shown;
            of those that are not there, nothing is said.
        sections: makes sections of what the files hold.
        curves: names in `metrics.jsonl` to what the curves are called.

    Returns:
        The path of the report.

    Raises:
        InputError: the run was never evaluated, or matplotlib is missing.
    """
    run = pathlib.Path(run_folder)
    results = _results(run, files)
    # The run's folder and the one it is in, for many are called `run`.
    title = "/".join(run.resolve().parts[-2:])
    described = (
        ("Configuration", runs_folder.CONFIG_FILE),
        ("Data", runs_folder.DATA_FILE),
        ("Environment", runs_folder.ENVIRONMENT_FILE),
    )
    body = [
        f"<h1>{html.escape(title)}</h1>",
        *sections(results),
        reporting_html.section("Training", _training(run, curves)),
        reporting_html.section(
            "What it was",
            *(
                reporting_html.folded(name, _file(run / file))
                for name, file in described
            ),
        ),
    ]
    return reporting_html.write(run / REPORT_FILE, f"{title}: report", body)


def losses(sentences: Iterable[str]) -> str:
    """What is lost to whom, a paragraph each, or that nothing is."""
    lost = "".join(reporting_html.paragraph(text, "lost") for text in sentences)
    return lost or reporting_html.paragraph(NO_LOSS)


def slice_table(by: str, slices: Mapping[str, Mapping[str, Any]]) -> str:
    """Numbers of each part, nothing where there is none."""
    if not slices:
        return ""
    names = list(next(iter(slices.values())))
    return reporting_html.table(
        [by, *(name.replace("_", " ") for name in names)],
        ([label, *numbers(part, names)] for label, part in slices.items()),
    )


def _results(run, files) -> list[dict[str, Any]]:
    # What else is there, such as comparisons, is no evaluation.
    folder = run / EVALUATION_FOLDER
    there = [folder / name for name in files if (folder / name).is_file()]
    if not there:
        raise schema.InputError(
            f"The run must be evaluated first: `jump-tf evaluate --run {run}`. "
            f"Received: {run}, which has no {EVALUATION_FOLDER}/"
        )
    return [json.loads(file.read_text()) for file in there]


def _training(run, curves) -> str:
    history = runs_folder.read_history(run)
    if not history:
        return reporting_html.paragraph(
            f"The run has no {runs_folder.METRICS_FILE}."
        )
    drawn = figures.training_curves(history, curves)
    return reporting_html.image(drawn, "training curves")


def _file(path) -> str:
    if not path.is_file():
        return reporting_html.paragraph(f"The run has no {path.name}.")
    return f"<pre>{html.escape(path.read_text(encoding='utf-8'))}</pre>"

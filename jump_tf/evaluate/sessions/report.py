"""One page that tells what a run was, and how good it is."""

import html
import itertools
import json
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.evaluate.sessions import evaluation
from jump_tf.evaluate.sessions import figures
from jump_tf.evaluate.sessions import tables
from jump_tf.reporting import html as reporting_html
from jump_tf.runs import folder as runs_folder

REPORT_FILE = "report.html"
_DETAILS = (
    "ties",
    "recall_at_20_standard_ties",
    "mrr_at_20_standard_ties",
    "ndcg_at_20_standard_ties",
    "num_lists",
    "coverage_at_20",
    "popularity_at_20",
    "gini_at_20",
    "num_predictions",
    "num_dwells",
    "num_dwells_all_clicks",
    "dwell_median_absolute_error_seconds",
    "dwell_log_mae",
    "dwell_nll_last_clicks",
    "dwell_mae_skill",
    "dwell_nll_skill",
    "dwell_crps_skill",
    "dwell_integrated_brier",
    "dwell_concordance",
    "dwell_calibration_error",
    "dwell_kaplan_meier_error",
    "dwell_mae_constant_median_seconds",
    "dwell_mae_constant_median_all_clicks_seconds",
    "session_end_log_loss",
    "session_end_log_loss_constant",
)


def write_report(run_folder: str | pathlib.Path) -> pathlib.Path:
    """Writes `report.html`, one file that needs no other, into a run folder.

    What the run lacks is said in a sentence.

    Args:
        run_folder: of a run that was evaluated.

    Returns:
        The path of the report.

    Raises:
        InputError: the run was never evaluated, or matplotlib is missing.
    """
    run = pathlib.Path(run_folder)
    results = _results(run)
    body = [
        f"<h1>{html.escape(_name(run))}</h1>",
        reporting_html.section("Results", *map(_split, _by_split(results))),
        reporting_html.section("Training", _training(run)),
        reporting_html.section("Where it is good", *map(_slices, results)),
        reporting_html.section(
            "Is the dwell law right?", *map(_calibration, results)
        ),
        reporting_html.section("What attention looks at", _attention(results)),
        reporting_html.section(
            "Configuration", _file(run / runs_folder.CONFIG_FILE)
        ),
        reporting_html.section("Data", _file(run / runs_folder.DATA_FILE)),
        reporting_html.section(
            "Environment", _file(run / runs_folder.ENVIRONMENT_FILE)
        ),
    ]
    return reporting_html.write(
        run / REPORT_FILE, f"{_name(run)}: report", body
    )


def _name(run) -> str:
    """The run's folder and the one it is in, for many are called `run`."""
    return "/".join(run.resolve().parts[-2:])


def _results(run) -> list[dict[str, Any]]:
    # What else is there, such as comparisons, is no evaluation.
    ours = {
        f"{split}.{moment}.json"
        for split in schema.SPLITS
        for moment in schema.MOMENTS
    }
    folder = run / evaluation.EVALUATION_FOLDER
    files = [
        file for file in sorted(folder.glob("*.json")) if file.name in ours
    ]
    if not files:
        raise schema.InputError(
            f"The run must be evaluated first: `jump-tf evaluate --run {run}`. "
            f"Received: {run}, which has no {evaluation.EVALUATION_FOLDER}/"
        )
    return [json.loads(file.read_text()) for file in files]


def _by_split(results) -> list[list[dict[str, Any]]]:
    """The moments of asking of each split."""
    return [
        [result for result in results if result["split"] == split]
        for split in dict.fromkeys(result["split"] for result in results)
    ]


def _split(results) -> str:
    moments = [result["moment"] for result in results]
    title = f"{results[0]['split']}, {' and '.join(moments)}"
    parts = [f"<h3>{html.escape(title)}</h3>"]
    for header, *rows in tables.tables(results):
        parts.append(reporting_html.table(header, rows))
    lost = any(map(tables.losses_to_baselines, results))
    for sentence in tables.verdict(results):
        parts.append(reporting_html.paragraph(sentence, "lost" if lost else ""))
    named = [_details(result) for result in results]
    rows = [
        [name, *(details.get(name, "-") for details in named)]
        for name in dict.fromkeys(itertools.chain(*named))
    ]
    parts.append(reporting_html.table(["further numbers", *moments], rows))
    return "".join(parts)


def _details(result) -> dict[str, str]:
    details = {name: result[name] for name in _DETAILS if name in result}
    for name, unit in (
        ("dwell_pinball_at", ""),
        ("dwell_brier_at", " s"),
        ("dwell_coverage_at", " %"),
    ):
        details |= {
            f"{name} {at}{unit}": value
            for at, value in result.get(name, {}).items()
        }
    details |= {f"unseen {name}": n for name, n in result["unseen"].items()}
    return {name: _number(value) for name, value in details.items()}


def _slices(result) -> str:
    parts = [_title(result)]
    for by, slices in result["slices"].items():
        if not slices:
            continue
        columns = list(next(iter(slices.values())))
        rows = [
            [label, *(_number(numbers[name]) for name in columns)]
            for label, numbers in slices.items()
        ]
        parts.append(reporting_html.table([by, *columns], rows))
    return "".join(parts)


def _calibration(result) -> str:
    if not result.get("dwell_learned", True):
        return _title(result) + "<p>The model learns no dwell.</p>"
    if not result["num_dwells"]:
        return _title(result) + "<p>The split has no dwell to judge by.</p>"
    figure = figures.dwell_calibration(result["dwell_calibration"])
    return _title(result) + reporting_html.image(figure, "dwell calibration")


def _attention(results) -> str:
    for result in results:
        if examples := result.get("attention"):
            figure = reporting_html.image(
                figures.attention(examples), "attention weights"
            )
            return _title(result) + figure
    return "<p>The evaluation holds no attention weights.</p>"


def _training(run) -> str:
    history = runs_folder.read_history(run)
    if not history:
        return f"<p>The run has no {runs_folder.METRICS_FILE}.</p>"
    return reporting_html.image(
        figures.training_curves(history), "training curves"
    )


def _file(path) -> str:
    if not path.is_file():
        return f"<p>The run has no {path.name}.</p>"
    return f"<pre>{html.escape(path.read_text(encoding='utf-8'))}</pre>"


def _title(result) -> str:
    title = f"{result['split']}, {result['moment']}"
    return f"<h3>{html.escape(title)}</h3>"


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)

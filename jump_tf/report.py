"""One page that tells what a run was, and how good it is."""

import base64
import html
import json
import pathlib
from collections.abc import Iterable
from typing import Any

from jump_tf import evaluation
from jump_tf import evaluation_table
from jump_tf import plots
from jump_tf import runs
from jump_tf import schema

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
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto;
  max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem;
  border-bottom: 1px solid #ddd; } h3 { font-size: 1rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #e6e6e6;
  text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; } img { max-width: 100%; height: auto; }
p.lost { border-left: 4px solid #b8860b; padding-left: .8rem; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 13px; }
"""


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
        _section("Results", *map(_result, results)),
        _section("Training", _training(run)),
        _section("Where it is good", *map(_slices, results)),
        _section("Is the dwell law right?", *map(_calibration, results)),
        _section("What attention looks at", _attention(results)),
        _section("Configuration", _file(run / runs.CONFIG_FILE)),
        _section("Data", _file(run / runs.DATA_FILE)),
        _section("Environment", _file(run / runs.ENVIRONMENT_FILE)),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(_name(run))}: report</title>\n"
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    path = run / REPORT_FILE
    beside = path.with_suffix(".html.partial")
    beside.write_text(page, encoding="utf-8")
    return beside.replace(path)


def _name(run) -> str:
    """The run's folder and the one it is in, for many are called `run`."""
    return "/".join(run.resolve().parts[-2:])


def _results(run) -> list[dict[str, Any]]:
    files = sorted((run / evaluation.EVALUATION_FOLDER).glob("*.json"))
    if not files:
        raise schema.InputError(
            f"The run must be evaluated first: `jump-tf evaluate --run {run}`. "
            f"Received: {run}, which has no {evaluation.EVALUATION_FOLDER}/"
        )
    return [json.loads(file.read_text()) for file in files]


def _result(result) -> str:
    header, *rows = evaluation_table.table_rows(result)
    details = [[n, _number(result[n])] for n in _DETAILS if n in result]
    for name, unit in (
        ("dwell_pinball_at", ""),
        ("dwell_brier_at", " s"),
        ("dwell_coverage_at", " %"),
    ):
        details += [
            [f"{name} {at}{unit}", _number(value)]
            for at, value in result.get(name, {}).items()
        ]
    details += [
        [f"unseen {name}", _number(value)]
        for name, value in result["unseen"].items()
    ]
    lost = evaluation_table.losses_to_baselines(result)
    return "".join(
        [
            _title(result),
            _table(header, rows),
            *(f'<p class="lost">{html.escape(loss)}</p>' for loss in lost),
            "" if lost else "<p>No baseline beats the model.</p>",
            _table(["further numbers", ""], details),
        ]
    )


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
        parts.append(_table([by, *columns], rows))
    return "".join(parts)


def _calibration(result) -> str:
    if not result.get("dwell_learned", True):
        return _title(result) + "<p>The model learns no dwell.</p>"
    if not result["num_dwells"]:
        return _title(result) + "<p>The split has no dwell to judge by.</p>"
    figure = plots.dwell_calibration(result["dwell_calibration"])
    return _title(result) + _image(figure, "dwell calibration")


def _attention(results) -> str:
    for result in results:
        if examples := result.get("attention"):
            figure = _image(plots.attention(examples), "attention weights")
            return _title(result) + figure
    return "<p>The evaluation holds no attention weights.</p>"


def _training(run) -> str:
    history = runs.read_history(run)
    if not history:
        return f"<p>The run has no {runs.METRICS_FILE}.</p>"
    return _image(plots.training_curves(history), "training curves")


def _file(path) -> str:
    if not path.is_file():
        return f"<p>The run has no {path.name}.</p>"
    return f"<pre>{html.escape(path.read_text(encoding='utf-8'))}</pre>"


def _title(result) -> str:
    title = f"{result['split']}, {result['moment']}"
    return f"<h3>{html.escape(title)}</h3>"


def _section(title: str, *parts: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n" + "\n".join(parts)


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    def row(cells, tag):
        inner = "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)
        return f"<tr>{inner}</tr>"

    lines = [row(header, "th"), *(row(cells, "td") for cells in rows)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _image(png: bytes, what: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{what}" src="data:image/png;base64,{data}">'


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)

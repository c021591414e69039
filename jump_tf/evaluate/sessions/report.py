"""The report of a run on sessions."""

import html
import itertools
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.evaluate import report_sections
from jump_tf.evaluate.sessions import figures
from jump_tf.evaluate.sessions import metrics
from jump_tf.evaluate.sessions import tables
from jump_tf.reporting import figures as reporting_figures
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.tables import number

_BY_RULE = (*metrics.AT_20, "num_predictions")
_ELSEWHERE = (*tables.COMPARED, "split", "moment", "dwell_learned")


def write_report(run_folder: str | pathlib.Path) -> pathlib.Path:
    """Writes `report.html` into the folder of a run on sessions.

    The function `report_sections.write` says what is raised.
    """
    files = sorted(
        f"{split}.{moment}.json"
        for split in schema.SPLITS
        for moment in schema.MOMENTS
    )
    return report_sections.write(
        run_folder, files, _sections, reporting_figures.SESSION_CURVES
    )


def _sections(results) -> list[str]:
    section = reporting_html.section
    return [
        section("Results", *map(_split, _by_split(results))),
        section("Where it is good", *map(_slices, results)),
        section("Day by day", *map(_days, results)),
        section(
            "Is the dwell distribution right?", *map(_calibration, results)
        ),
        section("What attention looks at", _attention(results)),
    ]


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
    parts.append(report_sections.losses(tables.losses_of(results)))
    parts += map(reporting_html.paragraph, tables.left_out_of(results))
    named = [_details(result) for result in results]
    rows = [
        [name, *(details.get(name, "-") for details in named)]
        for name in dict.fromkeys(itertools.chain(*named))
    ]
    parts.append(reporting_html.table(["further numbers", *moments], rows))
    return "".join(parts)


def _details(result) -> dict[str, str]:
    details = {
        name: value
        for name, value in result.items()
        if not isinstance(value, dict | list)
        and name not in _ELSEWHERE
        and not name.startswith(_BY_RULE)
    }
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
    return {name: number(value) for name, value in details.items()}


def _slices(result) -> str:
    slices = {"what is ranked, and how": tables.rules(result)}
    slices |= result["slices"]
    parts = itertools.starmap(report_sections.slice_table, slices.items())
    return _title(result) + "".join(parts)


def _days(result) -> str:
    made = [
        reporting_html.table(header, rows)
        for header, *rows in tables.rolling(result)
    ]
    if not made:
        made = ["<p>It was not judged day by day (--rolling).</p>"]
    return _title(result) + "".join(made)


def _calibration(result) -> str:
    if not result.get("dwell_learned", True):
        return _title(result) + "<p>The model learns no dwell.</p>"
    if not result["num_dwells"]:
        return _title(result) + "<p>The split has no dwell to judge by.</p>"
    figure = figures.dwell_calibration(result["dwell_calibration"])
    image = reporting_html.image(figure, "dwell calibration")
    return _title(result) + image + _coverage(result)


def _coverage(result) -> str:
    """What central intervals hold, of all dwells and by session length."""
    found = {"all": result["dwell_coverage_at"]}
    # Evaluations of version 0.2.0 have no such parts.
    parts = result.get("dwell_coverage_by_session_length", {})
    found |= {f"session length {name}": at for name, at in parts.items()}
    header = ["dwells within", *(f"{at} %" for at in found["all"])]
    rows = [[name, *map(number, at.values())] for name, at in found.items()]
    return reporting_html.table(header, rows)


def _attention(results) -> str:
    for result in results:
        if examples := result.get("attention"):
            figure = reporting_html.image(
                figures.attention(examples), "attention weights"
            )
            return _title(result) + figure
    return "<p>The evaluation holds no attention weights.</p>"


def _title(result) -> str:
    title = f"{result['split']}, {result['moment']}"
    return f"<h3>{html.escape(title)}</h3>"

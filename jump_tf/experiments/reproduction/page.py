"""`results.json` and the page that tells what it says."""

import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import figures
from jump_tf.experiments.reproduction import reading
from jump_tf.experiments.reproduction import sentences
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction import tables
from jump_tf.reporting import files as evaluation_files
from jump_tf.reporting import html

RESULTS_FILE = "results.json"
REPORT_FILE = "report.html"
Tree = dict[str, Any]
_TITLE = "JUMP, reproduced"


def write(folder: pathlib.Path, results: Tree) -> pathlib.Path:
    """Writes `results.json` and `report.html`; returns the latter's path."""
    folder.mkdir(parents=True, exist_ok=True)
    evaluation_files.write_json(folder / RESULTS_FILE, results)
    return html.write(folder / REPORT_FILE, _TITLE, _body(results))


def _body(results) -> list[str]:
    return [
        f"<h1>{_TITLE}</h1>",
        html.paragraph(_summary(results)),
        _missing(results),
        html.section("What came out", *_for_logs(results, _verdicts)),
        html.section("Table 1: the logs", _statistics(results)),
        html.section(
            "Table 2: the next click",
            *_for_logs(results, _metrics, reading.CLICK_METRICS),
        ),
        html.section(
            "Table 3: the dwell",
            *_for_logs(results, _metrics, reading.DWELL_METRICS),
        ),
        html.section("What each part is good for", *_ablations(results)),
        html.section("Figure 2: dwells", *_for_logs(results, _dwell)),
        html.section("Figure 5: one task against the other", *_trade(results)),
        html.section("Figure 6: the size of the model", _sizes(results)),
        html.section(
            "Figure 7: short and long sessions", *_for_logs(results, _lengths)
        ),
        html.section("How it was measured", *_measured(results)),
    ]


def _summary(results) -> str:
    todo = results["runs"]
    there = sum(run["state"] == "done" for run in todo)
    models = len(results["request"]["models"])
    return (
        f"{models} models on {len(results['data'])} logs; {there} of "
        f"{len(todo)} runs are done. After “JUMP: A Joint Predictor for User "
        "Click and Dwell Time”, IJCAI 2018. All numbers of this page are in "
        f"{RESULTS_FILE} beside it."
    )


def _missing(results) -> str:
    lacking = tables.missing(results)
    if not lacking:
        return ""
    return html.paragraph(
        f"{len(lacking)} runs are missing; the same command goes on with them.",
        "lost",
    ) + html.folded("Which ones", html.bullets(lacking))


def _for_logs(results, make, *more) -> list[str]:
    """What there is to show of each log, or one sentence that it is not."""
    parts = [make(results, data, *more) for data in results["data"]]
    made = [part for part in parts if part]
    return made or [html.paragraph("No run of this is done yet.")]


def _heading(data) -> str:
    return f"<h3>{data}</h3>"


def _verdicts(results, data) -> str:
    said = list(sentences.verdicts(results, data, schema.PAGE_LEAVE))
    if not said:
        return ""
    later = list(sentences.verdicts(results, data, schema.PAGE_LOAD))
    return (
        _heading(data)
        + html.bullets(said)
        + html.folded(
            f"The same with {reading.MOMENTS[schema.PAGE_LOAD]}",
            html.bullets(later),
        )
    )


def _statistics(results) -> str:
    notes = [
        f"{data}: {sentence}"
        for data in results["data"]
        for sentence in sentences.unlike(results, data)
    ]
    return tables.statistics(results) + html.bullets(notes)


def _metrics(results, data, names) -> str:
    if reading.reference(results, data) is None:
        return ""
    leave, load = (
        tables.metrics(results, data, moment, names)
        for moment in schema.MOMENTS
    )
    return (
        _heading(data)
        + html.paragraph(f"With {reading.MOMENTS[schema.PAGE_LEAVE]}:", "note")
        + leave
        + html.folded(
            f"The same with {reading.MOMENTS[schema.PAGE_LOAD]}", load
        )
    )


def _ablations(results) -> list[str]:
    made = [
        _heading(data)
        + tables.ablations(results, data, schema.PAGE_LEAVE)
        + html.folded(
            f"The same with {reading.MOMENTS[schema.PAGE_LOAD]}",
            tables.ablations(results, data, schema.PAGE_LOAD),
        )
        for data in results["data"]
        if reading.done(results, data, steps.ABLATIONS)
        and reading.reference(results, data)
    ]
    return made or [html.paragraph("No run of this is done yet.")]


def _dwell(results, data) -> str:
    facts = results["data"][data]
    if "dwell" not in facts:
        return ""
    caption = sentences.law(results, data)
    return html.figure(figures.dwell(facts), f"dwells of {data}", caption)


def _trade(results) -> list[str]:
    made = [
        html.figure(png, what, caption)
        for png, what, caption in (
            (
                figures.trade_off(results),
                "recall and dwell error by sigma",
                "The paper's sigma is scale and trade-off in one: the weight "
                "of the dwell is 1 / sigma².",
            ),
            (
                figures.front(results),
                "recall against CRPS by weight",
                "Where the scale is learned and the weight a number of its "
                "own: each point is a training at the weight beside it.",
            ),
        )
        if png
    ]
    return made or [html.paragraph("No run of this is done yet.")]


def _sizes(results) -> str:
    png = figures.sizes(results)
    if png is None:
        return html.paragraph("No run of this is done yet.")
    return html.figure(png, "recall by size", "Units are the size of all.")


def _lengths(results, data) -> str:
    png = figures.lengths(results, data)
    if png is None:
        return ""
    what = f"{data}, by session length"
    return html.figure(png, what, f"{data}, the paper's groups and between.")


def _measured(results) -> list[str]:
    parts = [
        html.paragraph(sentences.conventions()),
        html.paragraph(sentences.budget(results)),
    ]
    if changed := sentences.changes(results):
        parts.append(html.paragraph(changed))
    for data in results["data"]:
        if reading.reference(results, data):
            costs = tables.costs(results, data)
            parts.append(html.folded(f"Trainings on {data}", costs))
    return parts

"""The page that tells how HEROES stands beside others."""

import html
import math
import pathlib
from typing import Any

from jump_tf.evaluate.lists import baselines as list_baselines
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments.reproduction import list_comparison
from jump_tf.experiments.reproduction.plan import Plan
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.tables import is_lost

REPORT_FILE = "report.html"
_TITLE = "HEROES beside others"
_FEEDBACK = {
    list_predictions.KNOWN: "With the feedback on earlier items known",
    list_predictions.FREE: "With no feedback known: the list scored before "
    "anybody has seen it",
}
BETTER, LEVEL = "**", " ~"
Tree = dict[str, Any]


def reproduce(
    plan: Plan, results: pathlib.Path, **options: Any
) -> pathlib.Path:
    """Trains, compares, and writes `report.html`; returns its path.

    Args:
        plan: see `list_comparison.compare`, as the options.
        results: the folder of everything.
        **options: of `list_comparison.compare`.
    """
    tree = list_comparison.compare(plan, results, **options)
    return reporting_html.write(results / REPORT_FILE, _TITLE, _body(tree))


def table(tree: Tree, data: str, feedback: str) -> list[list[str]]:
    """A header and a row for each model, then for each bar.

    **x** is significantly better than the reference, `x ~` level with it: the
    interval of the difference holds zero.
    """
    found = tree["data"][data]
    header = ["", *(name.replace("_", " ") for name in list_comparison.METRICS)]
    rows = [header]
    for label, numbers in found[feedback].items():
        rows.append(
            [
                f"{tree['models'][label]} ({_seeds(numbers)})",
                *(cell(numbers, name) for name in list_comparison.METRICS),
            ]
        )
    for name, numbers in found["bars"].items():
        if (
            feedback == list_predictions.FREE
            and name == list_baselines.SINCE_CLICK
        ):
            continue  # It knows the feedback.
        rows.append(
            [
                name,
                *(
                    number(numbers.get(metric))
                    for metric in list_comparison.METRICS
                ),
            ]
        )
    return rows


def cell(numbers: Tree, name: str) -> str:
    """A model's number, marked as `table` says."""
    mean = number(numbers["mean"][name])
    if "lead" not in numbers:
        low, high = numbers["intervals"][name]
        return f"{mean} ± {(high - low) / 2:.4f}"
    low, high = numbers["lead"][name]
    if not low <= high:  # Not a number: nothing was there to predict.
        return mean
    if low <= 0.0 <= high:
        return mean + LEVEL
    better = is_lost(name, low, 0.0)
    return f"{BETTER}{mean}{BETTER}" if better else mean


def _seeds(numbers) -> str:
    seeds = numbers["seeds"]
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    return f"{len(seeds)} seeds"


def number(value: float | None) -> str:
    """Four places; nothing where it is not a number."""
    known = value is not None and math.isfinite(value)
    return f"{value:.4f}" if known else ""


def _body(tree) -> list[str]:
    reference = tree["title"]
    parts = [
        f"<h1>{_TITLE}</h1>",
        reporting_html.paragraph(
            f"Means over the seeds that there are, which the rows say; ± is "
            "half the 95 % interval of a bootstrap over lists. Bold is better "
            f"than {reference} with the same seeds, ~ level with it (the "
            "paired interval holds zero), all else worse. Hazards have no "
            "log loss to compare. "
            "“the label leaks” sees the answer: it shows what the authors' "
            "protocol would have reported. No result of theirs could be read, "
            "so none is quoted."
        ),
    ]
    for data in tree["data"]:
        tables = [
            f"<h3>{html.escape(title)}</h3>"
            + _html(table(tree, data, feedback))
            for feedback, title in _FEEDBACK.items()
        ]
        parts.append(reporting_html.section(html.escape(data), *tables))
    return parts


def _html(rows) -> str:
    header, *body = rows
    return reporting_html.table(
        header,
        [
            [
                reporting_html.Cell(
                    cell.strip("*"), "", cell.startswith(BETTER)
                )
                for cell in row
            ]
            for row in body
        ],
    )

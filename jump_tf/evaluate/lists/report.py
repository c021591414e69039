"""One page that tells what a run on lists was, and how good it is."""

import html
import json
import pathlib
from typing import Any

from jump_tf import schema
from jump_tf.evaluate.lists import baselines
from jump_tf.evaluate.lists import columns
from jump_tf.evaluate.lists import figures
from jump_tf.evaluate.lists import metrics
from jump_tf.evaluate.lists import tables
from jump_tf.reporting import figures as reporting_figures
from jump_tf.reporting import files as evaluation_files
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.tables import number
from jump_tf.runs import folder as runs_folder

REPORT_FILE = "report.html"
_FURTHER = (
    *(f"ndcg{suffix}" for suffix in ("", *(f"_at_{k}" for k in metrics.CUTS))),
    *(f"map{suffix}" for suffix in ("", *(f"_at_{k}" for k in metrics.CUTS))),
    "group_auc_unweighted",
    "calibration_noise",
    "accuracy",
    "f1",
    "rate",
    "num_items",
    "num_lists",
    "num_lists_without",
    "num_lists_both",
)
_ON_ORDER = (
    "NDCG and MAP are of the items of a list in the order of their "
    "probabilities. With feedback known, each probability is of the moment at "
    "which its item is reached, so that nobody could have shown that order; "
    "with none known, they could. Equal probabilities are at their expected "
    "value. Calibration is best where the error is no more than chance and "
    "the ratio is 1, which says nothing of who tells items apart."
)
_BARS = (
    f"{baselines.CONSTANT}: the rate of all items of the training split.",
    f"{baselines.POSITION}: the rate by the place in the list.",
    f"{baselines.SINCE_CLICK}: the rate by the places since the last click, "
    "which only those know who are told the feedback on earlier items.",
    f"{baselines.FIELD}<name>: the rate by the item's feature in that field, "
    "drawn towards the rate of all.",
    f"{baselines.BEST_FIELD}: the rate by the field whose log loss is least on "
    "validation, one field for clicks and one for conversions.",
)


def write_report(run_folder: str | pathlib.Path) -> pathlib.Path:
    """Writes `report.html`, one file that needs no other, into a run folder.

    What the run lacks is said in a sentence.

    Args:
        run_folder: of a run on lists that was evaluated.

    Returns:
        The path of the report.

    Raises:
        InputError: the run was never evaluated, or matplotlib is missing.
    """
    run = pathlib.Path(run_folder)
    results = _results(run)
    title = "/".join(run.resolve().parts[-2:])
    body = [
        f"<h1>{html.escape(title)}</h1>",
        *(part for result in results for part in _result(result)),
        reporting_html.section("Training", _training(run)),
        reporting_html.section(
            "What it was",
            *(
                reporting_html.folded(name, _file(run / file))
                for name, file in (
                    ("Configuration", runs_folder.CONFIG_FILE),
                    ("Data", runs_folder.DATA_FILE),
                    ("Environment", runs_folder.ENVIRONMENT_FILE),
                )
            ),
        ),
    ]
    return reporting_html.write(run / REPORT_FILE, f"{title}: report", body)


def _results(run) -> list[dict[str, Any]]:
    folder = run / evaluation_files.EVALUATION_FOLDER
    files = [
        file
        # The test split first, then those that training has seen.
        for split in reversed(schema.SPLITS)
        if (file := folder / f"{split}.json").is_file()
    ]
    if not files:
        raise schema.InputError(
            f"The run must be evaluated first: `jump-tf evaluate --run {run}`. "
            f"Received: {run}, which has no {folder.name}/<split>.json"
        )
    return [json.loads(file.read_text()) for file in files]


def _result(result) -> list[str]:
    """All sections about a split."""
    split = result["split"]
    modes = {
        label.removeprefix(f"{tables.MODEL}, "): result[mode]
        for mode, label in tables.MODES.items()
        if mode in result
    }
    return [
        reporting_html.section(
            f"Results on {split}",
            reporting_html.paragraph(tables.summary(result) + "."),
            *(
                reporting_html.paragraph(text, "lost")
                for text in tables.warnings(result)
            ),
            reporting_html.figure(
                figures.margins(result, "auc"),
                f"AUC against bars, {split}",
                "How far the AUC of the model is above that of each bar, with "
                "95 % intervals over resampled lists: blue is ahead, grey is "
                "within the noise, red is behind.",
            ),
            reporting_html.figure(
                figures.margins(result, "log_loss"),
                f"log loss against bars, {split}",
                "The same of the log loss, in nats an item; to the right, the "
                "model's is lower.",
            ),
            *(
                _table(result, target, title)
                for target, title in tables.TARGETS.items()
            ),
            _verdict(result),
            reporting_html.paragraph(_ON_ORDER, "note"),
            reporting_html.folded(
                "What the bars are", reporting_html.bullets(_BARS)
            ),
            reporting_html.folded("All metrics of the model", _further(result)),
        ),
        reporting_html.section(
            f"Are the probabilities right? ({split})",
            reporting_html.figure(
                figures.calibration(result),
                f"calibration, {split}",
                "Each point is a twentieth of the items, by probability, with "
                "the 95 % interval of what happened; on the dotted line, what "
                "was said to happen did. Scales are of square roots.",
            ),
            _calibration(result),
        ),
        reporting_html.section(
            f"Along the list ({split})",
            reporting_html.figure(
                figures.by_position(result, modes),
                f"rates by position, {split}",
                "Share of items that were clicked, of clicks that converted, "
                "and of items that did both, by place in the list, with 95 % "
                "intervals, and the mean probability that the model gave.",
            ),
            *(_slice(by, slices) for by, slices in result["slices"].items()),
        ),
    ]


def _table(result, target, title) -> str:
    """The model and the bars, intervals below numbers, the best in bold."""
    names = [f"{target}_{metric}" for metric in tables.SHOWN_METRICS]
    everyone = {
        tables.MODEL: result,
        **tables.others(result, target),
    }
    best = {
        name: _best([numbers.get(name) for numbers in everyone.values()], name)
        for name in names
    }
    rows: list[list[str | reporting_html.Cell]] = [
        [
            label,
            *(
                reporting_html.Cell(
                    number(numbers.get(name)),
                    _interval(numbers, name),
                    numbers.get(name) is not None
                    and numbers[name] == best[name],
                )
                for name in names
            ),
        ]
        for label, numbers in everyone.items()
    ]
    header = [metric.replace("_", " ") for metric in tables.SHOWN_METRICS]
    table = reporting_html.table(["", *header], rows, tables.MODEL)
    return f"<h3>{html.escape(title)}</h3>{table}"


def _best(values, name):
    known = [value for value in values if value is not None]
    if not known or "calibration" in name:
        return None
    smaller = name.endswith(tables.SMALLER_IS_BETTER)
    return min(known) if smaller else max(known)


def _interval(numbers, name) -> str:
    low, high = numbers["intervals"].get(name, (None, None))
    return "" if low is None else f"{number(low)} to {number(high)}"


def _verdict(result) -> str:
    lost = tables.losses_to_bars(result)
    if not lost:
        return reporting_html.paragraph("No bar beats the model.")
    return "".join(reporting_html.paragraph(text, "lost") for text in lost)


def _further(result) -> str:
    rows: list[list[str | reporting_html.Cell]] = [
        [
            metric.replace("_", " "),
            *(
                reporting_html.Cell(
                    _value(result.get(f"{target}_{metric}")),
                    _interval(result, f"{target}_{metric}"),
                )
                for target in columns.TARGETS
            ),
        ]
        for metric in (*tables.SHOWN_METRICS, *_FURTHER)
    ]
    return reporting_html.table(["", *columns.TARGETS], rows)


def _calibration(result) -> str:
    sentences = []
    for target in columns.TARGETS:
        error = result[f"{target}_calibration_error"]
        if error is None or result[f"{target}_calibration_ratio"] is None:
            continue
        sentences.append(
            f"{figures.LABELS[target]}: off by {number(error)} on average, "
            f"where {number(result[f'{target}_calibration_noise'])} would be "
            "chance; it predicts "
            f"{result[f'{target}_calibration_ratio']:.3f} times as many "
            "positives as there were."
        )
    return reporting_html.bullets(sentences)


def _slice(by, slices) -> str:
    if not slices:
        return ""
    names = list(next(iter(slices.values())))
    rows = [
        [label, *(_value(numbers.get(name)) for name in names)]
        for label, numbers in slices.items()
    ]
    header = [by.replace("_", " "), *(name.replace("_", " ") for name in names)]
    return reporting_html.folded(
        f"By {header[0]}", reporting_html.table(header, rows)
    )


def _training(run) -> str:
    history = runs_folder.read_history(run)
    if not history:
        return reporting_html.paragraph(
            f"The run has no {runs_folder.METRICS_FILE}."
        )
    figure = reporting_figures.training_curves(history, figures.CURVES)
    return reporting_html.image(figure, "training curves")


def _file(path) -> str:
    if not path.is_file():
        return reporting_html.paragraph(f"The run has no {path.name}.")
    return f"<pre>{html.escape(path.read_text(encoding='utf-8'))}</pre>"


def _value(value: Any) -> str:
    return str(value) if isinstance(value, int) else number(value)

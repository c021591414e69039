"""The report of a run on lists."""

import html
import pathlib

from jump_tf import schema
from jump_tf.evaluate import report_sections
from jump_tf.evaluate.lists import baselines
from jump_tf.evaluate.lists import figures
from jump_tf.evaluate.lists import predictions
from jump_tf.evaluate.lists import tables
from jump_tf.reporting import html as reporting_html
from jump_tf.reporting.tables import interval
from jump_tf.reporting.tables import lower_is_better
from jump_tf.reporting.tables import number

_ON_ORDER = (
    "NDCG and MAP are of the items of a list in the order of their "
    "probabilities. With feedback known, each probability is of the moment at "
    "which its item is reached, so that nobody could have shown that order; "
    "with none known, they could. Equal probabilities are at their expected "
    "value. Calibration is best where the error is no more than chance and "
    "the ratio is 1, which says nothing of who tells items apart."
)
_BASELINES = (
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
    """Writes `report.html` into the folder of a run on lists.

    The function `report_sections.write` says what is raised.
    """
    # The test split first, then those that training has seen.
    files = [f"{split}.json" for split in reversed(schema.SPLITS)]
    return report_sections.write(
        run_folder,
        files,
        lambda results: (part for one in results for part in _result(one)),
        figures.CURVES,
    )


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
                f"AUC against baselines, {split}",
                "How far the AUC of the model is above that of each baseline, "
                "with 95 % intervals over resampled lists: blue is ahead, grey "
                "is within the noise, red is behind.",
            ),
            reporting_html.figure(
                figures.margins(result, "log_loss"),
                f"log loss against baselines, {split}",
                "The same of the log loss, in nats an item; to the right, the "
                "model's is lower.",
            ),
            *(
                _table(result, target, title)
                for target, title in tables.TARGETS.items()
            ),
            report_sections.losses(tables.losses_to_baselines(result)),
            reporting_html.paragraph(_ON_ORDER, "note"),
            reporting_html.folded(
                "What the baselines are", reporting_html.bullets(_BASELINES)
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
            *(
                reporting_html.folded(
                    f"By {by.replace('_', ' ')}",
                    report_sections.slice_table(by, slices),
                )
                for by, slices in result["slices"].items()
            ),
        ),
    ]


def _table(result, target, title) -> str:
    """Model and baselines, intervals below numbers, the best in bold."""
    names = [f"{target}_{metric}" for metric in tables.SHOWN_METRICS]
    everyone = {tables.MODEL: result, **tables.others(result, target)}
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
                    interval(numbers, name),
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
    return min(known) if lower_is_better(name) else max(known)


def _further(result) -> str:
    first = f"{predictions.TARGETS[0]}_"
    names = [n.removeprefix(first) for n in result if n.startswith(first)]
    rows: list[list[str | reporting_html.Cell]] = [
        [
            metric.replace("_", " "),
            *(
                reporting_html.Cell(
                    number(result.get(f"{target}_{metric}")),
                    interval(result, f"{target}_{metric}"),
                )
                for target in predictions.TARGETS
            ),
        ]
        for metric in names
    ]
    return reporting_html.table(["", *predictions.TARGETS], rows)


def _calibration(result) -> str:
    sentences = []
    for target in predictions.TARGETS:
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

"""The evaluation of a run as a table and as sentences, for readers."""

from typing import Any

HIGHER_IS_BETTER = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
)
# A table each, or it would be too wide to read.
TABLES = (
    HIGHER_IS_BETTER,
    ("dwell_mae_seconds", "dwell_nll", "dwell_crps_seconds"),
    (
        "dwell_mae_all_clicks_seconds",
        "dwell_nll_all_clicks",
        "dwell_crps_all_clicks_seconds",
    ),
)
COMPARED = tuple(metric for table in TABLES for metric in table)


def losses_to_baselines(result: dict[str, Any]) -> list[str]:
    """One sentence for each baseline that is better in some number.

    A model that learns no dwell does not lose in what it was never asked.
    """
    sentences = []
    learned = result.get("dwell_learned", True)
    for name, theirs in result["baselines"].items():
        lost = [
            f"{metric} ({number(result.get(metric))} against "
            f"{number(theirs[metric])}{_noise(theirs, metric)})"
            for metric in COMPARED
            if theirs.get(metric) is not None
            and (learned or not metric.startswith("dwell"))
            and _is_lost(metric, result.get(metric), theirs[metric])
        ]
        if lost:
            sentences.append(f"The model loses to {name} in {', '.join(lost)}.")
    return sentences


def tables(result: dict[str, Any]) -> list[list[list[str]]]:
    """Rows of `TABLES`: a header, the model, its interval, the baselines."""
    return [_rows(result, metrics) for metrics in TABLES]


def format_table(result: dict[str, Any]) -> str:
    """The evaluation as text, with a sentence for what is lost to whom."""
    title = (
        f"{result['split']}, {result['moment']}: "
        f"{result['num_predictions']} clicks ranked, "
        f"{result['num_dwells']} dwells, ties lost"
        + ("" if result.get("dwell_learned", True) else ", no dwell learned")
    )
    verdict = losses_to_baselines(result) or ["No baseline beats the model."]
    texts = [aligned(rows) for rows in tables(result)]
    return "\n\n".join([title, *texts, "\n".join(verdict)])


def _rows(result, metrics):
    ends = [result["intervals"].get(metric, (None, None)) for metric in metrics]
    return [
        ["", *metrics],
        ["the model", *(number(result.get(metric)) for metric in metrics)],
        [
            "95 % interval",
            *(f"{number(low)} to {number(high)}" for low, high in ends),
        ],
        *(
            [name, *(number(numbers.get(metric)) for metric in metrics)]
            for name, numbers in result["baselines"].items()
            if any(numbers.get(metric) is not None for metric in metrics)
        ),
    ]


def aligned(rows: list[list[str]]) -> str:
    """Rows as text, the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    )


def _is_lost(metric, mine, theirs) -> bool:
    if mine is None:
        return True  # Against a number, what is none has lost.
    return mine < theirs if metric in HIGHER_IS_BETTER else mine > theirs


def _noise(theirs, metric) -> str:
    low, high = theirs["differences"][metric]
    noise = low is not None and low <= 0.0 <= high
    return ", within the noise" if noise else ""


def number(value: float | None) -> str:
    """A number of four digits; a dash for none."""
    return "-" if value is None else f"{value:.4f}"

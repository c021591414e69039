"""The evaluation of a run as a table and as sentences, for readers."""

from typing import Any

HIGHER_IS_BETTER = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
)
COMPARED = (
    *HIGHER_IS_BETTER,
    "dwell_mae_seconds",
    "dwell_nll",
    "dwell_crps_seconds",
    "dwell_mae_all_clicks_seconds",
    "dwell_nll_all_clicks",
    "dwell_crps_all_clicks_seconds",
)


def losses_to_baselines(result: dict[str, Any]) -> list[str]:
    """One sentence for each baseline that is better in some number.

    A model that learns no dwell does not lose in what it was never asked.
    """
    sentences = []
    learned = result.get("dwell_learned", True)
    for name, theirs in result["baselines"].items():
        lost = [
            f"{metric} ({_number(result.get(metric))} against "
            f"{_number(theirs[metric])}{_noise(theirs, metric)})"
            for metric in COMPARED
            if theirs.get(metric) is not None
            and (learned or not metric.startswith("dwell"))
            and _is_lost(metric, result.get(metric), theirs[metric])
        ]
        if lost:
            sentences.append(f"The model loses to {name} in {', '.join(lost)}.")
    return sentences


def table_rows(result: dict[str, Any]) -> list[list[str]]:
    """The model, its 95 % interval and the baselines; the header first."""
    names = list(result["baselines"])
    rows = [["", "model", "95 % interval", *names]]
    for metric in COMPARED:
        low, high = result["intervals"].get(metric, (None, None))
        numbers = [result["baselines"][name].get(metric) for name in names]
        rows.append(
            [
                metric,
                _number(result.get(metric)),
                f"{_number(low)} to {_number(high)}",
                *(_number(number) for number in numbers),
            ]
        )
    return rows


def format_table(result: dict[str, Any]) -> str:
    """The evaluation as text, with a sentence for what is lost to whom."""
    rows = table_rows(result)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ).rstrip()
        for row in rows
    ]
    title = (
        f"{result['split']}, {result['moment']}: "
        f"{result['num_predictions']} clicks ranked, "
        f"{result['num_dwells']} dwells, ties lost"
        + ("" if result.get("dwell_learned", True) else ", no dwell learned")
    )
    verdict = losses_to_baselines(result) or ["No baseline beats the model."]
    return "\n".join([title, "", *lines, "", *verdict])


def _is_lost(metric, mine, theirs) -> bool:
    if mine is None:
        return True  # Against a number, what is none has lost.
    return mine < theirs if metric in HIGHER_IS_BETTER else mine > theirs


def _noise(theirs, metric) -> str:
    low, high = theirs["differences"][metric]
    noise = low is not None and low <= 0.0 <= high
    return ", within the noise" if noise else ""


def _number(value) -> str:
    return "-" if value is None else f"{value:.4f}"

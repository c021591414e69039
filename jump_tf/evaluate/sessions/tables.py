"""The evaluation of a run as a table and as sentences, for readers."""

from collections.abc import Sequence
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


def verdict(results: Sequence[dict[str, Any]]) -> list[str]:
    """What is lost to whom, at each moment of asking if there are several."""
    lost = [
        f"At {result['moment']}: {sentence}" if len(results) > 1 else sentence
        for result in results
        for sentence in losses_to_baselines(result)
    ]
    return lost or ["No baseline beats the model."]


def tables(results: Sequence[dict[str, Any]]) -> list[list[list[str]]]:
    """Rows of `TABLES`: a header, the model, its interval, the baselines.

    Args:
        results: evaluations of one run and split, at a moment of asking each.
    """
    return [_rows(results, metrics) for metrics in TABLES]


def format_table(*results: dict[str, Any]) -> str:
    """Evaluations as text, with a sentence for what is lost to whom.

    Args:
        results: of one run and split, at a moment of asking each.
    """
    first = results[0]
    title = (
        f"{first['split']}, {' and '.join(r['moment'] for r in results)}: "
        f"{first['num_predictions']} clicks ranked, "
        f"{first['num_dwells']} dwells, ties lost"
        + ("" if first.get("dwell_learned", True) else ", no dwell learned")
    )
    texts = [aligned(rows) for rows in tables(results)]
    return "\n\n".join([title, *texts, "\n".join(verdict(results))])


def _rows(results, metrics):
    rows = [["", *metrics]]
    for result in results:
        moment = f", {result['moment']}" if len(results) > 1 else ""
        ends = [
            result["intervals"].get(metric, (None, None)) for metric in metrics
        ]
        rows += [
            [f"the model{moment}", *_numbers(result, metrics)],
            [
                "95 % interval",
                *(f"{number(low)} to {number(high)}" for low, high in ends),
            ],
        ]
    for name in results[0]["baselines"]:
        rows += _baseline_rows(results, name, metrics)
    return rows


def _baseline_rows(results, name, metrics):
    """One for each moment of asking, or one if it is the same at all."""
    cells = {
        result["moment"]: _numbers(result["baselines"][name], metrics)
        for result in results
    }
    first, *others = cells.values()
    if set(first) == {number(None)}:
        return []
    if all(other == first for other in others):
        return [[name, *first]]
    return [[f"{name}, {moment}", *cells[moment]] for moment in cells]


def _numbers(named, metrics) -> list[str]:
    return [number(named.get(metric)) for metric in metrics]


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

"""The evaluation of a run as a table and as sentences, for readers."""

from collections.abc import Sequence
from typing import Any

from jump_tf.reporting.tables import NO_LOSS
from jump_tf.reporting.tables import aligned
from jump_tf.reporting.tables import interval
from jump_tf.reporting.tables import losses
from jump_tf.reporting.tables import number
from jump_tf.reporting.tables import numbers

# A table each, or it would be too wide to read.
TABLES = (
    ("recall_at_20", "mrr_at_20", "ndcg_at_20", "recall_at_20_all"),
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
    learned = result.get("dwell_learned", True)
    metrics = [m for m in COMPARED if learned or not m.startswith("dwell")]
    return losses(result, result["baselines"], lambda _: metrics)


def losses_of(results: Sequence[dict[str, Any]]) -> list[str]:
    """What is lost to whom, at each moment of asking if there are several."""
    return [
        f"At {result['moment']}: {sentence}" if len(results) > 1 else sentence
        for result in results
        for sentence in losses_to_baselines(result)
    ]


def left_out_of(results: Sequence[dict[str, Any]]) -> list[str]:
    """Which baselines there are not, and why; the same at any moment."""
    return [
        f"Without {name}. {why}"
        for name, why in results[0].get("left_out", {}).items()
    ]


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
    lost = losses_of(results) or [NO_LOSS]
    return "\n\n".join([title, *texts, "\n".join(lost + left_out_of(results))])


def _rows(results, metrics):
    rows = [["", *metrics]]
    for result in results:
        moment = f", {result['moment']}" if len(results) > 1 else ""
        rows += [
            [f"the model{moment}", *numbers(result, metrics)],
            [
                "95 % interval",
                *(interval(result, metric, "- to -") for metric in metrics),
            ],
        ]
    for name in results[0]["baselines"]:
        rows += _baseline_rows(results, name, metrics)
    return rows


def _baseline_rows(results, name, metrics):
    """One for each moment of asking, or one if it is the same at all."""
    cells = {
        result["moment"]: numbers(result["baselines"][name], metrics)
        for result in results
    }
    first, *others = cells.values()
    if set(first) == {number(None)}:
        return []
    if all(other == first for other in others):
        return [[name, *first]]
    return [[f"{name}, {moment}", *cells[moment]] for moment in cells]

"""The evaluation of a run as a table and as sentences, for readers."""

from collections.abc import Sequence
from typing import Any

from jump_tf.evaluate.sessions import metrics
from jump_tf.reporting.tables import NO_LOSS
from jump_tf.reporting.tables import aligned
from jump_tf.reporting.tables import interval
from jump_tf.reporting.tables import losses
from jump_tf.reporting.tables import number
from jump_tf.reporting.tables import numbers

ALL = "all"
_SIZES = ("num_predictions", "num_predictions_all")
_MISSED = "unseen items are misses"
_LEFT_OUT = "repeats of the last item left out"
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
# What is ranked, and how, by what the names of metrics end in.
_AMONG = {
    "": (),
    metrics.UNSEEN_MISSED: (_MISSED,),
    metrics.WITHOUT_REPEATS: (_LEFT_OUT,),
    metrics.UNSEEN_MISSED + metrics.WITHOUT_REPEATS: (_MISSED, _LEFT_OUT),
}
_TIES = {"": (), metrics.STANDARD_TIES: ("ties won",)}
_SLICED = ("num_predictions", "recall_at_20", "mrr_at_20", "dwell_mae_seconds")
# Deciles of what nobody knows are for the report.
_SLICES = ("repeat", "item_support", "session_length", "position")


def losses_to_baselines(result: dict[str, Any]) -> list[str]:
    """One sentence for each baseline that is better in some number.

    A model that learns no dwell does not lose in what it was never asked.
    """
    learned = result.get("dwell_learned", True)
    names = [m for m in COMPARED if learned or not m.startswith("dwell")]
    return losses(result, result["baselines"], lambda _: names)


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
    return [_rows(results, names) for names in TABLES]


def rules(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Ranking by other rules: which -> metrics, under their plain names.

    Those of which an older evaluation says nothing are left out.
    """
    found = {}
    for ties, won in _TIES.items():
        for among, changed in _AMONG.items():
            if f"recall_at_20{among}{ties}" in result:
                label = ", ".join((*changed, *won)) or ALL
                size = result[f"num_predictions{among}"]
                found[label] = {"num_predictions": size} | {
                    name: result[f"{name}{among}{ties}"]
                    for name in metrics.AT_20
                }
    return found


def parts(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Metrics on all clicks, on them by one other rule each, and on slices."""
    found = {
        rule: named for rule, named in rules(result).items() if "," not in rule
    }
    found[ALL] = result
    for by in _SLICES:
        for label, part in result["slices"][by].items():
            found[f"{by.replace('_', ' ')} {label}"] = part
    return found


def slices(result: dict[str, Any]) -> list[list[str]]:
    """Rows of `parts`, below a header."""
    rows = [
        [label, *numbers(part, _SLICED)]
        for label, part in parts(result).items()
    ]
    return [[result["moment"], *_SLICED], *rows]


def rolling(result: dict[str, Any]) -> list[list[list[str]]]:
    """Tables by day of some metrics; none where it was not judged by day.

    Below the days come the means over them, of all who rank items, and those
    of whoever was fitted once, before the first day.
    """
    found = result.get("rolling")
    if not found:
        return []
    rows = {**found["days"], "mean of the days": found["mean"]}
    rows["the same, fitted once"] = found["mean_fitted_once"]
    first = next(iter(found["days"].values()))
    who = [name for name, named in first.items() if "recall_at_20" in named]
    return [
        [
            [metric, *_SIZES, *who],
            *(
                [
                    label,
                    *numbers(named.get(who[0], {}), _SIZES),
                    *(number(named.get(name, {}).get(metric)) for name in who),
                ]
                for label, named in rows.items()
            ),
        ]
        for metric in ("recall_at_20", "mrr_at_20")
    ]


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
    texts += [aligned(rows) for rows in [slices(first), *rolling(first)]]
    lost = losses_of(results) or [NO_LOSS]
    return "\n\n".join([title, *texts, "\n".join(lost + left_out_of(results))])


def _rows(results, names):
    rows = [["", *names]]
    for result in results:
        moment = f", {result['moment']}" if len(results) > 1 else ""
        rows += [
            [f"the model{moment}", *numbers(result, names)],
            [
                "95 % interval",
                *(interval(result, name, "- to -") for name in names),
            ],
        ]
    for baseline in results[0]["baselines"]:
        rows += _baseline_rows(results, baseline, names)
    return rows


def _baseline_rows(results, baseline, names):
    """One for each moment of asking, or one if it is the same at all."""
    cells = {
        result["moment"]: numbers(result["baselines"][baseline], names)
        for result in results
    }
    first, *others = cells.values()
    if set(first) == {number(None)}:
        return []
    if all(other == first for other in others):
        return [[baseline, *first]]
    return [[f"{baseline}, {moment}", *cells[moment]] for moment in cells]

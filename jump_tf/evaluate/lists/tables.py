"""The evaluation of a run on lists as a table and as sentences, for readers."""

from typing import Any

from jump_tf.evaluate.lists import baselines
from jump_tf.evaluate.lists import metrics
from jump_tf.evaluate.lists import predictions
from jump_tf.reporting.tables import NO_LOSS
from jump_tf.reporting.tables import aligned
from jump_tf.reporting.tables import interval
from jump_tf.reporting.tables import losses
from jump_tf.reporting.tables import numbers

SHOWN_METRICS = (*metrics.HEADLINES, "calibration_error", "calibration_ratio")
MODEL = "the model"
MODES = {
    predictions.KNOWN: "the model, feedback known",
    predictions.FREE: "the model, no feedback known",
}
TARGETS = {
    predictions.CTR: "Click, over all items",
    predictions.CVR: "Conversion of a click, over clicked items",
    predictions.CTCVR: "Click and conversion, over all items",
}


def format_table(result: dict[str, Any]) -> str:
    """The evaluation as text, with a sentence for what is lost to whom."""
    parts = [summary(result)]
    for target, title in TARGETS.items():
        parts.append(f"{title}\n{aligned(rows(result, target))}")
    lost = losses_to_baselines(result) or [NO_LOSS]
    return "\n\n".join([*parts, "\n".join([*warnings(result), *lost])])


def summary(result: dict[str, Any]) -> str:
    """What was evaluated, in a line."""
    cut = result.get("num_items_cut")
    left_out = f" ({cut} more at the start of long lists left out)"
    return (
        f"{result['split']}: {result['num_lists']} lists of "
        f"{result['num_items']} items{left_out if cut else ''}, "
        f"{result['num_clicks']} clicks, "
        f"{result['num_conversions']} conversions; feedback on earlier items "
        f"{result['feedback']}, ties at their expected value"
    )


def rows(result: dict[str, Any], target: str) -> list[list[str]]:
    """A header, the model, its intervals, and the baselines, for one target."""
    names = [f"{target}_{metric}" for metric in SHOWN_METRICS]
    lines = [
        ["", *SHOWN_METRICS],
        [MODEL, *numbers(result, names)],
        ["95 % interval", *(interval(result, name) for name in names)],
    ]
    compared = others(result, target).items()
    return [
        *lines,
        *([label, *numbers(theirs, names)] for label, theirs in compared),
    ]


def others(result: dict[str, Any], target: str) -> dict[str, dict[str, Any]]:
    """Who is compared with the model, by the label, and their numbers."""
    beside = {
        label: result[mode] for mode, label in MODES.items() if mode in result
    }
    part = predictions.CTR if target == predictions.CTR else predictions.CVR
    best = result["best_field"].get(part)
    for name, theirs in result["baselines"].items():
        named = (
            best
            and name == baselines.BEST_FIELD
            and target != predictions.CTCVR
        )
        of_field = f" ({best.removeprefix(baselines.FIELD)})" if named else ""
        beside[f"{name}{of_field}"] = theirs
    return beside


def losses_to_baselines(result: dict[str, Any]) -> list[str]:
    """One sentence for each baseline that is better in some number.

    Where there is a best field, it speaks for all of them.
    """
    counted = {
        name: theirs
        for name, theirs in result["baselines"].items()
        if not (name.startswith(baselines.FIELD) and result["best_field"])
    }
    return losses(result, counted, lambda theirs: theirs["intervals"])


def warnings(result: dict[str, Any]) -> list[str]:
    """What a reader has to know before they believe a number."""
    sentences = []
    if result["label_leak"]:
        sentences.append(
            "With label_leak, r of an item is read from a state that the "
            "item's own click has changed: cvr and ctcvr are of no use for "
            "prediction."
        )
    if result.get("objective") == "survival":
        sentences.append(
            "With objective=survival, what is evaluated are hazards, made to "
            "order items: log loss and calibration are not those of "
            "probabilities."
        )
    return sentences

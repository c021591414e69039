"""What the numbers say, in words that follow from them alone."""

from collections.abc import Iterator
from typing import Any

from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import reading

Tree = dict[str, Any]
_CONVENTIONS = (
    "Ranks are over the whole catalogue and ties are lost. Each click from the "
    "second of a session on is predicted; clicks on items that training never "
    "saw are left out. Dwell errors are over clicks that were followed by "
    "another within c1, at the median of the predicted law. Intervals hold 95 "
    "% of resamples of the test sessions; those of differences are paired, and "
    "know nothing of the chance of the training, which the spread over seeds "
    "shows. Numbers and intervals are those of the first seed, the mean over "
    "seeds stands below; differences are between means over seeds."
)


def conventions() -> str:
    """How all numbers are measured."""
    return _CONVENTIONS


def budget(results: Tree) -> str:
    """How much each model was tuned here."""
    request = results["request"]
    if request["trials"]:
        return (
            f"Each trained model had a search of {request['trials']} trials on "
            f"the validation split of {request['tuned_on']}, by recall@20, "
            "whose best configuration it has everywhere. What is searched "
            f"differs: {_spaces(request)}. What only counts had no search."
        )
    return (
        "No search was made here: every model has the configuration that "
        "ships with it. Where these had unlike care, so have the numbers; "
        "`--trials` gives each model as many trials."
    )


def changes(results: Tree) -> str:
    """What the plan changed of every model, if anything."""
    request = results["request"]
    changed = list(request["set"])
    if request["epochs"]:
        changed.append(f"training.epochs={request['epochs']}")
    said = []
    if changed:
        said.append(f"Changed for every model: {', '.join(changed)}.")
    for log, told in results["data"].items():
        if told["set"]:
            said.append(f"On {log}: {', '.join(told['set'])}.")
    return " ".join(said)


def verdicts(results: Tree, data: str, moment: str) -> Iterator[str]:
    """For each metric who is better than the reference, level, and worse."""
    mine = reading.title(results, results["request"]["reference"])
    for metric in (*reading.CLICK_METRICS, *reading.DWELL_METRICS):
        found = list(reading.differences(results, data, moment, metric))
        if found:
            yield _verdict(mine, metric, found)


def _spaces(request) -> str:
    """Of each space by its name the models that have it."""
    models: dict[str, list[str]] = {}
    for model in request["models"].values():
        models.setdefault(model["space"], []).append(model["title"])
    return "; ".join(
        f"`{space}` for {', '.join(titles)}" for space, titles in models.items()
    )


def _verdict(mine, metric, found) -> str:
    higher = metric in reading.HIGHER_IS_BETTER
    better, level, worse = [], [], []
    for title, less, ends in sorted(found, key=lambda one: one[1]):
        text = f"{title} by {reading.number(abs(less), metric)}"
        if reading.is_level(ends):
            level.append(title)
        elif (less > 0) == higher:
            worse.append(text)
        else:
            better.append(text)
    parts = [f"better than {mine}: {', '.join(better) or 'nothing'}"]
    if level:
        parts.append(
            "no telling apart, as the interval of the difference holds zero: "
            + ", ".join(level)
        )
    if worse:
        parts.append(f"worse than {mine}: {', '.join(worse)}")
    return f"{reading.NAMES[metric]} - {'; '.join(parts)}."


def unlike(results: Tree, data: str) -> Iterator[str]:
    """In what a log differs from the paper's that it stands beside."""
    facts = results["data"][data]
    if facts["note"]:
        yield facts["note"]
    theirs = published.STATISTICS.get(facts["like"] or "")
    if theirs is None:
        yield "The paper has no such log."
    elif "items" in facts:
        yield (
            f"Beside {facts['like']}, but not the same data: "
            f"{facts['items']:,} items against {theirs['items']:,} in the "
            f"paper, {facts['clicks']:,} clicks against {theirs['clicks']:,}, "
            f"{facts['average_length']:.2f} clicks a session against "
            f"{theirs['average_length']:.2f}."
        )
        if _split(facts) != "random":
            yield (
                "The paper splits at random; this split is by time, which is "
                "harder and nearer to use. The paper's numbers are here for "
                "orientation alone."
            )


def law(results: Tree, data: str) -> str:
    """How near the dwells are to the log-normal law."""
    log = results["data"][data].get("log_dwell")
    if not log or log["mean"] is None:
        return ""
    return (
        f"{data}: log dwell has mean {log['mean']:.2f}, deviation "
        f"{log['deviation']:.2f}, skewness {log['skewness']:+.2f} "
        "(0 for the normal law)."
    )


def _split(facts) -> str:
    return facts["manifest"].get("options", {}).get("split", "random")

"""`results.json` and the page that tells what it says."""

import pathlib
from collections.abc import Iterator
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import figures
from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction import tables
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.reporting import html

Tree = dict[str, Any]
_TITLE = "JUMP, reproduced"
_CONVENTIONS = (
    "Ranks are over the whole catalogue and ties are lost. Each click from the "
    "second of a session on is predicted; clicks on items that training never "
    "saw are left out. Dwell errors are over clicks that were followed by "
    "another within c1, at the median of the dwells that the predicted "
    "distribution ends within c1. Intervals hold 95 % of resamples of the test "
    "sessions; those of differences are paired. They say nothing of the chance "
    "of a training, which the spread over seeds shows. Numbers and intervals "
    "are those of the first seed, below are mean and standard deviation over "
    "seeds; differences are between the means over the seeds that both have, "
    "and “by seed” says from where to where they go from seed to seed."
)


def write(experiment: Experiment) -> pathlib.Path:
    """Writes `results.json` and `report.html`; returns the latter's path."""
    tree = results.collect(experiment)
    return results.write(experiment, tree, _TITLE, _body(tree))


def _body(tree) -> list[str]:
    return [
        f"<h1>{_TITLE}</h1>",
        html.paragraph(_summary(tree)),
        _missing(tree),
        html.section("Table 1: the datasets", _statistics(tree)),
        html.section(
            "Table 2: the next click",
            *_for_datasets(tree, _metrics, results.CLICK_METRICS),
            *_for_datasets(tree, _parts_alone),
        ),
        html.section(
            "Table 3: the dwell",
            *_for_datasets(tree, _metrics, results.DWELL_METRICS),
        ),
        html.section(
            "Quality and cost",
            *_for_datasets(tree, _table, tables.quality_and_cost),
        ),
        html.section(
            "Parts of the clicks", *_for_datasets(tree, _table, tables.parts)
        ),
        html.section("What each part is good for", *_ablations(tree)),
        html.section("Figure 2: dwells", *_for_datasets(tree, _dwell)),
        html.section("Figure 5: one task against the other", _trade(tree)),
        html.section("Figure 6: the size of the model", _sizes(tree)),
        html.section(
            "Figure 7: short and long sessions", *_for_datasets(tree, _lengths)
        ),
        html.section("How it was measured", *_measured(tree)),
    ]


def _summary(tree) -> str:
    todo = tree["runs"]
    there = sum(run["state"] == "done" for run in todo)
    models = len(tree["request"]["models"])
    return (
        f"{models} models on {len(tree['data'])} datasets; {there} of "
        f"{len(todo)} runs are done. After “JUMP: A Joint Predictor for User "
        "Click and Dwell Time”, IJCAI 2018. All numbers of this page are in "
        f"{results.RESULTS_FILE} beside it."
    )


def _missing(tree) -> str:
    lacking = tables.missing(tree)
    if not lacking:
        return ""
    return html.paragraph(
        f"{len(lacking)} runs are missing; the same command goes on with them.",
        "lost",
    ) + html.folded("Which ones", html.bullets(lacking))


def _for_datasets(tree, make, *more) -> list[str]:
    """What there is to show of each dataset, or one sentence for none."""
    parts = [make(tree, data, *more) for data in tree["data"]]
    made = [part for part in parts if part]
    return made or [html.paragraph("No run of this is done yet.")]


def _heading(data) -> str:
    return f"<h3>{data}</h3>"


def _statistics(tree) -> str:
    notes = [
        f"{data}: {sentence}"
        for data in tree["data"]
        for sentence in _unlike(tree, data)
    ]
    return tables.statistics(tree) + html.bullets(notes)


def _metrics(tree, data, names) -> str:
    if results.reference(tree, data) is None:
        return ""
    leave, load = (
        tables.metrics(tree, data, moment, names) for moment in schema.MOMENTS
    )
    return (
        _heading(data)
        + html.paragraph(f"With {results.MOMENTS[schema.PAGE_LEAVE]}:", "note")
        + leave
        + html.folded(
            f"The same with {results.MOMENTS[schema.PAGE_LOAD]}", load
        )
    )


def _parts_alone(tree, data) -> str:
    """What the one thing is worth in which a model and the first differ."""
    mine = results.reference(tree, data)
    told = [
        _worth(tree, mine, run, what)
        for run in results.done(tree, data, steps.HEADLINE)
        if (what := tree["request"]["models"][run["model"]]["differs_in"])
    ]
    return html.bullets(told) if mine and told else ""


def _worth(tree, mine, run, what) -> str:
    said = []
    for metric in results.CLICK_METRICS[:2]:
        less = results.difference(tree, run, schema.PAGE_LEAVE, metric)
        if less is None:
            return f"{run['data']}: {run['title']} is not compared yet."
        low, high = less["interval"]
        where = "ahead" if low > 0 else "behind" if high < 0 else "level"
        said.append(
            f"{results.number(less['difference'], metric, signed=True)} "
            f"({results.interval((low, high), metric, signed=True)}) in "
            f"{results.NAMES[metric]}, {where}"
        )
    return (
        f"{run['data']}: {mine['title']} and {run['title']} differ in {what} "
        f"alone, which is worth {'; '.join(said)}."
    )


def _table(tree, data, make) -> str:
    if results.reference(tree, data) is None:
        return ""
    return _heading(data) + make(tree, data, schema.PAGE_LEAVE)


def _ablations(tree) -> list[str]:
    made = [
        _heading(data)
        + tables.ablations(tree, data, schema.PAGE_LEAVE)
        + html.folded(
            f"The same with {results.MOMENTS[schema.PAGE_LOAD]}",
            tables.ablations(tree, data, schema.PAGE_LOAD),
        )
        for data in tree["data"]
        if results.done(tree, data, steps.ABLATIONS)
        and results.reference(tree, data)
    ]
    return made or [html.paragraph("No run of this is done yet.")]


def _dwell(tree, data) -> str:
    dataset = tree["data"][data]
    if "dwell" not in dataset:
        return ""
    caption = _log_normal(tree, data)
    return html.figure(figures.dwell(dataset), f"dwells of {data}", caption)


def _trade(tree) -> str:
    png = figures.trade_off(tree)
    if png is None:
        return html.paragraph("No run of this is done yet.")
    return html.figure(
        png,
        "recall and dwell error by sigma",
        "The paper's sigma is scale and trade-off in one: the weight of the "
        "dwell is 1 / sigma².",
    )


def _sizes(tree) -> str:
    png = figures.sizes(tree)
    if png is None:
        return html.paragraph("No run of this is done yet.")
    return html.figure(png, "recall by size", "Units are the size of all.")


def _lengths(tree, data) -> str:
    png = figures.lengths(tree, data)
    if png is None:
        return ""
    what = f"{data}, by session length"
    return html.figure(png, what, f"{data}, the paper's groups and between.")


def _measured(tree) -> list[str]:
    parts = [
        html.paragraph(_CONVENTIONS),
        html.paragraph(_budget(tree)),
    ]
    if changed := _changes(tree):
        parts.append(html.paragraph(changed))
    for data in tree["data"]:
        if results.reference(tree, data):
            costs = tables.costs(tree, data)
            parts.append(html.folded(f"Trainings on {data}", costs))
    return parts


def _budget(tree: Tree) -> str:
    """Returns how much each model was tuned."""
    request = tree["request"]
    if request["trials"]:
        return (
            f"Each trained model had a search of {request['trials']} trials on "
            f"the validation split of {request['tuned_on']}, by recall@20, "
            "whose best configuration it has everywhere; together they took "
            f"{request['search_minutes'] / 60:.1f} hours. {_spaces(request)} "
            "What only counts had no search."
        )
    return (
        "No search was made here: every model has the configuration that "
        "ships with it. Where these had unlike care, so have the numbers; "
        "`--trials` gives each model as many trials."
    )


def _changes(tree: Tree) -> str:
    """Returns what the plan changed of every model."""
    request = tree["request"]
    changed = list(request["set"])
    if request["epochs"]:
        changed.append(f"training.epochs={request['epochs']}")
    said = []
    if changed:
        said.append(f"Changed for every model: {', '.join(changed)}.")
    for name, dataset in tree["data"].items():
        if dataset["set"]:
            said.append(f"On {name}: {', '.join(dataset['set'])}.")
    return " ".join(said)


def _spaces(request) -> str:
    """Returns the models of each search space, in words."""
    models: dict[str, list[str]] = {}
    for model in request["models"].values():
        models.setdefault(model["space"], []).append(model["title"])
    if len(models) == 1:
        return f"All searched the same values, `{next(iter(models))}`."
    named = "; ".join(
        f"`{space}` for {', '.join(titles)}" for space, titles in models.items()
    )
    return f"What is searched differs: {named}."


def _unlike(tree: Tree, data: str) -> Iterator[str]:
    """Yields how a dataset differs from the paper's dataset beside it."""
    dataset = tree["data"][data]
    if dataset["note"]:
        yield dataset["note"]
    like = dataset["like"]
    theirs = published.STATISTICS.get(like or "")
    if like in published.NOTES:
        yield published.NOTES[like]
    elif theirs is None:
        yield "The paper has no such dataset."
    elif "items" in dataset:
        yield (
            f"Beside {dataset['like']}, but not the same data: "
            f"{dataset['items']:,} items against {theirs['items']:,} in the "
            f"paper, {dataset['clicks']:,} clicks against "
            f"{theirs['clicks']:,}, {dataset['average_length']:.2f} clicks a "
            f"session against {theirs['average_length']:.2f}."
        )
        if _split(dataset) != "random":
            yield (
                "The paper splits at random; this split is by time, which is "
                "harder and nearer to use. The paper's numbers are here for "
                "orientation alone."
            )


def _log_normal(tree: Tree, data: str) -> str:
    """Returns how near the dwells are to a log-normal distribution."""
    log = tree["data"][data].get("log_dwell")
    if not log or log["mean"] is None:
        return ""
    return (
        f"{data}: log dwell has mean {log['mean']:.2f}, deviation "
        f"{log['deviation']:.2f}, skewness {log['skewness']:+.2f} "
        "(0 for the normal distribution)."
    )


def _split(dataset) -> str:
    return dataset["manifest"].get("options", {}).get("split", "random")

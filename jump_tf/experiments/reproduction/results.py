"""All numbers of a reproduction in one tree, `results.json`.

request   seeds, trials, parts and the model that others stand against
data      log -> what is counted of it
runs      one entry for each step of the plan, done or not
baselines log -> moment -> name -> the numbers of what is only counted
against   log -> moment -> run -> metric -> `comparison.compare_seeds` of the
          reference with it, each averaged over its seeds
"""

import dataclasses
from typing import Any

from jump_tf import schema
from jump_tf.experiments.reproduction import facts
from jump_tf.experiments.reproduction import measuring
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.experiments.reproduction.steps import Step
from jump_tf.runs import folder as run_folder

NUMBERS = (
    "recall_at_20",
    "mrr_at_20",
    "ndcg_at_20",
    "recall_at_20_all",
    "num_predictions",
    "dwell_mae_seconds",
    "dwell_nll",
    "dwell_crps_seconds",
    "dwell_mae_all_clicks_seconds",
    "num_dwells",
)
DONE, MISSING, FAILED = "done", "missing", "failed"
Tree = dict[str, Any]


def collect(experiment: Experiment) -> Tree:
    """Reads what there is; says what there is not."""
    todo = experiment.steps()
    return {
        "request": _request(experiment),
        "data": {
            data.name: _data(experiment, data) for data in experiment.plan.data
        },
        "runs": [_run(experiment, step) for step in todo],
        "baselines": _for_each_log(experiment, _baselines),
        "against": _for_each_log(experiment, _against),
    }


def _request(experiment):
    plan = experiment.plan
    return {
        "reference": plan.reference,
        "seeds": experiment.seeds,
        "trials": experiment.trials,
        "only": list(experiment.only),
        "epochs": plan.epochs,
        "set": list(plan.set),
        "models": {one.name: dataclasses.asdict(one) for one in plan.models},
        "sweeps": {one.name: dataclasses.asdict(one) for one in plan.sweeps},
        "tuned_on": plan.data[0].name,
    }


def _data(experiment, data):
    told = {"like": data.like, "note": data.note, "set": list(data.set)}
    folder = data.folder(experiment.folder)
    if not (folder / schema.MANIFEST_FILE).is_file():
        return told
    return told | facts.of(folder, experiment.folder / data.name)


def _run(experiment, step: Step) -> Tree:
    run = experiment.run(step)
    told = dataclasses.asdict(step) | {
        "folder": str(run.relative_to(experiment.folder)),
        "state": MISSING,
    }
    failure = experiment.failure(step)
    if failure.is_file():
        told |= {"state": FAILED, "why": failure.read_text().strip()}
    if not experiment.is_done(step):
        return told
    moments = {
        moment: _numbers(measuring.read(run, moment))
        for moment in schema.MOMENTS
    }
    told |= {"state": DONE, "moments": moments}
    if step.purpose == steps.BARS:
        return told
    return told | run_folder.read_training(run)


def _numbers(result) -> Tree:
    kept = {name: result.get(name) for name in NUMBERS}
    ends = result["intervals"]
    return kept | {
        "intervals": {name: ends[name] for name in NUMBERS if name in ends},
        "session_length": {
            label: {name: part.get(name) for name in (*NUMBERS,)}
            for label, part in result["slices"]["session_length"].items()
        },
    }


def _for_each_log(experiment, read) -> Tree:
    """What `read` finds beside the reference, by log and moment."""
    first = {
        step.data: step
        for step in experiment.steps()
        if step.purpose == steps.HEADLINE
        and step.model == experiment.plan.reference
        and experiment.is_done(step)
    }
    return {
        name: {
            moment: read(experiment, step, moment) for moment in schema.MOMENTS
        }
        for name, step in first.items()
    }


def _baselines(experiment, reference: Step, moment) -> Tree:
    result = measuring.read(experiment.run(reference), moment)
    return {
        name: {metric: numbers.get(metric) for metric in NUMBERS}
        | {"intervals": numbers.get("intervals", {})}
        | {"differences": numbers.get("differences", {})}
        for name, numbers in result.get("baselines", {}).items()
    }


def _against(experiment, reference: Step, moment) -> Tree:
    todo = [
        step
        for step in experiment.steps()
        if step.data == reference.data and experiment.is_done(step)
    ]

    def seeds(label):
        return [
            experiment.run(step)
            for step in todo
            if step.label == label and step.purpose != steps.SWEEPS
        ]

    mine = seeds(reference.label)
    return {
        step.label: measuring.compared(mine, seeds(step.label), moment)
        for step in todo
        if step.purpose in (steps.HEADLINE, steps.BARS, steps.ABLATIONS)
        and experiment.run(step) not in mine
    }

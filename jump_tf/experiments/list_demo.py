"""From a log of shown items to a served score in one go."""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from beam_jobs import build_lists
from beam_jobs.options.lists import ListOptions
from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.data import list_records
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import report as list_report
from jump_tf.evaluate.lists import tables as list_tables
from jump_tf.experiments import demo_steps
from jump_tf.experiments import list_simulator
from jump_tf.runs import folder as run_folder
from serving import server
from serving import settings
from serving.client import lists as list_client
from serving.client import warmup_requests

MODEL_NAME = "heroes"
SHOWN = 6
_COMPARED = {
    "ctr_auc": "CTR AUC",
    "ctr_log_loss": "CTR log-loss",
    "ctcvr_auc": "CTCVR AUC",
    "ctcvr_log_loss": "CTCVR log-loss",
    "ctcvr_ndcg_at_10": "CTCVR NDCG@10",
}


def on_simulated_log(workdir: pathlib.Path, config: Config) -> None:
    """Runs everything on a simulated log, and compares with its truth.

    Args:
        workdir: a new or empty folder.
        config: of model and training.

    Raises:
        InputError: the folder holds something.
    """
    demo_steps.make(workdir)
    demo_steps.say("1. simulate lists: clicks that excite, places that bias")
    simulation = list_simulator.simulate(list_simulator.ListSimulatorConfig())
    log = workdir / "log.csv"
    simulation.write_log(log)
    request = ListOptions(
        format="csv",
        input=(str(log),),
        output=str(workdir / "data"),
        time_column="time_ms",
        conversion_column="conversion",
        feature_columns=list_simulator.FIELDS,
    )
    result = _all_steps(workdir, config, request, ())
    demo_steps.say("what was learned against the truth of the simulation")
    print(_comparison(simulation, workdir / "data", result))
    demo_steps.summarize(workdir, MODEL_NAME)


def on_real_log(
    workdir: pathlib.Path,
    config: Config,
    request: tuple[ListOptions, Sequence[str]],
) -> None:
    """Runs everything on a log of yours.

    Args:
        workdir: a new or empty folder.
        config: of model and training.
        request: what `prepare` is asked, and Beam's flags.

    Raises:
        InputError: the folder holds something, or the log is not fit.
    """
    demo_steps.make(workdir)
    _all_steps(workdir, config, *request)
    demo_steps.summarize(workdir, MODEL_NAME)


def _all_steps(workdir, config, request, beam_arguments):
    data, run = workdir / "data", workdir / "run"
    demo_steps.say("2. prepare: the log to lists of shown items")
    print(build_lists.describe(build_lists.run(request, beam_arguments)))
    model = demo_steps.train(config, workdir)
    demo_steps.say("4. evaluate on the test split")
    result = list_evaluation.evaluate_run(run, model, data)
    print(list_tables.format_table(result))
    list_report.write_report(run)
    requests = functools.partial(
        warmup_requests.list_requests, num_fields=model.config.num_fields
    )
    demo_steps.export_run(workdir, model, MODEL_NAME, requests)
    demo_steps.say("6. serve, and ask over gRPC")
    print(_served_scores(workdir))
    return result


def _served_scores(workdir: pathlib.Path) -> str:
    features, clicked = _example_list(workdir)
    fresh = list_client.ShownItems(features)
    seen = list_client.ShownItems(features, clicked)
    local = settings.Settings(port=0, rest_port=-1)
    with (
        server.Server.of_folder(workdir / "models", local) as running,
        list_client.ListClient(running.address, MODEL_NAME) as asking,
    ):
        before, after = asking.score([fresh, seen])
    names = [", ".join(item) for item in features]
    width = max(map(len, names))
    rows = [
        f"{name:<{width}} {was.click_probability:>8.3f} "
        f"{was.click_conversion_probability:>10.3f} "
        f"{now.click_probability:>8.3f} "
        f"{now.click_conversion_probability:>10.3f}"
        for name, was, now in zip(names, before, after, strict=True)
    ]
    known = ", ".join("click" if flag else "none" for flag in clicked)
    return "\n".join(
        [
            "A list before anybody has seen it, and once the feedback on its "
            f"first items is known ({known}):",
            "",
            f"{'item':<{width}} {'pCTR':>8} {'pCTCVR':>10} {'pCTR':>8} "
            f"{'pCTCVR':>10}",
            *rows,
        ]
    )


def _example_list(workdir: pathlib.Path) -> tuple[list[list[str]], list[int]]:
    """Items of a test list in raw features; the first clicks on it."""
    vocabulary = run_folder.read_vocabulary(workdir / "run")
    files = folders.shards(workdir / "data", schema.TEST)
    for shown in list_records.read(files):
        known = min(map(min, shown.features)) >= schema.FIRST_ITEM_ID
        if known and len(shown) >= SHOWN and any(shown.clicked[: SHOWN - 3]):
            break
    features = [
        [vocabulary[one - schema.FIRST_ITEM_ID] for one in item]
        for item in shown.features[:SHOWN]
    ]
    return features, list(shown.clicked[: len(features) - 3])


def _comparison(simulation, data, result) -> str:
    """The model beside what the simulation itself would have predicted."""
    tested = {
        shown.list_id
        for shown in list_records.read(folders.shards(data, schema.TEST))
    }
    among = np.array([name in tested for name in simulation.list_ids])
    best = simulation.truth.best_possible(among)
    return "\n".join(
        f"{title:<15} {result[name]:.4f}, best possible {best[name]:.4f}"
        for name, title in _COMPARED.items()
    )

"""From a log to a served answer in one go."""

import pathlib
from collections.abc import Sequence
from typing import Any

from beam_jobs import build_sessions
from beam_jobs.options.sessions import PrepareOptions
from beam_jobs.output import manifest
from jump_tf import schema
from jump_tf.config.run import Config
from jump_tf.data import folders
from jump_tf.data import session_records
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.evaluate.sessions import report as session_report
from jump_tf.evaluate.sessions import tables as session_tables
from jump_tf.experiments import demo_steps
from jump_tf.experiments import session_oracle
from jump_tf.experiments import session_simulator
from jump_tf.runs import folder as run_folder
from serving import server
from serving import settings
from serving.cli import predict as predict_command
from serving.client import client
from serving.client import warmup_requests

MODEL_NAME = "jump"
SHOWN = 5
_MIN_EXAMPLE_CLICKS = 3


def on_simulated_log(workdir: pathlib.Path, config: Config) -> None:
    """Runs everything on a simulated log, and compares with its truth.

    Args:
        workdir: a new or empty folder.
        config: of model and training.

    Raises:
        InputError: the folder holds something.
    """
    demo_steps.make(workdir)
    demo_steps.say("1. simulate a log: Markov items, log-normal dwell by item")
    simulation = session_simulator.simulate(session_simulator.SimulatorConfig())
    log = workdir / "log.csv"
    simulation.write_log(log)
    request = PrepareOptions(
        format="csv", input=(str(log),), output=str(workdir / "data")
    )
    model = _all_steps(workdir, config, request, ())
    demo_steps.say("what was learned against the truth of the simulation")
    compared = session_oracle.compare_with_truth(
        simulation,
        model,
        run_folder.read_vocabulary(workdir / "run"),
        workdir / "data",
    )
    print(_comparison(compared))
    demo_steps.summarize(workdir, MODEL_NAME)


def on_real_log(
    workdir: pathlib.Path,
    config: Config,
    request: tuple[PrepareOptions, Sequence[str]],
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
    demo_steps.say("2. prepare: the log to sessions with censored dwell")
    print(manifest.describe(build_sessions.run(request, beam_arguments)))
    model = demo_steps.train(config, workdir)
    demo_steps.say("4. evaluate on the test split")
    results, _ = session_evaluation.evaluate_moments(model, data, run)
    print(session_tables.format_table(*results))
    session_report.write_report(run)
    demo_steps.export_run(
        workdir, model, MODEL_NAME, warmup_requests.session_requests
    )
    demo_steps.say("6. serve, and ask over gRPC")
    print(_served_answer(workdir))
    return model


def _served_answer(workdir: pathlib.Path) -> str:
    items, dwell_seconds = _example_session(workdir)
    local = settings.Settings(port=0, rest_port=-1)
    with (
        server.Server.of_folder(workdir / "models", local) as running,
        client.Client(running.address, MODEL_NAME) as asking,
    ):
        answer = asking.answer([client.Session(items, dwell_seconds)])[0]
    seen = ", ".join(
        f"{item} ({seconds:.0f} s)"
        for item, seconds in zip(items, dwell_seconds, strict=False)
    )
    table = predict_command.format_answer(answer, SHOWN, page=True)
    return f"A visitor saw {seen} and now sees {items[-1]}. Next:\n\n{table}"


def _example_session(workdir: pathlib.Path) -> tuple[list[str], list[float]]:
    """A test session whose last click is still on screen, in raw ids."""
    vocabulary = run_folder.read_vocabulary(workdir / "run")
    files = folders.shards(workdir / "data", schema.TEST)
    for session in session_records.read(files):
        known = min(session.items) >= schema.FIRST_ITEM_ID
        if known and len(session) >= _MIN_EXAMPLE_CLICKS:
            break
    items = [vocabulary[item - schema.FIRST_ITEM_ID] for item in session.items]
    return items[:-1], list(session.dwell_seconds[:-2])


def _comparison(compared: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"recall@20       {compared['recall_at_20']:.4f}, best possible "
            f"{compared['best_recall_at_20']:.4f} "
            f"({compared['recall_ratio']:.1%} of it)",
            f"MRR@20          {compared['mrr_at_20']:.4f}, best possible "
            f"{compared['best_mrr_at_20']:.4f}",
            f"dwell MAE       {compared['dwell_mae_seconds']:.2f} s, best "
            f"possible {compared['best_dwell_mae_seconds']:.2f} s",
            "dwell median    of an item off by "
            f"{compared['dwell_median_relative_error']:.1%} in the middle, "
            f"{compared['dwell_median_relative_error_largest']:.1%} at most; "
            f"by 10 % or less in "
            f"{compared['dwell_median_share_within_tenth']:.0%} of "
            f"{compared['num_items_compared']} items",
        ]
    )

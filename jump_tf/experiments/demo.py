"""From a log to a served answer in one go."""

import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from beam_jobs.options.lists import ListOptions
from beam_jobs.options.sessions import PrepareOptions
from jump_tf import schema
from jump_tf import tasks
from jump_tf.config.run import Config
from jump_tf.data import batching
from jump_tf.data import folders
from jump_tf.data import list_records
from jump_tf.data import session_records
from jump_tf.evaluate import report_sections
from jump_tf.experiments import list_oracle
from jump_tf.experiments import list_simulator
from jump_tf.experiments import session_oracle
from jump_tf.experiments import session_simulator
from jump_tf.reporting import files as evaluation_files
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from serving import server
from serving import settings
from serving.cli import predict as predict_command
from serving.client import client
from serving.client import lists as list_client

SHOWN_RECOMMENDATIONS = 5
SHOWN_ITEMS = 6
_MIN_EXAMPLE_CLICKS = 3
_COMPARED = {
    "ctr_auc": "CTR AUC",
    "ctr_log_loss": "CTR log-loss",
    "ctcvr_auc": "CTCVR AUC",
    "ctcvr_log_loss": "CTCVR log-loss",
    "ctcvr_ndcg_at_10": "CTCVR NDCG@10",
}


def on_simulated_log(workdir: pathlib.Path, config: Config) -> None:
    """Runs everything on a simulated log, and compares with its oracle.

    Args:
        workdir: a new or empty folder.
        config: of model and training.

    Raises:
        InputError: the folder holds something.
    """
    demo = DEMOS[config.task]
    _make(workdir)
    _say(f"1. simulate {demo.simulated}")
    simulation = demo.simulate()
    log = workdir / "log.csv"
    simulation.write_log(log)
    request = demo.request(
        format="csv", input=(str(log),), output=str(workdir / "data")
    )
    model = _all_steps(demo, workdir, config, request, ())
    _say("what was learned, beside the oracle of the simulation")
    print(demo.compare(simulation, model, workdir))
    _summarize(config, workdir)


def on_real_log(
    workdir: pathlib.Path,
    config: Config,
    request: tuple[Any, Sequence[str]],
) -> None:
    """Runs everything on a log of yours.

    Args:
        workdir: a new or empty folder.
        config: of model and training.
        request: what `prepare` is asked, and Beam's flags.

    Raises:
        InputError: the folder holds something, or the log is not fit.
    """
    demo = DEMOS[config.task]
    _make(workdir)
    _all_steps(demo, workdir, config, *request)
    _summarize(config, workdir)


def _make(workdir):
    if not run_folder.is_new(workdir):
        raise schema.InputError(
            f"`--workdir` must be a new or empty folder. Received: {workdir}"
        )
    workdir.mkdir(parents=True, exist_ok=True)


def _say(text):
    print(f"\n== {text}", flush=True)


def _all_steps(demo, workdir, config, request, beam_arguments):
    data, run, models = (workdir / name for name in ("data", "run", "models"))
    task = tasks.task_of(config)
    _say(f"2. prepare: the log to {demo.prepared}")
    print(task.prepare(request, beam_arguments))
    _say("3. train")
    started = time.monotonic()
    best = tasks.train(config, data, run)
    print(
        f"trained in {time.monotonic() - started:.0f} s; "
        f"best {task.one_line(best)}"
    )
    model = model_factory.load_run(run)
    _say("4. evaluate on the test split")
    table, _ = task.evaluate(model, data, run, schema.TEST)
    print(table)
    task.write_report(run)
    _say("5. export")
    print(tasks.export_run(run, models))
    _say("6. serve, and ask over gRPC")
    local = settings.Settings(port=0, rest_port=-1)
    with server.Server.of_folder(models, local) as running:
        print(demo.ask(running.address, *_example(demo, workdir)))
    return model


def _example(demo, workdir):
    """What `demo.example` makes of the first record of the test that it takes.

    All its items are in the vocabulary, or it is the last record.
    """
    vocabulary = run_folder.read_vocabulary(workdir / "run")
    for record in _test_split(demo, workdir):
        if demo.is_example(record):
            break
    return demo.example(record, lambda i: vocabulary[i - schema.FIRST_ITEM_ID])


def _test_split(demo, workdir):
    files = folders.shards(workdir / "data", schema.TEST)
    return batching.stored(files, demo.decode, demo.record)


def _summarize(config, workdir):
    model_name = tasks.task_of(config).model_name
    run, models = workdir / "run", workdir / "models"
    _say("where things are")
    print(
        f"report       {run / report_sections.REPORT_FILE}\n"
        "TensorBoard  tensorboard --logdir "
        f"{run / run_folder.TENSORBOARD_FOLDER}\n"
        f"SavedModel   {models / model_name}\n"
        f"serve it     jump-tf serve --models {models}"
    )


class _Sessions:
    simulated = "a log: Markov items, log-normal dwell by item"
    prepared = "sessions with censored dwell"
    decode, record = staticmethod(session_records.decode), schema.Session
    request = PrepareOptions

    def simulate(self):
        return session_simulator.simulate(session_simulator.SimulatorConfig())

    def compare(self, simulation, model, workdir):
        vocabulary = run_folder.read_vocabulary(workdir / "run")
        found = session_oracle.compare_with_oracle(
            simulation, model, vocabulary, workdir / "data"
        )
        return (
            f"recall@20       {found['recall_at_20']:.4f}, best possible "
            f"{found['best_recall_at_20']:.4f} "
            f"({found['recall_ratio']:.1%} of it)\n"
            f"MRR@20          {found['mrr_at_20']:.4f}, best possible "
            f"{found['best_mrr_at_20']:.4f}\n"
            f"dwell MAE       {found['dwell_mae_seconds']:.2f} s, best "
            f"possible {found['best_dwell_mae_seconds']:.2f} s\n"
            "dwell median    of an item off by "
            f"{found['dwell_median_relative_error']:.1%} in the middle, "
            f"{found['dwell_median_relative_error_largest']:.1%} at most; "
            f"by 10 % or less in "
            f"{found['dwell_median_share_within_tenth']:.0%} of "
            f"{found['num_items_compared']} items"
        )

    def is_example(self, session):
        known = min(session.items) >= schema.FIRST_ITEM_ID
        return known and len(session) >= _MIN_EXAMPLE_CLICKS

    def example(self, session, name):
        """The last click is still on screen: its dwell is not known."""
        items = [name(item) for item in session.items[:-1]]
        return items, list(session.dwell_seconds[:-2])

    def ask(self, address, items, dwell_seconds):
        with client.Client(address, tasks.Sessions.model_name) as asking:
            answer = asking.answer([client.Session(items, dwell_seconds)])[0]
        seen = ", ".join(
            f"{item} ({seconds:.0f} s)"
            for item, seconds in zip(items, dwell_seconds, strict=False)
        )
        table = predict_command.format_answer(
            answer, SHOWN_RECOMMENDATIONS, page=True
        )
        return (
            f"A visitor saw {seen} and now sees {items[-1]}. Next:\n\n{table}"
        )


class _Lists:
    simulated = "lists: clicks that excite, places that bias"
    prepared = "lists of shown items"
    decode, record = staticmethod(list_records.decode), schema.ShownList

    def simulate(self):
        return list_simulator.simulate(list_simulator.ListSimulatorConfig())

    def request(self, **options):
        return ListOptions(
            time_column="time_ms",
            conversion_column="conversion",
            feature_columns=list_simulator.FIELDS,
            **options,
        )

    def compare(self, simulation, model, workdir):
        evaluated = workdir / "run" / evaluation_files.EVALUATION_FOLDER
        result = json.loads((evaluated / f"{schema.TEST}.json").read_text())
        tested = {shown.list_id for shown in _test_split(self, workdir)}
        among = np.array([name in tested for name in simulation.list_ids])
        best = list_oracle.best_possible(simulation, among)
        return "\n".join(
            f"{title:<15} {result[name]:.4f}, best possible {best[name]:.4f}"
            for name, title in _COMPARED.items()
        )

    def is_example(self, shown):
        known = min(map(min, shown.features)) >= schema.FIRST_ITEM_ID
        clicked = any(shown.clicked[: SHOWN_ITEMS - 3])
        return known and clicked and len(shown) >= SHOWN_ITEMS

    def example(self, shown, name):
        """The feedback on all items but the last three is known."""
        features = [
            [name(one) for one in item] for item in shown.features[:SHOWN_ITEMS]
        ]
        return features, list(shown.clicked[: len(features) - 3])

    def ask(self, address, features, clicked):
        fresh = list_client.ShownItems(features)
        seen = list_client.ShownItems(features, clicked)
        with list_client.ListClient(address, tasks.Lists.model_name) as asking:
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
        head = f"{'pCTR':>8} {'pCTCVR':>10}"
        return "\n".join(
            [
                "A list before anybody has seen it, and once the feedback on "
                f"its first items is known ({known}):\n",
                f"{'item':<{width}} {head} {head}",
                *rows,
            ]
        )


# What the demos differ in: how the log is simulated, what the oracle is
# compared in, and what the server is asked.
DEMOS: dict[str, Any] = {schema.SESSIONS: _Sessions(), schema.LISTS: _Lists()}

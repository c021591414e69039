"""From a plan to the report; what is done is not done again."""

import dataclasses
import fcntl
import importlib.resources
import json
import pathlib
import shutil

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config import run as configs
from jump_tf.config.run import preset
from jump_tf.evaluate import comparison
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.experiments.reproduction import counting_models
from jump_tf.experiments.reproduction import datasets
from jump_tf.experiments.reproduction import experiment as experiments
from jump_tf.experiments.reproduction import page
from jump_tf.experiments.reproduction import plan as plans
from jump_tf.experiments.reproduction import published
from jump_tf.experiments.reproduction import results as found_results
from jump_tf.experiments.reproduction import runner
from jump_tf.experiments.reproduction import steps
from jump_tf.experiments.reproduction import tables
from jump_tf.experiments.reproduction.experiment import Experiment
from jump_tf.runs import folder as run_folder
from jump_tf.train import interruptions
from serving.load_test import report as load_report
from serving.load_test.senders import OK
from tests.jump_tf.evaluate.sessions.test_report import Page

pytest.importorskip("matplotlib")

SESSIONS = runner.PROTOCOLS[schema.SESSIONS]

PLAN = """
data:
  shop: {prepared: DATA, like: CIKM16, note: A log that was made up.}
set: [model.units=6, training.epochs=1]
models:
  mine:
    {title: Mine, preset: production, paper: JUMP, set: [model.negatives=8,
      model.fast_slow=false, model.pointer_clicks=0,
      model.recent_transitions=0, model.recent_popular=0]}
  gru4rec:
    {title: Other, preset: gru4rec, paper: GRU4Rec, set: [model.negatives=8],
      differs_in: all it has}
ablations:
  no-start: {title: lost, model: gru4rec, set: [model.learned_start=false]}
sweeps:
  units: {value: model.units, values: [4, 6], models: [gru4rec]}
"""


class FromItself:
    """A baseline that ranks item i at place i."""

    def __init__(self, log, vocabulary_size, add=0):
        assert log.session[0] == 0 and log.position[0] == 1
        assert len({len(column) for column in log}) == 1
        assert log.item.max() < vocabulary_size
        self.add = add

    def ranks(self, log, asked):
        assert (log.position[asked] > 1).all()
        return log.item[asked].astype(np.int64) + self.add


@pytest.fixture(scope="module")
def plan_path(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    shutil.copytree(data_folder, folder / "prepared")
    path = folder / "plan.yaml"
    path.write_text(PLAN.replace("DATA", "prepared"))
    return path


@pytest.fixture(scope="module")
def plan(plan_path):
    """The plan with the point of its sweep at which nothing moves."""
    whole = plans.load(plan_path)
    sweep = dataclasses.replace(whole.sweeps[0], values=(6,))
    return dataclasses.replace(whole, sweeps=(sweep,))


@pytest.fixture(scope="module")
def done(plan, tmp_path_factory):
    """The results folder of the plan, and what was said of it."""
    folder, said = tmp_path_factory.mktemp("results") / "new", []
    runner.reproduce(plan, folder, say=said.append)
    return folder, said


@pytest.fixture(scope="module", autouse=True)
def one_baseline():
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(counting_models.MODELS):
            patch.delitem(counting_models.MODELS, name)
        settings = {"add": 5}, {"add": 0}, {"add": 1}
        model = counting_models.CountingModel(FromItself, settings)
        patch.setitem(counting_models.MODELS, "by-id", model)
        yield


def read(folder):
    return json.loads((folder / found_results.RESULTS_FILE).read_text())


def run_of(results, label, **wanted):
    (found,) = (
        run
        for run in results["runs"]
        if run["label"] == label
        and all(run[name] == value for name, value in wanted.items())
    )
    return found


def plan_of(tmp_path, text, **more):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return plans.load(path, **more)


def test_from_nothing_to_the_report(done):
    folder, said = done
    results = read(folder)
    assert [run["state"] for run in results["runs"]] == ["done"] * 5
    # The point at which nothing moved is the model itself.
    assert len(said) == 4 and all("recall@20 0." in line for line in said)
    assert "missing" not in "".join(said)
    told = Page(folder / found_results.REPORT_FILE)
    assert told.outside == [] and len(told.images) == 3
    assert "A log that was made up." in told.text
    assert "shop: Mine and Other differ in all it has alone" in told.text
    # It has an error at either moment, and no score of a distribution.
    assert told.text.count("gradient boosting, median") == 2
    assert "23 items against 35,490 in the paper" in told.text
    assert str(folder) not in (folder / found_results.REPORT_FILE).read_text()


def test_quality_stands_beside_cost(done, plan):
    folder, _ = done
    results = read(folder)
    run = run_of(results, "gru4rec")
    train = results["data"]["shop"]["manifest"]["splits"]["train"]
    costs = run["costs"]
    assert costs["training_minutes"] == run["training_seconds"] / 60
    speed = train["clicks"] * run["epochs"] / run["training_seconds"]
    assert costs["clicks_per_second"] == pytest.approx(speed)
    report = folder / found_results.REPORT_FILE
    text = Page(report).text
    assert f"{speed:,.0f}" in text and "trained clicks/s" in text
    assert "costs" not in run_of(results, "by-id")
    # Nobody knows how fast it is served, until somebody has measured it.
    assert "served" not in text and "served_ms" not in costs
    due = np.array([0.0, 0.1])
    done_ = due + np.array([0.004, 0.002])
    measured = load_report.Result.of(10, 1.0, due, due, done_, [OK] * 2, 0.1)
    file = folder / run["folder"] / run_folder.LOAD_TEST_FILE
    file.write_text(json.dumps({"results": [measured.to_json()]}))
    runner.reproduce(plan, folder, say=print)
    file.unlink()
    p50 = measured.latency_ms["p50"]
    assert run_of(read(folder), "gru4rec")["costs"]["served_ms"] == p50
    assert f"{p50:.2f}" in Page(report).text
    assert "served, p50 (ms)" in Page(report).text
    runner.reproduce(plan, folder, say=print)


def test_parts_of_the_clicks_are_told_of_each_model(done):
    folder, _ = done
    text = Page(folder / found_results.REPORT_FILE).text
    for label in ("mine", "gru4rec", "by-id"):
        run = run_of(read(folder), label)
        kept = experiments.read(folder / run["folder"], schema.PAGE_LEAVE)
        parts = run["moments"][schema.PAGE_LEAVE]["parts"]
        new, again = parts["repeat new"], parts["repeat repeated"]
        assert new == {
            name: kept["slices"]["repeat"]["new"][name]
            for name in found_results.PARTS
        }
        sizes = [part["num_predictions"] for part in (new, again)]
        assert sum(sizes) == kept["num_predictions"]
        assert f"{new['recall_at_20']:.4f}{new['mrr_at_20']:.4f}" in text
        without = parts["repeats of the last item left out"]
        assert without["mrr_at_20"] == kept["mrr_at_20_without_repeats"]
    assert "repeats of the last item left out" in text


def test_a_second_call_trains_nothing(done, plan, monkeypatch):
    folder, _ = done
    before = (folder / found_results.RESULTS_FILE).read_text()
    for module, name in (
        (tasks, "train"),
        (session_evaluation, "evaluate_moments"),
        (session_baselines, "prediction_tables"),
        (comparison, "compare"),
    ):
        monkeypatch.setattr(module, name, None)  # Not to be called.
    said = []
    runner.reproduce(plan, folder, say=said.append)
    assert said == []
    assert (folder / found_results.RESULTS_FILE).read_text() == before


def test_tables_hold_the_numbers_of_the_evaluations(done):
    folder, _ = done
    results, text = read(folder), Page(folder / found_results.REPORT_FILE).text
    for label in ("mine", "gru4rec", "by-id", "no-start"):
        run = run_of(results, label)
        for moment in schema.MOMENTS:
            kept = experiments.read(folder / run["folder"], moment)
            for metric, value in run["moments"][moment].items():
                if metric in found_results.NUMBERS:
                    assert value == kept.get(metric), metric
            recall = kept["recall_at_20"]
            assert found_results.number(recall, "recall_at_20") in text
            low, high = kept["intervals"]["recall_at_20"]
            assert found_results.interval((low, high), "recall_at_20") in text
    config = run_folder.read_config(folder / run_of(results, "mine")["folder"])
    assert config.model.units == 6 and config.training.epochs == 1


def test_a_counting_model_has_the_settings_that_validation_chose(done):
    folder, _ = done
    run = folder / run_of(read(folder), "by-id")["folder"]
    for moment in schema.MOMENTS:
        assert experiments.read(run, moment)["settings"] == ["add=0"]


def test_differences_are_reference_less_the_other(done):
    results = read(done[0])
    against = results["against"]["shop"][schema.PAGE_LEAVE]
    assert set(against) == {"gru4rec", "by-id", "no-start"}
    mine = run_of(results, "mine")["moments"][schema.PAGE_LEAVE]
    for label, found in against.items():
        theirs = run_of(results, label)["moments"][schema.PAGE_LEAVE]
        one = found["recall_at_20"]
        expected = mine["recall_at_20"] - theirs["recall_at_20"]
        assert one["difference"] == pytest.approx(expected, abs=1e-6)
        low, high = one["interval"]
        assert low <= one["difference"] <= high
    assert "dwell_mae_seconds" not in against["gru4rec"]


@pytest.mark.exhaustive
def test_what_was_cut_short_is_taken_up(done, plan, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    shutil.copytree(done[0], folder)
    cut = folder / "shop" / "gru4rec" / "seed-0"
    other = folder / "shop" / "no-start" / "seed-0"
    expected = experiments.read(cut, schema.PAGE_LEAVE)
    experiments.path(cut, schema.PAGE_LEAVE).unlink()  # Killed in evaluation,
    shutil.rmtree(other)
    other.mkdir()  # and before its first step.
    asked = []
    train = tasks.train

    def watched(config, data, run, *, resume, verbose):
        asked.append((run.parent.name, resume))
        return train(config, data, run, resume=resume, verbose=verbose)

    monkeypatch.setattr(tasks, "train", watched)
    runner.reproduce(plan, folder, say=print)
    assert asked == [("gru4rec", True), ("no-start", False)]
    assert experiments.read(cut, schema.PAGE_LEAVE) == expected
    assert {run["state"] for run in read(folder)["runs"]} == {"done"}


def test_a_run_of_another_request_is_refused(done, plan_path):
    with pytest.raises(schema.InputError, match="has another configuration"):
        runner.reproduce(plans.load(plan_path, epochs=2), done[0])


def test_without_time_all_is_missing(plan_path, tmp_path):
    said, folder = [], tmp_path / "results"
    plan = plans.load(plan_path)
    report = runner.reproduce(plan, folder, hours=0, say=said.append)
    assert said[0].startswith("6 of 6 runs are missing, the next is shop, Mine")
    assert {run["state"] for run in read(folder)["runs"]} == {"missing"}
    text = Page(report).text
    assert "6 runs are missing" in text
    assert "shop, lost, seed 0: not trained yet" in text
    assert "35,490" in text  # Table 1 needs no training.


def test_a_folder_in_use_is_refused(plan_path, tmp_path, capsys):
    asked = ["reproduce", "--plan", str(plan_path), "--budget", "0"]
    asked += ["--results", str(tmp_path / "results")]
    assert cli.main(asked) == 0
    with (tmp_path / "results" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = (tmp_path / "results" / found_results.RESULTS_FILE).stat()
        assert cli.main(asked) == 2
    assert "which another one uses" in capsys.readouterr().err
    assert (tmp_path / "results" / found_results.RESULTS_FILE).stat() == before
    assert cli.main(asked) == 0


def test_a_stop_is_told_and_leaves_a_report(
    plan_path, tmp_path, monkeypatch, capsys
):
    def stop(*_, **__):
        raise interruptions.TrainingStopped("stopped at batch 3")

    monkeypatch.setattr(tasks, "train", stop)
    folder = tmp_path / "results"
    asked = ["reproduce", "--plan", str(plan_path), "--results", str(folder)]
    assert cli.main(asked) == 143
    assert "stopped at batch 3" in capsys.readouterr().err
    assert "6 runs are missing" in Page(folder / found_results.REPORT_FILE).text


def test_a_training_that_fails_is_told(plan_path, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise interruptions.TrainingError("The loss must be a number.")

    monkeypatch.setattr(tasks, "train", fail)
    plan, folder, said = plans.load(plan_path), tmp_path / "results", []
    (folder / "shop" / "mine").mkdir(parents=True)
    report = runner.reproduce(plan, folder, say=said.append)
    assert "failed: The loss must be a number." in said[0]
    assert "Mine, seed 0: The loss must be a number." in Page(report).text


def test_what_a_log_sets_holds_on_that_log(plan_path, tmp_path):
    other = "other: {prepared: prepared, set: [training.batch_sessions=7]}"
    text = plan_path.read_text().replace("like: CIKM16", "set: [model.seed=3]")
    path = plan_path.with_name("two.yaml")
    path.write_text(text.replace("data:\n", f"data:\n  {other}\n", 1))
    plan = plans.load(path)

    def sizes(trials=0):
        experiment = Experiment(
            plan, tmp_path, SESSIONS, 1, trials, ("tables",)
        )
        return {
            (step.data, step.model): experiment.config(
                step
            ).training.batch_sessions
            for step in experiment.steps()
            if step.purpose == steps.HEADLINE
        }

    every = preset("production").training.batch_sessions
    assert sizes() == {
        **dict.fromkeys([("other", "mine"), ("other", "gru4rec")], 7),
        **dict.fromkeys([("shop", "mine"), ("shop", "gru4rec")], every),
    }
    # A search is on the first log, and starts from what that sets.
    experiment = Experiment(plan, tmp_path, SESSIONS, 1, 2, ("tables",))
    found = experiment.untuned("mine", plan.data[0])
    assert found.training.batch_sessions == 7
    study = experiment.study("mine")
    study.mkdir(parents=True)
    found = found.override(["training.batch_sessions=9", "model.units=5"])
    (study / "best.yaml").write_text(found.to_yaml())
    assert sizes(trials=2)["other", "mine"] == 9
    assert sizes(trials=2)["shop", "mine"] == 9
    report = runner.reproduce(plan, tmp_path / "new", hours=0, say=print)
    assert "On other: training.batch_sessions=7." in Page(report).text


def test_order_and_parts(plan_path):
    plan = plans.load(plan_path)

    def labels(**options):
        return [
            (step.label, step.seed) for step in steps.steps(plan, **options)
        ]

    everything = labels(seeds=2, baselines=("knn",))
    assert everything[:5] == [
        *(("mine", 0), ("gru4rec", 0), ("knn", 0)),
        *(("mine", 1), ("gru4rec", 1)),
    ]
    rest = [("gru4rec.units-4", 0), ("gru4rec.units-6", 0)]
    assert everything[5:] == [("no-start", 0), ("no-start", 1), *rest]
    assert labels(only=("figures",)) == rest
    assert labels(only=("ablations",)) == [
        *(("mine", 0), ("gru4rec", 0), ("no-start", 0))
    ]
    assert labels(only=("ablations",), seeds=2) == [
        *(("mine", 0), ("gru4rec", 0), ("mine", 1), ("gru4rec", 1)),
        *(("no-start", 0), ("no-start", 1)),
    ]


def test_the_plan_that_ships(data_folder):
    """Every change in it is of the model that it is made to."""
    plan = plans.load(data=[data_folder])
    presets = importlib.resources.files("jump_tf.config") / "presets"
    shipped = {file.name.removesuffix(".yaml") for file in presets.iterdir()}
    shipped = {
        name
        for name in shipped - {"demo"}
        if configs.preset(name).task == schema.SESSIONS
    }
    assert {one.preset for one in plan.models} == shipped
    assert plan.reference == "production"
    assert len(plan.ablations) == 14
    weights = {
        configs.preset("paper")
        .override([f"model.dwell_scale={value}"])
        .model.dwell_scale
        ** -2
        for value in plan.sweeps[0].values
    }
    assert min(weights) == pytest.approx(1e-4)
    assert max(weights) == pytest.approx(100)
    assert len(weights) == 7
    whole = plans._all(
        plans.Model,
        plans._tree(plans._FOLDER / "paper.yaml"),
        "models",
    )
    papers = {one.paper for one in whole} - {None}
    assert papers == set(published.CLICKS)


def test_the_published_protocol(tmp_path):
    shipped = plans._FOLDER / "published.yaml"
    path = tmp_path / "published.yaml"
    path.write_text(shipped.read_text())
    plan = plans.load(path)
    (data,) = plan.data
    options = data.options(tmp_path)
    assert options.input == (str(tmp_path / "train-item-views.csv"),)
    assert options.merge_repeats and options.k_core
    assert (options.min_item_clicks, options.min_session_clicks) == (5, 2)
    assert (options.split, options.test_days) == ("temporal", 7)
    assert data.like == published.DIGINETICA_5_CORE
    assert not plan.ablations and not plan.sweeps
    papers = {one.name: one.paper for one in plan.models}
    assert papers.pop("production") is None
    assert set(papers.values()) == {"GRU4Rec"}
    assert plan.config("gru4rec-bpr-max").model.units == 512
    for name, value in (("recall_at_20", 0.4995), ("mrr_at_20", 0.1542)):
        assert published.number("GRU4Rec", data.like, name) == value
    assert published.number("GRU4Rec", data.like, "ndcg_at_20") is None
    assert published.number(None, data.like, "mrr_at_20") is None


def test_published_numbers_stand_beside_ours(plan_path, tmp_path):
    text = plan_path.read_text().replace("CIKM16", "Diginetica-5-core")
    path = plan_path.with_name("published.yaml")
    path.write_text(text)
    tree = found_results.collect(
        Experiment(plans.load(path), tmp_path, SESSIONS)
    )
    told = " ".join(page._unlike(tree, "shop"))
    assert "A log that was made up." in told and "Ties are won" in told
    assert "The paper has no such" not in told and "at random" not in told
    header = published.heading("Diginetica-5-core")
    assert header == "Diginetica-5-core, published"
    assert published.heading("CIKM16") == "CIKM16, in the paper"
    names = found_results.CLICK_METRICS
    printed = tables._printed("GRU4Rec", "Diginetica-5-core", names)
    assert printed == "0.4995 / 0.1542"


def test_flags_of_a_plan_are_given_or_not(tmp_path):
    text = (
        "data: {a: {format: csv, input: x, merge_repeats: true, k_core: false}}"
    )
    (data,) = plan_of(tmp_path, text, models=["production"]).data
    options = data.options(tmp_path)
    assert options.merge_repeats and not options.k_core


def test_logs_of_a_plan_are_asked_of_prepare(tmp_path):
    plan = plan_of(
        tmp_path,
        "data:\n  a: {format: diginetica, input: [x.csv], test_days: 7,\n"
        "      splits: [random, temporal]}\n",
        models=["production"],
    )
    one, two = (data.options(pathlib.Path("R")) for data in plan.data)
    assert (one.split, two.split) == ("random", "temporal")
    assert one.output == "R/data/a-random" and one.test_days == 7
    assert one.input == (str(tmp_path / "x.csv"),)
    assert plan.data[0].like == published.CIKM16


def test_a_log_is_prepared_once(tmp_path):
    rows = [
        f"s{session},i{(session + click) % 7},{10**12 + 9999 * click}"
        for session in range(60)
        for click in range(2 + session % 3)
    ]
    log = "\n".join(["session_id,item_id,timestamp_ms", *rows])
    (tmp_path / "log.csv").write_text(log + "\n")
    text = "data:\n  a: {format: csv, input: [log.csv]}\n"
    plan = plan_of(tmp_path, text, models=["production"])
    datasets.prepare(plan.data[0], tmp_path)
    manifest = tmp_path / "data" / "a-random" / schema.MANIFEST_FILE
    made = manifest.stat().st_mtime_ns
    datasets.prepare(plan.data[0], tmp_path)
    assert manifest.stat().st_mtime_ns == made
    older = json.loads(manifest.read_text())  # Before there was `until`.
    del older["options"]["until"]
    manifest.write_text(json.dumps(older))
    datasets.prepare(plan.data[0], tmp_path)
    for change in ("min_item_clicks: 2", "until: 2030-01-01"):
        other = text.replace("csv]}", f"csv], {change}}}")
        plan = plan_of(tmp_path, other, models=["production"])
        with pytest.raises(schema.InputError, match="another request than"):
            datasets.prepare(plan.data[0], tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "`a plan` must be a mapping"),
        ("{", "`--plan` must be a YAML file"),
        ("model: {}", "must have sections of"),
        ("set: 3", "`set` must be a list of texts"),
        ("set: [model.units=0]", "`units` must be at least 1"),
        ("models: {a: {title: A}}", "must have ['preset', 'title']"),
        ("models: {a: {title: A, preset: best}}", "`--preset` must be one of"),
        ("models: {}", "must have a model"),
        ("models: {a b: {title: A, preset: paper}}", "Names must be folders"),
        ("data: {tuning: {prepared: DATA}}", "Names must be folders"),
        ("data: {a: {prepared: nowhere}}", "output of `jump-tf prepare`"),
        ("data: {a: {prepared: DATA, like: Amazon}}", "`like` must be one of"),
        ("data: {a: {prepared: DATA, split: random}}", "beside `prepared`"),
        ("data: {a: {prepared: DATA, set: 3}}", "set` must be a list"),
        ("data: {a: {prepared: DATA, set: [model.unit=1]}}", "model.unit"),
        ("data: {a: {format: csv, input: x, split: random}}", "of `splits`"),
        ("data: {a: {format: csv, input: x, 3: 4}}", "must be as asked"),
        ("data: {a: {format: [csv, csv], input: x}}", "must be as asked"),
        (
            "ablations: {../b: {title: A, model: paper, set: []}}",
            "Names must be folders",
        ),
        (
            "ablations: {paper: {title: A, model: paper, set: []}}",
            "Names must be folders, each once",
        ),
        (
            "models: {by-id: {title: A, preset: paper}}",
            "names of their own. Received: 'by-id' twice",
        ),
        (
            "sweeps: {a: {value: model.dropout, values: [0.12345678, "
            "0.12345679], models: [paper]}}",
            "names of their own. Received: 'paper.dropout-0.123457' twice",
        ),
        ("data: {a: {format: csv}}", "`data: a-random` must be as asked"),
        ("data: {a: {format: csv, input: x, days: 3}}", "must be as asked"),
        (
            "data: {a: {format: csv, input: x, splits: [best]}}",
            "invalid choice",
        ),
        (
            "sweeps: {a: {value: model.units, values: [x], models: [paper]}}",
            "must be a list of numbers",
        ),
        (
            "sweeps: {a: {value: model.unit, values: [1], models: [mine]}}\n"
            "models: {mine: {title: A, preset: paper}}",
            "section.name=value",
        ),
        (
            "ablations: {a: {title: A, model: none, set: []}}\n"
            "models: {mine: {title: A, preset: paper}}",
            "`a` must be of models ['mine']",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    text, message, data_folder, tmp_path, capsys
):
    path, results = tmp_path / "plan.yaml", tmp_path / "results"
    path.write_text(text.replace("DATA", str(data_folder)))
    data = () if "data" in text else ("--data", data_folder)
    arguments = ("reproduce", "--plan", path, "--results", results, *data)
    shipped = () if "models:" in text else ("--models", "production", "paper")
    words = [str(word) for word in (*arguments, *shipped)]
    assert cli.main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and message in said[0]
    assert not results.exists()


def test_requests_that_make_no_sense_are_refused(plan_path, tmp_path, capsys):
    for more, message in (
        (("--seeds", "0"), "`--seeds` must be at least 1"),
        (("--trials", "-1"), "`--trials` must be at least 0"),
        (("--budget", "-1"), "`--budget` must not be negative"),
        (("--models", "best"), "`--models` must be of ['mine', 'gru4rec']"),
        (("--epochs", "0"), "`epochs` must be at least 1"),
        (("--results", plan_path), "`--results` must be a folder"),
    ):
        arguments = ("--plan", plan_path, "--results", tmp_path / "r", *more)
        assert cli.main(["reproduce", *map(str, arguments)]) == 2
        assert message in capsys.readouterr().err
    assert cli.main(["reproduce", "--results", str(tmp_path / "r")]) == 2
    assert "`--data` or a `--plan`" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_what_presets_take_from_the_log_is_no_other_configuration(
    data_folder, tmp_path
):
    """Or no folder of results would go on."""
    plan = plans.load(None, data=[data_folder])
    experiment = Experiment(plan, tmp_path, SESSIONS, only=["tables"])
    for step in experiment.steps():
        if step.purpose != steps.BASELINES:
            config = tasks.with_data(experiment.config(step), data_folder)
            run = experiment.run(step)
            run_folder.open_run(run, config, data_folder, ["one"])
            experiment.check(step)


@pytest.mark.parametrize("space", ["nowhere", "lists"])
def test_a_search_that_makes_no_sense_is_refused(space, data_folder, tmp_path):
    """Before the first training, not after the last but one."""
    text = f"models: {{a: {{title: A, preset: gru4rec, space: {space}}}}}"
    plan = plan_of(tmp_path, text, data=[data_folder])
    Experiment(plan, tmp_path, SESSIONS)
    with pytest.raises(schema.InputError, match=r"`--(space|set)` must be"):
        runner.reproduce(plan, tmp_path / "results", trials=1)
    assert not (tmp_path / "results").exists()


def test_a_seed_is_of_the_training_and_of_what_the_model_draws(
    plan_path, tmp_path
):
    plan = plans.load(plan_path)
    trained = [
        step
        for step in Experiment(plan, tmp_path, SESSIONS, seeds=3).steps()
        if step.purpose != steps.BASELINES
    ]
    assert {step.seed for step in trained} == {0, 1, 2}
    for step in trained:
        config = Experiment(plan, tmp_path, SESSIONS).config(step)
        assert config.training.seed == config.model.seed == step.seed


def test_printed_numbers_are_the_papers():
    """Tables 2 and 3, by way of sums that a slip of a digit would change."""
    sums = {
        name: np.round(
            np.sum([row[name] for row in published.CLICKS.values()], 0), 4
        )
        for name in published.DATA
    }
    np.testing.assert_allclose(
        sums[published.RECSYS15], [5.3701, 2.3015, 2.9905]
    )
    np.testing.assert_allclose(sums[published.CIKM16], [4.0265, 1.2757, 1.9104])
    np.testing.assert_allclose(sums[published.REDDIT], [6.45, 5.4211, 5.6449])
    jump = published.CLICKS["JUMP"][published.CIKM16]
    assert jump == (0.6046, 0.2080, 0.3049)
    assert published.number("JUMP", "CIKM16", "mrr_at_20") == 0.2080
    assert published.number("JUMP", "RecSys15", "dwell_mae_seconds") == 73.61
    assert published.number("NARM", "RecSys15", "dwell_mae_seconds") is None
    assert published.number(None, "RecSys15", "recall_at_20") is None
    for name, statistics in published.STATISTICS.items():
        sessions = statistics["train_sessions"] + statistics["test_sessions"]
        clicks = sessions * statistics["average_length"]
        assert clicks == pytest.approx(statistics["clicks"], rel=0.002), name


def test_every_model_has_the_best_of_its_own_search(
    plan_path, tmp_path, monkeypatch
):
    pytest.importorskip("optuna")
    rates, used = {"Mine": 0.011, "Other": 0.022}, {}
    plan = plans.load(plan_path)

    def tune(config, data, folder, space, *, trials, minutes, say):
        assert (trials, minutes) == (2, None)
        assert {one.name for one in space} >= {"training.learning_rate"}
        folder.mkdir(parents=True)
        rate = rates[plan.model(folder.name).title]
        best = config.override([f"training.learning_rate={rate}"])
        (folder / "best.yaml").write_text(best.to_yaml())
        (folder / "trials.csv").write_text(
            "state,minutes\ncomplete,36.0\npruned,\n"
        )

    def train(config, data, run, **_):
        used[run.parent.name] = config
        raise interruptions.TrainingError("Enough.")

    monkeypatch.setattr(tasks, "tune", tune)
    monkeypatch.setattr(tasks, "train", train)
    folder = tmp_path / "results"
    report = runner.reproduce(plan, folder, trials=2, say=lambda line: None)
    found = {
        name: config.training.learning_rate for name, config in used.items()
    }
    others = ("gru4rec", "no-start", "gru4rec.units-4")
    assert found == {"mine": 0.011, **dict.fromkeys(others, 0.022)}
    assert used["gru4rec.units-4"].model.units == 4
    assert not used["no-start"].model.learned_start
    text = Page(report).text
    assert "a search of 2 trials" in text
    assert "together they took 1.2 hours" in text
    assert "All searched the same values, `reproduce`." in text

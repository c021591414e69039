"""Training, evaluation and export of models of lists by the common code."""

import json
import pathlib
import re

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config import run as configs
from jump_tf.config.run import preset
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import prediction_table as list_prediction_table
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.experiments.reproduction import list_comparison
from jump_tf.experiments.reproduction import list_comparison_page
from jump_tf.experiments.reproduction import plan_file
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import search_space
from jump_tf.train import trainer
from tests import small_lists

PRESETS = pathlib.Path(configs.__file__).parent / "presets"
LIST_PRESETS = sorted(
    path.stem
    for path in PRESETS.glob("*.yaml")
    if preset(path.stem).task == schema.LISTS
)
SMALL = (
    "model.embedding_size=3",
    "model.units=5",
    "model.head_units=4",
    "model.head_layers=1",
    "training.epochs=2",
    "training.batch_sessions=40",
    "training.learning_rate=0.01",
    "training.patience=9",
    "training.checkpoint_seconds=0",
)
ONE_STEP = ("training.epochs=1", "training.batch_sessions=200")


@pytest.fixture(scope="module")
def lists_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    small_lists.write_folder(folder, small_lists.make_splits())
    return folder


@pytest.fixture(scope="module")
def config():
    return preset("heroes").override(SMALL)


@pytest.fixture(scope="module")
def run(config, lists_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    tasks.train(config, lists_folder, folder, verbose=0)
    return folder


def weights(run):
    return [np.asarray(w) for w in model_factory.load_run(run).weights]


def test_the_best_epoch_is_that_of_the_best_auc(run, config, lists_folder):
    history = run_folder.read_history(run)
    best = max(history, key=lambda record: record["val_ctcvr_auc"])
    model = model_factory.load_run(run)
    validation = list_evaluation.Validation(model, lists_folder)()
    assert validation["ctcvr_auc"] == pytest.approx(best["val_ctcvr_auc"])
    assert model.config.num_fields == len(small_lists.FIELDS)


@pytest.mark.parametrize("name", LIST_PRESETS)
def test_presets_build_what_they_name(name, lists_folder):
    config = tasks.with_data(preset(name), lists_folder)
    assert configs.from_dict(configs.yaml.safe_load(config.to_yaml())) == config
    model = tasks.build_model(config, lists_folder)
    assert isinstance(model, model_factory.MODELS[config.architecture])
    assert model.config == config.model


def test_the_plan_of_lists_names_every_preset(lists_folder):
    """And every change in it is of the model that it is made to."""
    plan = plan_file.load(data=[lists_folder], shipped="heroes")
    made = {"heroes_demo", "heroes_released"}
    assert {one.preset for one in plan.models} == set(LIST_PRESETS) - made
    assert plan.reference == "heroes"


class Killed(BaseException):
    pass


def test_an_interrupted_run_resumes_to_the_same_weights(
    run, config, lists_folder, tmp_path, monkeypatch
):
    def die(self, *arguments, **options):
        saved(self, *arguments, **options)
        raise Killed

    saved = trainer.Checkpoints.save_last
    with monkeypatch.context() as patched:
        patched.setattr(trainer.Checkpoints, "save_last", die)
        with pytest.raises(Killed):
            tasks.train(config, lists_folder, tmp_path / "r", verbose=0)
    tasks.train(config, lists_folder, tmp_path / "r", resume=True, verbose=0)
    for mine, theirs in zip(weights(tmp_path / "r"), weights(run), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_model_refuses_data_of_the_other_kind(
    config, lists_folder, data_folder, tmp_path
):
    sessions = preset("gru4rec")
    for model, data in ((config, data_folder), (sessions, lists_folder)):
        with pytest.raises(schema.InputError, match="must have a data folder"):
            tasks.train(model, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_items_with_bags_of_features_need_their_mean(config, tmp_path):
    splits = small_lists.make_splits(())
    small_lists.write_folder(tmp_path, splits, ())
    with pytest.raises(schema.InputError, match=r"`model.combine` must be"):
        tasks.train(config, tmp_path, tmp_path / "run")
    mean = config.override(["model.combine=mean", "training.epochs=1"])
    tasks.train(mean, tmp_path, tmp_path / "run", verbose=0)
    assert run_folder.read_config(tmp_path / "run").model.num_fields == 1


def test_a_warm_start_moves_features(config, run, lists_folder, tmp_path):
    from jump_tf.train import warm_start

    source = warm_start.WarmStart(run)
    tasks.train(
        config,
        lists_folder,
        tmp_path / "warm",
        warm_start=source,
        verbose=0,
    )
    first = run_folder.read_history(tmp_path / "warm")[0]
    assert first["loss"] < run_folder.read_history(run)[0]["loss"]


def call(*arguments, capsys):
    code = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_verbs_take_a_run_of_lists(run, lists_folder, tmp_path, capsys):
    code, out, _ = call("evaluate", "--run", run, capsys=capsys)
    assert code == 0
    assert "Click and conversion, over all items" in out
    assert list_prediction_table.path(run, schema.TEST).is_file()
    code, out, _ = call("report", "--run", run, capsys=capsys)
    assert code == 0
    assert (run / "report.html").is_file()
    code, out, _ = call(
        "export", "--run", run, "--output", tmp_path, capsys=capsys
    )
    assert code == 0
    assert (tmp_path / "heroes" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("evaluate", "--task", "sessions"),
            "must be given a model of sessions",
        ),
        (("evaluate", "--moment", "page_load"), "`--moment` must be given for"),
        (("report", "--task", "sessions"), "must be given a model of sessions"),
    ],
)
def test_flags_of_sessions_are_refused(run, arguments, sentence, capsys):
    verb, *flags = arguments
    code, _, err = call(verb, "--run", run, *flags, capsys=capsys)
    assert code == 2
    assert sentence in err


def test_the_items_table_gives_the_evaluation_again(run, lists_folder):
    model = model_factory.load_run(run)
    result = list_evaluation.evaluate_run(run, model, lists_folder)
    shown, answers = list_prediction_table.read(run, schema.TEST)
    for feedback, numbers in (("known", result), ("free", result["free"])):
        judged = list_evaluation.judge(shown, answers[feedback], 9, 0, ())
        for name in list_comparison.METRICS:
            assert judged.numbers[name] == pytest.approx(numbers[name])


def test_times_do_not_reach_the_free_answers(run, lists_folder):
    """How long it took to the next item tells whether one was clicked."""
    model = model_factory.load_run(run)
    predictor = list_predictions.Predictor(model)
    answers = []
    for factor in (1.0, 9.0):
        batches = [
            (
                {
                    **inputs,
                    schema.OFFSET_SECONDS: factor
                    * inputs[schema.OFFSET_SECONDS],
                },
                targets,
                weights,
            )
            for inputs, targets, weights in list_evaluation.batches(
                model, lists_folder, schema.TEST
            )
        ]
        answers.append(predictor(batches, list_predictions.FEEDBACKS)[1])
    free, known = (
        [said[feedback].log_click for said in answers]
        for feedback in (list_predictions.FREE, list_predictions.KNOWN)
    )
    np.testing.assert_array_equal(*free)
    assert (known[0] != known[1]).any()


@pytest.mark.parametrize("name", LIST_PRESETS)
def test_the_space_that_ships_is_for_every_model(name):
    space = search_space.load("lists", preset(name))
    assert len(space) == 4


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--budget", "-1"), "`--budget` must not be negative"),
        (("--seeds", "0"), "`--seeds` must be at least 1"),
        (("--only", "figures"), "`--only` must leave a model"),
        (("--trials", "3"), "`--trials` must be 0"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(
    flags, sentence, lists_folder, tmp_path, capsys
):
    code, _, err = call(
        *("reproduce", "--task", "lists", "--data", lists_folder),
        *("--results", tmp_path / "results", *flags),
        capsys=capsys,
    )
    assert code == 2
    assert sentence in err
    assert not (tmp_path / "results").exists()


def test_without_time_nothing_is_compared(lists_folder, tmp_path, capsys):
    code, _, err = call(
        *("reproduce", "--task", "lists", "--data", lists_folder),
        *("--results", tmp_path / "results", "--budget", "0"),
        capsys=capsys,
    )
    assert code == 0, err
    assert (tmp_path / "results" / "report.html").is_file()


def test_lists_are_not_compiled(config, lists_folder, tmp_path):
    compiled = config.override(["training.jit_compile=true"])
    with pytest.raises(schema.InputError, match="must be off for models of"):
        tasks.train(compiled, lists_folder, tmp_path / "run")


def test_a_demo_is_of_the_task_that_is_named(tmp_path, capsys):
    code, _, err = call(
        *("demo", "--task", "sessions", "--preset", "heroes_demo"),
        *("--workdir", tmp_path / "demo"),
        capsys=capsys,
    )
    assert code == 2
    assert "must be given a model of sessions" in err
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
def test_models_are_compared_on_the_same_items(lists_folder, tmp_path):
    said = []
    plan = plan_file.load(
        None, [lists_folder], ["heroes", "esmm"], 1, shipped="heroes"
    )
    small = {
        "set": (*SMALL[0:1], *SMALL[2:4], *ONE_STEP),
        "ablations": plan.ablations[:1],
    }
    plan = type(plan)(plan.data, plan.models, **small)
    tree = list_comparison.compare(plan, tmp_path, seeds=2, say=said.append)
    assert len(said) == 2 * 2 + 1
    found = tree["data"][lists_folder.name]
    assert set(found["known"]) == {
        "heroes",
        "esmm",
        *(one.name for one in plan.ablations),
    }
    assert "lead" not in found["known"]["heroes"]
    low, high = found["free"]["esmm"]["lead"]["ctr_auc"]
    assert low < high
    # Nothing is left to do, and nothing changes.
    again = list_comparison.compare(plan, tmp_path, seeds=2, say=said.append)
    assert len(said) == 2 * 2 + 1
    assert again["data"] == tree["data"]
    saved = json.loads((tmp_path / list_comparison.RESULTS_FILE).read_text())
    assert saved["models"] == tree["models"]
    page = list_comparison_page.reproduce(plan, tmp_path, seeds=2)
    text = page.read_text()
    assert "ESMM (2 seeds)" in text
    assert not re.search(r"\*\*|nan", text)
    # What is left out of a model is compared with the seeds that it has.
    ablation = again["data"][lists_folder.name]["known"][plan.ablations[0].name]
    assert ablation["seeds"] == [0]
    other = type(plan)(
        plan.data,
        plan.models,
        **{**small, "set": (*small["set"], "model.l2=1")},
    )
    with pytest.raises(schema.InputError, match="one of the same request"):
        list_comparison.compare(other, tmp_path)


@pytest.mark.slow
def test_the_demo_ends_with_a_served_score(tmp_path, capsys):
    code, out, err = call(
        *("demo", "--task", "lists", "--workdir", tmp_path / "demo"),
        *("--set", "training.epochs=4"),
        capsys=capsys,
    )
    assert code == 0, err
    pairs = {
        name.strip(): (float(mine), float(best))
        for name, mine, best in re.findall(
            r"^(CT\S+ \S+)\s+([\d.]+), best possible ([\d.]+)$", out, re.M
        )
    }
    mine, best = pairs["CTR AUC"]
    assert best - 0.03 < mine < best + 0.005
    mine, best = pairs["CTCVR AUC"]
    assert best - 0.03 < mine < best + 0.01
    assert "once the feedback on its first items is known" in out
    assert (tmp_path / "demo" / "run" / "report.html").is_file()

"""Training, evaluation and export of models of lists by the common code."""

import pathlib

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
from jump_tf.experiments.reproduction import plan as plans
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


@pytest.mark.exhaustive  # test_trainer.py has it with sessions.
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
    plan = plans.load(data=[lists_folder], shipped="heroes")
    made = {"heroes_demo", "heroes_released"}
    assert {one.preset for one in plan.models} == set(LIST_PRESETS) - made
    assert plan.reference == "heroes"


class Killed(BaseException):
    pass


@pytest.mark.exhaustive  # test_resume.py has it with sessions.
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
        (
            ("report", "--task", "sessions"),
            "must be given a model of sessions",
        ),
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


def test_lists_are_not_compiled(config, lists_folder, tmp_path):
    compiled = config.override(["training.jit_compile=true"])
    with pytest.raises(schema.InputError, match="must be off for models of"):
        tasks.train(compiled, lists_folder, tmp_path / "run")

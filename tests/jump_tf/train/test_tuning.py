"""What a search tries, prunes and keeps; most trainings are made up."""

import csv
import math
import types

import pytest
import yaml

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config import run as configs
from jump_tf.runs import folder as run_folder
from jump_tf.runs import model_factory
from jump_tf.train import interruptions
from jump_tf.train import search_space
from jump_tf.train import trainer
from jump_tf.train import trials
from jump_tf.train import tuning
from jump_tf.train.search_space import Choices
from jump_tf.train.search_space import Range
from tests import small_lists

EPOCHS = 4
BASE = configs.preset("paper").override([f"training.epochs={EPOCHS}"])
SPACE = (
    Range("training.learning_rate", 1e-4, 1e-1, log=True),
    Range("model.units", 10, 90),
    Choices("model.residual", (True, False)),
)


class FakeTraining:
    """A metric that rises with the epochs and is best at a rate of 0.01.

    Attributes:
        epochs: trained so far, all trials together.
        killed_at: the number of epochs after which it dies.
        diverge: whether the loss of a rate above 0.05 is no number.
    """

    def __init__(self):
        self.epochs = 0
        self.killed_at = None
        self.diverge = False
        self.resumed = []

    def train(self, task, config, data, run, *, resume, callbacks, verbose):
        rate = config.training.learning_rate
        if self.diverge and rate > 0.05:
            raise interruptions.TrainingError("The loss must be a number.")
        run.mkdir(parents=True, exist_ok=True)
        (run / run_folder.CONFIG_FILE).write_text(config.to_yaml())
        history = run_folder.read_history(run)
        assert resume == bool(history)
        if resume:
            self.resumed.append(len(history))
        (watch,) = callbacks
        watch.set_model(types.SimpleNamespace(stop_training=False))
        for epoch in range(len(history), EPOCHS):
            best = math.exp(-abs(math.log(rate / 0.01)))
            recall = best * (epoch + 1) / EPOCHS
            history.append({"epoch": epoch + 1, task.monitored: recall})
            run_folder.write_history(run, history)
            self.epochs += 1
            if self.epochs == self.killed_at:
                raise KeyboardInterrupt
            watch.model.stop_training = epoch + 1 == EPOCHS
            watch.on_epoch_end(epoch, {task.monitored: recall})
            if watch.model.stop_training:
                break
        return history[-1]


@pytest.fixture
def fake(monkeypatch):
    fake = FakeTraining()
    monkeypatch.setattr(trainer, "train", fake.train)
    # Nothing of Keras is left to clear, which takes the garbage collector.
    monkeypatch.setattr(tuning.keras.backend, "clear_session", lambda: None)
    return fake


@pytest.fixture
def search(data_folder, tmp_path):
    def search(name="study", config=BASE, space=SPACE, **budget):
        return tasks.tune(
            *(config, data_folder, tmp_path / name, space),
            say=lambda line: None,
            **budget,
        )

    return search


def test_the_budget_is_all_trials_of_the_study(fake, search):
    assert len(search(trials=3)) == 3
    assert len(search(trials=5)) == 5
    before = fake.epochs
    assert len(search(trials=5)) == 5
    assert fake.epochs == before


def test_the_first_trial_is_the_base_as_far_as_the_space_holds_it(
    fake, search, tmp_path
):
    base = BASE.override(["model.units=40", "training.learning_rate=0.3"])
    search(config=base, trials=2)
    first, second = (
        run_folder.read_config(tmp_path / "study" / tuning.TRIALS_FOLDER / name)
        for name in ("000", "001")
    )
    assert first.model == base.model
    assert first.training.learning_rate <= SPACE[0].high
    assert second.model != base.model


def test_what_is_not_promising_is_pruned(fake, search):
    rows = search(trials=12)
    states = [row["state"] for row in rows]
    assert 0 < states.count("pruned") <= 12 - tuning.STARTUP_TRIALS
    assert states == sorted(states)  # The complete ones first.
    assert fake.epochs < 12 * EPOCHS
    for row in rows:
        assert (row["epochs"] < EPOCHS) == (row["state"] == "pruned")
    complete = [row["recall_at_20"] for row in rows if row["state"] != "pruned"]
    assert complete == sorted(complete, reverse=True)


def untimed(rows):
    assert all(row.pop("minutes") >= 0.0 for row in rows)
    return rows


def test_the_same_study_twice_tries_the_same(fake, search):
    one, two = (untimed(search(name, trials=7)) for name in ("one", "two"))
    assert one == two
    other = BASE.override(["training.seed=1"])
    three = untimed(search("three", other, trials=2))
    assert three != untimed(search("four", trials=2))


def test_an_interrupted_study_ends_as_one_that_was_not(fake, search):
    whole = untimed(search("whole", trials=7))
    fake.epochs, fake.killed_at = 0, 2 * EPOCHS + 3
    with pytest.raises(KeyboardInterrupt):
        search("killed", trials=7)
    fake.killed_at = None
    assert untimed(search("killed", trials=7)) == whole
    assert fake.resumed == [3]


def test_out_of_time_ends_with_the_epoch_and_goes_on_later(fake, search):
    rows = search(minutes=1e-9)
    assert rows == [] and fake.epochs == 0
    now = iter(range(100))
    with pytest.MonkeyPatch.context() as patch:
        clock = types.SimpleNamespace(monotonic=lambda: float(next(now)))
        patch.setattr(tuning, "time", clock)
        rows = search(minutes=4 / 60)
    assert fake.epochs == 3
    (row,) = rows
    assert (row["state"], row["epochs"]) == ("unfinished", 3)
    (row,) = search(trials=1)
    assert (row["state"], row["epochs"]) == ("complete", 4)
    assert fake.resumed == [3]


def test_a_trial_that_diverges_is_counted_and_passed_over(fake, search):
    fake.diverge = True
    space = [Choices("training.learning_rate", (0.09, 0.01))]
    rows = search(space=space, trials=6)
    states = {row["training.learning_rate"]: row["state"] for row in rows}
    assert states == {0.01: "complete", 0.09: "fail"}
    assert rows[0]["state"] == "complete"


def test_best_configuration_and_table(fake, search, tmp_path):
    rows = search(trials=6)
    best = configs.load(tmp_path / "study" / trials.BEST_FILE)
    assert best.training.learning_rate == rows[0]["training.learning_rate"]
    assert best.model.units == rows[0]["model.units"]
    assert best.model.micro_step_seconds == BASE.model.micro_step_seconds
    with (tmp_path / "study" / trials.TABLE_FILE).open() as lines:
        table = list(csv.DictReader(lines))
    assert [int(row["trial"]) for row in table] == [r["trial"] for r in rows]
    for row in rows:
        run = tmp_path / "study" / "trials" / f"{row['trial']:03d}"
        tried = run_folder.read_config(run)
        assert tried.training.learning_rate == row["training.learning_rate"]
        assert 1e-4 <= tried.training.learning_rate <= 1e-1
        assert type(tried.model.units) is int and 10 <= tried.model.units <= 90
    text = trials.format_table(rows)
    assert len(text.splitlines()) == 7


def test_a_study_of_lists_is_judged_by_their_metric(fake, tmp_path):
    (tmp_path / "data").mkdir()
    small_lists.write_folder(tmp_path / "data", small_lists.make_splits())
    config = configs.preset("heroes").override([f"training.epochs={EPOCHS}"])
    said = []
    rows = tasks.tune(
        *(config, tmp_path / "data", tmp_path / "study", SPACE[:1]),
        trials=2,
        say=said.append,
    )
    assert all(0 < row["ctcvr_auc"] <= 1 for row in rows)
    assert rows[0]["ctcvr_auc"] >= rows[1]["ctcvr_auc"]
    assert "recall_at_20" not in rows[0]
    assert len(said) == 2
    assert all("validation CTCVR AUC 0." in line for line in said)


def test_whoever_finds_the_table_finds_the_best(
    fake, search, tmp_path, monkeypatch
):
    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(trials.csv, "DictWriter", killed)
    with pytest.raises(KeyboardInterrupt):
        search(trials=2)
    assert configs.load(tmp_path / "study" / trials.BEST_FILE)
    assert not (tmp_path / "study" / trials.TABLE_FILE).exists()


def test_another_study_in_the_folder_is_refused(fake, search, tmp_path):
    search(trials=1)
    with pytest.raises(schema.InputError, match="must go on with its own"):
        search(config=BASE.override(["model.dwell_weight=2"]), trials=2)
    with pytest.raises(schema.InputError, match="must go on with its own"):
        search(space=SPACE[:2], trials=2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(schema.InputError, match="must be a new or empty"):
        search("full", trials=1)


def test_a_second_process_is_kept_out(fake, search, tmp_path):
    search(trials=1)
    with (
        run_folder.alone(tmp_path / "study" / tuning.STUDY_FILE),
        pytest.raises(schema.InputError, match="One process at a time"),
    ):
        search(trials=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- model.units", "must be a mapping of names"),
        ("", "must be a mapping of names"),
        ("model.units: 3", "must be a mapping"),
        ("model.units: {low: 3}", "`low` and `high`"),
        ("model.units: {low: a, high: b}", "must have numbers"),
        ("model.units: {low: 9, high: 3}", "must rise"),
        ("model.dropout: {low: 0, high: 0.5, log: true}", "above 0 if by"),
        ("model.units: {low: 3, high: 9.5, type: int}", "whole ends"),
        ("model.units: {low: 3, high: 9, type: text}", "`type` one of"),
        ("model.units: {choices: [3, 3]}", "choices that differ"),
        ("model.units: {choices: []}", "choices that differ"),
        ("model.units: {choices: [3], low: 2}", "`low` and `high`"),
        ("model.unit: {low: 3, high: 9}", "section.name=value"),
        ("model.units: {low: 0, high: 9}", "`units` must be at least 1"),
        ("model.dropout: {low: 0.0, high: 1.0}", "must be a rate"),
        ("model.units: {low: 1.5, high: 3}", "must be of type int"),
        ("training.schedule: {choices: [linear]}", "`schedule` must be one of"),
        ("{", "must be a YAML file"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(
    text, message, data_folder, tmp_path, capsys
):
    file = tmp_path / "space.yaml"
    file.write_text(text)
    arguments = (
        *("tune", "--data", data_folder, "--study", tmp_path / "study"),
        *("--space", file, "--trials", 1),
    )
    assert cli.main([str(argument) for argument in arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


def test_the_space_that_ships_fits_the_production_preset():
    space = search_space.load("default", configs.preset("production"))
    assert {one.name for one in space} > {"training.learning_rate"}


def test_types_of_a_range():
    assert Range("a", 1, 9).type == "int"
    assert Range("a", 1, 9.5).type == "float"
    assert Range("a", 1, 9, type="float").extremes() == (1.0, 9.0)


def test_command_trains_and_says_what_is_best(data_folder, tmp_path, capsys):
    space, study = tmp_path / "space.yaml", tmp_path / "study"
    space.write_text("training.learning_rate: {choices: [0.02, 0.00001]}\n")
    arguments = (
        *("tune", "--data", data_folder, "--study", study, "--trials", 2),
        *("--space", space, "--preset", "paper", "--set", "model.units=6"),
        *("model.fast_slow=false", "training.epochs=1"),
    )
    assert cli.main([str(argument) for argument in arguments]) == 0
    out = capsys.readouterr().out
    assert f"best: {study / 'best.yaml'}" in out
    assert yaml.safe_load((study / "best.yaml").read_text())["training"]
    model = model_factory.load_run(study / "trials" / "001")
    assert model.config.units == 6

"""HEROES and others on lists: from a plan to the page."""

import dataclasses
import json
import re

import numpy as np
import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.experiments.reproduction import list_comparison
from jump_tf.experiments.reproduction import plan as plans
from jump_tf.experiments.reproduction import results
from jump_tf.experiments.reproduction import runner
from tests import small_lists

SMALL = (
    *("model.embedding_size=3", "model.head_units=4", "model.head_layers=1"),
    "training.epochs=1",
)


@pytest.fixture(scope="module")
def lists_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    small_lists.write_folder(folder, small_lists.make_splits())
    return folder


@pytest.fixture(scope="module")
def compared(lists_folder, tmp_path_factory):
    """The plan of a comparison, its results folder, and what was said."""
    folder, said = tmp_path_factory.mktemp("results"), []
    plan = plans.load(
        None, [lists_folder], ["heroes", "esmm"], 1, shipped="heroes"
    )
    plan = dataclasses.replace(
        plan, set=SMALL, ablations=plan.ablations[:1], epochs=None
    )
    runner.reproduce(plan, folder, seeds=2, say=said.append)
    return plan, folder, said


def read(folder):
    return json.loads((folder / results.RESULTS_FILE).read_text())


def test_models_are_compared_on_the_same_items(compared):
    plan, folder, said = compared
    assert len(said) == 2 * 3
    assert all("CTR AUC 0." in line for line in said)
    (found,) = read(folder)["data"].values()
    assert set(found["known"]) == {"heroes", "esmm", plan.ablations[0].name}
    assert "lead" not in found["known"]["heroes"]
    low, high = found["free"]["esmm"]["lead"]["ctr_auc"]
    assert low < high
    for told in found["known"].values():
        assert told["seeds"] == [0, 1]
    text = (folder / results.REPORT_FILE).read_text()
    assert "ESMM (2 seeds)" in text
    assert not re.search(r"\*\*|nan", text)


def test_a_second_call_trains_nothing(compared, monkeypatch):
    plan, folder, _ = compared
    monkeypatch.setattr(tasks, "train", None)  # Not to be called.
    before, said = read(folder), []
    runner.reproduce(plan, folder, seeds=2, say=said.append)
    assert said == []
    assert read(folder) == before


def test_another_request_is_refused(compared):
    plan, folder, _ = compared
    other = dataclasses.replace(plan, set=(*plan.set, "model.l2=1"))
    with pytest.raises(schema.InputError, match="one of the same request"):
        runner.reproduce(other, folder)


def test_the_means_are_those_of_the_evaluations(compared):
    _, folder, _ = compared
    (found,) = read(folder)["data"].values()
    runs = sorted(folder.glob("*/heroes/seed-*"))
    evaluated = [
        json.loads((run / "evaluation" / "test.json").read_text())
        for run in runs
    ]
    for mode, of in (
        ("known", lambda result: result),
        ("free", lambda result: result["free"]),
    ):
        for name in list_comparison.METRICS:
            expected = np.mean([of(result)[name] for result in evaluated])
            mean = found[mode]["heroes"]["mean"][name]
            assert mean == pytest.approx(expected)


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
    code = call(
        *("reproduce", "--task", "lists", "--data", lists_folder),
        *("--results", tmp_path / "results", *flags),
    )
    assert code == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_without_time_nothing_is_compared(lists_folder, tmp_path, capsys):
    code = call(
        *("reproduce", "--task", "lists", "--data", lists_folder),
        *("--results", tmp_path / "results", "--budget", "0"),
    )
    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "results" / "report.html").is_file()


def call(*arguments):
    return cli.main([str(argument) for argument in arguments])

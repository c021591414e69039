"""A prediction table is judged again: the same numbers without the model."""

import json
import shutil

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.cli import main as cli
from jump_tf.evaluate.sessions import evaluation
from jump_tf.evaluate.sessions import judging
from tests.jump_tf.evaluate.sessions.test_evaluation import Ending
from tests.jump_tf.evaluate.sessions.test_evaluation import NoDwell


@pytest.fixture(scope="module")
def runs(data_folder, tmp_path_factory):
    """Folders that hold an evaluation each, and what that says."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for model in (Ending(), NoDwell()):
        run = folder / type(model).__name__
        result, table = evaluation.evaluate_clicks(model, data_folder)
        evaluation.write_evaluation(run, result, table)
        found[run] = result
    return found


def flat(value, path=()):
    """All plain values in a tree, by their path."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in inner:
            yield from flat(each, (*path, name))
    else:
        yield path, value


def assert_same(one, other):
    """The same but for the last bits, which sums in another order change."""
    one, other = dict(flat(one)), dict(flat(other))
    assert one.keys() == other.keys()
    for path, value in other.items():
        if isinstance(value, float):
            value = pytest.approx(value, rel=1e-9, abs=1e-12)
        assert one[path] == value, path


def test_what_is_judged_again_is_the_same(runs, data_folder):
    for run, result in runs.items():
        assert_same(judging.judge_again(run, data_folder), result)


def test_an_older_evaluation_gets_what_it_lacks(runs, data_folder, tmp_path):
    for run, result in runs.items():
        shutil.copytree(run, tmp_path / run.name)
        path = judging.evaluation_path(
            tmp_path / run.name, schema.TEST, schema.PAGE_LEAVE
        )
        older = {
            name: {} if name == "slices" else value
            for name, value in result.items()
            if "without_repeats" not in name
        }
        path.write_text(json.dumps(older))
        again = judging.judge_again(tmp_path / run.name, data_folder)
        assert_same(again, result)


def test_a_table_of_other_clicks_is_refused(runs, data_folder, tmp_path):
    run = next(iter(runs))
    shutil.copytree(run, tmp_path / "run")
    path = judging.evaluation_path(tmp_path / "run", "test", "page_leave")
    table = path.with_suffix(judging.TABLE_SUFFIX)
    columns = dict(np.load(table))
    columns["item"] = columns["item"][::-1]
    np.savez(table, **columns)
    with pytest.raises(
        schema.InputError, match=r"^A prediction table and .*`item"
    ):
        judging.judge_again(tmp_path / "run", data_folder)
    with pytest.raises(schema.InputError, match="with its model first"):
        judging.judge_again(tmp_path, data_folder)


def test_the_verb_needs_no_model_that_this_version_reads(
    finished_run, data_folder, tmp_path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    moment = ("--moment", schema.PAGE_LEAVE)
    asked = ["evaluate", "--run", str(run), *moment, "--data", str(data_folder)]
    assert cli.main([*asked, "--from-tables"]) == 2
    assert "evaluated with its model first" in capsys.readouterr().err
    assert cli.main(asked) == 0
    said = capsys.readouterr().out
    (run / "config.yaml").write_text("architecture: gone\n")
    shutil.rmtree(run / "checkpoints")
    assert cli.main([*asked, "--from-tables"]) == 0
    assert capsys.readouterr().out == said
    assert cli.main([*asked, "--from-tables", "--task", "lists"]) == 2
    said = capsys.readouterr().err
    assert "must be given for models of sessions only" in said
    assert cli.main([*asked, "--from-tables", "--rolling"]) == 2
    assert "`--split temporal`" in capsys.readouterr().err

"""The demos, from a simulated log or one's own to a served answer."""

import contextlib
import io
import json
import pathlib
import re

import pytest

from jump_tf import schema
from jump_tf import tasks
from jump_tf.cli import main as cli
from jump_tf.config.run import preset
from jump_tf.experiments import demo
from jump_tf.experiments import list_simulator
from jump_tf.experiments import session_simulator
from tests.jump_tf.cli.test_main import small_log


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder of a small demo on sessions, and what it printed."""
    config = session_simulator.SimulatorConfig(
        num_sessions=5000, num_items=40, followers=3
    )
    return run(
        tmp_path_factory.mktemp("demo") / "new",
        schema.SESSIONS,
        session_simulator.simulate(config),
        *("--set", "model.units=32", "training.epochs=3"),
        *("training.batch_sessions=128", "training.batch_clicks=512"),
    )


def run(folder, kind, simulation, *flags):
    """Runs `jump-tf demo` on a smaller simulation than its own."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo.DEMOS[kind], "simulate", lambda: simulation)
        with contextlib.redirect_stdout(printed):
            assert cli.main(["demo", "--workdir", str(folder), *flags]) == 0
    return folder, printed.getvalue()


def ratio(out):
    return float(re.search(r"\((\d+\.\d)% of it\)", out)[1])


def median_error(out):
    return float(re.search(r"item off by (\d+\.\d)%", out)[1])


def test_a_small_demo_comes_near_its_oracle(ran):
    _, out = ran
    assert ratio(out) >= 95
    assert median_error(out) <= 10


def test_the_demo_ends_with_a_served_answer(ran):
    folder, out = ran
    assert "A visitor saw item-" in out
    assert "The page on screen:" in out
    for named in ("report", "SavedModel"):
        path = pathlib.Path(re.search(rf"{named} +(\S+)", out)[1])
        assert path.exists() and path.is_relative_to(folder)


def test_the_demo_leaves_a_whole_run(ran):
    folder, _ = ran
    for moment in schema.MOMENTS:
        evaluated = folder / "run" / "evaluation" / f"test.{moment}.json"
        assert json.loads(evaluated.read_text())["recall_at_20"] > 0.5
    with pytest.raises(schema.InputError, match="must be a new or empty"):
        demo.on_simulated_log(folder, preset("demo"))


@pytest.mark.exhaustive
def test_the_demo_learns_the_oracle_of_its_log(tmp_path, capsys):
    """The demo as it ships, and the bounds that it is meant to keep."""
    assert cli.main(["demo", "--workdir", str(tmp_path / "demo")]) == 0
    out, _ = capsys.readouterr()
    assert ratio(out) >= 98
    assert median_error(out) <= 10
    assert "A visitor saw item-" in out


def test_a_demo_on_a_log_of_ones_own_asks_prepare(
    tmp_path, monkeypatch, capsys
):
    """All that follows is as on a simulated log."""

    def stop(config, data, run):
        raise schema.InputError("far enough")

    monkeypatch.setattr(tasks, "train", stop)
    log = tmp_path / "log.tsv"
    log.write_text(small_log().replace(",", "\t"))
    arguments = (
        *("demo", "--workdir", tmp_path / "demo", "--format", "csv"),
        *("--input", log, "--delimiter", "\t", "--split", "temporal"),
        *("--test-days", "0.5", "--preset", "demo"),
    )
    assert cli.main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert "far enough" in err
    assert "simulate" not in out and "oracle" not in out
    manifest = json.loads((tmp_path / "demo/data/manifest.json").read_text())
    assert manifest["options"]["split"] == "temporal"


@pytest.mark.exhaustive  # The front page serves, too: test_readme.py.
def test_the_demo_ends_with_a_served_score(tmp_path):
    config = list_simulator.ListSimulatorConfig(num_lists=6000, num_items=60)
    folder, out = run(
        tmp_path / "demo",
        schema.LISTS,
        list_simulator.simulate(config),
        *("--task", "lists"),
        *("--set", "training.epochs=3", "training.batch_sessions=128"),
    )
    pairs = {
        name.strip(): (float(mine), float(best))
        for name, mine, best in re.findall(
            r"^(CT\S+ \S+)\s+([\d.]+), best possible ([\d.]+)$", out, re.M
        )
    }
    mine, best = pairs["CTR AUC"]
    assert best - 0.03 < mine < best + 0.005
    mine, best = pairs["CTCVR AUC"]
    assert best - 0.05 < mine < best + 0.01
    assert "once the feedback on its first items is known" in out
    assert (folder / "run" / "report.html").is_file()


def test_a_demo_is_of_the_task_that_is_named(tmp_path, capsys):
    words = ["demo", "--task", "sessions", "--preset", "heroes_demo"]
    assert cli.main([*words, "--workdir", str(tmp_path / "demo")]) == 2
    assert "must be given a model of sessions" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()

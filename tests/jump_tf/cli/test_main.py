import importlib.resources
import json
import pathlib
import re
import shutil

import pytest

from jump_tf import schema
from jump_tf.cli import main as cli


def call(*arguments, capsys):
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as error:  # argparse's own refusals
        code = error.code
    out, err = capsys.readouterr()
    return code, out, err


VERBS = (
    *("prepare", "inspect", "train", "tune", "evaluate", "report"),
    *("export", "serve", "predict", "reproduce", "demo"),
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    code, out, _ = call(verb, "--help", capsys=capsys)
    assert code == 0
    assert out.startswith(f"usage: jump-tf {verb}")


def test_help_names_every_preset(capsys):
    _, out, _ = call("train", "--help", capsys=capsys)
    presets = importlib.resources.files("jump_tf.config") / "presets"
    shipped = {path.stem for path in pathlib.Path(presets).glob("*.yaml")}
    assert shipped and shipped <= set(re.findall(r"\w+", out))


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data", "DATA", "--run", "RUN", "--preset", "best"],
        ["train", "--data", "nowhere", "--run", "RUN"],
        ["train", "--data", "DATA", "--run", "RUN", "--epochs", "3"],
        ["train", "--data", "DATA", "--run", "RUN", "--set", "model.unit=3"],
        ["evaluate", "--run", "nowhere"],
        ["evaluate", "--run", "RUN", "--split", "holdout"],
        ["report", "--run", "nowhere"],
        ["export", "--run", "nowhere", "--output", "MODELS"],
        ["serve", "--models", "nowhere"],
        ["predict", "--address", "127.0.0.1:1", "--items", "a", "--dwell", "x"],
        ["demo", "--workdir", "DEMO", "--format", "csv"],
        ["demo", "--workdir", "DEMO", "--split", "temporal"],
        ["demo", "--workdir", "DATA"],
        ["predict", "--address", "127.0.0.1:1", "--items", "a", "--top", "0"],
        ["predict", "--address", "127.0.0.1:1", "--elapsed", "inf"],
        ["train", "--run", "RUN"],
        ["train", "--data", "DATA", "--run", "RUN", "--warm-start", "nowhere"],
        ["train", "--data", "DATA", "--run", "RUN", "--removed-items", "keep"],
        ["train", "--data", "DATA", "--run", "RUN", "--profile", "5,2"],
        ["tune", "--data", "DATA", "--study", "STUDY"],
        ["tune", "--data", "DATA", "--study", "STUDY", "--trials", "0"],
        ["tune", "--data", "nowhere", "--study", "STUDY", "--trials", "1"],
        [
            *("tune", "--data", "DATA", "--study", "STUDY"),
            *("--trials", "1", "--space", "no.yaml"),
        ],
        ["inspect", "nowhere"],
        ["inspect", "DATA", "--against", "nowhere"],
        ["prepare", "--format", "csv", "--input", ".", "--output", "OUT"],
        ["prepare", "--format", "csv", "--input", "no.csv", "--output", "OUT"],
        ["bake"],
    ],
    ids=" ".join,
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(
    arguments, data_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = [data_folder if a == "DATA" else a for a in arguments]
    code, _, err = call(*arguments, capsys=capsys)
    assert code == 2
    assert "Traceback" not in err
    sentence = err.strip().splitlines()[-1]
    assert re.match(r"jump-tf( \w+)?: ", sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_exit_code_1(capsys):
    code, _, err = call(
        *("predict", "--address", "127.0.0.1:1", "--items", "a"),
        *("--timeout", "1"),
        capsys=capsys,
    )
    assert code == 1
    assert "127.0.0.1:1" in err


@pytest.mark.exhaustive  # tests/test_readme.py runs those of the front page.
def test_the_seven_commands(tmp_path, capsys):
    """From a log to a SavedModel with the real entry point, tiny sizes."""
    log, data, run = tmp_path / "log.csv", tmp_path / "data", tmp_path / "run"
    log.write_text(small_log())
    steps = [
        ["prepare", "--format", "csv", "--input", log, "--output", data],
        [
            *("train", "--data", data, "--run", run, "--preset", "demo"),
            *("--set", "model.units=5", "model.fast_slow=false"),
            *("--set", "training.epochs=1", "training.batch_sessions=64"),
        ],
        ["evaluate", "--run", run],
        [
            *("evaluate", "--run", run, "--moment", "page_load"),
            *("--split", "validation"),
        ],
        ["report", "--run", run],
        ["export", "--run", run, "--output", tmp_path / "models"],
    ]
    outputs = []
    for step in steps:
        code, out, err = call(*step, capsys=capsys)
        assert code == 0, err
        outputs.append(out)
    assert "vocabulary: 12 items" in outputs[0]
    assert "best epoch" in outputs[1]
    assert "markov" in outputs[2]
    names = [f"test.{moment}" for moment in schema.MOMENTS]
    for name in (*names, "validation.page_load"):
        result = json.loads((run / "evaluation" / f"{name}.json").read_text())
        assert 0 < result["recall_at_20"] <= 1
    assert not (run / "evaluation" / "validation.page_leave.json").exists()
    assert "test.page_leave.json and" in outputs[2]
    assert (run / "report.html").stat().st_size > 10_000
    model = tmp_path / "models" / "jump" / "1"
    assert (model / "saved_model.pb").is_file()
    assert (model / "assets" / "vocabulary.txt").is_file()


def small_log():
    """200 sessions of 2 to 5 clicks that walk along 12 items."""
    rows = ["session_id,item_id,timestamp_ms"]
    for session in range(200):
        for click in range(2 + session % 4):
            item = (session + click) % 12
            time_ms = 1_600_000_000_000 + 1000 * (1977 * session + 30 * click)
            rows.append(f"s{session},i{item},{time_ms}")
    return "\n".join(rows) + "\n"


def test_a_damaged_record_file_is_exit_code_2(data_folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(data_folder, data)
    shard = next(data.glob("train-00000*"))
    shard.write_bytes(shard.read_bytes()[:100])
    code, _, err = call(
        *("train", "--data", data, "--run", tmp_path / "run"), capsys=capsys
    )
    assert code == 2
    assert re.match("jump-tf: .* must be whole. Received: ", err)
    assert not (tmp_path / "run").exists()

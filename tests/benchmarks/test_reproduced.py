import json
import pathlib

from jump_tf.experiments.reproduction import steps
from tests.benchmarks import reproduced

ROOT = pathlib.Path(__file__).parents[2]


def test_the_readme_shows_the_results_on_file():
    text = (ROOT / "jump_tf" / "README.md").read_text()
    assert reproduced.tables()
    assert reproduced.tables() in text
    assert reproduced.ablations()
    assert reproduced.ablations() in text


def test_files_of_results_are_small_and_say_where_they_come_from():
    paths = list(reproduced.FOLDER.glob("*.json"))
    assert paths
    for path in paths:
        assert path.stat().st_size < 30_000
        for log in json.loads(path.read_text()).values():
            assert log["environment"]["machine"]["cores"] > 0
            assert log["environment"]["versions"]["keras"]
            trained = [row for row in log["rows"] if "seed" in row]
            assert trained
            for row in trained:
                assert row["commit"]
                assert row["config"] or row["purpose"] != steps.HEADLINE
                assert row["training_seconds"] > 0


def test_nobody_marks_what_one_seed_cannot_tell():
    assert "~" not in reproduced.ablations()
    assert reproduced.ablations().count("**") == 2  # The dataset's name.

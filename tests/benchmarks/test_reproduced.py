import json
import pathlib

from tests.benchmarks import reproduced

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_results_on_file():
    text = README.read_text()
    assert reproduced.tables()
    assert reproduced.tables() in text
    assert reproduced.ablations() in text


def test_files_of_results_are_small_and_say_where_they_come_from():
    paths = list(reproduced.FOLDER.glob("*.json"))
    assert paths
    for path in paths:
        assert path.stat().st_size < 200_000
        for log in json.loads(path.read_text()).values():
            trained = [row for row in log["rows"] if "environment" in row]
            assert trained
            for row in trained:
                assert row["environment"]["commit"]
                assert row["environment"]["machine"]["cores"] > 0
                assert row["config"]
                assert row["training_seconds"] > 0

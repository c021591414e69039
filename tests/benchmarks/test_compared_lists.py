import json
import pathlib

from tests.benchmarks import compared_lists

README = pathlib.Path(__file__).parents[2] / "jump_tf" / "README.md"


def test_the_readme_shows_the_results_on_file():
    assert compared_lists.tables()
    assert compared_lists.tables() in README.read_text()


def test_the_file_says_where_its_numbers_come_from():
    tree = json.loads(compared_lists.FILE.read_text())
    assert tree["data"]
    for found in tree["data"].values():
        assert found["environment"]["versions"]["keras"]
        for runs in found["runs"].values():
            for run in runs.values():
                assert run["commit"]
                assert run["training_seconds"] > 0

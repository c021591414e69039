import pathlib

from tests.benchmarks import results

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_results_on_file():
    assert results.table() in README.read_text()

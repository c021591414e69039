import json
import pathlib

from jump_tf.experiments.reproduction import steps
from tests.benchmarks import reproduced

ROOT = pathlib.Path(__file__).parents[2]


def test_the_readme_shows_the_results_on_file():
    text = (ROOT / "jump_tf" / "README.md").read_text()
    assert reproduced.tables()
    assert reproduced.tables() in text
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


def row(title, purpose, **more):
    numbers = [None] * len(reproduced.METRICS)
    return {
        "title": title,
        "purpose": purpose,
        "seed": 0,
        "epochs": 3,
        "training_seconds": 60.0,
        "numbers": numbers,
        **more,
    }


def test_an_ablation_is_told_by_its_seeds(monkeypatch):
    nothing = [[] for _ in reproduced.METRICS[1:]]
    ablated = row(
        "no pointer", steps.ABLATIONS, leads=[[0.001, 0.003], *nothing]
    )
    of_one_seed = row("no start", steps.ABLATIONS)
    logs = {"shop": {"rows": [row("Mine", "headline"), ablated, of_one_seed]}}
    monkeypatch.setattr(reproduced, "_logs", lambda: logs)
    head, _, told = reproduced.ablations().splitlines()
    assert head.startswith("| **shop** Mine less | recall@20 |")
    assert told.startswith("| no pointer | +0.0020 (+0.0010 to +0.0030) |")

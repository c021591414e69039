import json
import math

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.cli import main as cli
from jump_tf.data import click_log
from jump_tf.data import drift
from jump_tf.data import encoding
from jump_tf.data import inspection
from jump_tf.experiments.reproduction import datasets
from tests import records


def session(items, dwell, censored, cut=0):
    return schema.Session("s", 0, items, dwell, censored, cut)


TODAY = {
    schema.TRAIN: [
        session([2, 2, 3], [10.0, 100.0, 30.0], [0, 1, 1]),
        session([3, 2, 3, 2], [20.0, 40.0, 80.0, 7.0], [0, 0, 0, 1], cut=1),
        # The site measured the last dwell.
        session([2, 3], [9.0, 8.0], [0, 0]),
    ],
    schema.VALIDATION: [],
    schema.TEST: [session([1, 1, 4], [5.0, 6.0, 30.0], [0, 0, 1])],
}
YESTERDAY = {
    schema.TRAIN: [session([2, 3], [10.0, 30.0], [0, 1])],
    schema.VALIDATION: [session([2, 2], [50.0, 30.0], [1, 1])],
    schema.TEST: [session([2], [30.0], [1])],
}


def write(folder, splits, names, **manifest):
    folder.mkdir()
    for split, sessions in splits.items():
        name = encoding.shard_name(split, 0, 1)
        records.write_sessions(str(folder / name), sessions)
    (folder / schema.VOCABULARY_FILE).write_text(
        "".join(f"{name}\n" for name in names)
    )
    counts = {
        split: {"sessions": len(mine), "clicks": sum(map(len, mine))}
        for split, mine in splits.items()
    }
    manifest |= {"num_items": len(names), "splits": counts}
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def today(tmp_path):
    return write(
        tmp_path / "today",
        TODAY,
        ["a", "c", "d"],
        max_dwell_seconds=100.0,
        rows=20,
        rejected={"no time": 2},
        filtered={"rare item": 1},
    )


@pytest.fixture
def yesterday(tmp_path):
    return write(
        tmp_path / "yesterday",
        YESTERDAY,
        ["a", "b"],
        max_dwell_seconds=50.0,
        rows=5,
        rejected={},
        filtered={"rare item": 2},
    )


def one_spaced(said):
    return {" ".join(line.split()) for line in said.splitlines()}


class TestFacts:
    def test_table_1(self, today):
        counted = inspection.read(today).statistics
        assert counted["items"] == 3
        assert counted["clicks"] == 12
        assert counted["sessions"] == 4
        assert counted["train_sessions"] == 3
        assert counted["validation_sessions"] == 0
        assert counted["test_sessions"] == 1
        assert counted["average_length"] == 3.0
        assert counted["max_dwell_seconds"] == 80.0
        seen = [10, 20, 40, 80, 9, 8, 5, 6]
        assert counted["median_dwell_seconds"] == np.median(seen)
        assert counted["share_cut"] == pytest.approx(1 / 8)
        assert counted["share_last"] == pytest.approx(4 / 12)
        assert counted["lengths"] == {
            "clicks": [2, 3, 4],
            "sessions": [1, 2, 1],
        }

    def test_figure_2_is_of_dwells_seen_to_their_end(self, today):
        counted = inspection.read(today).statistics
        density, edges = np.array(counted["dwell"]["density"]), 2.5
        assert density @ np.full(40, edges) == pytest.approx(1)
        assert density[[2, 3, 4, 8, 16, 32]] * 8 * edges == pytest.approx(
            [2, 2, 1, 1, 1, 1]
        )
        logs = np.log([10, 20, 40, 80, 9, 8, 5, 6])
        assert counted["log_dwell"]["mean"] == pytest.approx(logs.mean())
        assert counted["log_dwell"]["deviation"] == pytest.approx(logs.std())

    def test_bins_count_those_cut_at_c1_beyond_all(self, today):
        bins = inspection.read(today).statistics["dwell_bins"]
        assert bins["edges"] == [0, 1, 2, 5, 10, 20, 30, 60, 100]
        expected = np.array([0, 0, 0, 4, 1, 1, 1, 1]) / 9
        np.testing.assert_allclose(bins["share"], expected)

    def test_censoring_has_four_kinds(self, today):
        assert inspection.read(today).statistics["censoring"] == pytest.approx(
            {"observed": 8 / 12, "c1": 1 / 12}
            | {"last_click": 2 / 12, "log_end": 1 / 12}
        )

    def test_repeats_and_top_items_are_of_known_items(self, today):
        counted = inspection.read(today).statistics
        # Of 10 clicks: 2 after 2; and 2, 3 and 2 that came before.
        assert counted["repeats"] == {"next": 0.1, "again": 0.3}
        assert counted["top_items"] == {"1": 0.5}
        assert counted["unseen"] == {
            "train": 0.0,
            "validation": None,
            "test": pytest.approx(2 / 3),
        }

    def test_a_folder_without_sessions_has_facts(self, tmp_path):
        nothing = {split: [] for split in schema.SPLITS}
        data = write(tmp_path / "none", nothing, [], max_dwell_seconds=9.0)
        folder = inspection.read(data)
        assert folder.statistics["median_dwell_seconds"] is None
        assert "vocabulary: 0 items" in inspection.describe(
            folder.manifest, folder.statistics
        )
        changes = inspection.compare(folder, folder)
        assert changes["dwell"]["kolmogorov_smirnov"] is None
        inspection.describe_changes(changes)

    def test_they_are_counted_once_for_the_results(self, today, tmp_path):
        counted = datasets.statistics(today, tmp_path / "results")
        assert counted.items() >= inspection.read(today).statistics.items()
        (today / encoding.shard_name(schema.TRAIN, 0, 1)).unlink()
        assert datasets.statistics(today, tmp_path / "results") == counted

    def test_a_broken_split_is_refused(self, today):
        path = today / schema.MANIFEST_FILE
        manifest = json.loads(path.read_text())
        manifest["splits"][schema.TEST]["clicks"] = 4
        path.write_text(json.dumps(manifest))
        with pytest.raises(schema.InputError, match="must be whole"):
            inspection.read(today)


class TestDrift:
    def test_items_are_the_same_by_their_raw_id(self, today, yesterday):
        """Yesterday: 4 clicks on a, 1 on b. Today: 5 on a, 4 on c, 1 on d."""
        changes = inspection.compare(
            inspection.read(yesterday), inspection.read(today)
        )
        assert changes["items"] == {
            "new": 2,
            "gone": 1,
            "kept": 1,
            "clicks_on_new": 0.5,
            "clicks_on_gone": 0.2,
        }
        found = changes["frequencies"]
        assert found["l_infinity"] == pytest.approx(0.4)
        assert found["item"] == "c"
        assert found["total_variation"] == pytest.approx(0.5)
        # Shares 0.8, 0.2, 0, 0 and 0.5, 0, 0.4, 0.1; their mean is in the
        # middle.
        bits = (
            0.8 * math.log2(0.8 / 0.65) + 0.2 + 0.5 * math.log2(0.5 / 0.65)
        ) / 2 + 0.25
        assert found["jensen_shannon_bits"] == pytest.approx(bits)

    def test_lengths_and_dwells(self, today, yesterday):
        changes = inspection.compare(
            inspection.read(yesterday), inspection.read(today)
        )
        # Lengths 1, 2, 2 and 2, 3, 3, 4.
        assert changes["lengths"] == {
            "kolmogorov_smirnov": pytest.approx(3 / 4),
            "mean": [pytest.approx(5 / 3), 3.0],
        }
        # 10 and 50 or more, and 5, 6, 8, 9, 10, 20, 40, 80, 100 or more: at 9
        # nothing, and 4 of 9; at 49 the half, and 7 of 9.
        assert changes["dwell"] == {
            "kolmogorov_smirnov": pytest.approx(4 / 9),
            "median_seconds": [10.0, 9.5],
        }
        assert changes["censoring"]["log_end"] == [0, pytest.approx(1 / 12)]
        assert changes["dropped"] == {
            "no time": [0.0, 0.1],
            "rare item": [0.4, 0.05],
        }

    def test_nothing_changes_against_itself(self, today):
        folder = inspection.read(today)
        changes = inspection.compare(folder, folder)
        assert changes["items"]["new"] == changes["items"]["gone"] == 0
        for part, name in (
            ("frequencies", "l_infinity"),
            ("frequencies", "total_variation"),
            ("frequencies", "jensen_shannon_bits"),
            ("lengths", "kolmogorov_smirnov"),
            ("dwell", "kolmogorov_smirnov"),
        ):
            assert changes[part][name] == 0

    def test_distances_are_symmetric_and_at_most_1(self):
        random = np.random.default_rng(3)
        p, q = (random.dirichlet(np.full(7, 0.3)) for _ in range(2))
        there, back = (
            drift.jensen_shannon_bits(*pair) for pair in ((p, q), (q, p))
        )
        assert there == pytest.approx(back)
        assert 0 < there < 1
        apart = drift.jensen_shannon_bits(np.eye(2)[0], np.eye(2)[1])
        assert apart == 1
        a, b = random.normal(size=5), random.normal(1, size=8)
        there, back = (
            drift.kolmogorov_smirnov(*pair) for pair in ((a, b), (b, a))
        )
        assert 0 < there == back <= 1
        assert drift.kolmogorov_smirnov(a, a + 100) == 1


def test_columns_are_joined_session_by_session(today):
    log = click_log.read(today, schema.TRAIN)
    assert log.session.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert np.flatnonzero(log.last).tolist() == [2, 6, 8]
    assert log.session_cut.tolist() == [False, True, False]


class TestVerb:
    def test_it_says_what_there_is_and_what_changed(
        self, today, yesterday, tmp_path, capsys
    ):
        out = tmp_path / "out"
        arguments = [str(today), "--against", str(yesterday)]
        assert cli.main(["inspect", *arguments, "--output", str(out)]) == 0
        said = one_spaced(capsys.readouterr().out)
        assert {
            "train 3 9 0.0%",
            "test 1 3 66.7%",
            "last clicks where the log ended 8.3%",
            f"3 50.0% {40 * '#'}",
            f"100 or more 11.1% {10 * '#'}",
            "items: 2 new (50.0% of the clicks), 1 gone (20.0% of the clicks "
            "before), 1 kept",
            "dwell: Kolmogorov-Smirnov 0.4444, median 10.0 -> 9.5 s",
            "rare item, of all rows 40.0% 5.0%",
        } <= said
        numbers = json.loads((out / "inspection.json").read_text())
        assert numbers["sessions"] == 4
        assert numbers["changes"]["items"]["gone"] == 1
        assert (out / "inspection.png").read_bytes().startswith(b"\x89PNG")
        assert len(list(out.iterdir())) == 2

    def test_lists_are_counted(self, tmp_path, capsys):
        part = {"lists": 2, "items": 7, "clicks": 3, "conversions": 1}
        manifest = {
            "kind": schema.LISTS,
            "splits": {schema.TRAIN: part},
            "num_features": 5,
            "fields": ["sku", "price"],
        }
        (tmp_path / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
        assert cli.main(["inspect", str(tmp_path)]) == 0
        said = one_spaced(capsys.readouterr().out)
        assert "train 2 7 3 1 3.500" in said
        assert "vocabulary: 5 features (sku, price)" in said
        for flags in (["--against", str(tmp_path)], ["--dwell"]):
            assert cli.main(["inspect", str(tmp_path), *flags]) == 2
            said = capsys.readouterr().err
            assert said.startswith("jump-tf: `--against`, `--output` and `--dw")

import dataclasses
import math

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.evaluate import comparison
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions.predictions import Clicks
from jump_tf.survival.distribution import LogNormal
from tests import test_readme


def make_clicks(num_sessions=120, seed=0):
    random = np.random.default_rng(seed)
    length = random.integers(2, 8, num_sessions)
    session = np.repeat(np.arange(num_sessions), length)
    start = np.cumsum(length) - length
    position = np.arange(len(session)) - start[session] + 1
    item = random.integers(1, 30, len(session))
    last = position == length[session]
    return Clicks(
        session=session,
        position=position,
        length=length[session],
        item=item,
        dwell_seconds=np.where(
            last, 30.0, np.exp(random.normal(4, 1, len(session)))
        ),
        censored=last,
        last=last,
        session_cut=np.zeros(len(session), bool),
    )


CLICKS = make_clicks()


def ranked(better=0.0, seed=0, clicks=CLICKS):
    """Ranks of a model that hits in a share of clicks, sessions alike."""
    random = np.random.default_rng(seed)
    luck = random.random(len(clicks))
    return prediction_table.of(
        clicks, rank=np.where(luck < 0.4 + better, 3, 99)
    )


def timed(location, clicks=CLICKS):
    size = len(clicks)
    parametric = LogNormal(np.full(size, location), np.full(size, 1.0))
    return prediction_table.of(clicks, dwell=parametric)


def compare(mine, theirs, replicates=comparison.REPLICATES, seed=0):
    """Two predictors of one seed each."""
    return compare_seeds([mine], [theirs], replicates, seed)


def compare_seeds(mine, theirs, *options):
    judged = prediction_table.judge([*mine, *theirs], *options)
    return comparison.compare(judged[: len(mine)], judged[len(mine) :])


class TestCompare:
    def test_numbers_are_those_of_the_tables(self):
        mine, theirs = ranked(0.2), ranked(seed=1)
        found = compare(mine, theirs)
        for name in ("recall_at_20", "mrr_at_20_all", "ndcg_at_20"):
            one, other = (
                prediction_table.measures(table)[name].mean()
                for table in (mine, theirs)
            )
            numbers = found[name]
            assert numbers["mine"] == one
            assert numbers["theirs"] == other
            assert numbers["difference"] == pytest.approx(one - other)
            low, high = numbers["interval"]
            assert low < numbers["difference"] < high
        assert set(found["recall_at_20"]) == {
            "mine",
            "theirs",
            "difference",
            "interval",
            "p_value",
            "mine_deviation",
            "theirs_deviation",
        }

    def test_pairs_are_closer_than_strangers(self):
        """What moves both predictors alike does not blur their difference."""
        mine = ranked()
        rank = np.where(np.arange(len(CLICKS)) % 50 == 0, 99, mine.rank)
        theirs = dataclasses.replace(mine, rank=rank)
        low, high = compare(mine, theirs)["recall_at_20"]["interval"]
        (alone,) = prediction_table.judge([mine])
        apart = np.ptp(alone.intervals["recall_at_20"])
        assert high - low < 0.4 * apart

    def test_interval_is_that_of_the_mean_of_sessions(self):
        mine, theirs = timed(4.0), timed(4.5)
        numbers = compare(mine, theirs, 4000)["dwell_mae_seconds"]
        one, other = (
            prediction_table.measures(table)["dwell_mae_seconds"]
            for table in (mine, theirs)
        )
        gap = np.where(one.counted, one.values - other.values, 0.0)
        # Of a ratio of sums over sessions, by the delta method.
        total = np.bincount(CLICKS.session, gap)
        size = np.bincount(CLICKS.session, one.counted)
        residual = total - numbers["difference"] * size
        error = np.sqrt(np.sum(residual**2)) / size.sum()
        low, high = numbers["interval"]
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
        expected = 2 * scipy.stats.norm.sf(abs(numbers["difference"]) / error)
        assert numbers["p_value"] == pytest.approx(expected, abs=0.03)

    def test_signs_turn_round(self):
        mine, theirs = ranked(0.1), ranked(seed=1)
        there = compare(mine, theirs)["mrr_at_20"]
        back = compare(theirs, mine)["mrr_at_20"]
        assert back["difference"] == -there["difference"]
        assert back["p_value"] == there["p_value"]
        low, high = there["interval"]
        np.testing.assert_allclose(back["interval"], [-high, -low])

    def test_only_metrics_of_both_are_compared(self):
        both = dataclasses.replace(timed(4.0), rank=ranked().rank)
        assert "recall_at_20" in compare(both, ranked())
        assert "dwell_nll" not in compare(both, ranked())
        assert compare(timed(4.0), ranked()) == {}

    @pytest.mark.parametrize("name", ["session", "position", "item"])
    def test_other_clicks_are_refused(self, name):
        mine = ranked()
        column = getattr(mine, name).copy()
        column[-1] += 1
        theirs = dataclasses.replace(mine, **{name: column})
        with pytest.raises(schema.InputError, match=f"differ in `{name}`"):
            compare(mine, theirs)
        fewer = ranked(clicks=make_clicks(119))
        with pytest.raises(schema.InputError, match="must be of the same cl"):
            compare(mine, fewer)


class TestChance:
    def test_p_value_by_hand(self):
        differences = np.array([-1.0] + [2.0] * 18)
        assert comparison.p_value(differences) == 2 * 2 / 20
        assert comparison.p_value(-differences) == 2 * 2 / 20
        assert comparison.p_value(np.zeros(9)) == 1.0
        assert math.isnan(comparison.p_value(np.array([np.nan])))

    def test_equals_are_told_apart_as_rarely_as_said(self):
        found = [
            compare(ranked(seed=2 * n), ranked(seed=2 * n + 1), 200)[
                "recall_at_20"
            ]["p_value"]
            for n in range(60)
        ]
        assert np.mean(np.array(found) < 0.1) < 0.25
        assert np.median(found) > 0.25

    def test_what_differs_is_found(self):
        found = compare(ranked(0.3), ranked(seed=1))
        assert found["recall_at_20"]["p_value"] < 0.01


class TestSeeds:
    def test_by_hand(self):
        mine = [ranked(0.1, seed) for seed in range(3)]
        theirs = [ranked(0.0, seed) for seed in range(10, 12)]
        found = compare_seeds(mine, theirs)["recall_at_20"]
        for who, tables in (("mine", mine), ("theirs", theirs)):
            means = [
                prediction_table.measures(table)["recall_at_20"].mean()
                for table in tables
            ]
            assert found[who] == pytest.approx(np.mean(means))
            deviation = np.std(means, ddof=1)
            assert found[f"{who}_deviation"] == pytest.approx(deviation)
        expected = found["mine"] - found["theirs"]
        assert found["difference"] == pytest.approx(expected)

    def test_one_seed_is_a_plain_comparison(self):
        mine, theirs = ranked(0.1), ranked(seed=1)
        seeds = compare_seeds([mine], [theirs], 300, 5)
        plain = compare(mine, theirs, 300, 5)
        for name, numbers in plain.items():
            assert math.isnan(numbers.pop("mine_deviation"))
            assert math.isnan(numbers.pop("theirs_deviation"))
            assert numbers.items() <= seeds[name].items()

    def test_more_seeds_are_surer(self):
        widths = []
        for count in (1, 9):
            mine = [ranked(0.1, seed) for seed in range(count)]
            theirs = [ranked(0.0, seed + 50) for seed in range(count)]
            found = compare_seeds(mine, theirs)["recall_at_20"]
            widths.append(np.ptp(found["interval"]))
        assert widths[1] < 0.5 * widths[0]

    def test_no_table_is_refused(self):
        with pytest.raises(schema.InputError, match="at least one seed each"):
            compare_seeds([], [ranked()])


def test_the_comparison_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tables = {"run": ranked(0.2), "run-paper": ranked(seed=1)}
    for run, table in tables.items():
        folder = tmp_path / run / "evaluation"
        folder.mkdir(parents=True)
        name = f"test.{schema.PAGE_LEAVE}.clicks.npz"
        prediction_table.write(folder / name, table)
    (example,) = (
        block.text
        for block in test_readme.blocks(test_readme.ROOT / "jump_tf/README.md")
        if "comparison.compare" in block.text
    )
    exec(example, {})
    said = capsys.readouterr().out
    expected = compare(*tables.values())["recall_at_20"]
    assert said == f"{expected}\n"

import csv
import dataclasses

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.evaluate.lists.predictions import Answers
from jump_tf.experiments import list_oracle
from jump_tf.experiments import list_simulator
from jump_tf.experiments.list_simulator import DECAY
from jump_tf.experiments.list_simulator import STOP
from jump_tf.experiments.list_simulator import ListSimulatorConfig
from jump_tf.metrics import lists as list_measures
from tests import simulated_lists

CONFIG = ListSimulatorConfig(
    num_lists=3000,
    num_items=37,
    num_categories=5,
    num_price_bands=3,
    min_length=2,
    mean_length=7.0,
    max_length=13,
    keep=0.9,
    seed=5,
)


@pytest.fixture(scope="module", params=[DECAY, STOP])
def simulation(request):
    config = dataclasses.replace(CONFIG, observation=request.param)
    return list_simulator.simulate(config)


def by_hand(simulation, one):
    """pCTR, r and the probability of a look along one list, in plain Python."""
    config = simulation.config
    places = np.flatnonzero(simulation.lists == one)
    found, looking = [], 1.0
    for i, place in enumerate(places):
        before = places[:i][simulation.clicked[places[:i]]]
        excited = sum(
            simulation.excitement[simulation.items[j]]
            * np.exp(-(place - j) / config.fade)
            for j in before
        )
        item = simulation.items[place]
        logit = config.click_bias + simulation.relevance[item] + excited
        attraction = 1 / (1 + np.exp(-logit))
        same = simulation.category[simulation.items[before]]
        loyal = np.sum(same == simulation.category[item])
        logit = config.conversion_bias + simulation.worth[item]
        logit += config.loyalty * np.log(1 + loyal)
        if config.observation == DECAY:
            last = before[-1] - places[0] + 1 if len(before) else 0
            looking = config.keep ** (i - last)
        found.append((looking * attraction, 1 / (1 + np.exp(-logit)), looking))
        if simulation.clicked[place]:
            looking = config.keep
        else:
            stayed = looking * (1 - attraction)
            looking = config.keep * stayed / (stayed + 1 - looking)
    return np.array(found).T


class TestSimulate:
    def test_same_seed_same_log(self, simulation):
        again = list_simulator.simulate(simulation.config)
        for name in ("items", "time_ms", "clicked", "converted"):
            np.testing.assert_array_equal(
                getattr(again, name), getattr(simulation, name)
            )

    def test_lengths(self, simulation):
        lengths = simulation.lengths
        assert lengths.min() == 2 and lengths.max() == 13
        uncut = list_simulator.simulate(
            dataclasses.replace(simulation.config, max_length=99)
        )
        assert uncut.lengths.mean() == pytest.approx(7, abs=0.3)
        assert lengths.sum() == len(simulation.items)

    def test_oracle_is_that_of_the_equations(self, simulation):
        for one in range(0, 3000, 97):
            click, conversion, looking = by_hand(simulation, one)
            mine = simulation.lists == one
            np.testing.assert_allclose(simulation.click[mine], click)
            np.testing.assert_allclose(simulation.conversion[mine], conversion)
            np.testing.assert_allclose(simulation.examination[mine], looking)

    def test_log_is_drawn_from_the_oracle(self, simulation):
        num_lists = len(simulation.lengths)
        for labels, said, among in (
            (simulation.clicked, simulation.click, slice(None)),
            (simulation.converted, simulation.conversion, simulation.clicked),
            (simulation.observed, simulation.examination, slice(None)),
        ):
            bins = list_measures.calibration(
                labels[among], said[among], simulation.lists[among], num_lists
            )
            assert bins.error < 1.6 * bins.noise

    def test_only_what_is_looked_at_is_clicked(self, simulation):
        assert not np.any(simulation.clicked & ~simulation.observed)
        assert not np.any(simulation.converted & ~simulation.clicked)
        assert 0.3 < simulation.observed.mean() < 0.95
        first = simulation.position == 1
        assert simulation.observed[first].all()

    def test_who_stops_does_not_come_back(self):
        config = dataclasses.replace(CONFIG, observation=STOP)
        simulation = list_simulator.simulate(config)
        same = simulation.position[1:] > 1
        back = ~simulation.observed[:-1] & simulation.observed[1:] & same
        assert not back.any()

    def test_a_click_excites_or_discourages(self, simulation):
        """By how much, the first click of each list tells."""
        sign = np.sign(simulation.excitement[simulation.items])
        base = (
            simulation.config.click_bias
            + simulation.relevance[simulation.items]
        )
        logit = np.log(simulation.attraction / (1 - simulation.attraction))
        lifted = logit - base
        first = simulation.clicked & (
            list_oracle.shown(simulation).since_click == 0
        )
        clicked = first[:-1] & (simulation.position[1:] > 1)
        after = lifted[1:][clicked] * sign[:-1][clicked]
        expected = CONFIG.excitement * np.exp(-1 / CONFIG.fade)
        np.testing.assert_allclose(after, expected)

    def test_everything_is_seen_where_all_go_on(self):
        config = dataclasses.replace(CONFIG, keep=1.0, num_lists=50)
        simulation = list_simulator.simulate(config)
        assert simulation.observed.all()
        assert (simulation.examination == 1).all()

    def test_better_items_come_first_where_ranked(self):
        means = []
        for ranked in (0.0, 0.5, 1.0):
            config = dataclasses.replace(CONFIG, ranked=ranked)
            simulation = list_simulator.simulate(config)
            place = simulation.position
            relevance = simulation.relevance[simulation.items]
            means.append(relevance[place == 1].mean() - relevance.mean())
        assert abs(means[0]) < 0.1
        assert means[0] + 0.2 < means[1] < means[2] - 0.2

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("num_lists", 0),
            ("mean_length", 1.0),
            ("observation", "never"),
            ("keep", 0.0),
            ("fade", 0.0),
            ("ranked", 1.5),
        ],
    )
    def test_out_of_range(self, name, value):
        with pytest.raises(schema.InputError, match=f"`{name}` must"):
            ListSimulatorConfig(**{name: value})


class TestLog:
    def test_reads_back(self, simulation, tmp_path):
        simulation.write_log(tmp_path / "log.csv")
        with (tmp_path / "log.csv").open(newline="") as log:
            header, *rows = csv.reader(log)
        assert ",".join(header) == (
            "list_id,time_ms,item,category,price_band,click,conversion"
        )
        assert len(rows) == len(simulation.items)
        assert len({row[0] for row in rows}) == 3000
        assert [tuple(map(str, row)) for row in simulation.rows()] == [
            tuple(row) for row in rows
        ]
        clicks = [row[5] == "1" for row in rows]
        np.testing.assert_array_equal(clicks, simulation.clicked)
        # An item has one category and one band.
        assert len({row[2] for row in rows}) == len(
            {tuple(row[2:5]) for row in rows}
        )

    def test_lists(self, simulation):
        lists, vocabulary = simulated_lists.to_lists(simulation)
        names = {
            name: [f"item={name}", f"category={category}", f"price_band={band}"]
            for name, category, band in simulation.features
        }
        rows = iter(simulation.rows())
        assert len(lists) == 3000
        for one in lists:
            assert one.offset_seconds[0] == 0
            for item in range(len(one)):
                name, time_ms, raw, *_, click, conversion = next(rows)
                ids = [i - schema.FIRST_ITEM_ID for i in one.features[item]]
                assert [vocabulary[i] for i in ids] == names[raw]
                assert name == one.list_id
                offset = one.offset_seconds[item]
                assert one.start_ms + round(1000 * offset) == time_ms
                assert one.clicked[item] == click
                assert one.converted[item] == conversion
        assert next(rows, None) is None

    def test_vocabulary_is_by_count_then_text(self, simulation):
        lists, vocabulary = simulated_lists.to_lists(simulation)
        every = [i for one in lists for item in one.features for i in item]
        counts = np.bincount(every)[schema.FIRST_ITEM_ID :]
        assert len(counts) == len(vocabulary)
        keys = list(zip(-counts, vocabulary, strict=True))
        assert keys == sorted(keys)

    def test_no_list_is_shared(self, simulation):
        """Instants ascend within lists; ids of lists differ."""
        same = simulation.position[1:] > 1
        assert (np.diff(simulation.time_ms)[same] >= 0).all()
        assert len(set(simulation.list_ids)) == 3000


class TestOracle:
    def test_best_possible_is_what_it_scores(self, simulation):
        best = list_oracle.best_possible(simulation)
        expected = list_measures.auc(
            simulation.clicked, simulation.click, simulation.lists, 3000
        )
        assert best["ctr_auc"] == pytest.approx(expected.value())
        joint = simulation.click * simulation.conversion
        loss = -np.where(simulation.converted, np.log(joint), np.log1p(-joint))
        assert best["ctcvr_log_loss"] == pytest.approx(loss.mean())
        assert best["cvr_num_items"] == simulation.clicked.sum()

    def test_of_some_lists(self, simulation):
        among = np.arange(3000) % 3 == 1
        best = list_oracle.best_possible(simulation, among)
        mine = among[simulation.lists]
        assert best["ctr_num_items"] == mine.sum()
        loss = -np.where(
            simulation.clicked,
            np.log(simulation.click),
            np.log1p(-simulation.click),
        )
        assert best["ctr_log_loss"] == pytest.approx(loss[mine].mean())

    def test_no_other_is_better(self, simulation):
        random = np.random.default_rng(2)
        best = list_oracle.best_possible(simulation)
        for noise in (0.5, 1.5):
            blur = np.exp(
                -random.exponential(noise, [2, len(simulation.click)])
            )
            answers = Answers(
                np.log(simulation.click * blur[0]),
                np.log(simulation.conversion * blur[1]),
            )
            for name in list_predictions.TARGETS:
                target = list_predictions.target(
                    list_oracle.shown(simulation), answers, name
                )
                loss = list_measures.log_loss(*target).value()
                assert loss > best[f"{name}_log_loss"]
                auc = list_measures.auc(*target).value()
                assert auc < best[f"{name}_auc"]

    def test_what_is_shown(self, simulation):
        shown = list_oracle.shown(simulation)
        np.testing.assert_array_equal(
            shown.length, np.repeat(simulation.lengths, simulation.lengths)
        )
        for one in range(0, 3000, 211):
            mine = np.flatnonzero(shown.lists == one)
            last = 0
            for place, row in enumerate(mine, 1):
                since = place - last if last else 0
                assert shown.since_click[row] == since
                last = place if simulation.clicked[row] else last

    def test_only_the_hazard_ranks_without_bias(self):
        """pCTR mistakes who was not looked at for who is not liked."""
        config = dataclasses.replace(
            CONFIG, observation=STOP, keep=0.7, ranked=0.0, excitement=0.0
        )
        simulation = list_simulator.simulate(config)
        relevance = simulation.relevance[simulation.items]
        for scores, expected in (
            (relevance, 1),
            (-relevance, 0),
            (np.zeros(len(relevance)), 0.5),
            (simulation.attraction, 1),
        ):
            found = simulated_lists.relevance_concordance(simulation, scores)
            assert found == expected
        assert (
            simulated_lists.relevance_concordance(simulation, simulation.click)
            < 0.9
        )

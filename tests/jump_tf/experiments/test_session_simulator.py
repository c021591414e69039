import csv
import json
import math
import types

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import encoding
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.experiments import session_oracle
from jump_tf.experiments import session_simulator
from jump_tf.experiments.session_simulator import SimulatorConfig
from jump_tf.metrics import ranking
from jump_tf.survival.distribution import LogNormal
from tests import by_hand
from tests import records

CONFIG = SimulatorConfig(
    num_sessions=6000, num_items=31, followers=3, log_dwell=6.0, seed=5
)


@pytest.fixture(scope="module")
def simulation():
    return session_simulator.simulate(CONFIG)


@pytest.fixture(scope="module")
def vocabulary(simulation):
    return simulation.item_ids[::-1]  # Any other order than the simulation's.


@pytest.fixture(scope="module")
def folder(tmp_path_factory, simulation, vocabulary):
    """All sessions as the test split, dwells censored as `prepare` does."""
    folder = tmp_path_factory.mktemp("simulated")
    number = {name: n for n, name in enumerate(vocabulary)}
    sessions = {}
    for session_id, name, time_ms in simulation.rows():
        item = number[name] + schema.FIRST_ITEM_ID
        sessions.setdefault(session_id, []).append((item, time_ms))
    records.write_sessions(
        str(folder / encoding.shard_name(schema.TEST, 0, 1)),
        (_session(name, clicks) for name, clicks in sessions.items()),
    )
    manifest = {"num_items": len(vocabulary), "max_dwell_seconds": 2000.0}
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


def _session(name, clicks):
    items, times = zip(*clicks, strict=True)
    gaps = np.diff(times) / 1000.0
    return schema.Session(
        name,
        times[0],
        items,
        [*np.minimum(gaps, 2000.0), 30.0],
        [*(gaps >= 2000).astype(int).tolist(), 1],
    )


class Oracle:
    """Answers with the true probabilities, on the ids of the vocabulary."""

    config = types.SimpleNamespace(end_weight=0.0, dwell_weight=1.0)

    def __init__(self, simulation, vocabulary, flip=False):
        number = {name: n for n, name in enumerate(simulation.item_ids)}
        order = [number[name] for name in vocabulary]
        special = schema.FIRST_ITEM_ID
        self.vocabulary_size = special + len(order)
        scores = np.full([self.vocabulary_size] * 2, -1.0)
        scores[special:, special:] = simulation.transitions[order][:, order]
        scores[special:, special:] *= -1.0 if flip else 1.0
        self.scores = tf.constant(scores)
        mu = np.zeros(self.vocabulary_size)
        mu[special:] = simulation.log_dwell[order] + (0.5 if flip else 0.0)
        self.mu, self.sigma = tf.constant(mu), simulation.config.dwell_scale

    def __call__(self, inputs, training):
        items = tf.cast(inputs[schema.ITEMS], tf.float32)
        return tf.pad(items, [[0, 0], [1, 0]])[:, :, tf.newaxis]

    def click_scores(self, features):
        return tf.gather(self.scores, tf.cast(features[:, 0], tf.int32))

    def dwell_and_end(self, features, items):
        scale = tf.constant(self.sigma, tf.float64)
        return LogNormal(tf.gather(self.mu, items), scale), None


class TestSimulate:
    def test_same_seed_same_log(self, simulation):
        again = session_simulator.simulate(CONFIG)
        np.testing.assert_array_equal(again.items, simulation.items)
        np.testing.assert_array_equal(again.time_ms, simulation.time_ms)

    def test_lengths(self, simulation):
        lengths = simulation.lengths
        assert lengths.min() == 2
        assert lengths.max() <= CONFIG.max_length
        assert lengths.mean() == pytest.approx(CONFIG.mean_length, rel=0.05)
        short = SimulatorConfig(num_sessions=500, max_length=3)
        assert set(session_simulator.simulate(short).lengths) == {2, 3}

    def test_probabilities(self, simulation):
        transitions = simulation.transitions
        assert simulation.popularity.sum() == pytest.approx(1)
        np.testing.assert_allclose(transitions.sum(1), 1)
        smear = (1 - CONFIG.follow_share) * simulation.popularity
        likely = transitions > smear + 1e-9
        np.testing.assert_array_equal(likely.sum(0), CONFIG.followers)
        np.testing.assert_array_equal(likely.sum(1), CONFIG.followers)

    def test_log_follows_the_transitions(self, simulation):
        first = np.cumsum(simulation.lengths) - simulation.lengths
        later = np.setdiff1d(np.arange(len(simulation.items)), first)
        pairs = np.zeros_like(simulation.transitions)
        items = simulation.items
        np.add.at(pairs, (items[later - 1], items[later]), 1)
        expected = simulation.transitions * pairs.sum(1, keepdims=True)
        # Pearson's statistic: its mean is the degrees of freedom.
        statistic = np.sum((pairs - expected) ** 2 / expected)
        freedom = 31 * 30
        assert abs(statistic - freedom) < 5 * math.sqrt(2 * freedom)

    def test_dwells_are_log_normal_by_item(self, simulation):
        log_seconds = np.log(simulation.dwell_seconds)
        residual = log_seconds - simulation.log_dwell[simulation.items]
        assert residual.mean() == pytest.approx(0, abs=0.02)
        assert residual.std() == pytest.approx(CONFIG.dwell_scale, rel=0.02)

    @pytest.mark.parametrize("num_items", [2, 3, 8, 9, 31])
    def test_next_items_by_counting_bounds(self, num_items):
        random = np.random.default_rng(num_items)
        cumulative = np.cumsum(random.random((num_items, num_items)), 1)
        previous = random.integers(0, num_items, 200)
        draws = random.random(200) * 1.1 * cumulative.max()
        draws[:50] = cumulative[previous[:50], 1]  # A bound exactly.
        bounds = cumulative[previous] <= draws[:, np.newaxis]
        np.testing.assert_array_equal(
            session_simulator._next_items(cumulative, previous, draws),
            np.minimum(bounds.sum(1), num_items - 1),
        )

    def test_instants_rise_by_the_dwell(self, simulation):
        first = np.cumsum(simulation.lengths) - simulation.lengths
        gaps = np.diff(simulation.time_ms)
        inside = np.ones(len(gaps), bool)
        inside[first[1:] - 1] = False
        np.testing.assert_allclose(
            gaps[inside], 1000 * simulation.dwell_seconds[:-1][inside], atol=1
        )

    def test_log_reads_back(self, simulation, tmp_path):
        simulation.write_log(tmp_path / "log.csv")
        with (tmp_path / "log.csv").open(newline="") as log:
            header, *rows = csv.reader(log)
        assert header == ["session_id", "item_id", "timestamp_ms"]
        assert len(rows) == simulation.lengths.sum()
        assert len({row[0] for row in rows}) == CONFIG.num_sessions
        found = [(row[0], row[1], int(row[2])) for row in rows]
        assert found == list(simulation.rows())

    @pytest.mark.parametrize(
        ("name", "value"),
        [("followers", 0), ("num_items", 1), ("mean_length", 1.5)],
    )
    def test_out_of_range(self, name, value):
        with pytest.raises(schema.InputError, match=f"`{name}` must"):
            SimulatorConfig(**{name: value})


class TestOracle:
    def test_best_ranks_are_those_of_the_probabilities(self, simulation):
        previous, items = np.divmod(np.arange(31 * 31), 31)
        expected = by_hand.conservative_ranks(
            simulation.transitions[previous], items
        )
        found = simulation.rank_table[previous, items]
        np.testing.assert_array_equal(found, expected)

    def test_default_log_is_neither_hopeless_nor_easy(self):
        simulation = session_simulator.simulate(
            SimulatorConfig(num_sessions=10)
        )
        ranks = simulation.rank_table
        hit = np.sum(simulation.transitions * (ranks <= 20), 1).mean()
        assert 0.5 < hit < 0.85

    def test_oracle_reaches_the_best_possible(
        self, simulation, vocabulary, folder
    ):
        oracle = Oracle(simulation, vocabulary)
        found = session_oracle.compare_with_oracle(
            simulation, oracle, vocabulary, folder
        )
        assert found["recall_ratio"] == pytest.approx(1)
        assert found["mrr_at_20"] == pytest.approx(found["best_mrr_at_20"])
        assert found["dwell_mae_seconds"] == pytest.approx(
            found["best_dwell_mae_seconds"]
        )
        assert found["num_items_compared"] == CONFIG.num_items
        assert found["dwell_median_relative_error_largest"] < 1e-5

    def test_another_is_below(self, simulation, vocabulary, folder):
        wrong = Oracle(simulation, vocabulary, flip=True)
        found = session_oracle.compare_with_oracle(
            simulation, wrong, vocabulary, folder
        )
        assert found["recall_ratio"] < 0.9
        assert found["dwell_mae_seconds"] > found["best_dwell_mae_seconds"]
        error = found["dwell_median_relative_error"]
        assert error == pytest.approx(math.exp(0.5) - 1, rel=1e-4)

    def test_no_scores_beat_the_oracle(self, simulation, vocabulary, folder):
        clicks = session_predictions.read_clicks(folder, schema.TEST)
        best = session_oracle.best_possible(simulation, clicks, vocabulary)
        transitions = simulation.transitions
        random = np.random.default_rng(0)
        number = {name: n for n, name in enumerate(simulation.item_ids)}
        order = np.array([0, 0, *(number[name] for name in vocabulary)])
        asked = clicks.predicted
        for noise in (0.1, 0.5, 2.0):
            blurred = transitions * np.exp(
                random.normal(0, noise, transitions.shape)
            )
            ranks = by_hand.conservative_ranks(
                blurred[order[clicks.previous[asked]]],
                order[clicks.item[asked]],
            )
            assert ranking.reciprocal_rank(ranks).mean() < best["mrr_at_20"]

    def test_long_dwells_are_censored_in_the_folder(self, folder, simulation):
        clicks = session_predictions.read_clicks(folder, schema.TEST)
        share = np.mean(clicks.censored[~clicks.last])
        expected = np.mean(simulation.dwell_seconds >= 2000)
        assert expected > 0.01
        assert share == pytest.approx(expected, rel=0.2)

import dataclasses
import json
import math
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from jump_tf import schema
from jump_tf.baselines.base import NEVER
from jump_tf.data import click_log
from jump_tf.data import encoding
from jump_tf.data import session_batches
from jump_tf.evaluate.sessions import baselines as session_baselines
from jump_tf.evaluate.sessions import evaluation as session_evaluation
from jump_tf.evaluate.sessions import metrics as session_metrics
from jump_tf.evaluate.sessions import prediction_table
from jump_tf.evaluate.sessions import predictions as session_predictions
from jump_tf.evaluate.sessions import slices as session_slices
from jump_tf.evaluate.sessions import tables as session_tables
from jump_tf.experiments.reproduction import counting_models
from jump_tf.experiments.reproduction import experiment as experiments
from jump_tf.metrics import ranking
from jump_tf.models.atrp import ATRP
from jump_tf.models.jump import JUMP
from jump_tf.models.nsr import NSR
from jump_tf.models.rmtpp import RMTPP
from jump_tf.reporting.tables import number
from jump_tf.survival.distribution import LogNormal
from tests import by_hand
from tests import evaluated
from tests import records
from tests.by_hand import padded

VOCABULARY = 25


class Stub:
    """Stands for a model; the features of a click are what came before it.

    Features are (clicks so far, last item, last dwell).
    """

    vocabulary_size = VOCABULARY
    step_seconds = math.inf
    config = types.SimpleNamespace(end_weight=0.0, dwell_weight=1.0)

    def __call__(self, inputs, training):
        assert not training
        items = tf.cast(inputs[schema.ITEMS], tf.float32)
        real = tf.cast(items > 0, tf.float32)
        features = tf.stack(
            [tf.cumsum(real, 1), items, inputs[schema.DWELL_SECONDS]], 2
        )
        return tf.pad(features, [[0, 0], [1, 0], [0, 0]])

    def attention_weights(self, items, dwell_seconds, real):
        return None

    def click_scores(self, features):
        return tf.zeros([tf.shape(features)[0], VOCABULARY])

    def dwell_and_end(self, features, items):
        return LogNormal(tf.zeros_like(features[:, 0]), tf.constant(1.0)), None


class Follower(Stub):
    """Scores ids by how little they exceed the last one, around the end."""

    def click_scores(self, features):
        ids = tf.range(VOCABULARY, dtype=tf.float32)[tf.newaxis]
        gap = (ids - features[:, 1:2] - 1.0) % (VOCABULARY - 2.0)
        return tf.where(ids >= schema.FIRST_ITEM_ID, -gap, -1e9)


class LastDwell(Stub):
    """Takes the dwell before, if it is known, for the median."""

    def dwell_and_end(self, features, items):
        median = tf.maximum(features[:, 2], 1.0)
        return LogNormal(tf.math.log(median), tf.constant(0.5)), None


class NoDwell(Follower):
    config = types.SimpleNamespace(end_weight=0.0, dwell_weight=0.0)


class Ending(Stub):
    config = types.SimpleNamespace(end_weight=0.1, dwell_weight=1.0)

    def dwell_and_end(self, features, items):
        parametric, _ = super().dwell_and_end(features, items)
        return parametric, tf.fill([tf.shape(items)[0]], math.log(3.0))


def predict(
    model, data, split=schema.TEST, moment=schema.PAGE_LEAVE, **options
):
    batches = session_batches.evaluation_batches(
        data, split, moment=moment, **options
    )
    return session_predictions.Predictor(model)(batches)


def make_jump(**options):
    model = JUMP(VOCABULARY, units=6, dwell_head="shared", **options)
    model.build()
    return model


def one_session_folder(folder, lengths, items=(2, 3, 4), cut=()):
    """A data folder of three equal splits, sessions of these lengths.

    The log ends during those whose numbers are in `cut`.
    """
    sessions = [
        schema.Session(
            f"s{n}",
            0,
            [items[step % len(items)] for step in range(length)],
            [20.0 + step for step in range(length - 1)] + [30.0],
            [0] * (length - 1) + [1],
            int(n in cut),
        )
        for n, length in enumerate(lengths)
    ]
    for split in schema.SPLITS:
        name = encoding.shard_name(split, 0, 1)
        records.write_sessions(str(folder / name), sessions)
    names = [f"i{n}" for n in range(VOCABULARY - 2)]
    (folder / schema.VOCABULARY_FILE).write_text("\n".join(names) + "\n")
    manifest = {
        "num_items": VOCABULARY - 2,
        "max_dwell_seconds": 2000.0,
        "splits": {
            split: {"sessions": len(lengths), "clicks": sum(lengths)}
            for split in schema.SPLITS
        },
    }
    (folder / schema.MANIFEST_FILE).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def result(jump):
    return jump.results[schema.PAGE_LEAVE]


@pytest.fixture(scope="module")
def stub_result(data_folder):
    return evaluated.evaluate(Stub(), data_folder, replicates=20)


class TestClicks:
    @pytest.mark.parametrize("moment", schema.MOMENTS)
    @pytest.mark.parametrize("batch_clicks", [40, 8192])
    def test_are_those_of_the_log(
        self, data_folder, sessions, moment, batch_clicks
    ):
        clicks, _ = predict(
            Stub(), data_folder, moment=moment, batch_clicks=batch_clicks
        )
        by_session = {}
        for n, session in enumerate(clicks.session):
            by_session.setdefault(session, []).append(n)
        found = sorted(
            (
                list(clicks.item[mine]),
                list(clicks.previous[mine]),
                list(clicks.position[mine]),
                list(clicks.dwell_seconds[mine]),
            )
            for mine in by_session.values()
        )
        expected = sorted(
            (
                s.items,
                [schema.PAD_ID, *s.items[:-1]],
                list(range(1, len(s) + 1)),
                s.dwell_seconds,
            )
            for s in sessions[schema.TEST]
        )
        assert found == expected
        assert set(by_session) == set(range(len(expected)))
        assert all(
            clicks.length[mine[0]] == len(mine) for mine in by_session.values()
        )
        assert clicks.last.sum() == len(expected)

    def test_repeats_are_within_the_session(self, tmp_path):
        oov = schema.OOV_ID  # Two clicks on unknown items may be on two items.
        items = (2, 2, 3, 2, oov, oov, 3)
        folder = one_session_folder(tmp_path, [7, 1], items=items)
        clicks = session_predictions.read_clicks(folder, schema.TEST)
        (whole,) = np.nonzero(clicks.length == 7)
        (alone,) = np.nonzero(clicks.length == 1)
        for column, expected in (
            (clicks.previous, [schema.PAD_ID, *items[:-1]]),
            (clicks.repeats_last, [0, 1, 0, 0, 0, 0, 0]),
            (clicks.repeated, [0, 1, 0, 1, 0, 0, 1]),
        ):
            np.testing.assert_array_equal(column[whole], expected)
            assert not column[alone]

    @pytest.mark.parametrize("moment", schema.MOMENTS)
    def test_sessions_of_two(self, tmp_path, moment):
        folder = one_session_folder(tmp_path, [2, 2, 2])
        result = evaluated.evaluate(
            LastDwell(), folder, moment=moment, replicates=5
        )
        assert result["num_predictions"] == 3
        assert result["num_dwells"] == 0
        assert result["dwell_mae_seconds"] is None
        assert result["num_dwells_all_clicks"] == 3
        assert result["dwell_mae_all_clicks_seconds"] == pytest.approx(19)
        assert result["slices"]["session_length"]["2-6"]["num_predictions"] == 3


class TestRanks:
    @pytest.mark.parametrize("moment", schema.MOMENTS)
    def test_match_brute_force(self, tmp_path, moment):
        one_session_folder(tmp_path, [3, 6, 2], items=(7, 2, 9, 4, 7, 3))
        model = make_jump(learned_start=True)
        clicks, answers = predict(model, tmp_path, moment=moment)
        for n in range(len(clicks)):
            known = int(clicks.position[n]) - 1
            if not known:
                assert answers.rank[n] == ranking.MISS
                continue
            items = np.array([[7, 2, 9, 4, 7, 3][:known]])
            dwell = 20 + np.arange(known, dtype=np.float32)[np.newaxis]
            if moment == schema.PAGE_LOAD:
                dwell[0, -1] = schema.UNKNOWN_DWELL
            features = model({schema.ITEMS: items, schema.DWELL_SECONDS: dwell})
            scores = np.array(model.click_scores(features[:, -1]))
            target = clicks.item[n : n + 1]
            rank = by_hand.conservative_ranks(scores, target)[0]
            assert answers.rank[n] == rank
            parametric = model.dwell_distribution(features[:, -1], target)
            np.testing.assert_allclose(
                answers.dwell.location[n], parametric.location[0], rtol=1e-5
            )

    def test_both_kinds_of_ties_match_numpy(self, tmp_path):
        class Coarse(Follower):
            def click_scores(self, features):
                return tf.round(super().click_scores(features) / 4.0)

        folder = one_session_folder(tmp_path, [9, 6, 2], items=(7, 2, 9, 4, 7))
        clicks, answers = predict(Coarse(), folder)
        asked = clicks.predicted
        ids = np.arange(VOCABULARY)
        gap = (ids - clicks.previous[asked, None] - 1.0) % (VOCABULARY - 2)
        scores = np.where(ids > 1, np.round(-gap / 4), -2.5e8)
        target = clicks.item[asked]
        expected = by_hand.standard_ranks(scores, target)
        np.testing.assert_array_equal(answers.rank_standard[asked], expected)
        expected = by_hand.conservative_ranks(scores, target)
        np.testing.assert_array_equal(answers.rank[asked], expected)
        assert np.any(answers.rank_standard < answers.rank)
        assert set(answers.rank_standard[~asked]) == {ranking.MISS}

    def test_standard_ties_are_reported_beside(self, stub_result):
        assert stub_result["recall_at_20_standard_ties"] == 1.0
        assert stub_result["recall_at_20"] == 0.0

    @pytest.mark.parametrize("moment", schema.MOMENTS)
    def test_lists_are_the_best_scored(self, tmp_path, moment):
        folder = one_session_folder(tmp_path, [9, 6, 2], items=(7, 2, 9, 4, 7))
        batches = session_batches.evaluation_batches(
            folder, schema.TEST, moment=moment
        )
        predictor = session_predictions.Predictor(Follower(), 3 * VOCABULARY)
        clicks, answers = predictor(batches, 1.0)
        expected = np.zeros(VOCABULARY, int)
        for previous in clicks.previous[clicks.predicted]:
            # All 23 items but the three that lie just before the last one.
            best = (previous - 2 + np.arange(1, 21)) % (VOCABULARY - 2) + 2
            expected[best] += 1
        np.testing.assert_array_equal(answers.listed, expected)

    def test_sample_of_lists_is_a_share(self, data_folder):
        batches = session_batches.evaluation_batches(data_folder, schema.TEST)
        predictor = session_predictions.Predictor(Follower())
        clicks, answers = predictor(batches, 0.25)
        share = answers.listed.sum() / 20 / (clicks.predicted).sum()
        assert share == pytest.approx(0.25, abs=0.06)
        assert predictor(batches)[1].listed is None

    def test_chunks_change_nothing(self, data_folder):
        batches = session_batches.evaluation_batches(data_folder, schema.TEST)
        model = Follower()
        _, at_once = session_predictions.Predictor(model)(batches)
        _, by_three = session_predictions.Predictor(model, 3 * VOCABULARY)(
            batches
        )
        np.testing.assert_array_equal(at_once.rank, by_three.rank)

    def test_oracle_is_perfect(self, tmp_path):
        folder = one_session_folder(tmp_path, [3, 7, 4], items=range(2, 20))
        result = evaluated.evaluate(Follower(), folder, replicates=5)
        for name in ("recall_at_20", "mrr_at_20", "ndcg_at_20"):
            assert result[name] == 1.0
            assert result["intervals"][name] == [1.0, 1.0]

    def test_equal_scores_rank_last(self, data_folder):
        clicks, answers = predict(Stub(), data_folder)
        asked = clicks.predicted & clicks.known
        assert set(answers.rank[asked]) == {VOCABULARY}

    def test_unseen_items_are_left_out_or_misses(self, tmp_path):
        folder = one_session_folder(
            tmp_path, [4], items=(2, 3, schema.OOV_ID, 4)
        )
        result = evaluated.evaluate(make_jump(), folder, replicates=5)
        assert result["num_predictions"] == 2
        assert result["num_predictions_all"] == 3
        assert result["unseen"] == {"num_clicks": 1, "share": 1 / 3}
        all_of_them = result["recall_at_20_all"]
        assert all_of_them == pytest.approx(2 / 3 * result["recall_at_20"])


class TestDwell:
    def test_numbers_by_hand(self, tmp_path):
        folder = one_session_folder(tmp_path, [4, 3])
        result = evaluated.evaluate(LastDwell(), folder, replicates=5)
        # Later clicks: 21, 22 after 20, 21; 21 after 20. First ones: 20, 20.
        assert result["num_dwells"] == 3
        assert result["dwell_mae_seconds"] == pytest.approx(1, rel=1e-4)
        assert result["num_dwells_all_clicks"] == 5
        all_clicks = result["dwell_mae_all_clicks_seconds"]
        assert all_clicks == pytest.approx((19 * 2 + 3) / 5, rel=1e-4)
        constant = result["dwell_mae_constant_median_seconds"]
        assert constant == pytest.approx(1 / 3)  # The median is 21.
        name = "dwell_mae_constant_median_all_clicks_seconds"
        assert result[name] == pytest.approx(3 / 5)  # 21 again.

    def test_unknown_dwell_is_not_shown(self, tmp_path):
        folder = one_session_folder(tmp_path, [4, 3])
        result = evaluated.evaluate(
            LastDwell(), folder, moment=schema.PAGE_LOAD, replicates=5
        )
        expected = (20 + 21 + 20) / 3
        assert result["dwell_mae_seconds"] == pytest.approx(expected)

    def test_session_end_log_loss(self, data_folder, sessions):
        result = evaluated.evaluate(Ending(), data_folder, replicates=5)
        test = sessions[schema.TEST]
        later = sum(len(s) - 1 for s in test)
        ends = len(test) / later
        expected = -ends * math.log(0.75) - (1 - ends) * math.log(0.25)
        assert result["session_end_log_loss"] == pytest.approx(expected)
        train = sessions[schema.TRAIN]
        rate = len(train) / sum(len(s) - 1 for s in train)
        constant = -ends * math.log(rate) - (1 - ends) * math.log(1 - rate)
        assert result["session_end_log_loss_constant"] == pytest.approx(
            constant
        )

    @pytest.mark.parametrize("moment", schema.MOMENTS)
    def test_where_the_log_ended_nothing_is_said_of_the_end(
        self, tmp_path, moment
    ):
        def evaluate(**options):
            folder = one_session_folder(tmp_path, [4, 3, 2], **options)
            return evaluated.evaluate(
                Ending(), folder, moment=moment, replicates=5
            )

        cut, whole = evaluate(cut=[1]), evaluate()
        # Of 3 + 2 + 1 later clicks one is not known to be the end, or not.
        expected = -(2 * math.log(0.75) + 3 * math.log(0.25)) / 5
        assert cut["session_end_log_loss"] == pytest.approx(expected)
        constant = -(2 * math.log(2 / 5) + 3 * math.log(3 / 5)) / 5
        assert cut["session_end_log_loss_constant"] == pytest.approx(constant)
        for result in (cut, whole):
            for numbers in (result, result["intervals"]):
                for name in [n for n in numbers if "session_end" in n]:
                    del numbers[name]
        assert "session_end" not in json.dumps(cut["slices"])
        assert cut == whole


class TestEvaluate:
    def test_file_has_what_readers_count_on(self, result):
        assert {
            "recall_at_20",
            "mrr_at_20",
            "ndcg_at_20",
            "num_predictions",
            "dwell_mae_seconds",
            "dwell_mae_constant_median_seconds",
            "dwell_nll",
            "dwell_crps_seconds",
            "num_dwells",
            "intervals",
            "dwell_brier_at",
            "dwell_coverage_at",
            "slices",
            "baselines",
            "ties",
            "unseen",
            "split",
            "moment",
        } <= set(result)
        assert "session_end_log_loss" not in result
        assert result["ties"] == "conservative"
        assert list(result["dwell_coverage_at"]) == ["50", "80", "95"]
        json.dumps(result, allow_nan=False)

    def test_coverage_by_length_adds_up(self, result, sessions):
        def dwells(least, most):
            """Of test sessions of some lengths, but of their ends."""
            lengths = [len(s) for s in sessions[schema.TEST]]
            return sum(n - 2 for n in lengths if least <= n <= most)

        parts = result["dwell_coverage_by_session_length"]
        sizes = {
            "2-6": dwells(2, 6),
            "7-9": dwells(7, 9),
            "10-30": dwells(10, 30),
        }
        assert {name for name in parts if parts[name]["50"] is not None} == {
            name for name, size in sizes.items() if size
        }
        for share, whole in result["dwell_coverage_at"].items():
            held = sum(
                size * parts[n][share] for n, size in sizes.items() if size
            )
            assert held == pytest.approx(whole * sum(sizes.values()))

    def test_counts(self, result, sessions):
        test = sessions[schema.TEST]
        assert result["num_predictions"] == sum(len(s) - 1 for s in test)
        assert result["num_dwells_all_clicks"] == sum(
            1 for s in test for flag in s.dwell_censored if not flag
        )

    def test_slices_add_up(self, result):
        kinds = ("session_length", "position", "repeat", "item_support")
        for name in kinds:
            parts = result["slices"][name].values()
            total = sum(part["num_predictions"] for part in parts)
            assert total == result["num_predictions"]
            recall = sum(
                part["num_predictions"] * (part["recall_at_20"] or 0)
                for part in parts
            )
            assert recall / total == pytest.approx(result["recall_at_20"])

    def test_intervals_hold_the_numbers(self, result):
        for name, (low, high) in result["intervals"].items():
            assert low <= result[name] <= high

    def test_markov_beats_popularity_here(self, result):
        markov, popular = (
            result["baselines"][name]["mrr_at_20"]
            for name in (
                session_baselines.MARKOV,
                session_baselines.MOST_POPULAR,
            )
        )
        assert markov > 1.5 * popular

    def test_neighbours_are_measured_on_the_same_clicks(
        self, data_folder, result, tmp_path
    ):
        for name, model in counting_models.MODELS.items():
            counting_models.measure(name, tmp_path, data_folder)
            found, at_load = (
                experiments.read(tmp_path, moment) for moment in schema.MOMENTS
            )
            assert len(found["settings"]) == len(model.grid[0])
            # What is asked for earlier is told less of what was before.
            if name.startswith("decayed"):
                assert found["mrr_at_20"] != at_load["mrr_at_20"]
            for size in ("num_predictions", "num_predictions_all"):
                assert found[size] == result[size]
            popular = result["baselines"][session_baselines.MOST_POPULAR]
            assert found["mrr_at_20"] > popular["mrr_at_20"]

    def test_constants_are_training_medians(self, result, sessions):
        def later(split):
            return [
                seconds
                for s in sessions[split]
                for seconds, flag in list(
                    zip(s.dwell_seconds, s.dwell_censored, strict=True)
                )[1:]
                if not flag
            ]

        constant = np.median(later(schema.TRAIN))
        expected = np.mean(np.abs(np.array(later(schema.TEST)) - constant))
        found = result["dwell_mae_constant_median_seconds"]
        assert found == pytest.approx(expected, rel=1e-6)
        theirs = result["baselines"][session_baselines.CONSTANT_MEDIAN]
        assert theirs["dwell_mae_seconds"] == found

    def test_same_clicks_at_both_moments(self, jump, result):
        other = jump.results[schema.PAGE_LOAD]
        for name in ("num_predictions", "num_dwells", "num_dwells_all_clicks"):
            assert other[name] == result[name]
        # What looks at nothing but the log is the same, intervals included.
        assert (
            other["baselines"][session_baselines.MOST_POPULAR]["recall_at_20"]
            == (
                result["baselines"][session_baselines.MOST_POPULAR][
                    "recall_at_20"
                ]
            )
        )

    def test_attention_examples(self, result):
        assert result["attention"]
        for example in result["attention"]:
            weights = np.array(example["weights"])
            size = len(example["items"])
            assert weights.shape == (size, size)
            np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)

    def test_quick_metrics_are_the_same_numbers(
        self, data_folder, jump, result
    ):
        quick = evaluated.quick_metrics(jump.model, data_folder, schema.TEST)
        assert set(quick) == {
            "recall_at_20",
            "mrr_at_20",
            "ndcg_at_20",
            "dwell_mae_seconds",
            "dwell_nll",
        }
        for name, value in quick.items():
            assert value == pytest.approx(result[name])

    def test_is_traced_once_and_sees_new_weights(self, data_folder):
        model = make_jump()
        before = evaluated.quick_metrics(model, data_folder, schema.TEST)
        predictor = session_predictions.predictor(model)
        traces = predictor._answer.experimental_get_tracing_count()
        model.items.embeddings.assign(-model.items.embeddings + 0.5)
        after = evaluated.quick_metrics(model, data_folder, schema.TEST)
        assert before["mrr_at_20"] != after["mrr_at_20"]
        assert session_predictions.predictor(model) is predictor
        assert traces == predictor._answer.experimental_get_tracing_count() == 1
        assert predictor._rank.experimental_get_tracing_count() <= 2

    def test_dwell_that_is_not_learned_is_left_out(self, data_folder):
        result, table = session_evaluation.evaluate_clicks(
            NoDwell(), data_folder, replicates=5
        )
        assert result["dwell_learned"] is False
        assert result["dwell_mae_seconds"] is None
        assert "dwell_brier_at" not in result
        assert result["num_dwells"] > 0
        assert result["dwell_mae_constant_median_seconds"] > 0
        text = session_tables.format_table(result)
        assert "no dwell learned" in text
        assert "loses to constant_median" not in text
        assert table.dwell_nll is None

    def test_table_says_the_same_as_the_file(self, tmp_path, jump, result):
        """All of what is averaged, to the last bit, out of what was written."""
        table = jump.tables[schema.PAGE_LEAVE]
        path = session_evaluation.write_evaluation(tmp_path, result, table)
        file = path.with_name("test.page_leave.clicks.npz")
        again = prediction_table.measures(prediction_table.read(file))
        assert sorted(p.name for p in path.parent.iterdir()) == [
            file.name,
            path.name,
        ]
        assert {
            "recall_at_20",
            "mrr_at_20_all",
            "ndcg_at_20_standard_ties",
            "dwell_mae_seconds",
            "dwell_nll_all_clicks",
            "dwell_crps_seconds",
        } <= set(again)
        for name, measure in again.items():
            assert measure.mean() == result[name]

    def test_skill_and_brier_follow_from_means(self, result):
        constant = result["baselines"][session_baselines.CONSTANT_MEDIAN]
        for skill, name in (
            ("dwell_mae_skill", "dwell_mae_seconds"),
            ("dwell_nll_skill", "dwell_nll"),
            ("dwell_crps_skill", "dwell_crps_seconds"),
        ):
            expected = 1 - result[name] / constant[name]
            assert result[skill] == pytest.approx(expected)

    def test_baselines_differ_by_moment_only_where_they_look_back(
        self, jump, result
    ):
        other = jump.results[schema.PAGE_LOAD]["baselines"]
        for name in ("constant_mean", "item_median", "item_effect"):
            here = result["baselines"][name]["dwell_nll"]
            assert other[name]["dwell_nll"] == pytest.approx(here)
        for name in ("previous_dwell", "session_mean"):
            here = result["baselines"][name]["dwell_nll"]
            assert other[name]["dwell_nll"] != pytest.approx(here)

    def test_gradient_boosting_has_errors_at_both_moments(self, jump, result):
        other = jump.results[schema.PAGE_LOAD]["baselines"]
        name = session_baselines.GRADIENT_BOOSTING
        mine, theirs = result["baselines"][name], other[name]
        for numbers in (mine, theirs):
            assert {n for n in numbers if n.startswith("dwell")} == {
                "dwell_mae_seconds",
                "dwell_log_mae",
            }
            assert "dwell_mae_seconds" in numbers["differences"]
        assert mine["dwell_mae_seconds"] != theirs["dwell_mae_seconds"]
        assert result["left_out"] == {}
        _, dwells, all_clicks = session_tables.tables(
            [result, jump.results[schema.PAGE_LOAD]]
        )
        rows = {row[0]: row[1:] for row in dwells}
        for moment, numbers in zip(schema.MOMENTS, (mine, theirs), strict=True):
            mae = number(numbers["dwell_mae_seconds"])
            assert rows[f"{name}, {moment}"] == [mae, "-", "-"]
        assert not any(row[0].startswith(name) for row in all_clicks)

    def test_small_logs_say_why_nothing_is_boosted(self, tmp_path):
        folder = one_session_folder(tmp_path, [4, 3])
        result = evaluated.evaluate(LastDwell(), folder, replicates=5)
        assert session_baselines.GRADIENT_BOOSTING not in result["baselines"]
        assert (
            "Without gradient_boosting. Gradient boosting must have at least "
            "1000 dwells, of 10 sessions, to learn from. Received: 3 dwells, "
            "of 2 sessions"
        ) in session_tables.format_table(result)

    def test_without_scikit_learn_all_else_is_measured(
        self, data_folder, monkeypatch
    ):
        monkeypatch.setitem(sys.modules, "sklearn", None)
        monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
        fitted = session_baselines.fit(str(data_folder), VOCABULARY)
        assert fitted.booster is None
        assert fitted.left_out == {
            "gradient_boosting": "This needs scikit-learn. Install it with: "
            "pip install 'jump-tf[evaluate]'"
        }
        assert fitted.dwell

    def test_smaller_vocabulary_is_refused(self, data_folder):
        """A larger one is not: a warm start may keep items that are gone."""
        model = JUMP(VOCABULARY - 1, units=4)
        with pytest.raises(schema.InputError, match="must be trained on the"):
            evaluated.evaluate(model, data_folder)

    def test_other_moment_is_refused(self, data_folder):
        with pytest.raises(schema.InputError, match="`moment` must be one of"):
            evaluated.evaluate(Stub(), data_folder, moment="never")


class TestMoments:
    def test_page_load_by_hand(self, data_folder, sessions):
        """The plain model after k clicks, whose last dwell is unknown."""
        model = make_jump(dwell_history=True, residual=True)
        result = evaluated.evaluate(
            model, data_folder, moment=schema.PAGE_LOAD, replicates=2
        )
        asked = [
            (session, k)
            for session in sessions[schema.TEST]
            for k in range(1, len(session))
        ]
        inputs = padded(
            [session.items[:k] for session, k in asked],
            [
                [*session.dwell_seconds[: k - 1], schema.UNKNOWN_DWELL]
                for session, k in asked
            ],
        )
        last = np.arange(len(asked)), [k for _, k in asked]
        features = np.asarray(model(inputs))[last]
        rank = by_hand.conservative_ranks(
            np.asarray(model.click_scores(features)),
            np.array([session.items[k] for session, k in asked]),
        )
        # Equal features may differ in the last bit, and so may ranks.
        assert result["recall_at_20"] == pytest.approx(
            ranking.recall(rank).mean(), abs=0.02
        )
        assert result["mrr_at_20"] == pytest.approx(
            ranking.reciprocal_rank(rank).mean(), abs=0.005
        )

    def test_both_are_written_and_told_in_one_table(
        self, tmp_path, data_folder
    ):
        results, paths = session_evaluation.evaluate_moments(
            LastDwell(), data_folder, tmp_path
        )
        for path, moment, result in zip(
            paths, schema.MOMENTS, results, strict=True
        ):
            assert path.name == f"test.{moment}.json"
            assert json.loads(path.read_text()) == result
            assert path.with_suffix(".clicks.npz").is_file()
        clicks, dwells, _ = session_tables.tables(results)
        assert [row[0] for row in clicks].count("markov") == 1
        names = [row[0] for row in dwells]
        for moment in schema.MOMENTS:
            assert f"the model, {moment}" in names
            # It looks at the dwell before, which is known at the one alone.
            assert f"previous_dwell, {moment}" in names
            assert f"item_median, {moment}" not in names
        load = dwells[names.index("the model, page_load")]
        mae = results[1]["dwell_mae_seconds"]
        assert load[1] == number(mae)
        text = session_tables.format_table(*results)
        assert "At page_load: The model loses to markov" in text
        assert text.startswith("test, page_leave and page_load: ")


class TestTable:
    def test_loss_is_said_in_words(self, stub_result):
        table = session_tables.format_table(stub_result)
        assert "The model loses to markov in recall_at_20 (0.0000" in table
        assert "The model loses to constant_median in dwell_mae_sec" in table

    def test_no_number_has_lost(self, data_folder):
        class Broken(Stub):
            def dwell_and_end(self, features, items):
                nan = tf.fill([tf.shape(items)[0]], math.nan)
                return LogNormal(nan, tf.constant(1.0)), None

        result = evaluated.evaluate(Broken(), data_folder, replicates=5)
        assert result["dwell_nll"] is None
        assert "dwell_nll (- against" in session_tables.format_table(result)

    def test_win_is_said_too(self, tmp_path):
        folder = one_session_folder(tmp_path, [9, 8], items=range(2, 20))
        result = evaluated.evaluate(Follower(), folder, replicates=5)
        result["baselines"] = {
            name: numbers
            for name, numbers in result["baselines"].items()
            if "recall_at_20" in numbers
        }
        assert "No baseline beats the model." in session_tables.format_table(
            result
        )


def test_write_evaluation_reads_back(tmp_path, result):
    path = session_evaluation.write_evaluation(tmp_path / "run", result)
    assert path == tmp_path / "run" / "evaluation" / "test.page_leave.json"
    assert json.loads(path.read_text()) == result
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", [RMTPP, ATRP, NSR])
def test_models_with_laws_of_their_own_are_evaluated(data_folder, kind):
    model = kind(VOCABULARY, units=6, initial_log_dwell=3.0)
    model.build()
    result = evaluated.evaluate(model, data_folder, replicates=5)
    for name in ("dwell_mae_seconds", "dwell_nll", "dwell_crps_seconds"):
        assert np.isfinite(result[name])
    assert all(np.isfinite(list(result["dwell_pinball_at"].values())))


@pytest.mark.parametrize("moment", schema.MOMENTS)
def test_batches_change_neither_answers_nor_their_order(data_folder, moment):
    model = make_jump()
    narrow = predict(model, data_folder, moment=moment, batch_clicks=1)
    wide = predict(
        model, data_folder, moment=moment, batch_clicks=8192, step_seconds=200
    )
    expected = session_predictions.read_clicks(data_folder, schema.TEST)
    for (clicks, answers), rtol in ((narrow, 0), (wide, 1e-4)):
        for field in dataclasses.fields(clicks):
            np.testing.assert_array_equal(
                getattr(clicks, field.name), getattr(expected, field.name)
            )
        np.testing.assert_allclose(
            answers.dwell.location, narrow[1].dwell.location, rtol=rtol
        )


def test_counting_models_are_asked_when_the_click_is(data_folder):
    """When it is made or, at page_load, with the click before it."""
    log = click_log.read(data_folder, schema.TEST)
    leave, load = (
        session_baselines.with_a_clock(log, moment) for moment in schema.MOMENTS
    )
    np.testing.assert_array_equal(leave.asked_ms, log.time_ms)
    before = np.roll(log.time_ms, 1)
    expected = np.where(log.position == 1, log.time_ms, before)
    np.testing.assert_array_equal(load.asked_ms, expected)
    assert np.any(load.asked_ms < leave.asked_ms)
    clicks = session_predictions.read_clicks(data_folder, schema.TEST)
    for one in (leave, load):
        done = one.done_ms != NEVER
        assert 0 < done.sum() < len(done)
        np.testing.assert_array_equal(done, log.time_known)
        np.testing.assert_array_equal(one.done_ms[done], log.time_ms[done])
        for name in ("session", "position", "item"):
            np.testing.assert_array_equal(
                getattr(one, name), getattr(clicks, name)
            )


def test_slices_have_the_asked_bounds(data_folder):
    clicks = session_predictions.read_clicks(data_folder, schema.TEST)
    masks = session_slices.slice_masks(clicks, np.ones(VOCABULARY, int))
    labels = ["2-6", "7-9", "10-30", "31-150", ">150"]
    assert list(masks["session_length"]) == labels
    np.testing.assert_array_equal(
        masks["session_length"]["7-9"],
        (clicks.length >= 7) & (clicks.length <= 9),
    )
    assert list(masks["item_support"])[-1] == ">499"
    assert set(masks["repeat"]) == {"new", "repeated"}


def test_deciles_of_dwell_are_tenths_of_those_with_an_error(data_folder):
    clicks = session_predictions.read_clicks(data_folder, schema.TEST)
    masks = session_slices.slice_masks(clicks, np.ones(VOCABULARY, int))
    parts = np.array(list(masks["dwell_decile"].values()))
    counted = clicks.predicted & clicks.followed
    np.testing.assert_array_equal(parts.sum(0), counted)
    assert len(parts) == 10
    assert np.ptp(parts.sum(1)) <= 1
    highest = [clicks.dwell_seconds[part].max() for part in parts]
    assert highest == sorted(highest)


def test_recommended_by_hand():
    listed = np.array([0, 0, 4, 2, 0, 2])
    numbers = session_metrics.recommended(listed, np.array([0, 9, 6, 3, 1, 0]))
    assert numbers["num_lists"] == 2  # Of the whole catalogue of 4.
    assert numbers["coverage_at_20"] == 3 / 4
    assert numbers["popularity_at_20_clicks"] == (4 * 6 + 2 * 3) / 8
    assert numbers["popularity_at_20"] == (4 * 6 + 2 * 3) / 8 / 6
    pairs = np.abs(listed[2:, None] - listed[2:]).mean()
    assert numbers["gini_at_20"] == pytest.approx(pairs / (2 * 2.0))

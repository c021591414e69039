import itertools
import math

import numpy as np
import pytest
import scipy.stats

from jump_tf.metrics import bootstrap
from jump_tf.metrics import lists as list_measures

# Three lists of unequal lengths, with ties within and between them; the second
# has no positive, the third nothing else.
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1])
SCORES = np.array([0.3, 0.3, 0.9, 0.1, 0.3, 0.3, 0.9, 0.2])
LISTS = np.array([0, 0, 0, 0, 0, 1, 1, 2])


def draw(count=400, num_lists=57, seed=0, ties=True):
    """Labels with the probabilities that they were drawn with, in lists."""
    random = np.random.default_rng(seed)
    probabilities = 1 / (1 + np.exp(-random.normal(-1, 1.2, count)))
    if ties:
        probabilities = np.round(probabilities, 1) * 0.9 + 0.05
    labels = random.random(count) < probabilities
    lists = np.sort(random.integers(0, num_lists, count))
    return labels, probabilities, lists, num_lists


def pairs_in_order(labels, scores):
    """The AUC by its definition."""
    found = [
        0.5 * (one == other) + (one > other)
        for one, is_one in zip(scores, labels, strict=True)
        for other, is_other in zip(scores, labels, strict=True)
        if is_one and not is_other
    ]
    return np.mean(found) if found else math.nan


def all_orders(labels, scores):
    """Labels in every order in which the scores descend."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    orders = np.array(list(itertools.permutations(range(len(labels)))))
    falling = np.all(np.diff(scores[orders], axis=1) <= 0, 1)
    return labels[orders[falling]]


def gain_by_hand(ordered, k):
    gain = sum(v / math.log2(p + 2) for p, v in enumerate(ordered[:k]))
    best = sum(1 / math.log2(p + 2) for p in range(min(k, sum(ordered))))
    return gain / best


def precision_by_hand(ordered, k):
    hits = [
        sum(ordered[: p + 1]) / (p + 1)
        for p in range(min(k, len(ordered)))
        if ordered[p]
    ]
    return sum(hits) / min(k, sum(ordered))


def by_list(labels, scores, lists, of_list):
    """`of_list` of each list, and its length."""
    return [
        (of_list(labels[lists == one], scores[lists == one]), sum(lists == one))
        for one in np.unique(lists)
    ]


class TestAUC:
    @pytest.mark.parametrize("seed", range(3))
    def test_pairs(self, seed):
        labels, scores, lists, num_lists = draw(120, seed=seed)
        found = list_measures.auc(labels, scores, lists, num_lists).value()
        assert found == pytest.approx(pairs_in_order(labels, scores))

    def test_is_the_statistic_of_mann_and_whitney(self):
        labels, scores, lists, num_lists = draw()
        u = scipy.stats.mannwhitneyu(scores[labels], scores[~labels]).statistic
        found = list_measures.auc(labels, scores, lists, num_lists).value()
        assert found == pytest.approx(u / labels.sum() / (~labels).sum())

    def test_laws(self):
        labels, scores, *lists = draw()
        auc = list_measures.auc(labels, scores, *lists).value()
        assert 0.5 < auc < 1
        rising = list_measures.auc(labels, np.exp(3 * scores) - 7, *lists)
        assert rising.value() == pytest.approx(auc)
        reverse = list_measures.auc(labels, -scores, *lists).value()
        assert reverse == pytest.approx(1 - auc)
        other = list_measures.auc(~labels, scores, *lists).value()
        assert other == pytest.approx(1 - auc)
        constant = list_measures.auc(labels, np.full(len(labels), 0.2), *lists)
        assert constant.value() == pytest.approx(0.5)
        assert list_measures.auc(labels, labels, *lists).value() == 1

    def test_one_label_alone(self):
        for labels in (np.zeros(8), np.ones(8)):
            assert math.isnan(
                list_measures.auc(labels, SCORES, LISTS, 3).value()
            )

    @pytest.mark.parametrize("weighted", [True, False])
    def test_within_lists(self, weighted):
        labels, scores, lists, num_lists = draw(150, 31)
        ranking = list_measures.rank_within(labels, scores, lists, num_lists)
        found = list_measures.group_auc(
            ranking, impression_weighted=weighted
        ).value()
        aucs = by_list(labels, scores, lists, pairs_in_order)
        aucs = [(auc, length) for auc, length in aucs if not math.isnan(auc)]
        values, lengths = map(np.array, zip(*aucs, strict=True))
        weights = lengths if weighted else None
        assert found == pytest.approx(np.average(values, weights=weights))

    def test_within_lists_sees_no_shift_of_a_list(self):
        labels, scores, lists, num_lists = draw(150, 31)
        ranking = list_measures.rank_within(labels, scores, lists, num_lists)
        shifted = list_measures.rank_within(
            labels, scores + lists * 0.37, lists, num_lists
        )
        assert list_measures.group_auc(shifted).value() == pytest.approx(
            list_measures.group_auc(ranking).value()
        )


class TestRanking:
    def test_by_hand(self):
        ranking = list_measures.rank_within(LABELS, SCORES, LISTS, 3)
        # 0.9 | 0.3 0.3 0.3 | 0.1, then 0.9 | 0.3, then 0.2.
        np.testing.assert_array_equal(ranking.lists, LISTS)
        np.testing.assert_array_equal(ranking.place, [1, 2, 3, 4, 5, 1, 2, 1])
        np.testing.assert_array_equal(ranking.tied, [1, 3, 3, 3, 1, 1, 1, 1])
        np.testing.assert_array_equal(
            ranking.tied_relevant, [1, 2, 2, 2, 0, 0, 0, 1]
        )
        np.testing.assert_array_equal(ranking.above, [0, 1, 1, 1, 4, 0, 1, 0])
        np.testing.assert_array_equal(
            ranking.above_relevant, [0, 1, 1, 1, 3, 0, 0, 0]
        )
        np.testing.assert_array_equal(ranking.length, [5, 2, 1])
        np.testing.assert_array_equal(ranking.positives, [3, 0, 1])

    @pytest.mark.parametrize("k", [None, 1, 2, 3, 4])
    @pytest.mark.parametrize(
        ("metric", "by_hand"),
        [
            (list_measures.ndcg_at, gain_by_hand),
            (list_measures.map_at, precision_by_hand),
        ],
    )
    def test_is_the_mean_over_orders_of_ties(self, metric, by_hand, k):
        random = np.random.default_rng(3)
        lengths = np.array([5, 1, 6, 2, 4, 3, 6])
        lists = np.repeat(np.arange(7), lengths)
        scores = random.integers(0, 3, len(lists)) / 2
        labels = random.random(len(lists)) < 0.4
        labels[lists == 3] = False

        def of_list(labels, scores):
            if not labels.any():
                return math.nan
            orders = all_orders(labels.astype(int), scores)
            return np.mean([by_hand(order, k or 99) for order in orders])

        expected = by_list(labels, scores, lists, of_list)
        ranking = list_measures.rank_within(labels, scores, lists, 7)
        assert metric(ranking, k).value() == pytest.approx(
            np.nanmean([value for value, _ in expected])
        )

    @pytest.mark.parametrize("k", [None, 3])
    def test_best_order_is_one(self, k):
        labels, _, lists, num_lists = draw()
        ranking = list_measures.rank_within(labels, labels, lists, num_lists)
        assert list_measures.ndcg_at(ranking, k).value() == pytest.approx(1)
        assert list_measures.map_at(ranking, k).value() == pytest.approx(1)

    def test_no_threshold(self):
        """A positive counts however small its probability."""
        ranking = list_measures.rank_within(
            [0, 1, 0], [0.1, 0.2, 0.1], [0, 0, 0], 1
        )
        assert list_measures.map_at(ranking, 10).value() == 1

    def test_lists_without_positives_are_skipped(self):
        ranking = list_measures.rank_within(LABELS, SCORES, LISTS, 3)
        (part,) = list_measures.ndcg_at(ranking).parts
        np.testing.assert_array_equal(part.weight, [1, 0, 1])
        (part,) = list_measures.group_auc(ranking).parts
        np.testing.assert_array_equal(part.weight, [5, 0, 0])

    def test_no_list_at_all(self):
        nothing = np.zeros(0)
        ranking = list_measures.rank_within(nothing, nothing, nothing, 4)
        for metric in (
            list_measures.ndcg_at,
            list_measures.map_at,
            list_measures.group_auc,
        ):
            assert math.isnan(metric(ranking).value())


class TestItems:
    def test_log_loss_by_hand(self):
        loss = list_measures.log_loss(LABELS, np.log(SCORES), LISTS, 3).value()
        expected = np.where(LABELS, np.log(SCORES), np.log(1 - SCORES))
        assert loss == pytest.approx(-expected.mean())

    def test_log_loss_never_clips(self):
        """Of what a float would round to 0 or to 1."""
        logs = np.array([-800.0, -1e-30])
        lists = np.zeros(2, int)
        loss = list_measures.log_loss([1, 1], logs, lists, 1).value()
        assert loss == pytest.approx(400)
        loss = list_measures.log_loss([0, 0], logs, lists, 1).value()
        assert loss == pytest.approx(-math.log(1e-30) / 2)

    def test_accuracy_and_f1_by_hand(self):
        given = (LABELS, SCORES, LISTS, 3)
        assert list_measures.accuracy(*given).value() == pytest.approx(4 / 8)
        assert list_measures.f1(*given).value() == pytest.approx(
            2 / (2 + 1 + 3)
        )

    def test_order_of_lists_and_items_is_nothing(self):
        labels, scores, lists, num_lists = draw()
        random = np.random.default_rng(9)
        names, order = random.permutation(num_lists), random.permutation(400)
        other = (labels[order], scores[order], names[lists[order]], num_lists)
        ranking = list_measures.rank_within(labels, scores, lists, num_lists)
        mixed = list_measures.rank_within(*other)
        for metric in (
            list_measures.ndcg_at,
            list_measures.map_at,
            list_measures.group_auc,
        ):
            found = metric(mixed).value()
            assert found == pytest.approx(metric(ranking).value())
        for metric in (
            list_measures.auc,
            list_measures.accuracy,
            list_measures.f1,
        ):
            expected = metric(labels, scores, lists, num_lists).value()
            assert metric(*other).value() == pytest.approx(expected)


class TestCalibration:
    def test_truth_is_off_by_chance_alone(self):
        ratios = []
        for seed in range(20):
            bins = list_measures.calibration(*draw(3000, 300, seed, ties=False))
            assert len(bins.predicted) == list_measures.BINS
            ratios.append(bins.error / bins.noise)
        assert np.mean(ratios) == pytest.approx(1, abs=0.12)

    def test_wrong_is_more(self):
        labels, probabilities, *lists = draw(3000, 300, ties=False)
        bins = list_measures.calibration(labels, probabilities**2, *lists)
        assert bins.error > 5 * bins.noise
        expected = np.sum(probabilities**2) / labels.sum()
        ratio = list_measures.calibration_ratio(
            labels, probabilities**2, *lists
        )
        assert ratio.value() == pytest.approx(expected)

    def test_equal_probabilities_share_a_bin(self):
        bins = list_measures.calibration(*draw(), bins=400)
        assert len(bins.predicted) == len(np.unique(draw()[1]))
        labels, _, *lists = draw()
        constant = list_measures.calibration(labels, np.full(400, 0.25), *lists)
        np.testing.assert_array_equal(constant.num_items, [400])
        assert constant.observed[0].value() == pytest.approx(labels.mean())
        assert constant.error == pytest.approx(abs(labels.mean() - 0.25))

    def test_bins_hold_all(self):
        labels, probabilities, *lists = draw(997, ties=False)
        bins = list_measures.calibration(labels, probabilities, *lists, bins=7)
        assert bins.num_items.sum() == 997
        assert np.ptp(bins.num_items) <= 1
        assert bins.num_items @ bins.predicted == pytest.approx(
            probabilities.sum()
        )
        shares = [share.value() for share in bins.observed]
        assert bins.num_items @ shares == pytest.approx(labels.sum())

    def test_of_nothing(self):
        nothing = np.zeros(0)
        bins = list_measures.calibration(
            nothing, nothing, nothing.astype(int), 3
        )
        assert len(bins.predicted) == 0 and bins.error == 0


class TestResampling:
    def test_auc_is_the_bootstrap_of_pairs(self):
        """Draws of its two parts spread as if pairs were drawn anew."""
        labels, scores, lists, num_lists = draw(900, 150, ties=False)
        score = list_measures.auc(labels, scores, lists, num_lists)
        found = bootstrap.resampled({"auc": score}, 300)["auc"]
        random = np.random.default_rng(1)
        exact = []
        for _ in range(300):
            times = np.bincount(random.integers(0, 150, 150), minlength=150)
            rows = np.repeat(np.arange(900), times[lists])
            again = list_measures.auc(
                labels[rows], scores[rows], lists[rows], 150
            )
            exact.append(again.value())
        assert np.mean(found) == pytest.approx(np.mean(exact), abs=0.003)
        assert np.std(found) == pytest.approx(np.std(exact), rel=0.15)

    def test_same_seed_same_draws(self):
        labels, scores, lists, num_lists = draw()
        one = list_measures.log_loss(labels, np.log(scores), lists, num_lists)
        other = list_measures.auc(labels, scores, lists, num_lists)
        together = bootstrap.resampled({"a": one, "b": other}, 30, seed=4)
        alone = bootstrap.resampled({"b": other}, 30, seed=4)
        np.testing.assert_allclose(together["b"], alone["b"])
        assert np.std(together["b"]) > 0

    def test_intervals_cover(self):
        """In 95 % of samples, give or take, what a large one comes to."""
        given = draw(200_000, 40_000, 99, ties=False)
        oracle = {name: m.value() for name, m in self.some(*given).items()}
        covered = dict.fromkeys(oracle, 0)
        for seed in range(200):
            scores = self.some(*draw(500, 100, seed, ties=False))
            drawn = bootstrap.resampled(scores, 200, seed)
            for name, replicates in drawn.items():
                low, high = bootstrap.interval(replicates)
                covered[name] += low <= oracle[name] <= high
        for name, times in covered.items():
            assert 178 <= times <= 199, (name, times)

    @staticmethod
    def some(labels, scores, lists, num_lists):
        ranking = list_measures.rank_within(labels, scores, lists, num_lists)
        given = (labels, scores, lists, num_lists)
        return {
            "auc": list_measures.auc(*given),
            "log_loss": list_measures.log_loss(
                labels, np.log(scores), lists, num_lists
            ),
            "group_auc": list_measures.group_auc(ranking),
            "ndcg": list_measures.ndcg_at(ranking),
            "map": list_measures.map_at(ranking, 3),
            "ratio": list_measures.calibration_ratio(*given),
        }

    def test_of_nothing(self):
        assert bootstrap.resampled({}, 3) == {}
        empty = bootstrap.item_mean(np.zeros(0), np.zeros(0, int), 0)
        drawn = bootstrap.resampled({"mean": empty}, 3)["mean"]
        assert np.isnan(drawn).all() and len(drawn) == 3

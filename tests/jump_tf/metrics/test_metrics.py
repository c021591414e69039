import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jump_tf.metrics import bootstrap
from jump_tf.metrics import dwell as dwell_metrics
from jump_tf.metrics import ranking
from jump_tf.metrics.bootstrap import Measure
from jump_tf.survival.distribution import LogNormal
from tests import by_hand


def parametric(location, scale):
    return LogNormal(np.array(location, float), np.array(scale, float))


def draw(count=4000, seed=0):
    """Dwells of a known distribution, cut at c1 = 2000 s."""
    random = np.random.default_rng(seed)
    location = random.normal(4.5, 1.0, count)
    scale = random.uniform(0.8, 1.6, count)
    seconds = np.exp(random.normal(location, scale))
    return LogNormal(location, scale), np.minimum(seconds, 2000), seconds > 2000


def resampled(measures, sessions, *options):
    metrics = {name: one.over(sessions) for name, one in measures.items()}
    return bootstrap.resampled(metrics, *options)


class TestRanks:
    def test_matches_sorting_where_nothing_ties(self):
        random = np.random.default_rng(1)
        scores, targets = random.normal(size=(37, 11)), np.arange(37) % 11
        order = np.argsort(-scores, 1)
        expected = np.argmax(order == targets[:, None], 1) + 1
        np.testing.assert_array_equal(
            by_hand.conservative_ranks(scores, targets), expected
        )

    def test_ties_are_lost(self):
        scores = np.array([[3.0, 5, 5, 1], [2, 2, 2, 2]])
        ranks = by_hand.conservative_ranks(scores, np.array([2, 0]))
        np.testing.assert_array_equal(ranks, [2, 4])

    def test_ties_are_won(self):
        scores = np.array([[3.0, 5, 5, 1], [2, 2, 2, 2], [4, 3, 3, 1]])
        ranks = by_hand.standard_ranks(scores, np.array([2, 0, 1]))
        np.testing.assert_array_equal(ranks, [1, 1, 2])

    def test_what_is_not_a_number_ranks_last(self):
        scores = np.array([[np.nan, np.nan, np.nan]])
        assert by_hand.conservative_ranks(scores, np.array([1])) == [3]
        assert by_hand.standard_ranks(scores, np.array([1])) == [3]

    def test_values_by_hand(self):
        ranks = np.array([1, 2, 20, 21, ranking.MISS])
        np.testing.assert_array_equal(ranking.recall(ranks), [1, 1, 1, 0, 0])
        np.testing.assert_allclose(
            ranking.reciprocal_rank(ranks), [1, 1 / 2, 1 / 20, 0, 0]
        )
        np.testing.assert_allclose(
            ranking.discounted_gain(ranks),
            [1, 1 / math.log2(3), 1 / math.log2(21), 0, 0],
        )

    def test_k_cuts(self):
        assert ranking.recall(np.array([3]), k=2) == [0]
        assert ranking.reciprocal_rank(np.array([3]), k=3) == [1 / 3]


class TestIntervals:
    def test_mean_counts_only_what_is_counted(self):
        measure = Measure(np.array([1.0, 9, 3]), np.array([True, False, True]))
        assert measure.mean() == 2
        assert measure.within(np.array([True, True, False])).mean() == 1
        assert math.isnan(measure.within(np.zeros(3, bool)).mean())

    def test_covers_the_truth_as_often_as_it_says(self):
        random = np.random.default_rng(3)
        covered = 0
        for trial in range(60):
            sessions = np.repeat(np.arange(80), random.integers(1, 7, 80))
            shared = random.normal(size=80)[sessions]
            values = 2.0 + shared + random.normal(size=len(sessions))
            measures = {"x": Measure(values, np.ones(len(values), bool))}
            means = resampled(measures, sessions, 200, trial)
            low, high = bootstrap.interval(means["x"])
            covered += low <= 2.0 <= high
        assert covered >= 50

    def test_clicks_of_a_session_are_drawn_together(self):
        # One session, however long, cannot say how sessions differ.
        measure = {"x": Measure(np.arange(5.0), np.ones(5, bool))}
        means = resampled(measure, np.zeros(5, int), 20)
        np.testing.assert_array_equal(means["x"], 2.0)

    def test_seed_and_replicates(self):
        random = np.random.default_rng(0)
        measure = {"x": Measure(random.random(99), np.ones(99, bool))}
        sessions = np.arange(99) // 3
        one, same, other = (
            resampled(measure, sessions, 70, seed)["x"] for seed in (5, 5, 6)
        )
        assert one.shape == (70,)
        np.testing.assert_array_equal(one, same)
        assert np.any(one != other)

    def test_nothing_counted_gives_nan(self):
        measure = {"x": Measure(np.ones(2), np.zeros(2, bool))}
        means = resampled(measure, np.array([0, 1]), 10)
        assert np.isnan(bootstrap.interval(means["x"])).all()
        none = {"x": Measure(np.ones(0), np.ones(0, bool))}
        assert np.isnan(resampled(none, np.ones(0, int))["x"][0])


class TestDwell:
    def test_absolute_error_is_to_the_median(self):
        error = dwell_metrics.absolute_error(
            parametric([math.log(40)], [3.0]), np.array([100.0]), 1e30
        )
        np.testing.assert_allclose(error, [60])

    def test_no_prediction_errs_less_than_the_median_of_what_ends(self):
        random = np.random.default_rng(3)
        seconds = np.exp(random.normal(5.5, 2.0, 200_000))
        seconds = seconds[seconds < 2000.0]  # 15 % do not end.
        law = parametric([5.5], [2.0])
        error = dwell_metrics.absolute_error(law, seconds, 2000.0).mean()
        assert error == pytest.approx(
            np.abs(seconds - np.median(seconds)).mean(), rel=1e-3
        )
        of_all = np.abs(np.asarray(law.median()) - seconds).mean()
        assert error < 0.98 * of_all

    def test_log_score_matches_scipy(self):
        oracle, seconds, censored = draw(500)
        seconds = np.maximum(seconds, 1.0)  # Shorter ones count as one.
        expected = scipy.stats.lognorm(
            oracle.scale, scale=np.exp(oracle.location)
        )
        np.testing.assert_allclose(
            dwell_metrics.negative_log_likelihood(oracle, seconds, censored),
            -np.where(censored, expected.logsf(2000), expected.logpdf(seconds)),
            rtol=1e-5,
        )

    @pytest.mark.parametrize("scale", [0.05, 0.5, 1.2, 2.5])
    def test_crps_is_the_closed_form_where_nothing_is_cut(self, scale):
        seconds, location = np.array([0.5, 20, 60, 400]), 4.0
        omega = (np.log(seconds) - location) / scale
        normal = scipy.stats.norm
        expected = seconds * (2 * normal.cdf(omega) - 1) - 2 * np.exp(
            location + scale**2 / 2
        ) * (normal.cdf(omega - scale) + normal.cdf(scale / math.sqrt(2)) - 1)
        given = parametric([location] * 4, [scale] * 4)
        scores = dwell_metrics.crps(given, seconds, upper=1e9)
        np.testing.assert_allclose(scores, expected, rtol=5e-3)

    @pytest.mark.parametrize("scale", [0.01, 0.3, 1.2, 10.0])
    @pytest.mark.parametrize("location", [-2.0, 4.0, 7.5, 12.0])
    def test_crps_is_the_integral_up_to_c1(self, location, scale):
        def squares(x, seconds):
            below = scipy.stats.norm.cdf(math.log(x), location, scale)
            return (below - (seconds <= x)) ** 2

        for seconds in (3.0, 80.0, 2000.0):
            points = sorted({seconds, min(math.exp(location), 1999.0)})
            expected, _ = scipy.integrate.quad(
                squares, 1e-9, 2000, (seconds,), points=points, limit=500
            )
            scores = dwell_metrics.crps(
                parametric([location], [scale]), np.array([seconds])
            )
            np.testing.assert_allclose(scores, expected, rtol=5e-3, atol=2e-3)

    def test_crps_of_a_certain_law_is_the_absolute_error(self):
        scores = dwell_metrics.crps(
            parametric(np.log([50.0, 50]), [1e-4, 1e-4]), np.array([50.0, 80])
        )
        np.testing.assert_allclose(scores, [0, 30], atol=0.01)

    @pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
    def test_pinball_of_the_true_law_is_the_least(self, level):
        """Though dwells and quantiles beyond c1 are cut."""
        random = np.random.default_rng(1)
        seconds = np.minimum(np.exp(random.normal(6.5, 1.5, 60_000)), 2000)

        def loss(location):
            given = parametric([location] * len(seconds), [1.5] * len(seconds))
            return np.mean(dwell_metrics.pinball(given, seconds, level, 2000))

        assert loss(6.5) <= min(loss(6.3), loss(6.7))

    def test_pinball_by_hand(self):
        given = parametric([math.log(100)] * 3, [1.0] * 3)
        seconds = np.array([60.0, 100, 150])
        half = dwell_metrics.pinball(given, seconds, 0.5, 2000.0)
        np.testing.assert_allclose(half, [20, 0, 25], rtol=1e-4, atol=1e-4)
        q = scipy.stats.lognorm(1.0, scale=100).ppf(0.9)
        found = dwell_metrics.pinball(given, seconds, 0.9, 2000.0)
        np.testing.assert_allclose(found, 0.1 * (q - seconds), rtol=1e-3)
        cut = dwell_metrics.pinball(given, seconds, 0.9, 180.0)
        np.testing.assert_allclose(cut, 0.1 * (180 - seconds), rtol=1e-3)

    def test_log_error_is_of_logs(self):
        error = dwell_metrics.log_absolute_error(
            np.array([10.0, 10]), np.array([20.0, 0.2])
        )
        np.testing.assert_allclose(error, np.log([2, 10]))

    def test_integrated_brier_is_the_ranked_score_over_time(self):
        given, seconds, _ = draw(5)
        grid = np.linspace(0.5, 1999.5, 2000)
        rows = given.map(lambda parameter: parameter[:, np.newaxis])
        brier = dwell_metrics.brier(rows, seconds[:, np.newaxis], grid)
        found = dwell_metrics.crps(given, seconds, 2000.0) / 2000.0
        np.testing.assert_allclose(found, np.mean(brier, 1), atol=3e-4)

    def test_laws_of_few_kinds_score_the_same(self):
        given, seconds, _ = draw(41)
        few = given.map(lambda parameter: np.resize(parameter[:7], 41))
        one_by_one = [
            dwell_metrics.crps(
                few.map(lambda p, n=n: p[n : n + 1]), seconds[n : n + 1]
            )
            for n in range(41)
        ]
        found = dwell_metrics.crps(few, seconds)
        np.testing.assert_allclose(found, np.ravel(one_by_one))

    def test_kaplan_meier_with_all_cut_at_c1_is_the_share(self):
        _, seconds, censored = draw(997)
        at = np.array([1.0, 30, 100, 700, 1999])
        np.testing.assert_allclose(
            dwell_metrics.kaplan_meier(seconds, censored, at),
            [np.mean(seconds > moment) for moment in at],
        )

    def test_kaplan_meier_matches_scipy(self):
        random = np.random.default_rng(2)
        seconds = random.integers(1, 40, 211).astype(float)
        censored = random.random(211) < 0.3
        data = scipy.stats.CensoredData.right_censored(seconds, censored)
        at = np.arange(0.5, 40, 0.5)  # Dwells end at every second of these.
        np.testing.assert_allclose(
            dwell_metrics.kaplan_meier(seconds, censored, at),
            scipy.stats.ecdf(data).sf.evaluate(at),
        )

    def test_brier_of_a_perfect_law_is_the_binomial_variance(self):
        oracle, seconds, _ = draw(40_000)
        staying = scipy.stats.lognorm.sf(
            60, oracle.scale, scale=np.exp(oracle.location)
        )
        scores = dwell_metrics.brier(oracle, seconds, 60.0)
        expected = np.mean(staying * (1 - staying))
        assert np.mean(scores) == pytest.approx(expected, rel=0.02)

    def test_brier_by_hand(self):
        scores = dwell_metrics.brier(
            parametric([math.log(60)] * 2, [1.0] * 2),
            np.array([59.0, 61]),
            60.0,
        )
        np.testing.assert_allclose(scores, [0.25, 0.25], atol=1e-6)

    @pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
    def test_true_law_covers(self, share):
        oracle, seconds, censored = draw(40_000)
        assert censored.mean() > 0.01
        transforms = dwell_metrics.probability_transform(oracle, seconds)
        covered = dwell_metrics.coverage(transforms, censored, share)
        assert np.mean(covered) == pytest.approx(share, abs=0.01)

    def test_too_sure_a_law_covers_too_little(self):
        oracle, seconds, censored = draw()
        sure = LogNormal(oracle.location, 0.5 * oracle.scale)
        transforms = dwell_metrics.probability_transform(sure, seconds)
        assert np.mean(dwell_metrics.coverage(transforms, censored, 0.8)) < 0.6
        histogram = dwell_metrics.transform_histogram(transforms, censored)
        assert dwell_metrics.calibration_error(histogram) > 0.1

    def test_histogram_of_the_true_law_is_flat(self):
        oracle, seconds, censored = draw(40_000)
        transforms = dwell_metrics.probability_transform(oracle, seconds)
        histogram = dwell_metrics.transform_histogram(transforms, censored)
        assert histogram.sum() == pytest.approx(1.0)
        assert dwell_metrics.calibration_error(histogram) < 0.01

    def test_censored_mass_is_spread_above(self):
        histogram = dwell_metrics.transform_histogram(
            np.array([0.5, 0.1]), np.array([True, False]), bins=4
        )
        np.testing.assert_allclose(histogram, [0.5, 0, 0.25, 0.25])


class TestConcordance:
    def by_pairs(self, predicted, seconds, censored):
        shorter = seconds[:, None] < seconds
        shorter |= (seconds[:, None] == seconds) & censored
        shorter &= ~censored[:, None]
        right = predicted[:, None] < predicted
        equal = predicted[:, None] == predicted
        return np.mean((right + 0.5 * equal)[shorter])

    @pytest.mark.parametrize("count", [2, 7, 61, 133])
    @pytest.mark.parametrize("at_c1_only", [True, False])
    def test_matches_all_pairs(self, count, at_c1_only):
        random = np.random.default_rng(count)
        seconds = random.integers(1, 12, count).astype(float)
        censored = random.random(count) < 0.3
        if at_c1_only:
            seconds = np.minimum(seconds, 9.0)
            censored = seconds >= 9.0
        seconds[0], censored[0], seconds[-1] = 1.0, False, 9.0
        predicted = random.integers(0, 9, count) / 2
        assert dwell_metrics.concordance(
            predicted, seconds, censored
        ) == pytest.approx(self.by_pairs(predicted, seconds, censored))

    def test_ends_of_the_scale(self):
        seconds = np.array([3.0, 50, 8, 2000, 2000])
        censored = seconds == 2000
        assert dwell_metrics.concordance(seconds, seconds, censored) == 1.0
        assert dwell_metrics.concordance(-seconds, seconds, censored) == 0.0
        constant = np.ones(5)
        assert dwell_metrics.concordance(constant, seconds, censored) == 0.5

    def test_nothing_to_compare_gives_nan(self):
        for seconds in ([], [4.0], [4.0, 4.0]):
            none = np.zeros(len(seconds), bool)
            found = dwell_metrics.concordance(
                np.arange(len(seconds)), np.array(seconds), none
            )
            assert math.isnan(found)

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from jump_tf.baselines import dwell as dwell_baselines
from jump_tf.baselines import random_effects


def known(items):
    """Clicks before which nothing is known."""
    nothing = np.zeros(len(items))
    return dwell_baselines.Asked(
        np.asarray(items), nothing / 1e-300, nothing, nothing
    )


@pytest.fixture
def log():
    """Sessions of 4, 1 and 3 clicks."""
    items = np.array([2, 3, 2, 4, 3, 4, 4, 2])
    positions = np.array([1, 2, 3, 4, 1, 1, 2, 3])
    seconds = np.array([10.0, 20, 0.5, 30, 30, 40, 2000, 30])
    return items, positions, seconds


class TestAsked:
    def test_at_page_leave_all_before_is_known(self, log):
        asked = dwell_baselines.asked(*log)
        np.testing.assert_array_equal(asked.count, [0, 1, 2, 3, 0, 0, 1, 2])
        np.testing.assert_allclose(
            np.exp(asked.last), [np.nan, 10, 20, 1, np.nan, np.nan, 40, 2000]
        )
        np.testing.assert_allclose(
            np.exp(asked.total), [1, 10, 200, 200, 1, 1, 40, 80_000]
        )

    def test_at_page_load_the_page_before_is_hidden(self, log):
        asked = dwell_baselines.asked(*log, hidden=1)
        np.testing.assert_array_equal(asked.count, [0, 0, 1, 2, 0, 0, 0, 1])
        nan = np.nan
        np.testing.assert_allclose(
            np.exp(asked.last), [nan, nan, 10, 20, nan, nan, nan, 40]
        )
        np.testing.assert_allclose(
            np.exp(asked.total), [1, 1, 10, 200, 1, 1, 1, 40]
        )

    def test_own_and_later_dwells_are_never_seen(self, log):
        items, positions, seconds = log
        before = dwell_baselines.asked(items, positions, seconds)
        for n in range(len(items)):
            changed = seconds.copy()
            changed[n] = 77.0
            after = dwell_baselines.asked(items, positions, changed)
            moved = before.total != after.total
            assert not moved[: n + 1].any()


class TestConstant:
    def test_is_the_median(self):
        items = [2, 2, 3]
        dwell = dwell_baselines.ConstantDwell(
            known(items), np.array([10.0, 20.0, 90.0]), 5
        )
        distribution = dwell.dwell_distribution(known([2, 4]))
        np.testing.assert_allclose(distribution.median(), [20, 20], rtol=1e-6)
        residual = np.log([0.5, 1.0, 4.5])
        expected = np.sqrt(np.mean(residual**2))
        np.testing.assert_allclose(distribution.scale, expected)

    def test_mean_is_of_seconds(self):
        dwell = dwell_baselines.ConstantMeanDwell(
            known([2, 2, 3]), np.array([10.0, 20.0, 90.0]), 5
        )
        distribution = dwell.dwell_distribution(known([4]))
        np.testing.assert_allclose(distribution.median(), 40, rtol=1e-6)


class TestItemMedian:
    def test_by_hand(self):
        items = np.array([2, 2, 2, 2, 3])
        seconds = np.array([1.0, 4.0, 16.0, 64.0, 8.0])
        dwell = dwell_baselines.ItemMedianDwell(known(items), seconds, 5, 2.0)
        # log2: the median of all is 3, of item 2 it is 3, of item 3 it is 3.
        np.testing.assert_allclose(np.exp(dwell.location[2:]), 8.0)
        dwell = dwell_baselines.ItemMedianDwell(
            known(items), seconds * [1, 1, 1, 1, 32], 5, 2.0
        )
        # The median of all is 2 ** 4 now.
        np.testing.assert_allclose(
            np.log2(np.exp(dwell.location[2:])),
            [(4 * 3 + 2 * 4) / 6, (1 * 8 + 2 * 4) / 3, 4],
        )

    def test_shrinkage_goes_from_own_median_to_that_of_all(self):
        random = np.random.default_rng(0)
        items = random.integers(2, 9, 501)
        seconds = np.exp(random.normal(items / 3.0, 1.0))
        log = known(items), seconds, 9
        none = dwell_baselines.ItemMedianDwell(*log, 0.0).location
        for item in range(2, 9):
            own = np.median(np.log(np.maximum(seconds[items == item], 1)))
            assert none[item] == pytest.approx(own)
        full = dwell_baselines.ItemMedianDwell(*log, 1e12).location
        constant = dwell_baselines.ConstantDwell(*log).location
        np.testing.assert_allclose(full, constant, rtol=1e-6)

    @pytest.mark.parametrize(
        ("between", "least", "most"), [(0.0, 100, 500), (2.0, 0, 5)]
    )
    def test_shrinkage_is_what_the_training_asks_for(
        self, between, least, most
    ):
        random = np.random.default_rng(3)
        items = random.integers(2, 300, 3001)
        level = random.normal(4.0, between, 300)
        seconds = np.exp(random.normal(level[items], 1.0))
        dwell = dwell_baselines.ItemMedianDwell(known(items), seconds, 300)
        assert least <= dwell.shrinkage <= most

    def test_cross_validation_matches_refits(self):
        random = np.random.default_rng(5)
        items = random.integers(2, 20, 203)
        seconds = np.exp(random.normal(3 + items / 9.0, 1.0, 203))
        fold = np.arange(203) * 5 // 203
        errors = []
        for shrinkage in dwell_baselines.SHRINKAGES:
            error = 0.0
            for n in range(5):
                rest = fold != n
                dwell = dwell_baselines.ItemMedianDwell(
                    known(items[rest]), seconds[rest], 20, shrinkage
                )
                distribution = dwell.dwell_distribution(known(items[~rest]))
                oracle = np.maximum(seconds[~rest], 1.0)
                error += np.sum(np.abs(np.exp(distribution.location) - oracle))
            errors.append(error)
        best = dwell_baselines.SHRINKAGES[int(np.argmin(errors))]
        chosen = dwell_baselines.ItemMedianDwell(known(items), seconds, 20)
        assert chosen.shrinkage == best


class TestPrevious:
    def test_is_the_dwell_before_or_the_constant(self, log):
        items, _, seconds = log
        asked = dwell_baselines.asked(*log)
        dwell = dwell_baselines.PreviousDwell(asked, seconds, 5)
        distribution = dwell.dwell_distribution(asked)
        some = asked.count > 0
        np.testing.assert_allclose(
            np.asarray(distribution.median()),
            [30, 10, 20, 1, 30, 30, 40, 2000],
            rtol=1e-6,
        )
        steps = np.log([20 / 10, 1 / 20, 30, 2000 / 40, 30 / 2000])
        expected = np.sqrt(np.mean(steps**2))
        np.testing.assert_allclose(distribution.scale[some], expected)
        constant = dwell_baselines.ConstantDwell(known(items), seconds, 5)
        np.testing.assert_allclose(distribution.scale[~some], constant.scale)


def marginal_nll(parameters, groups, values, censored):
    """Exact, by a fine grid over each group's effect; groups ascend."""
    mean, within, between = parameters
    effects = np.linspace(-6, 6, 201) * between
    z = (values[:, None] - mean - effects) / within
    log = scipy.stats.norm.logpdf(z) - np.log(within)
    log[censored] = scipy.stats.norm.logsf(z[censored])
    log = np.add.reduceat(log, np.unique(groups, return_index=True)[1])
    prior = scipy.stats.norm.pdf(effects, 0, between)
    top = log.max(1, keepdims=True)
    areas = np.trapezoid(np.exp(log - top) * prior, effects)
    return -np.sum(top[:, 0] + np.log(areas))


class TestRandomEffects:
    def draw(self, bound, count=400, num_groups=60):
        random = np.random.default_rng(11)
        groups = np.sort(random.integers(0, num_groups, count))
        effect = random.normal(0.0, 0.7, num_groups)
        values = 4.0 + effect[groups] + random.normal(0, 1.3, count)
        return groups, np.minimum(values, bound), values >= bound

    @pytest.mark.parametrize(
        ("bound", "share", "tolerance"),
        [(99.0, 0.0, 2e-3), (6.5, 0.04, 1e-2), (5.0, 0.23, 3e-2)],
    )
    def test_are_the_likeliest(self, bound, share, tolerance):
        groups, values, censored = self.draw(bound)
        assert censored.mean() == pytest.approx(share, abs=0.03)
        best = scipy.optimize.minimize(
            marginal_nll,
            (4.0, 1.0, 1.0),
            (groups, values, censored),
            method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-5},
        ).x
        found = random_effects.fit(groups, values, censored, 60)
        np.testing.assert_allclose(
            (found.mean, found.within, found.between), best, atol=tolerance
        )

    def test_effects_are_shrunk_means(self):
        groups, values, censored = self.draw(99.0)
        found = random_effects.fit(groups, values, censored, 63)
        count = np.bincount(groups, minlength=63)
        total = np.bincount(groups, values - found.mean, 63)
        expected = total / (count + found.shrinkage)
        np.testing.assert_allclose(found.effect, expected, atol=1e-3)
        assert found.effect[62] == 0.0  # Of which nothing was seen.
        assert found.deviation[62] == pytest.approx(found.between)
        np.testing.assert_allclose(
            found.deviation,
            found.within / np.sqrt(count + found.shrinkage),
            rtol=1e-3,
        )

    def test_of_nothing(self):
        nothing = np.zeros(0)
        found = random_effects.fit(nothing.astype(int), nothing, nothing > 0, 4)
        assert np.isfinite(found.effect).all()


class TestEffects:
    def test_item_law_is_calibrated_on_new_dwells(self):
        random = np.random.default_rng(2)
        level = random.normal(4.0, 0.8, 400)
        items = random.integers(2, 380, 2003)  # The last 20 are never seen.
        seconds = np.exp(random.normal(level[items], 1.1))
        cut = np.minimum(seconds, 2000.0)
        dwell = dwell_baselines.ItemEffectDwell(items, cut, seconds > 2000, 400)
        new = np.repeat(np.arange(2, 400), 50)
        logs = random.normal(level[new], 1.1)
        distribution = dwell.dwell_distribution(known(new))
        z = (logs - distribution.location) / distribution.scale
        assert np.std(z) == pytest.approx(1.0, abs=0.05)
        unseen = dwell.dwell_distribution(known([399]))
        assert unseen.scale > distribution.scale[0]

    def test_session_mean_by_hand(self, log):
        random = np.random.default_rng(4)
        sessions = np.repeat(np.arange(300), random.integers(1, 9, 300))
        pace = random.normal(4.0, 0.9, 300)
        seconds = np.exp(random.normal(pace[sessions], 1.0))
        dwell = dwell_baselines.SessionMeanDwell(
            sessions, np.maximum(seconds, 1), seconds < 0
        )
        assert dwell.effects.shrinkage == pytest.approx(1 / 0.81, rel=0.3)
        asked = dwell_baselines.asked(*log)
        distribution = dwell.dwell_distribution(asked)
        s, mean = dwell.effects.shrinkage, dwell.effects.mean
        assert distribution.location[0] == pytest.approx(mean)
        assert distribution.location[3] == pytest.approx(
            (np.log(10 * 20 * 1) + s * mean) / (3 + s)
        )
        # Nothing known: both deviations; much known: that of the noise.
        effects = dwell.effects
        assert distribution.scale[0] == pytest.approx(
            np.hypot(effects.within, effects.between)
        )


def test_of_no_dwells():
    nothing = known(np.zeros(0, int)), np.zeros(0), 4
    one = known([2])
    for baseline in (
        dwell_baselines.ConstantDwell,
        dwell_baselines.ConstantMeanDwell,
        dwell_baselines.ItemMedianDwell,
        dwell_baselines.PreviousDwell,
    ):
        distribution = baseline(*nothing).dwell_distribution(one)
        assert (
            np.isfinite(distribution.location).all() and distribution.scale > 0
        )
    none = np.zeros(0, int), np.zeros(0), np.zeros(0, bool)
    for baseline in (
        dwell_baselines.SessionMeanDwell(*none),
        dwell_baselines.ItemEffectDwell(*none, 4),
    ):
        distribution = baseline.dwell_distribution(one)
        assert (
            np.isfinite(distribution.location).all() and distribution.scale > 0
        )

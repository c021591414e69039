import numpy as np
import pytest

from jump_tf import schema
from jump_tf.baselines import dwell_booster
from jump_tf.baselines import dwell_features
from jump_tf.baselines.dwell_booster import BoostedDwell

VOCABULARY = 52


def draw(seed, memory=0.0, of_items=0.0, count=700):
    """Sessions of 2 to 8 clicks, a dwell of which depends on that before.

    Returns:
        Items, positions, sessions and seconds of the clicks.
    """
    random = np.random.default_rng(seed)
    lengths = random.integers(2, 9, count)
    sessions = np.repeat(np.arange(count), lengths)
    positions = np.concatenate([np.arange(1, n + 1) for n in lengths])
    items = random.integers(2, VOCABULARY, len(sessions))
    logs = 4 + of_items * np.sin(items) + random.normal(size=len(sessions))
    for n in np.flatnonzero(positions > 1):
        logs[n] += memory * (logs[n - 1] - 4)
    return items, positions, sessions, np.exp(logs)


def features(log):
    items, positions, _, seconds = log
    return dwell_features.past(items, positions, seconds)


def fit(log):
    items, positions, sessions, seconds = log
    return BoostedDwell(
        features(log), items, sessions, seconds, positions > 1, VOCABULARY
    )


def error(log, median):
    """Of later clicks, as a share of that of the constant median."""
    later, seconds = log[1] > 1, log[3]
    constant = np.abs(np.median(seconds[later]) - seconds)[later].mean()
    return np.abs(median - seconds)[later].mean() / constant


@pytest.fixture(scope="module")
def with_memory():
    log = draw(0, memory=0.8)
    return log, fit(log)


class TestBoostedDwell:
    def test_beats_the_constant_where_dwells_depend_on_the_last(
        self, with_memory
    ):
        _, booster = with_memory
        new = draw(1, memory=0.8)
        found = error(new, booster.median_seconds(features(new), new[0]))
        _, positions, _, seconds = new
        before = np.log(np.append(1.0, seconds[:-1]))
        true = np.exp(4 + 0.8 * (before - 4))
        best = error(new, np.where(positions > 1, true, np.exp(4)))
        assert best < 0.8
        assert found == pytest.approx(best, abs=0.04)

    def test_later_dwells_change_no_prediction(self, with_memory):
        (items, positions, sessions, seconds), booster = with_memory
        before = booster.median_seconds(
            features((items, positions, sessions, seconds)), items
        )
        changed = seconds.copy()
        changed[100:] = changed[100:][::-1]
        after = booster.median_seconds(
            features((items, positions, sessions, changed)), items
        )
        np.testing.assert_array_equal(after[:101], before[:101])
        assert (after[101:] != before[101:]).any()

    def test_knows_the_items(self):
        new = draw(3, of_items=1.5)
        booster = fit(draw(2, of_items=1.5))
        found = error(new, booster.median_seconds(features(new), new[0]))
        best = error(new, np.exp(4 + 1.5 * np.sin(new[0])))
        assert best < 0.85
        assert found == pytest.approx(best, abs=0.06)

    def test_no_dwell_is_told_to_itself(self):
        """Noise, on items of one dwell each: there is nothing to learn."""
        _, positions, sessions, seconds = log = draw(4)
        items = np.arange(2, len(seconds) + 2)
        booster = BoostedDwell(
            features(log),
            items,
            sessions,
            seconds,
            positions > 1,
            items[-1] + 1,
        )
        median = booster.median_seconds(features(log), items)
        assert np.std(np.log(median)) < 0.2

    def test_item_means_are_shrunk_and_of_other_folds(self, monkeypatch):
        told = []

        def grown(learnt, held, seed):
            told.append((learnt, held))

        monkeypatch.setattr(dwell_booster, "_grown", grown)
        items, positions, sessions, seconds = log = draw(5)
        booster = fit(log)
        (((columns, learnt), (_, held)),) = told
        logs = np.log(np.maximum(seconds, 1.0))
        assert len(learnt) + len(held) == (positions > 1).sum()
        assert len(held) == pytest.approx(0.1 * len(learnt), rel=0.3)
        count = np.bincount(items, minlength=VOCABULARY)
        # The tenth of an item's dwells, in the mean, are in the own fold.
        later = items[positions > 1]
        assert columns[:, -1].mean() == pytest.approx(
            0.9 * count[later].mean(), rel=0.02
        )
        mine = items == 7
        total = np.sum(logs[mine] - logs.mean())
        expected = logs.mean() + total / (mine.sum() + dwell_booster.ITEM_WORTH)
        assert booster._item_mean[7] == pytest.approx(expected)
        del sessions

    def test_of_many_dwells_whole_sessions_are_a_sample(self, monkeypatch):
        sizes = []

        def grown(learnt, held, seed):
            sizes.append(len(learnt[1]) + len(held[1]))

        monkeypatch.setattr(dwell_booster, "_grown", grown)
        monkeypatch.setattr(dwell_booster, "MOST_DWELLS", 1200)
        fit(draw(6))
        fit(draw(6))
        assert sizes[0] == sizes[1]
        assert sizes[0] == pytest.approx(1200, rel=0.15)

    def test_too_few_dwells_are_refused(self):
        with pytest.raises(schema.InputError, match="at least 1000 dwells, of"):
            fit(draw(7, count=100))

    def test_too_few_sessions_are_refused(self):
        seconds = np.ones(3000)
        with pytest.raises(schema.InputError, match="dwells, of 2 sessions"):
            BoostedDwell(
                np.ones([3000, 1]),
                np.full(3000, 2),
                np.repeat([0, 1], 1500),
                seconds,
                seconds > 0,
                3,
            )

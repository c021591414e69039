import itertools

import numpy as np
import pytest

from jump_tf import schema
from jump_tf.baselines import crossed_effects


def draw(seed, session=0.5, item=0.2, noise=1.0, count=2500, num_items=80):
    """Unequal sessions, items of unequal popularity, and their values."""
    random = np.random.default_rng(seed)
    sessions = np.repeat(np.arange(count), random.integers(1, 12, count))
    size = len(sessions)
    items = np.minimum(random.geometric(0.06, size), num_items)
    values = 4.0 + np.sqrt(session) * random.normal(size=count)[sessions]
    values += np.sqrt(item) * random.normal(size=num_items + 1)[items]
    values += np.sqrt(noise) * random.normal(size=size)
    return sessions, items, values


class TestVariances:
    @pytest.mark.parametrize(
        ("session", "item", "noise"),
        [(0.5, 0.2, 1.0), (0.0, 0.3, 0.5), (0.4, 0.0, 1.2), (0.0, 0.0, 1.0)],
    )
    def test_known_shares_are_recovered(self, session, item, noise):
        found = [
            crossed_effects.variances(*draw(seed, session, item, noise))
            for seed in range(8)
        ]
        for name, expected, tolerance in (
            ("session", session, 0.015),
            ("item", item, 0.04),
            ("both", session + item, 0.06),
            ("within", noise, 0.02),
        ):
            mean = np.mean([getattr(one, name) for one in found])
            assert mean == pytest.approx(expected, abs=tolerance), name

    def test_equal_the_products_of_all_pairs(self, monkeypatch):
        monkeypatch.setattr(crossed_effects, "LEAST_REPEATS", 1)
        sessions, items, values = draw(1, count=12, num_items=4)
        found = crossed_effects.variances(sessions, items, values)
        values = values - values.mean()
        sizes = np.bincount(sessions), np.bincount(items)
        pairs = list(zip(sessions, items, strict=True))
        twice = {pair: pairs.count(pair) for pair in pairs}
        sums = {}
        for a, b in itertools.permutations(range(len(values)), 2):
            same = sessions[a] == sessions[b], items[a] == items[b]
            weight = {
                (False, False): 1.0,
                (True, False): 1.0 / sizes[0][sessions[a]],
                (False, True): 1.0 / sizes[1][items[a]],
                (True, True): 1.0 / twice[pairs[a]],
            }[same]
            sums.setdefault(same, []).append(
                (weight, weight * values[a] * values[b])
            )
        weights, products = (
            {same: np.sum(part, 0)[n] for same, part in sums.items()}
            for n in (0, 1)
        )
        mean = {same: products[same] / weights[same] for same in sums}
        apart = mean[False, False]
        assert found.session == pytest.approx(mean[True, False] - apart)
        assert found.item == pytest.approx(mean[False, True] - apart)
        assert found.both == pytest.approx(mean[True, True] - apart)
        assert found.total == pytest.approx(np.mean(values**2) - apart)

    def test_names_and_order_of_groups_do_not_matter(self):
        sessions, items, values = draw(2)
        found = crossed_effects.variances(sessions, items, values)
        order = np.random.default_rng(0).permutation(len(values))
        again = crossed_effects.variances(
            7 * sessions[order] + 5, 1000 - items[order], values[order] + 3.0
        )
        for name in ("total", "session", "item", "both", "within"):
            assert getattr(again, name) == pytest.approx(getattr(found, name))

    def test_where_no_item_comes_twice_both_is_not_known(self):
        sessions, items, values = draw(3)
        _, first = np.unique(sessions * 1000 + items, return_index=True)
        found = crossed_effects.variances(
            sessions[first], items[first], values[first]
        )
        assert found.both is None
        assert found.session == pytest.approx(0.5, abs=0.06)

    @pytest.mark.parametrize(
        ("sessions", "items", "said"),
        [
            (np.arange(5000), np.arange(5000) % 9, "Received: 0 and 4991"),
            (np.arange(5000) % 9, np.arange(5000), "Received: 4991 and 0"),
            (np.zeros(0, int), np.zeros(0, int), "Received: 0 and 0"),
        ],
    )
    def test_groups_of_one_are_refused(self, sessions, items, said):
        with pytest.raises(schema.InputError, match=said):
            crossed_effects.variances(sessions, items, np.ones(len(items)))

import json

import numpy as np
import pytest
import scipy.stats

from jump_tf import schema
from jump_tf.layers.popularity_sampler import PopularitySampler
from jump_tf.layers.popularity_sampler import alias_table

DRAWS = 40_000


def sampler_of(counts, **options):
    sampler = PopularitySampler(len(counts), **options)
    sampler.build()
    sampler.set_counts(np.array(counts))
    return sampler


def distribution_of(keep, alias):
    """The probabilities that an alias table draws with."""
    rest = np.bincount(alias, 1.0 - keep, minlength=len(keep))
    return (keep + rest) / len(keep)


RATES = {
    "one": [1.0],
    "one of three": [0.0, 0.0, 1.0],
    "even": np.full(49, 1 / 49),  # 49 times that is below 1.
    "even but two": [0.0, 0.0, *np.ones(9)],
    "one gives to all": [*np.full(20, 0.01), 5.0],
    "tall ones run dry in a row": [0.0, 0.0, 0.0, 1.1, 1.1, 1.1, 1.1, 2.6],
    "power law": 1.0 / np.arange(1, 20_001),
    "power law, mixed": np.random.default_rng(4).pareto(1.1, 20_000),
}


@pytest.mark.parametrize("name", RATES)
def test_alias_table_holds_the_distribution(name):
    rates = np.array(RATES[name], np.float64)
    keep, alias = alias_table(rates)
    assert ((keep >= 0.0) & (keep <= 1.0)).all()
    np.testing.assert_allclose(
        distribution_of(keep, alias), rates / rates.sum(), rtol=1e-9
    )


@pytest.mark.parametrize("power", [0.0, 0.75, 1.0])
def test_draws_by_count_to_a_power(power):
    counts = np.array([999, 999, 80, 40, 20, 20, 1])
    sampler = sampler_of(counts, power=power, seed=5)
    ids, log_expected = map(np.asarray, sampler(size=DRAWS))
    expected = DRAWS * counts[2:] ** power / (counts[2:] ** power).sum()
    seen = np.bincount(ids, minlength=len(counts))
    assert seen[: schema.FIRST_ITEM_ID].sum() == 0
    assert scipy.stats.chisquare(seen[2:], expected).pvalue > 1e-3
    np.testing.assert_allclose(log_expected, np.log(expected)[ids - 2], 1e-5)


def test_an_item_without_clicks_is_never_drawn():
    ids = np.asarray(sampler_of([7, 7, 3, 0, 1, 0])(size=DRAWS)[0])
    assert set(ids) == {2, 4}


def test_a_catalogue_of_one_item():
    ids, log_expected = sampler_of([0, 9, 4])(size=5)
    np.testing.assert_array_equal(ids, 2)
    np.testing.assert_allclose(log_expected, np.log(5.0), rtol=1e-6)


def test_the_rare_keep_their_chance_among_a_million():
    """A cumulative sum in float32 could not tell them apart."""
    counts = 1.0 / np.arange(1, 1_000_001)
    sampler = sampler_of(counts, power=1.0)
    distribution = distribution_of(
        np.float64(sampler.keep), np.asarray(sampler.alias)
    )
    rates = counts[2:] / counts[2:].sum()
    np.testing.assert_allclose(distribution[2:], rates, rtol=1e-5)


def test_the_seed_decides_and_draws_differ():
    counts = [0, 0, 5, 3, 2, 2]
    one, same, other = (sampler_of(counts, seed=seed) for seed in (3, 3, 4))
    first = np.asarray(one(size=50)[0])
    np.testing.assert_array_equal(first, same(size=50)[0])
    assert not np.array_equal(first, other(size=50)[0])
    assert not np.array_equal(first, one(size=50)[0])


def test_config_survives_json_and_weights_survive():
    sampler = sampler_of([0, 0, 5, 3, 2, 2], power=0.3, seed=9)
    config = json.loads(json.dumps(sampler.get_config()))
    clone = PopularitySampler.from_config(config)
    assert (clone.vocabulary_size, clone.power, clone.seed) == (6, 0.3, 9)
    clone.build()
    clone.set_weights(sampler.get_weights())
    for ours, theirs in zip(clone(size=30), sampler(size=30), strict=True):
        np.testing.assert_array_equal(ours, theirs)

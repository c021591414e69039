import numpy as np
import pytest
import tensorflow as tf

from jump_tf import losses
from jump_tf import schema
from jump_tf.sampling import PopularitySampler


@pytest.fixture
def random():
    return np.random.default_rng(3)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def test_softmax_is_over_the_items_and_nothing_else(random):
    queries, items = normal(random, 3, 4), normal(random, 9, 4)
    targets = np.array([2, 8, 5])
    logits = (queries @ items.T)[:, schema.FIRST_ITEM_ID :]
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(chance[np.arange(3), targets - schema.FIRST_ITEM_ID])
    np.testing.assert_allclose(
        losses.softmax_cross_entropy(queries, items, targets),
        expected,
        rtol=1e-5,
    )


def test_sampled_softmax_over_every_item_is_the_full_softmax(random):
    queries, items = normal(random, 3, 4), normal(random, 9, 4)
    targets = np.array([2, 8, 5])
    all_items = np.arange(schema.FIRST_ITEM_ID, 9)
    np.testing.assert_allclose(
        losses.sampled_softmax_cross_entropy(
            queries,
            items[targets],
            targets,
            items[all_items],
            all_items,
            np.zeros(len(all_items), np.float32),
        ),
        losses.softmax_cross_entropy(queries, items, targets),
        rtol=1e-5,
    )


def test_sampled_denominator_is_unbiased(random):
    """The mean over many draws nears the sum over all other items."""
    queries, items = normal(random, 1, 4), normal(random, 50, 4)
    counts = np.arange(50, 0, -1)
    sampler = PopularitySampler(50, power=0.5, seed=1)
    sampler.build()
    sampler.set_counts(counts)
    target = np.array([7])
    scores = np.exp(queries @ items.T)[0]
    others = scores[schema.FIRST_ITEM_ID :].sum() - scores[7]
    estimates = []
    for _ in range(300):
        negatives, log_expected = sampler(size=64)
        loss = losses.sampled_softmax_cross_entropy(
            queries,
            items[target],
            target,
            items[np.asarray(negatives)],
            negatives,
            log_expected,
        )
        estimates.append((np.exp(loss) - 1.0) * scores[7])
    error = np.std(estimates) / np.sqrt(300)
    assert np.mean(estimates) == pytest.approx(others, abs=4 * error)


def test_gradients_stay_finite_with_hits_and_large_scores(random):
    queries = tf.constant(100.0 * normal(random, 2, 4))
    items = normal(random, 9, 4)
    targets, negatives = np.array([3, 5]), np.array([3, 3, 5, 8])
    with tf.GradientTape() as tape:
        tape.watch(queries)
        loss = losses.sampled_softmax_cross_entropy(
            queries,
            items[targets],
            targets,
            items[negatives],
            negatives,
            np.zeros(4, np.float32),
        )
    assert np.isfinite(loss).all()
    assert np.isfinite(tape.gradient(loss, queries)).all()

"""The best of all items, against sorting all of it."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from jump_tf import schema
from jump_tf.export.exact_search import ExactSearch


def scored(items, width=5, rows=3, seed=0):
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(items, width)).astype(np.float32)
    queries = random.normal(size=(rows, width)).astype(np.float32)
    return vectors, queries


@pytest.mark.parametrize(
    ("items", "block_items", "k"),
    [
        (1, 10, 1),
        (7, 3, 4),
        (7, 3, 50),
        (130, 1000, 130),
        (1000, 1000, 3),
        (1000, 1000, 40),
        (1000, 301, 40),
        (4097, 1024, 17),
    ],
)
def test_the_best_are_those_of_a_sort(items, block_items, k):
    vectors, queries = scored(items)
    search = ExactSearch(vectors, block_items)
    assert search.size == items
    ids, scores, total = search.best(tf.constant(queries), tf.constant(k))
    expected = np.float64(queries) @ np.float64(vectors).T
    order = np.argsort(-expected, 1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, order + schema.FIRST_ITEM_ID)
    np.testing.assert_allclose(
        scores, np.take_along_axis(expected, order, 1), 1e-5, 1e-6
    )
    np.testing.assert_allclose(total, special.logsumexp(expected, 1), 1e-5)


@pytest.mark.parametrize("block_items", [1000, 190])
def test_of_equals_the_lower_id_comes_first(block_items):
    random = np.random.default_rng(2)
    vectors = random.integers(0, 4, size=(900, 1)).astype(np.float32)
    queries = np.float32([[1.0], [-2.0], [0.0]])
    search = ExactSearch(vectors, block_items)
    for k in (1, 30, 300):
        ids, _, _ = search.best(tf.constant(queries), k)
        order = np.argsort(-queries @ vectors.T, 1, kind="stable")[:, :k]
        np.testing.assert_array_equal(ids, order + schema.FIRST_ITEM_ID)


def test_no_sessions():
    vectors, _ = scored(200)
    ids, scores, total = ExactSearch(vectors).best(tf.zeros([0, 5]), 4)
    assert ids.shape == scores.shape == (0, 4)
    assert total.shape == (0,)


def test_far_scores_stay_finite():
    vectors, queries = scored(300)
    _, _, total = ExactSearch(vectors, 100).best(tf.constant(queries * 1e3), 2)
    expected = special.logsumexp(1e3 * queries @ vectors.T, 1)
    np.testing.assert_allclose(total, expected, 1e-5)

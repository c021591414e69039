"""Approximate search: what it finds, against looking at all."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from jump_tf import schema
from jump_tf.export.exact_search import ExactSearch
from jump_tf.export.ivf_search import IVFOptions
from jump_tf.export.ivf_search import IVFSearch
from jump_tf.export.ivf_search import recall
from jump_tf.tasks import export_model
from tests.small_models import OPTIONS
from tests.small_models import VOCABULARY
from tests.small_models import make_model


@pytest.fixture(scope="module")
def vectors():
    random = np.random.default_rng(0)
    centers = 2.0 * random.normal(size=(40, 8))
    of = random.integers(0, 40, 3000)
    noise = 0.3 * random.normal(size=(3000, 8))
    return np.float32(centers[of] + noise)


@pytest.fixture(scope="module")
def queries(vectors):
    random = np.random.default_rng(1)
    return vectors[:50] + np.float32(0.2 * random.normal(size=(50, 8)))


def test_all_clusters_are_everything(vectors, queries):
    index = IVFSearch(vectors, IVFOptions(30, 30))
    exact = ExactSearch(vectors)
    assert recall(vectors, index, queries) == 1.0
    for mine, theirs in zip(
        index.best(queries, 7), exact.best(queries, 7), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, 1e-4)


def test_more_probes_find_more(vectors, queries):
    found = [
        recall(vectors, IVFSearch(vectors, IVFOptions(30, n)), queries)
        for n in (1, 4, 12)
    ]
    assert found[0] < found[1] <= found[2]
    assert found[1] > 0.95


def test_the_normaliser_is_estimated(vectors, queries):
    index = IVFSearch(vectors, IVFOptions(30, 3))
    total = index.best(queries / 8, 5)[2]
    expected = special.logsumexp(queries / 8 @ vectors.T, axis=1)
    assert np.abs(total - expected).mean() < 0.03
    without_others = special.logsumexp(
        np.sort(queries / 8 @ vectors.T, axis=1)[:, -300:], axis=1
    )
    assert np.abs(without_others - expected).mean() > 0.3


def test_scores_are_exact_and_fall(vectors, queries):
    index = IVFSearch(vectors, IVFOptions(30, 3))
    ids, scores, _ = (x.numpy() for x in index.best(queries, 9))
    own = np.einsum("bkd,bd->bk", vectors[ids - schema.FIRST_ITEM_ID], queries)
    np.testing.assert_allclose(scores, own, 1e-4)
    assert (np.diff(scores) <= 0).all()


def test_no_sessions(vectors):
    index = IVFSearch(vectors, IVFOptions(30, 3))
    ids, _, total = index.best(tf.zeros([0, 8]), 5)
    assert len(ids) == len(total) == 0


@pytest.mark.parametrize("options", [(5, 6), (5, 0)])
def test_probes_are_some_of_the_clusters(options):
    with pytest.raises(schema.InputError, match="`probes` must be 1 to"):
        IVFOptions(*options)


def test_more_clusters_than_items_are_refused():
    with pytest.raises(schema.InputError, match="not be more than the items"):
        IVFSearch(np.ones([3, 2], np.float32), IVFOptions(4, 1))


@pytest.mark.exhaustive  # Two exports; the laws of the search are above.
def test_a_model_is_served_from_an_index(tmp_path):
    model = make_model(OPTIONS["shared"])
    folders = [
        export_model(model, VOCABULARY, tmp_path, top_k=3, index=index)
        for index in (ExactSearch, IVFOptions(4, 4))
    ]
    exact, approximate = (
        tf.saved_model.load(str(folder)).signatures["serving_default"](
            items=tf.constant([["item-3", "item-1"]]),
            dwell_seconds=tf.constant([[3.0, -1.0]]),
            elapsed_seconds=tf.constant([2.0]),
        )
        for folder in folders
    )
    np.testing.assert_array_equal(exact["items"], approximate["items"])
    np.testing.assert_allclose(
        exact["probabilities"], approximate["probabilities"], 1e-4
    )

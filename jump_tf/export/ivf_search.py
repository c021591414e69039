"""Approximate search with an inverted file (IVF) of item clusters."""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf

from jump_tf import schema
from jump_tf.data import session_batches
from jump_tf.export.exact_search import ExactSearch
from jump_tf.losses.logsumexp import NEVER
from jump_tf.models.session_model import SessionModel

_TRAINING_PER_CLUSTER = 64  # Vectors; faiss warns below 39.
_ROUNDS = 10
_QUERIES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True)
class IVFOptions:
    """Options of an IVF search.

    Attributes:
        clusters: number of clusters of the items' vectors.
        probes: number of clusters whose items are scored: those whose means
            score highest.
        seed: of k-means.
    """

    clusters: int
    probes: int
    seed: int = 0

    def __post_init__(self):
        if not 1 <= self.probes <= self.clusters:
            raise schema.InputError(
                "`probes` must be 1 to `clusters`. "
                f"Received: probes={self.probes}, clusters={self.clusters}"
            )

    def __call__(self, vectors: np.ndarray) -> "IVFSearch":
        """Returns the search over `[n, d]` vectors."""
        return IVFSearch(vectors, self)


class IVFSearch:
    """Searches the items of the clusters nearest to a query.

    faiss clusters the items (k-means); the search consists of core operations,
    so that any server of SavedModels runs it. It misses items outside the
    probed clusters; `recall` measures how many. Their part of the normaliser
    is estimated: a cluster of m items with mean c and variance s^2 in each
    direction adds `m exp(q . c + s^2 |q|^2 / 2)`.

    Args:
        vectors: `[n, d]`, of items from `FIRST_ITEM_ID` on.
        options: of the clusters and the search.

    Raises:
        InputError: there are fewer items than clusters.
    """

    def __init__(self, vectors: np.ndarray, options: IVFOptions):
        self.size, width = vectors.shape
        if options.clusters > self.size:
            raise schema.InputError(
                "`clusters` must not be more than the items. Received: "
                f"clusters={options.clusters} for {self.size} items"
            )
        vectors = np.ascontiguousarray(vectors, np.float32)
        self._probes = options.probes
        means, cluster = _k_means(vectors, options)
        order = np.argsort(cluster, kind="stable")
        sizes = np.bincount(cluster, minlength=len(means))
        spread = ((vectors - means[cluster]) ** 2).sum(1)
        spread = np.bincount(cluster, spread, len(means)) / width
        self._means = _constant(means.T)
        self._sizes = _constant(sizes.astype(np.int32))
        self._starts = _constant((np.cumsum(sizes) - sizes).astype(np.int32))
        half_variance = spread / np.maximum(sizes, 1) / 2.0
        self._half_variance = _constant(half_variance.astype(np.float32))
        self._vectors = _constant(vectors[order])
        self._ids = _constant((order + schema.FIRST_ITEM_ID).astype(np.int32))

    def best(self, queries, k, excluded=None):
        """Returns what `ExactSearch.best` does, for the probed clusters.

        Excluded items count where their cluster is not probed.
        """
        alike = tf.matmul(queries, self._means)
        _, probed = tf.math.top_k(alike, self._probes)
        first = tf.gather(self._starts, probed)
        sizes = tf.gather(self._sizes, probed)
        places = tf.ragged.range(
            tf.reshape(first, [-1]), tf.reshape(first + sizes, [-1])
        )
        places = tf.RaggedTensor.from_row_lengths(
            places.flat_values, tf.reduce_sum(sizes, 1)
        ).to_tensor(-1)
        # A column at least, as there is none in a batch without sessions.
        places = tf.pad(places, [[0, 0], [0, 1]], constant_values=-1)
        there, places = places >= 0, tf.maximum(places, 0)
        # Not a batch of products, whose set-up takes longer.
        scores = tf.reduce_sum(
            tf.gather(self._vectors, places) * queries[:, tf.newaxis], -1
        )
        ids = tf.gather(self._ids, places)
        if excluded is not None:
            out = ids[:, :, tf.newaxis] == excluded[:, tf.newaxis, :]
            there &= ~tf.reduce_any(out, -1)
        scores = tf.where(there, scores, NEVER)
        k = tf.minimum(k, tf.shape(scores)[1])
        best, columns = tf.math.top_k(scores, k)
        ids = tf.gather(ids, columns, axis=1, batch_dims=1)
        ids = tf.where(best > NEVER, ids, schema.PAD_ID)
        others = self._others(queries, alike, probed)
        total = tf.reduce_logsumexp(tf.concat([scores, others], 1), 1)
        return ids, best, total

    def _others(self, queries, alike, probed):
        """Returns `[B, clusters]` logs of what unprobed clusters add."""
        square = tf.reduce_sum(tf.square(queries), 1, keepdims=True)
        sizes = tf.cast(self._sizes, tf.float32)
        logs = alike + tf.math.log(sizes) + square * self._half_variance
        clusters = tf.shape(alike)[1]
        is_probed = tf.reduce_max(tf.one_hot(probed, clusters), 1) > 0.0
        return tf.where(is_probed, NEVER, tf.maximum(logs, NEVER))


def recall(
    vectors: np.ndarray,
    approximate: IVFSearch,
    queries: np.ndarray,
    k: int = 20,
) -> float:
    """Returns the share of the k best items that an IVF search finds.

    Args:
        vectors: `[n, d]`, of all items.
        approximate: of the same.
        queries: `[N, d]`, or fewer columns; missing ones count as zeros.
        k: at most all items.
    """
    exact, (rows, width) = ExactSearch(vectors), queries.shape
    beyond = np.zeros([rows, vectors.shape[1] - width], np.float32)
    queries = np.concatenate([queries, beyond], axis=1)
    found, asked = 0, 0
    for start in range(0, rows, _QUERIES_AT_ONCE):
        some = tf.constant(queries[start : start + _QUERIES_AT_ONCE])
        mine = exact.best(some, k)[0].numpy()
        theirs = approximate.best(some, k)[0].numpy()
        found += sum(map(len, map(np.intersect1d, mine, theirs)))
        asked += mine.size
    return found / asked


def validation_queries(
    model: SessionModel, data: str | pathlib.Path, most: int = 1000
) -> np.ndarray:
    """Returns `[N, d]` queries after clicks of the validation split."""
    batches = session_batches.evaluation_batches(data, schema.VALIDATION)
    inputs, _, weights = next(iter(batches))
    features = model(inputs, training=False)
    row, before = np.nonzero(weights.numpy()[:, 1:])
    asked = np.column_stack([row, before + 1])[:most]
    return np.asarray(model.queries(tf.gather_nd(features, asked)))


def _k_means(vectors, options):
    """Returns means `[clusters, d]`, and the cluster of each vector."""
    import faiss

    kmeans = faiss.Kmeans(
        vectors.shape[1],
        options.clusters,
        niter=_ROUNDS,
        seed=options.seed + 1,  # Which faiss takes for unset if 0.
        max_points_per_centroid=_TRAINING_PER_CLUSTER,
        min_points_per_centroid=1,
    )
    kmeans.train(vectors)
    _, cluster = kmeans.index.search(vectors, 1)
    return kmeans.centroids, cluster[:, 0]


def _constant(values: np.ndarray) -> tf.Variable:
    return tf.Variable(values, trainable=False)

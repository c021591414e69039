"""What is averaged over the ranks of clicked items."""

import numpy as np

MISS = np.iinfo(np.int64).max  # The rank of what is not ranked at all.


def recall(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]` in {0, 1}: whether the item clicked is among the first k."""
    return (ranks <= k).astype(np.float64)


def reciprocal_rank(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]`, `1 / rank`, 0 beyond k; its mean is the MRR at k."""
    return np.where(ranks <= k, 1.0 / ranks, 0.0)


def discounted_gain(ranks: np.ndarray, k: int = 20) -> np.ndarray:
    """`[N]`, `1 / log2(1 + rank)`, 0 beyond k: NDCG of one relevant item."""
    gain = 1.0 / np.log2(1.0 + ranks.astype(np.float64))
    return np.where(ranks <= k, gain, 0.0)

"""What counting alone predicts: the baselines that a model has to beat.

Ties are conservative: an item's rank is the number of items that do not score
below it.
"""

import numpy as np

from jump_tf import schema


class MostPopular:
    """Scores an item by its clicks in training, whatever came before.

    Args:
        items: `[C]` ids clicked in training.
        vocabulary_size: number of ids V, padding and unknown included.
    """

    def __init__(self, items: np.ndarray, vocabulary_size: int):
        clicks = np.bincount(items, minlength=vocabulary_size)
        self.level = _levels(clicks)
        self._sorted = np.sort(self.level[schema.FIRST_ITEM_ID :])

    def click_scores(self, previous: np.ndarray) -> np.ndarray:
        """`[N, V]` after clicks on `previous` `[N]`; integers in order only."""
        scores = self.level.copy()
        scores[: schema.FIRST_ITEM_ID] = -1
        return np.repeat(scores[np.newaxis], len(previous), 0)

    def ranks(self, previous: np.ndarray, items: np.ndarray) -> np.ndarray:
        """`[N]` ranks of `items` `[N]`, which must be in the vocabulary."""
        del previous  # Of no influence here.
        return self.as_popular(self.level[items])

    def as_popular(self, level: np.ndarray) -> np.ndarray:
        """How many items have at least this popularity level, `[N]`."""
        below = np.searchsorted(self._sorted, level)
        return len(self._sorted) - below


class Markov:
    """Scores an item by how often it followed the last item in training.

    Followers of equal count are ordered by popularity, and so are all other
    items, below the followers.

    Args:
        previous: `[C]` ids of a click in training.
        items: `[C]` ids of the click after it; pairs with an unknown `items`
            are left out.
        popularity: for the items that never followed.
    """

    def __init__(
        self, previous: np.ndarray, items: np.ndarray, popularity: MostPopular
    ):
        self.popularity = popularity
        size = len(popularity.level)
        known = items >= schema.FIRST_ITEM_ID
        pairs, counts = np.unique(
            previous[known].astype(np.int64) * size + items[known],
            return_counts=True,
        )
        self._pairs, self._counts = pairs, counts
        source, level = pairs // size, popularity.level[pairs % size]
        self._starts = np.searchsorted(source, np.arange(size + 1))
        # One sorted array of (last item, level) answers, by bisection, how
        # many followers of an item lie below a level.
        self._level = _levels(counts * size + level)
        self._num_levels = int(self._level.max(initial=0)) + 1
        self._by_level = np.sort(source * self._num_levels + self._level)
        self._by_popularity = np.sort(source * size + level)

    def click_scores(self, previous: np.ndarray) -> np.ndarray:
        """`[N, V]` after clicks on `previous` `[N]`; integers in order only."""
        size = len(self.popularity.level)
        scores = self.popularity.click_scores(previous)
        for row, source in enumerate(previous):
            mine = slice(*self._starts[source : source + 2])
            scores[row, self._pairs[mine] % size] = size + self._level[mine]
        return scores

    def ranks(self, previous: np.ndarray, items: np.ndarray) -> np.ndarray:
        """`[N]` ranks of `items` `[N]`, which must be in the vocabulary."""
        size = len(self.popularity.level)
        previous = previous.astype(np.int64)
        pair = previous * size + items
        found = np.searchsorted(self._pairs, pair)
        found = np.minimum(found, len(self._pairs) - 1)
        end = self._starts[previous + 1]
        if not len(self._pairs):
            return self.popularity.ranks(previous, items)
        key = previous * self._num_levels + self._level[found]
        among_followers = end - np.searchsorted(self._by_level, key)
        level = self.popularity.level[items]
        followers = end - self._starts[previous]
        as_popular = end - np.searchsorted(
            self._by_popularity, previous * size + level
        )
        others = self.popularity.as_popular(level) - as_popular
        return np.where(
            self._pairs[found] == pair, among_followers, followers + others
        )


def _levels(values: np.ndarray) -> np.ndarray:
    """`[V]` int64, 0 for the lowest value, 1 for the next and so on."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)

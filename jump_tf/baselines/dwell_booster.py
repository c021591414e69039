"""The median of the dwell, by gradient boosting of regression trees."""

import numpy as np

from jump_tf import schema
from jump_tf.baselines.dwell import log_dwells

LEAST_DWELLS = 1_000
MOST_DWELLS = 500_000  # 300,000 of diginetica's 427,000 served as well.
FOLDS = 10  # Of sessions; the first one says when to stop.
ITEM_WORTH = 20.0  # Dwells that the mean of all is worth beside an item's own.
MOST_TREES = 500
PATIENCE = 10  # Trees without a gain.


class BoostedDwell:
    """The median dwell of what is told of a click, and of its item.

    The trees make the absolute error of log dwells least: trees on seconds err
    as little in seconds, and more in logs. They stop when the error on a tenth
    of the sessions, from which they do not learn, falls no more. Of an item
    they are told the number of its dwells, and the mean of their logs, drawn
    toward that of all; in training those of other sessions alone, so that no
    dwell is told to itself.

    Args:
        features: `[C, F]` what is told of C dwells in training.
        items: `[C]` ids.
        sessions: `[C]` number of each one's session.
        seconds: `[C]` dwells that were observed to their end.
        asked: `[C]` bool, such as the trees are to predict; they learn from
            these, of more than `MOST_DWELLS` from a sample of the sessions.
        vocabulary_size: number of ids V, padding and unknown included.
        seed: of the folds and of the sample.

    Raises:
        InputError: there are too few dwells, or sessions, to learn from.
        ModuleNotFoundError: scikit-learn is not installed.

    Reference: Friedman, Annals of Statistics 29(5), 2001, LAD_TreeBoost; trees
    on histograms as in Ke et al., LightGBM, NIPS 2017.
    """

    def __init__(
        self,
        features: np.ndarray,
        items: np.ndarray,
        sessions: np.ndarray,
        seconds: np.ndarray,
        asked: np.ndarray,
        vocabulary_size: int,
        seed: int = 0,
    ):
        kinds, session = np.unique(sessions, return_inverse=True)
        has_asked = np.bincount(session, asked, len(kinds)) > 0
        dwells, number = int(asked.sum()), int(has_asked.sum())
        if dwells < LEAST_DWELLS or number < FOLDS:
            raise schema.InputError(
                f"Gradient boosting must have at least {LEAST_DWELLS} dwells, "
                f"of {FOLDS} sessions, to learn from. Received: {dwells} "
                f"dwells, of {number} sessions"
            )
        random = np.random.default_rng(seed)
        logs = log_dwells(seconds)
        fold = _folds(has_asked, random)[session]
        others = self._fit_items(items, fold, logs, vocabulary_size)
        columns = np.column_stack([features, *others])
        taken = (random.random(len(kinds)) * dwells < MOST_DWELLS)[session]
        learnt = asked & taken & (fold != 0)
        held = asked & taken & (fold == 0)
        self._trees = _grown(
            (columns[learnt], logs[learnt]), (columns[held], logs[held]), seed
        )

    def median_seconds(
        self, features: np.ndarray, items: np.ndarray
    ) -> np.ndarray:
        """`[N]` predicted medians, in seconds.

        Args:
            features: `[N, F]` as in training.
            items: `[N]` ids.
        """
        of_items = self._item_mean[items], self._item_count[items]
        columns = np.column_stack([features, *of_items])
        with _one_thread():
            return np.exp(self._trees.predict(columns))

    def _fit_items(self, items, fold, logs, size):
        """Mean and number of each dwell's item, by the other folds: `[C]`."""
        middle = logs.mean()
        keys, shape = fold * size + items, (FOLDS, size)
        count = np.bincount(keys, minlength=FOLDS * size).reshape(shape)
        total = np.bincount(keys, logs - middle, FOLDS * size).reshape(shape)
        self._item_count = count.sum(0)
        all_total = total.sum(0)
        self._item_mean = middle + all_total / (self._item_count + ITEM_WORTH)
        count = (self._item_count - count)[fold, items]
        total = (all_total - total)[fold, items]
        return middle + total / (count + ITEM_WORTH), count


def _folds(has_asked, random):
    """`[S]` the fold of each session, all of a size, also of those asked."""
    order = random.permutation(len(has_asked))
    order = order[np.argsort(~has_asked[order], kind="stable")]
    fold = np.empty(len(order), np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    return fold


def _grown(learnt, held, seed):
    """The trees; both arguments are columns and logs."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=MOST_TREES,
        early_stopping=True,
        n_iter_no_change=PATIENCE,
        random_state=seed,
    )
    with _one_thread():
        return trees.fit(*learnt, X_val=held[0], y_val=held[1])


def _one_thread():
    """Threads that wait for each other are slow where all cores are busy."""
    import threadpoolctl

    return threadpoolctl.threadpool_limits(1, user_api="openmp")

"""How good click and conversion probabilities are, over items and over lists.

All functions take flat columns of N items: labels in {0, 1}, what a predictor
says of them, and the number of each item's list. Every metric is made of sums
over lists, so that whole lists can be drawn again for its interval: items of
one list are not independent. Nothing loops over lists.

Ties: equal scores are no order. AUC counts a tied pair as half, and NDCG and
MAP are expected values over all orders of what is tied, so that a constant
predictor scores what a random order does. Lists without a positive have no
NDCG and no average precision, those with one label alone no AUC; the means are
over the other lists.
"""

from typing import NamedTuple

import numpy as np

from jump_tf.metrics.bootstrap import Metric
from jump_tf.metrics.bootstrap import Ratio
from jump_tf.metrics.bootstrap import item_mean
from jump_tf.metrics.bootstrap import sums
from jump_tf.survival.distribution import log1mexp

BINS = 20


class Ranking(NamedTuple):
    """Items by list, the highest scores first.

    Attributes:
        lists: `[N]` list of each.
        place: `[N]` in its list, from 1; any order among ties.
        relevant: `[N]` bool labels.
        tied: `[N]` items that score the same in this list, itself included.
        tied_relevant: `[N]` how many of them are positive.
        above: `[N]` items that score higher in this list.
        above_relevant: `[N]` how many of them are positive.
        length: `[L]` items of each list.
        positives: `[L]` how many of them are positive.
    """

    lists: np.ndarray
    place: np.ndarray
    relevant: np.ndarray
    tied: np.ndarray
    tied_relevant: np.ndarray
    above: np.ndarray
    above_relevant: np.ndarray
    length: np.ndarray
    positives: np.ndarray


class Calibration(NamedTuple):
    """What was predicted and what happened, in K bins of similarly many items.

    Attributes:
        predicted: `[K]` mean probability.
        observed: K metrics, the share of positives.
        num_items: `[K]`.
        error: mean distance of the two over items, the expected calibration
            error (ECE).
        noise: what `error` is expected to be of these probabilities if they
            are right.
    """

    predicted: np.ndarray
    observed: tuple[Metric, ...]
    num_items: np.ndarray
    error: float
    noise: float


def rank_within(
    labels: np.ndarray, scores: np.ndarray, lists: np.ndarray, num_lists: int
) -> Ranking:
    """The order that scores give to the items of each list.

    Args:
        labels: `[N]` in {0, 1}.
        scores: `[N]`, numbers; any increasing function of them ranks alike.
        lists: `[N]` ints from 0.
        num_lists: L, above all of `lists`.
    """
    lists, relevant = np.asarray(lists, np.int64), np.asarray(labels) > 0
    values, ascending = np.unique(scores, return_inverse=True)
    key = lists * len(values) + (len(values) - 1 - ascending)
    order = np.argsort(key)
    key, lists, relevant = key[order], lists[order], relevant[order]
    length = np.bincount(lists, minlength=num_lists)
    positives = sums(relevant, lists, num_lists)
    before = np.cumsum(length) - length
    positives_before = np.cumsum(positives) - positives
    start = np.flatnonzero(np.diff(key, prepend=-1))
    tied = np.diff(np.append(start, len(key)))
    so_far = np.append(0.0, np.cumsum(relevant))
    group = np.repeat(np.arange(len(start)), tied)
    return Ranking(
        lists,
        np.arange(1, len(key) + 1) - before[lists],
        relevant,
        tied[group],
        (so_far[start + tied] - so_far[start])[group],
        start[group] - before[lists],
        so_far[start][group] - positives_before[lists],
        length,
        positives,
    )


def log_loss(
    labels: np.ndarray,
    log_probabilities: np.ndarray,
    lists: np.ndarray,
    num_lists: int,
) -> Metric:
    """Mean of minus the log of what was said of what happened, in nats.

    From logs, in which a small probability is neither zero nor clipped.

    Args:
        labels: `[N]` in {0, 1}.
        log_probabilities: `[N]`, at most 0.
        lists: see `rank_within`.
        num_lists: see `rank_within`.
    """
    logs = np.asarray(log_probabilities, np.float64)
    loss = -np.where(np.asarray(labels) > 0, logs, np.asarray(log1mexp(logs)))
    return item_mean(loss, lists, num_lists)


def auc(
    labels: np.ndarray, scores: np.ndarray, lists: np.ndarray, num_lists: int
) -> Metric:
    """Share of pairs of a positive and a negative that are in the right order.

    Over the items of all lists together. Its two parts are means over
    positives and over negatives, each of how many of the others are on the
    right side; when lists are drawn again, the two are drawn, not the pairs.
    That is the bootstrap of the AUC to first order.

    Returns:
        NaN where all labels are equal.

    Reference: Hanley & McNeil, Radiology 143(1), 1982, for the AUC and its
    mid-ranks; Obuchowski, Biometrics 53(2), 1997, for its two parts where
    items come in clusters.
    """
    positive = np.asarray(labels) > 0
    values, inverse = np.unique(scores, return_inverse=True)
    placements = []
    for others, of in ((~positive, positive), (positive, ~positive)):
        count = np.bincount(inverse[others], minlength=len(values))
        below = np.cumsum(count) - 0.5 * count
        share = below / max(count.sum(), 1)
        placements.append(np.where(of, share[inverse], 0.0))
    below, above = placements[0], np.where(positive, 0.0, 1.0 - placements[1])
    parts = (
        Ratio(sums(below, lists, num_lists), sums(positive, lists, num_lists)),
        Ratio(sums(above, lists, num_lists), sums(~positive, lists, num_lists)),
    )
    return Metric(parts, parts[0].value())


def group_auc(ranking: Ranking, *, impression_weighted: bool = True) -> Metric:
    """Mean AUC within lists that have both labels.

    Args:
        ranking: of the scores.
        impression_weighted: whether a list counts as often as it has items
            (impression-weighted GAUC); else once.

    Reference: Zhu et al., Optimized Cost per Click in Taobao Display
    Advertising, KDD 2017, eq. 21, weighted by impressions.
    """
    from_top = ranking.above + 0.5 * (ranking.tied + 1)
    from_bottom = ranking.length[ranking.lists] + 1 - from_top
    num_lists = len(ranking.length)
    positives = ranking.positives
    pairs = positives * (ranking.length - positives)
    ranks = sums(from_bottom * ranking.relevant, ranking.lists, num_lists)
    both = pairs > 0
    wins = ranks - 0.5 * positives * (positives + 1)
    value = np.where(both, wins / np.maximum(pairs, 1), 0.0)
    weight = both * (ranking.length if impression_weighted else 1.0)
    return Metric((Ratio(value * weight, weight),))


def ndcg_at(ranking: Ranking, k: int | None = None) -> Metric:
    """Mean normalised discounted gain of the first k, of lists with positives.

    A positive at place j gains `1 / log2(1 + j)`; the best order of the list
    gains 1. Its expected value over the orders of ties.

    Args:
        ranking: of the scores.
        k: how many; all if None.

    Reference: Jarvelin & Kekalainen, ACM TOIS 20(4), 2002; McSherry & Najork,
    ECIR 2008, eq. 3, for ties.
    """
    num_lists = len(ranking.length)
    longest = int(ranking.length.max(initial=0))
    discount = 1.0 / np.log2(np.arange(2.0, longest + 2.0))
    if k is not None:
        discount[k:] = 0.0
    chance = ranking.tied_relevant / ranking.tied
    gain = chance * discount[ranking.place - 1]
    best = np.append(0.0, np.cumsum(discount))[ranking.positives.astype(int)]
    some = ranking.positives > 0
    gains = sums(gain, ranking.lists, num_lists)
    return Metric((Ratio(gains / np.where(some, best, 1.0), some),))


def map_at(ranking: Ranking, k: int | None = None) -> Metric:
    """Mean average precision of the first k, of lists with positives.

    The precision at the place of each positive among the first k, summed, over
    the most there could be, `min(k, positives)`. No probability has to pass a
    threshold, and it is not divided by the length of the list, as in the
    HEROES authors' evaluator. Its expected value over the orders of ties.

    Args:
        ranking: of the scores.
        k: how many; all if None.

    Reference: Manning, Raghavan & Schutze, Introduction to Information
    Retrieval, 2008, eq. 8.8; McSherry & Najork, ECIR 2008, eq. 6, for ties.
    """
    num_lists = len(ranking.length)
    positives = ranking.positives
    chance = ranking.tied_relevant / ranking.tied
    # Given a positive here, what else is positive above it among its ties.
    among = (ranking.tied_relevant - 1) / np.maximum(ranking.tied - 1, 1)
    higher = (ranking.place - ranking.above - 1) * among
    hits = 1 + ranking.above_relevant + higher
    gain = chance * hits / ranking.place
    if k is not None:
        gain[ranking.place > k] = 0.0
    most = positives if k is None else np.minimum(positives, k)
    gains = sums(gain, ranking.lists, num_lists)
    return Metric((Ratio(gains / np.maximum(most, 1), positives > 0),))


def calibration(
    labels: np.ndarray,
    probabilities: np.ndarray,
    lists: np.ndarray,
    num_lists: int,
    bins: int = BINS,
) -> Calibration:
    """Whether what is said to happen with probability p does so in p of cases.

    Bins are of equally many items, by probability; equal ones share a bin. The
    error of a right predictor is not zero but `noise`, and falls with the
    number of items.

    Args:
        labels: `[N]` in {0, 1}.
        probabilities: `[N]`.
        lists: see `rank_within`.
        num_lists: see `rank_within`.
        bins: at most so many.

    Reference: Naeini, Cooper & Hauskrecht, AAAI 2015; Nguyen & O'Connor,
    EMNLP 2015, for bins of equal size.
    """
    labels = np.asarray(labels, float)
    _, inverse, ties = np.unique(
        probabilities, return_inverse=True, return_counts=True
    )
    middle = (np.cumsum(ties) - 0.5 * ties) / max(len(labels), 1)
    number = np.floor(middle * bins).astype(int)[inverse]
    number = np.unique(number, return_inverse=True)[1]
    size = int(number.max(initial=-1)) + 1
    count = np.bincount(number, minlength=size)
    said = np.bincount(number, probabilities, size)
    happened = np.bincount(number, labels, size)
    spread = np.bincount(number, probabilities * (1.0 - probabilities), size)
    total = max(len(labels), 1)
    observed = []
    for index in range(size):
        here = number == index
        observed.append(item_mean(labels[here], lists[here], num_lists))
    return Calibration(
        said / count,
        tuple(observed),
        count,
        # Of a normal variable, the mean size is sqrt(2 / pi) deviations.
        error=float(np.abs(said - happened).sum() / total),
        noise=float(np.sqrt(2.0 / np.pi * spread).sum() / total),
    )


def calibration_ratio(
    labels: np.ndarray,
    probabilities: np.ndarray,
    lists: np.ndarray,
    num_lists: int,
) -> Metric:
    """Positives that were predicted, over those there were."""
    said = sums(probabilities, lists, num_lists)
    return Metric((Ratio(said, sums(labels, lists, num_lists)),))


def accuracy(labels, probabilities, lists, num_lists) -> Metric:
    """Share of items on whose side of 1/2 the probability is."""
    right = (probabilities >= 0.5) == (np.asarray(labels) > 0)
    return item_mean(right, lists, num_lists)


def f1(labels, probabilities, lists, num_lists) -> Metric:
    """`2 TP / (2 TP + FP + FN)` with the threshold 1/2."""
    said, is_so = probabilities >= 0.5, np.asarray(labels) > 0
    hits = 2.0 * sums(said & is_so, lists, num_lists)
    misses = sums(said != is_so, lists, num_lists)
    return Metric((Ratio(hits, hits + misses),))

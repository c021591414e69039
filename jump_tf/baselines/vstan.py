"""VSTAN: neighbouring sessions whose weights fade, also with time."""

import math
from typing import Any

import numpy as np

from jump_tf.baselines import base
from jump_tf.baselines.base import Log
from jump_tf.baselines.session_knn import SessionNeighbours

# What validation chooses from: a shop's log of a season, of a week, news.
GRID: tuple[dict[str, Any], ...] = tuple(
    {"session_decay_hours": hours} for hours in (720.0, 240.0, 24.0, math.inf)
)


class VSTAN(SessionNeighbours):
    """VSTAN: STAN, whose weights all decay, with what VS-kNN adds to it.

        w(s, n) = sum over clicks x of s on items of n, the latest on each, of
                  exp((x - |s|) / a) / sqrt(|s| |n|) exp(-gap(s, n) / b)
                  exp((x* - |s|) / c)
        d(i, n) = exp(-|place(i, n) - place(i*, n)| / e)
        v(i) = 1 + idf log(N / N(i))

    Clicks x of s count from 1 to |s|, and x*, on the item i*, is the latest on
    an item of n; places in n are of the latest click on an item. gap(s, n) lies
    between the end of n and the asked click, N(i) of N training sessions hold
    i. The factor of c is no part of the similarity that chooses neighbours.

    Args:
        log, vocabulary_size: see `base.Scorer`.
        click_decay: a, in clicks of s.
        session_decay_hours: b.
        match_decay: c, in clicks of s.
        item_decay: e, in clicks of n.
        idf: weight of the inverse document frequency.
        neighbours, sample: see `SessionNeighbours`.

    Reference: Ludewig, Mauro, Latifi & Jannach, Empirical Analysis of
    Session-Based Recommendation Algorithms, UMUAI 2021; STAN: Garg et al.,
    Sequence and Time Aware Neighborhood for Session-based Recommendations,
    SIGIR 2019.
    """

    def __init__(
        self,
        log: Log,
        vocabulary_size: int,
        *,
        neighbours: int = 500,
        sample: int = 2500,
        click_decay: float = 2.0,
        session_decay_hours: float = 30 * 24.0,
        match_decay: float = 2.0,
        item_decay: float = 2.0,
        idf: float = 1.0,
    ):
        super().__init__(
            log, vocabulary_size, neighbours=neighbours, sample=sample
        )
        self.click_decay, self.match_decay = click_decay, match_decay
        self.session_decay_hours = session_decay_hours
        self.item_decay = item_decay
        self._item_weight = 1.0 + idf * self.rarity()

    def _click_weights(self, place, clicks):
        return np.exp((place - clicks) / self.click_decay)

    def _similarities(self, shared, items, length, gap_ms):
        hours = gap_ms / base.HOUR_MS
        return (
            shared
            / np.sqrt(items * length)
            * np.exp(-hours / self.session_decay_hours)
        )

    def _weights(self, similarity, age):
        return similarity * np.exp((1 - age) / self.match_decay)

    def _nearness(self, distance):
        return np.exp(-distance / self.item_decay)

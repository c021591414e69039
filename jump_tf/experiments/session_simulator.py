"""Click logs whose best possible predictor is known: the oracle.

The next item depends on the last one alone: items lie on a hidden circle, and
with `follow_share` one of the next few on it follows, the nearest most often;
else any item by popularity. A dwell is log-normal around the item's own median.
So the best ranks and the true medians are known.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from jump_tf.config.checks import Checked
from jump_tf.experiments import simulated_log

HEADER = ("session_id", "item_id", "timestamp_ms")


@dataclasses.dataclass(frozen=True)
class SimulatorConfig(Checked):
    """Sizes of a simulated log.

    Attributes:
        num_sessions: how many sessions.
        num_items: size of the catalogue.
        followers: items that are likely after each item.
        follow_share: probability that one of them comes next.
        popularity_exponent: item of rank r has popularity `r ** -exponent`.
        log_dwell: mean of the items' mu, log of seconds.
        log_dwell_spread: standard deviation of mu between items.
        dwell_scale: sigma, of the log of seconds on one item.
        mean_length: mean clicks of a session, before the cap; above 2.
        max_length: the cap.
        days: over which sessions start.
        seed: of everything.

    Raises:
        InputError: a value is out of its range.
    """

    num_sessions: int = 60_000
    num_items: int = 200
    followers: int = 8
    follow_share: float = 0.55
    popularity_exponent: float = 1.0
    log_dwell: float = 4.0
    log_dwell_spread: float = 0.7
    dwell_scale: float = 0.9
    mean_length: float = 6.0
    max_length: int = 40
    days: int = 14
    seed: int = 0

    def __post_init__(self):
        self.at_least(1, "num_sessions", "followers")
        self.at_least(2, "num_items", "mean_length", "max_length")
        if self.followers >= self.num_items:
            self.refuse("followers", "be below `num_items`")
        self.share("follow_share")
        self.above_zero("dwell_scale")


@dataclasses.dataclass(frozen=True)
class Simulation(simulated_log.SimulatedLog):
    """A log and its probabilities; items are numbered 0...I-1 here.

    Attributes:
        config: what it was made from.
        popularity: `[I]` probabilities of the first item.
        transitions: `[I, I]` probabilities of the next item, a row each.
        log_dwell: `[I]` mu of each item.
        lengths: `[S]` clicks of each session.
        items: `[C]` clicks of all sessions, end to end.
        dwell_seconds: `[C]` true dwells; no log shows those of last clicks.
        time_ms: `[C]` instants.
    """

    config: SimulatorConfig
    popularity: np.ndarray
    transitions: np.ndarray
    log_dwell: np.ndarray
    lengths: np.ndarray
    items: np.ndarray
    dwell_seconds: np.ndarray
    time_ms: np.ndarray

    header: ClassVar = HEADER

    @property
    def item_ids(self) -> list[str]:
        """`[I]` raw ids."""
        return [f"item-{item:05d}" for item in range(len(self.popularity))]

    @functools.cached_property
    def rank_table(self) -> np.ndarray:
        """`[I, I]` conservative rank of the column after the row."""
        below = [np.searchsorted(np.sort(row), row) for row in self.transitions]
        return len(self.popularity) - np.stack(below)

    def rows(self) -> Iterator[tuple[str, str, int]]:
        """Session id, item id and milliseconds UTC of each click."""
        names = self.item_ids
        sessions = np.repeat(np.arange(len(self.lengths)), self.lengths)
        for session, item, time_ms in zip(
            sessions.tolist(),
            self.items.tolist(),
            self.time_ms.tolist(),
            strict=True,
        ):
            yield f"session-{session:07d}", names[item], time_ms


def simulate(config: SimulatorConfig) -> Simulation:
    """Draws a log; the same configuration gives the same log."""
    generator = np.random.default_rng(config.seed)
    popularity = simulated_log.popularity(config, generator)
    transitions = _transitions(config, popularity, generator)
    log_dwell = generator.normal(
        config.log_dwell, config.log_dwell_spread, config.num_items
    )
    number = config.num_sessions
    lengths = simulated_log.lengths(config, number, 2, generator)
    items = _walks(lengths, popularity, transitions, generator)
    dwell_seconds = np.exp(
        generator.normal(log_dwell[items], config.dwell_scale)
    )
    starts = simulated_log.starts(config, number, generator)
    return Simulation(
        config,
        popularity,
        transitions,
        log_dwell,
        lengths,
        items,
        dwell_seconds,
        _instants(starts, lengths, dwell_seconds),
    )


def _transitions(config, popularity, generator):
    smear = (1.0 - config.follow_share) * popularity
    transitions = np.tile(smear, (config.num_items, 1))
    weights = 1.0 / np.arange(1, config.followers + 1.0)
    weights *= config.follow_share / weights.sum()
    circle = generator.permutation(config.num_items)
    for away, weight in enumerate(weights, 1):
        transitions[circle, np.roll(circle, -away)] += weight
    return transitions


def _walks(lengths, popularity, transitions, generator):
    """`[C]` items of Markov chains, all sessions one step at a time."""
    cumulative = np.cumsum(transitions, 1)
    walks = np.zeros((len(lengths), lengths.max()), np.int64)
    walks[:, 0] = generator.choice(len(popularity), len(lengths), p=popularity)
    for step in range(1, lengths.max()):
        (going,) = np.nonzero(lengths > step)
        draws = generator.random(len(going)) * cumulative[0, -1]
        walks[going, step] = _next_items(
            cumulative, walks[going, step - 1], draws
        )
    return walks[np.arange(lengths.max()) < lengths[:, np.newaxis]]


def _next_items(cumulative, previous, draws):
    """The first item after each whose cumulated probability exceeds a draw.

    By halving, as no more than one bound of each row is held at a time: a long
    log has more sessions times items than fit into memory.
    """
    last = cumulative.shape[1] - 1
    low = np.zeros_like(previous)
    high = np.full_like(previous, last)
    for _ in range(last.bit_length()):
        middle = (low + high) // 2
        exceeds = cumulative[previous, middle] > draws
        low = np.where(exceeds, low, middle + 1)
        high = np.where(exceeds, middle, high)
    return np.minimum(low, last)


def _instants(starts, lengths, dwell_seconds):
    """`[C]` milliseconds: a click comes when the dwell before it is over."""
    dwell_ms = np.maximum(np.rint(1000.0 * dwell_seconds), 1).astype(np.int64)
    spent = np.cumsum(dwell_ms) - dwell_ms
    first = np.cumsum(lengths) - lengths
    return np.repeat(starts - spent[first], lengths) + spent

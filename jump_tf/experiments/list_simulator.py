"""Lists of shown items whose best possible predictor is known: the oracle.

Let i be an item's place in its list, k(i) its item, g_j whether place j was
clicked, and l(i) the last place before i that was; 0 if none was.

    attraction   a_i = sigmoid(b_c + relevance[k(i)]
                       + sum over clicked j < i of
                         excitement[k(j)] * exp(-(i - j) / fade))
    observed     o_i, the probability that the visitor still looks, given the
                 feedback before i: with `observation` "decay" a fresh draw of
                 `keep ** (i - 1 - l(i))`; with "stop" the visitor goes on to
                 each next place with `keep`, and a click shows that they did
    pCTR_i       = o_i * a_i
    r_i          = sigmoid(b_v + worth[k(i)]
                       + loyalty * log(1 + clicks before on its category))

So a click excites, or where `excitement` is below zero discourages, what comes
next, and that fades within a few items (a Hawkes process in steps of items),
while conversions are driven by something slower that does not fade. Those who
look on are the survivors since the last click; a is what a ranker wants to
know, and pCTR is what the log shows.

References: Hawkes, Biometrika 58(1), 1971; Dupret & Piwowarski, SIGIR 2008, for
"decay" (their distance from the last click); Craswell et al., WSDM 2008, and
DRSR (Jin et al., SIGIR 2020) for "stop".
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from jump_tf.config.checks import Checked
from jump_tf.experiments import simulated_log

FIELDS = ("item", "category", "price_band")
HEADER = ("list_id", "time_ms", *FIELDS, "click", "conversion")
DECAY, STOP = "decay", "stop"


@dataclasses.dataclass(frozen=True)
class ListSimulatorConfig(Checked):
    """Sizes and strengths of a simulated log of lists.

    Attributes:
        num_lists: how many lists.
        num_items: size of the catalogue.
        num_categories: kinds of items; items have one each.
        num_price_bands: likewise.
        popularity_exponent: an item of rank k is shown `k ** -exponent` as
            often as the first, all independently.
        min_length: of a list.
        mean_length: before the cap.
        max_length: the cap.
        ranked: share of the relevance in the score by which a list is in
            descending order, the rest is noise; 0 for no order.
        click_bias: b_c, a logit.
        relevance_spread: standard deviation of relevance, logits.
        discouraging: share of categories whose clicks discourage.
        excitement: size of what a click adds to the next logits.
        fade: items in which that falls to 1 / e.
        observation: "decay" or "stop", see above.
        keep: probability of looking on; 1 for all items are looked at.
        conversion_bias: b_v, a logit.
        worth_spread: standard deviation of worth, logits.
        loyalty: likewise, logits.
        mean_gap_seconds: between two items.
        days: over which lists start.
        seed: of everything.

    Raises:
        InputError: a value is out of its range.
    """

    num_lists: int = 20_000
    num_items: int = 200
    num_categories: int = 8
    num_price_bands: int = 4
    popularity_exponent: float = 0.7
    min_length: int = 3
    mean_length: float = 12.0
    max_length: int = 40
    ranked: float = 0.4
    click_bias: float = -1.3
    relevance_spread: float = 0.9
    discouraging: float = 0.4
    excitement: float = 2.0
    fade: float = 2.5
    observation: str = DECAY
    keep: float = 0.93
    conversion_bias: float = -2.0
    worth_spread: float = 0.8
    loyalty: float = 1.2
    mean_gap_seconds: float = 8.0
    days: int = 14
    seed: int = 0

    def __post_init__(self):
        self.above_zero("fade", "mean_gap_seconds")
        self.at_least(1, "num_lists", "num_categories", "min_length")
        self.at_least(1, "num_price_bands", "days")
        self.at_least(2, "num_items")
        self.at_least(self.min_length, "mean_length", "max_length")
        self.share("ranked", "discouraging")
        self.one_of("observation", (DECAY, STOP))
        if not 0 < self.keep <= 1:
            self.refuse("keep", "be above 0 and at most 1")


@dataclasses.dataclass(frozen=True)
class Simulation(simulated_log.SimulatedLog):
    """A log of N shown items in S lists, end to end, and what is behind it.

    Attributes:
        config: what it was made from.
        category: `[I]` of each item of the catalogue, from 0.
        price_band: `[I]` likewise.
        relevance: `[I]` logits of each item of the catalogue.
        worth: `[I]` logits, likewise, of conversion.
        excitement: `[I]` logits that a click on it adds right after it, before
            any fading.
        lengths: `[S]` items of each list.
        items: `[N]` from 0.
        time_ms: `[N]` instants.
        attraction: `[N]` probability of a click if the visitor looks: the
            hazard by which an unbiased ranker ranks.
        examination: `[N]` probability that the visitor looks, given the
            feedback before.
        conversion: `[N]` r, probability of a conversion after a click.
        observed: `[N]` bool, whether the visitor looked; no log shows it.
        clicked: `[N]` bool.
        converted: `[N]` bool.
    """

    config: ListSimulatorConfig
    category: np.ndarray
    price_band: np.ndarray
    relevance: np.ndarray
    worth: np.ndarray
    excitement: np.ndarray
    lengths: np.ndarray
    items: np.ndarray
    time_ms: np.ndarray
    attraction: np.ndarray
    examination: np.ndarray
    conversion: np.ndarray
    observed: np.ndarray
    clicked: np.ndarray
    converted: np.ndarray

    header: ClassVar = HEADER

    @functools.cached_property
    def lists(self) -> np.ndarray:
        """`[N]` the list of each item, from 0."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @functools.cached_property
    def position(self) -> np.ndarray:
        """`[N]` of each item in its list, from 1."""
        first = np.cumsum(self.lengths) - self.lengths
        return np.arange(len(self.items)) - first[self.lists] + 1

    @property
    def click(self) -> np.ndarray:
        """`[N]` pCTR given the feedback before: `examination * attraction`."""
        return self.examination * self.attraction

    @property
    def list_ids(self) -> list[str]:
        """`[S]` raw ids."""
        return [f"list-{number:07d}" for number in range(len(self.lengths))]

    @property
    def features(self) -> list[tuple[str, ...]]:
        """`[I]` values of `FIELDS` of each item of the catalogue."""
        return [
            (f"item-{item:05d}", f"category-{category}", f"band-{band}")
            for item, (category, band) in enumerate(
                zip(self.category, self.price_band, strict=True)
            )
        ]

    def rows(self) -> Iterator[tuple[str | int, ...]]:
        """The values of `HEADER` for each shown item."""
        features = self.features
        names = np.repeat(self.list_ids, self.lengths)
        for name, time_ms, item, click, conversion in zip(
            names.tolist(),
            self.time_ms.tolist(),
            self.items.tolist(),
            self.clicked.astype(int).tolist(),
            self.converted.astype(int).tolist(),
            strict=True,
        ):
            yield name, time_ms, *features[item], click, conversion


def simulate(config: ListSimulatorConfig) -> Simulation:
    """Draws a log; the same configuration gives the same log."""
    generator = np.random.default_rng(config.seed)
    size = config.num_items
    category = generator.integers(0, config.num_categories, size)
    price_band = generator.integers(0, config.num_price_bands, size)
    relevance = config.relevance_spread * _mixed(
        category, price_band, config, generator
    )
    worth = config.worth_spread * _mixed(
        category, price_band, config, generator
    )
    excitement = _excitement(config, generator)[category]
    lengths = simulated_log.lengths(
        config, config.num_lists, config.min_length, generator
    )
    items = _items(config, relevance, lengths, generator)
    real = np.arange(items.shape[1]) < lengths[:, np.newaxis]
    drawn = _behave(
        config, items, category, relevance, worth, excitement, generator
    )
    return Simulation(
        config,
        category,
        price_band,
        relevance,
        worth,
        excitement,
        lengths,
        items[real],
        _instants(config, lengths, real, generator),
        **{name: columns[real] for name, columns in drawn.items()},
    )


def _mixed(category, price_band, config, generator):
    """`[I]` of variance 1: of the category, of the band, of its own."""
    parts = (
        generator.normal(size=config.num_categories)[category],
        generator.normal(size=config.num_price_bands)[price_band],
        generator.normal(size=config.num_items),
    )
    return sum(parts) / np.sqrt(len(parts))


def _excitement(config, generator):
    """`[categories]` what a click on each adds."""
    number = round(config.discouraging * config.num_categories)
    sign = np.where(np.arange(config.num_categories) < number, -1.0, 1.0)
    return config.excitement * generator.permutation(sign)


def _items(config, relevance, lengths, generator):
    """`[S, M]` items of each list in order, others beyond its length."""
    weights = simulated_log.popularity(config, generator)
    shape = (len(lengths), int(lengths.max()))
    items = generator.choice(config.num_items, shape, p=weights)
    spread = max(float(np.std(relevance)), 1e-9)
    score = config.ranked * relevance[items] / spread
    score += (1.0 - config.ranked) * generator.normal(size=shape)
    if not config.ranked:
        return items
    score[np.arange(shape[1]) >= lengths[:, np.newaxis]] = -np.inf
    return np.take_along_axis(items, np.argsort(-score, 1), 1)


def _behave(config, items, category, relevance, worth, excitement, generator):
    """`[S, M]` columns of what visitors do, all lists one place at a time."""
    rows = np.arange(len(items))
    excited = np.zeros(len(items))
    looking = np.ones(len(items))  # Given the feedback so far.
    looks = np.ones(len(items), bool)
    before = np.zeros([len(items), config.num_categories])
    steps = []
    for item in items.T:
        attraction = _sigmoid(config.click_bias + relevance[item] + excited)
        clicks_before = before[rows, category[item]]
        conversion = _sigmoid(
            config.conversion_bias
            + worth[item]
            + config.loyalty * np.log1p(clicks_before)
        )
        if config.observation == DECAY:
            looks = generator.random(len(items)) < looking
        clicked = looks & (generator.random(len(items)) < attraction)
        converted = clicked & (generator.random(len(items)) < conversion)
        steps.append(
            {
                "attraction": attraction,
                "examination": looking,
                "conversion": conversion,
                "observed": looks,
                "clicked": clicked,
                "converted": converted,
            }
        )
        excited = excited + np.where(clicked, excitement[item], 0.0)
        excited = excited * np.exp(-1.0 / config.fade)
        before[rows, category[item]] += clicked
        looking = _look_on(config, looking, attraction, clicked)
        looks = looks & (generator.random(len(items)) < config.keep)
    return {
        name: np.stack([step[name] for step in steps], 1) for name in steps[0]
    }


def _look_on(config, looking, attraction, clicked):
    """The probability of looking at the next item, after this one's click."""
    if config.observation == DECAY:
        return np.where(clicked, 1.0, looking * config.keep)
    # Bayes: who has not clicked may have looked in vain, or have gone.
    still = looking * (1.0 - attraction) / (1.0 - looking * attraction)
    return np.where(clicked, 1.0, still) * config.keep


def _instants(config, lengths, real, generator):
    """`[N]` milliseconds, ascending in each list."""
    starts = simulated_log.starts(config, len(lengths), generator)
    gaps = generator.exponential(1000.0 * config.mean_gap_seconds, real.shape)
    gaps = np.rint(gaps).astype(np.int64)
    gaps[:, 0] = 0
    return (starts[:, np.newaxis] + np.cumsum(gaps, 1))[real]


def _sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))

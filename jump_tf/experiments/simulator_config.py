"""Sizes and strengths of a simulated log of lists, checked at birth."""

import dataclasses

from jump_tf import schema

DECAY, STOP = "decay", "stop"


@dataclasses.dataclass(frozen=True)
class ListSimulatorConfig:
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
        observation: "decay" or "stop", see `lists/simulate.py`.
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
        for name, holds, must in (
            ("num_lists", self.num_lists >= 1, "be at least 1"),
            ("num_items", self.num_items >= 2, "be at least 2"),
            ("num_categories", self.num_categories >= 1, "be at least 1"),
            ("num_price_bands", self.num_price_bands >= 1, "be at least 1"),
            ("min_length", self.min_length >= 1, "be at least 1"),
            (
                "mean_length",
                self.mean_length >= self.min_length,
                "be at least `min_length`",
            ),
            (
                "max_length",
                self.max_length >= self.min_length,
                "be at least `min_length`",
            ),
            ("ranked", 0 <= self.ranked <= 1, "be 0 to 1"),
            ("discouraging", 0 <= self.discouraging <= 1, "be 0 to 1"),
            ("fade", self.fade > 0, "be positive"),
            (
                "observation",
                self.observation in (DECAY, STOP),
                f"be {DECAY!r} or {STOP!r}",
            ),
            ("keep", 0 < self.keep <= 1, "be above 0 and at most 1"),
            ("mean_gap_seconds", self.mean_gap_seconds > 0, "be positive"),
            ("days", self.days >= 1, "be at least 1"),
        ):
            if not holds:
                raise schema.InputError(
                    f"`{name}` must {must}. Received: {getattr(self, name)}"
                )

"""Hyper-parameters that all session models share: frozen, checked at birth."""

import dataclasses
from typing import ClassVar

from jump_tf import schema
from jump_tf.config.checks import Checked

DWELL_HEADS = ("item", "shared")
OWN_DWELL_HEAD = "own"
CENSORING = ("all", "followed", "none")
CATALOGUE_LOSSES = ("softmax", "chunked_softmax")
SOFTMAX_LOSSES = (*CATALOGUE_LOSSES, "sampled_softmax")
SAMPLED_LOSSES = ("sampled_softmax", "bpr_max", "top1", "top1_max", "gbce")


@dataclasses.dataclass(frozen=True)
class SessionConfig(Checked):
    """What every session model has: its size, scores, heads and losses.

    Attributes:
        units: size d of everything.
        max_dwell_seconds: c1; training takes it from the data's manifest.
        click_scale: None scores by the inner product; a number by the cosine
            times it, which keeps popular items from winning by their length
            alone.
        item_bias: whether an item also has a score of its own, whatever the
            session; the paper has none.
        tie_items: whether the table from which clicks are read is the table
            that scores them; the first GRU4Rec and the point processes have
            two.
        dropout: rate on the embedded clicks and on the features, in training;
            None by the number of training clicks, see `log_size`.
        unknown_dwell_rate: share of input dwells that training hides, so that
            the model can answer while the visitor is still on the page.
        dwell_input: whether the model sees the dwells of the clicks before at
            all; without it all of them are hidden, in training and after.
        unknown_item_rate: share of input items that training replaces by the
            unknown item, so that its row means something.
        click_loss: over the whole catalogue "softmax", or "chunked_softmax",
            the same in little memory; over negatives that a batch shares
            "sampled_softmax", "bpr_max", "top1", "top1_max" or "gbce".
            Whatever it is, validation is by softmax over the whole catalogue.
        negatives: how many a batch shares; 0 over the whole catalogue.
        sampling_power: negatives are drawn by `count ** sampling_power`.
        bpr_regularization: weight of the negatives' squared scores in
            "bpr_max".
        bpr_elu: alpha of the ELU through which scores pass in "bpr_max", which
            holds them above -alpha; None for none.
        gbce_calibration: t in "gbce", from 0, which is binary cross entropy,
            to 1, which undoes its overconfidence; supposes negatives drawn
            uniformly, that is `sampling_power` 0.
        dwell_weight: lambda, the weight of the dwell loss.
        dwell_head: "item": one regressor for each item, as the paper prints
            it; "shared": regressors that share strength between items;
            "own": what the model itself brings.
        censoring: which dwells that are only lower bounds teach: "all", as
            the paper has it; "followed", only those cut off at c1, but not
            the dwell of a session's last click, which nobody saw (the dwell
            is then that of clicks that are followed by another); "none".
        dwell_history: whether the shared head reads the pace of the visitor
            directly, see `DwellHistory`.
        dwell_components: mixture components of the shared head's dwell, each
            log-normal; 1 is the paper's distribution.
        dwell_dropout: rate in the shared head, in training; None by the number
            of training clicks, see `log_size`.
        dwell_scale: sigma, or None to learn it. With `dwell_weight` it is the
            switch between the paper's literal form (sigma = 10, weight 1) and
            one in which the scale and the trade-off are two numbers.
        initial_log_dwell: where mu starts; None for the mean log dwell of
            the training split.
        end_weight: weight of the loss of the session's end. It takes the last
            click's place in the dwell loss: not with `censoring` "all".
        learned_start: whether the features before the first click are learned
            (then the first click is part of the click loss) or zero.
        seed: of negatives and hidden inputs.
    """

    units: int = 100
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS
    click_scale: float | None = None
    item_bias: bool = False
    tie_items: bool = True
    dropout: float | None = 0.0
    unknown_dwell_rate: float = 0.0
    dwell_input: bool = True
    unknown_item_rate: float = 0.0
    click_loss: str = "softmax"
    negatives: int = 0
    sampling_power: float = 0.75
    bpr_regularization: float = 1.0
    bpr_elu: float | None = None
    gbce_calibration: float = 0.75
    dwell_weight: float = 1.0
    dwell_head: str = "item"
    dwell_history: bool = False
    dwell_components: int = 1
    dwell_dropout: float | None = 0.0
    dwell_scale: float | None = 10.0
    initial_log_dwell: float | None = None
    censoring: str = "all"
    end_weight: float = 0.0
    learned_start: bool = False
    seed: int = 0

    architecture: ClassVar[str]  # The model's name, in files and flags.
    dwell_heads: ClassVar[tuple[str, ...]] = DWELL_HEADS
    # No weight depends on these: a warm start may change them.
    free_fields: ClassVar[frozenset[str]] = frozenset(
        (
            *("click_loss", "bpr_regularization", "bpr_elu"),
            *("gbce_calibration", "negatives", "sampling_power", "seed"),
            *("initial_log_dwell", "dwell_weight", "end_weight"),
            *("dropout", "dwell_dropout"),
            *("unknown_dwell_rate", "unknown_item_rate"),
        )
    )

    def __post_init__(self):
        self.check_types()
        self.at_least(1, "units", "dwell_components")
        self.at_least(0, "negatives", "dwell_weight", "end_weight", "seed")
        self.at_least(0, "bpr_regularization")
        self.above_zero("max_dwell_seconds", "click_scale", "dwell_scale")
        self.above_zero("bpr_elu")
        self.rate("dropout", "dwell_dropout")
        self.rate("unknown_dwell_rate", "unknown_item_rate")
        self.one_of("dwell_head", self.dwell_heads)
        self.one_of("censoring", CENSORING)
        if self.dwell_head != "shared":
            for name in ("end_weight", "dwell_history", "dwell_dropout"):
                if getattr(self, name):
                    self.refuse(name, "be off unless `dwell_head` is 'shared'")
            if self.dwell_components > 1:
                must = "be 1 unless `dwell_head` is 'shared'"
                self.refuse("dwell_components", must)
        if self.end_weight and self.censoring == "all":
            self.refuse("end_weight", "be 0 for censoring='all'")
        self.one_of("click_loss", CATALOGUE_LOSSES + SAMPLED_LOSSES)
        self.share("gbce_calibration")
        sampled = self.click_loss in SAMPLED_LOSSES
        if sampled != (self.negatives > 0):
            must = "be at least 1" if sampled else "be 0"
            self.refuse(
                "negatives", f"{must} for click_loss={self.click_loss!r}"
            )

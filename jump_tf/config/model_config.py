"""Hyper-parameters of each model: frozen, checked at birth."""

import dataclasses
from typing import ClassVar

from jump_tf.config.session_models import OWN_DWELL_HEAD
from jump_tf.config.session_models import SOFTMAX_LOSSES
from jump_tf.config.session_models import SessionConfig

ROW_SPACINGS = ("seconds", "log")
DWELL_JOINS = ("concat", "sum", "scalar")
ACTIVATIONS = ("tanh", "relu")
SLOPES = ("free", "positive")
BLOCKS = ("pre_norm", "ligr")
UNITS_OF_HEROES = ("hawkes", "lstm")


@dataclasses.dataclass(frozen=True)
class PointingConfig(SessionConfig):
    """What an encoder can be given beside the item table, see `PointingModel`.

    Attributes:
        click_residual: adds the last click's own row to the summary, each
            feature times a learned weight: the item itself and its likes are
            seldom far from the next click, and the encoder need not learn it.
        pointer_clicks: how many of the last clicks are pointed at, see
            `SessionPointer`; 0 for none.
        page_is_clicked_again: whether visitors click again on the page that
            they are on; if not, it is never recommended. Training takes it
            from its split.
        recent_transitions: how many of the last transitions of other visitors
            from the page on screen shift the scores of their targets, see
            `RecentTransitions`; 0 for none.
        recent_popular: how many of the last hour's most popular items are
            shifted likewise, at most 50.
        recent_entries: transitions that training has.
        recent_periods: of its log, of each of which popular items are kept.
    """

    click_residual: bool = False
    pointer_clicks: int = 0
    page_is_clicked_again: bool | None = None
    recent_transitions: int = 0
    recent_popular: int = 0
    recent_entries: int = 1
    recent_periods: int = 1

    free_fields: ClassVar = SessionConfig.free_fields | {
        *("page_is_clicked_again", "recent_entries", "recent_periods"),
    }

    def __post_init__(self):
        super().__post_init__()
        self.at_least(0, "pointer_clicks", "recent_transitions")
        self.at_least(0, "recent_popular")
        self.at_least(1, "recent_entries", "recent_periods")
        if self.recent_popular > 50:
            self.refuse("recent_popular", "be at most 50")
        if self.recent_transitions and not self.pointer_clicks:
            self.refuse("recent_transitions", "be 0 without `pointer_clicks`")
        if self.pointer_clicks and self.click_loss not in SOFTMAX_LOSSES:
            must = f"be 0 for click_loss={self.click_loss!r}"
            self.refuse("pointer_clicks", must)


@dataclasses.dataclass(frozen=True)
class JumpConfig(PointingConfig):
    """JUMP; the defaults are the paper's.

    Attributes:
        micro_step_seconds: z, the dwell of one fast step; the paper does not
            give it.
        row_spacing: "seconds": a dwell row for each whole second, as printed;
            "log": rows evenly spaced in log(1 + seconds).
        use_bias: biases in the highway units.
        tie_inputs: whether the fast unit reads click and slow state through
            the same matrices, as printed.
        residual: adds h_k to the attention's v_k.
        fast_slow: whether the encoder is the fast-slow layer; without it, it is
            a GRU of the same size, which reads dwells through their rows
            alone.
        attention: whether clicks are summed by attention; without it v_k is
            h_k, and `residual` means nothing.
        multiplicative: whether the highway units multiply what they read with
            their state, see `HighwayUnit`.
    """

    architecture: ClassVar[str] = "jump"

    micro_step_seconds: float = 200.0
    row_spacing: str = "seconds"
    use_bias: bool = False
    tie_inputs: bool = True
    residual: bool = False
    fast_slow: bool = True
    attention: bool = True
    multiplicative: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.above_zero("micro_step_seconds")
        self.one_of("row_spacing", ROW_SPACINGS)


@dataclasses.dataclass(frozen=True)
class ClickConfig(PointingConfig):
    """What models that predict the click alone have in common.

    `dwell_weight` is 0; the shared head then answers with the mean log dwell of
    the training split.
    """

    dwell_weight: float = 0.0
    dwell_head: str = "shared"
    dwell_scale: float | None = 1.0


@dataclasses.dataclass(frozen=True)
class GRU4RecConfig(ClickConfig):
    """GRU4Rec, which has no options of its own."""

    architecture: ClassVar[str] = "gru4rec"


@dataclasses.dataclass(frozen=True)
class NARMConfig(ClickConfig):
    """NARM; `dropout` is on the embedded clicks alone.

    Attributes:
        decoder_dropout: rate on the two summaries [c_l; c_g], in training.
    """

    architecture: ClassVar[str] = "narm"

    dropout: float | None = 0.25
    decoder_dropout: float = 0.5

    free_fields: ClassVar = ClickConfig.free_fields | {"decoder_dropout"}

    def __post_init__(self):
        super().__post_init__()
        self.rate("decoder_dropout")


@dataclasses.dataclass(frozen=True)
class DTGRUConfig(ClickConfig):
    """DTGRU.

    Attributes:
        dwell_join: how a click's dwell joins its item row e: "concat",
            [e; t] with a row t for each of log-spaced buckets and one for
            unknown dwells; "sum", e + t; "scalar", e with the log of the
            dwell and whether it is known.
    """

    architecture: ClassVar[str] = "dtgru"

    dwell_join: str = "concat"

    def __post_init__(self):
        super().__post_init__()
        self.one_of("dwell_join", DWELL_JOINS)


@dataclasses.dataclass(frozen=True)
class SASRecConfig(ClickConfig):
    """SASRec; `dropout` is also inside the blocks.

    Attributes:
        block: "pre_norm", see `TransformerBlock`; "ligr", that of eSASRec, see
            `LiGRBlock`.
        blocks: how many, each of attention and feed-forward layer.
        heads: of each attention; they share `units` evenly.
        feed_forward_ratio: hidden units of a feed-forward layer, by `units`.
        max_positions: clicks of a session that have a position of their own;
            all later ones share the last.
    """

    architecture: ClassVar[str] = "sasrec"

    block: str = "pre_norm"
    blocks: int = 2
    heads: int = 1
    feed_forward_ratio: int = 1
    max_positions: int = 200

    def __post_init__(self):
        super().__post_init__()
        self.one_of("block", BLOCKS)
        self.at_least(1, "blocks", "heads", "feed_forward_ratio")
        self.at_least(1, "max_positions")
        if self.units % self.heads:
            self.refuse("heads", f"divide units={self.units}")


@dataclasses.dataclass(frozen=True)
class PointProcessConfig(SessionConfig):
    """What models with a dwell distribution of their own have in common.

    Clicks are scored by a table and a bias of their own, as in a point process
    with marks; `dwell_scale` is only for a distribution that has one.
    """

    item_bias: bool = True
    tie_items: bool = False
    dwell_head: str = OWN_DWELL_HEAD
    dwell_scale: float | None = None

    dwell_heads: ClassVar[tuple[str, ...]] = (OWN_DWELL_HEAD,)


@dataclasses.dataclass(frozen=True)
class RMTPPConfig(PointProcessConfig):
    """RMTPP.

    Attributes:
        activation: phi. The paper's "relu" is unbounded, and so is then a
            hazard that is its exponential, along long sessions; "tanh" bounds
            it.
        slope: "free": w of either sign, as printed. Where it is negative, and
            dwells have heavy tails, the distribution is defective: a share of
            visitors never leaves. Mostly it has a median, but no mean.
            "positive": by a softplus, always a distribution, but the hazard
            can only rise, and that of dwells falls.
        time_scale_seconds: the time in which w is counted; small enough that
            w is soon where it should be, which starts at zero and moves by a
            learning rate a step.
    """

    architecture: ClassVar[str] = "rmtpp"

    activation: str = "tanh"
    slope: str = "free"
    time_scale_seconds: float = 30.0

    def __post_init__(self):
        super().__post_init__()
        self.one_of("activation", ACTIVATIONS)
        self.one_of("slope", SLOPES)
        self.above_zero("time_scale_seconds")


@dataclasses.dataclass(frozen=True)
class ATRPConfig(PointProcessConfig):
    """ATRP: it learns from the dwells that were seen whole.

    Attributes:
        series_bins: into which the time of the session so far is cut.
        series_units: of the network over them.
    """

    architecture: ClassVar[str] = "atrp"

    censoring: str = "none"
    series_bins: int = 7
    series_units: int = 32

    def __post_init__(self):
        super().__post_init__()
        self.at_least(1, "series_bins", "series_units")


@dataclasses.dataclass(frozen=True)
class NSRConfig(PointProcessConfig):
    """NSR.

    Attributes:
        bins: K, within each of which the hazard is constant; even in the log
            of seconds up to c1, the last one without an end.
        hazard_dropout: rate on what the hazards are read from, in training.
    """

    architecture: ClassVar[str] = "nsr"

    bins: int = 32
    hazard_dropout: float = 0.0

    free_fields: ClassVar = PointProcessConfig.free_fields | {"hazard_dropout"}

    def __post_init__(self):
        super().__post_init__()
        self.at_least(2, "bins")
        self.rate("hazard_dropout")


@dataclasses.dataclass(frozen=True)
class HeroesSessionsConfig(SessionConfig):
    """HEROES on sessions.

    Attributes:
        cell: "hawkes", the Hawkes-process unit, or "lstm".
        satisfied_seconds: the dwell from which a click counts as satisfied.
    """

    architecture: ClassVar[str] = "heroes_sessions"

    cell: str = "hawkes"
    satisfied_seconds: float = 60.0

    def __post_init__(self):
        super().__post_init__()
        self.one_of("cell", UNITS_OF_HEROES)
        self.above_zero("satisfied_seconds")


SESSION_MODELS: dict[str, type[SessionConfig]] = {
    config.architecture: config
    for config in (
        JumpConfig,
        GRU4RecConfig,
        RMTPPConfig,
        ATRPConfig,
        NSRConfig,
        NARMConfig,
        DTGRUConfig,
        SASRecConfig,
        HeroesSessionsConfig,
    )
}

"""Hyper-parameters of the models of lists: frozen, checked at birth."""

import dataclasses
from typing import ClassVar

from jump_tf.config.checks import Checked

CONCATENATE = "concatenate"
MEAN = "mean"
COMBINERS = (CONCATENATE, MEAN)
CELLS = ("hawkes", "lstm", "soft")
FEEDBACKS = ("hard", "soft", "sampled")
OBJECTIVES = ("cross_entropy", "survival")


@dataclasses.dataclass(frozen=True)
class ListConfig(Checked):
    """What every model of lists has: its inputs, heads and loss.

    Attributes:
        num_fields: F, features of an item where they are concatenated;
            training takes it from the data's manifest.
        embedding_size: of a feature's row.
        combine: "concatenate": an item has one feature for each of F fields,
            whose rows are put end to end; "mean": it has any number of
            features, and their rows' mean, weighted by their values, is taken.
        positions: places in a list that have a row of their own; all later
            ones share the last. 0 for none.
        offset_input: whether the model reads `log(1 + offset_seconds)`.
        dropout: rate on the embedded features, in training.
        head_units: of a head's first hidden layer; each of the next has half.
        head_layers: hidden layers of a head.
        head_dropout: rate after each of them, in training.
        max_list_length: longer lists keep their last items.
        conversion_weight: lambda, the share of the conversion loss.
        click_positive_weight: w_c, what a click weighs against none.
        conversion_positive_weight: w_v, likewise. Other values than 1 bend the
            probabilities, which then are no longer calibrated.
        l2: of half the squared weights, embeddings included. A table of
            features is then changed in all its rows at each step.
        objective: "cross_entropy"; or "survival", the censored likelihood of
            hazards, restarted after each event, see `survival.discrete_time`.
        point_weight: alpha, in "survival": of the item where an event comes.
        censor_weight: beta, in "survival": of the items without one. Other
            values than 1 bend the hazards.
        seed: of dropout and sampled feedback.
    """

    num_fields: int = 1
    embedding_size: int = 32
    combine: str = CONCATENATE
    positions: int = 50
    offset_input: bool = True
    dropout: float = 0.0
    head_units: int = 64
    head_layers: int = 3
    head_dropout: float = 0.5
    max_list_length: int = 50
    conversion_weight: float = 0.5
    click_positive_weight: float = 1.0
    conversion_positive_weight: float = 1.0
    l2: float = 0.0
    objective: str = "cross_entropy"
    point_weight: float = 1.0
    censor_weight: float = 0.2
    seed: int = 0

    architecture: ClassVar[str]  # The model's name, in files and flags.
    # No weight depends on these: a warm start may change them.
    free_fields: ClassVar[frozenset[str]] = frozenset(
        (
            *("dropout", "head_dropout", "max_list_length", "seed", "l2"),
            *("conversion_weight", "click_positive_weight"),
            *("conversion_positive_weight", "point_weight", "censor_weight"),
        )
    )

    def __post_init__(self):
        self.check_types()
        self.at_least(1, "num_fields", "embedding_size", "head_units")
        self.at_least(1, "max_list_length")
        self.at_least(0, "positions", "head_layers", "l2", "seed")
        self.at_least(0, "point_weight", "censor_weight")
        self.above_zero("click_positive_weight", "conversion_positive_weight")
        self.rate("dropout", "head_dropout")
        self.one_of("combine", COMBINERS)
        self.one_of("objective", OBJECTIVES)
        self.share("conversion_weight")
        if self.head_units % 2 ** max(self.head_layers - 1, 0):
            self.refuse("head_units", "be halved by each of `head_layers`")
        if self.objective == "survival":
            for name in ("click_positive_weight", "conversion_positive_weight"):
                if getattr(self, name) != 1:
                    self.refuse(name, "be 1 for objective='survival'")


@dataclasses.dataclass(frozen=True)
class HeroesConfig(ListConfig):
    """HEROES; each ablation is another value here.

    Attributes:
        units: d of both layers.
        cell: "hawkes", the Hawkes-process unit; "lstm", ordinary LSTM cells in
            the same hierarchy; "soft", the authors' early variant, in which
            the predicted click takes the place of the click.
        hierarchy: whether the layers are linked and driven by the clicks;
            without, each task has a unit of its own ("motivate" in the
            authors' code, two LSTMs with `cell` "lstm").
        click_input: whether the two units of a model without hierarchy read
            the click on the item before, which the hierarchy is driven by.
        label_leak: whether the conversion of an item is predicted from a state
            that was updated or not by the item's own click, as in the authors'
            released protocol, in training and in test. Without, it is
            predicted as if the item had been clicked, whatever it was.
        accumulate_decay: whether the upper layer's excitation goes on fading
            with every item that is not clicked.
        feedback: what stands for a click that nobody knows yet: "hard", 1
            where a click is likelier than none; "soft", its probability;
            "sampled", drawn by it.
    """

    units: int = 128
    cell: str = "hawkes"
    hierarchy: bool = True
    click_input: bool = False
    label_leak: bool = False
    accumulate_decay: bool = False
    feedback: str = "soft"

    architecture: ClassVar[str] = "heroes"
    free_fields: ClassVar = ListConfig.free_fields | {"feedback"}

    def __post_init__(self):
        super().__post_init__()
        self.at_least(1, "units")
        self.one_of("cell", CELLS)
        self.one_of("feedback", FEEDBACKS)
        if self.cell == "soft" and not self.hierarchy:
            self.refuse("hierarchy", "be on for cell='soft'")
        if self.click_input and self.hierarchy:
            self.refuse("click_input", "be off where clicks drive a hierarchy")
        if self.label_leak and (self.cell == "soft" or not self.hierarchy):
            self.refuse("label_leak", "be off where clicks drive nothing")
        if self.accumulate_decay and not (
            self.cell == "hawkes" and self.hierarchy
        ):
            self.refuse("accumulate_decay", "be off where nothing is copied")


@dataclasses.dataclass(frozen=True)
class ListRNNConfig(ListConfig):
    """Two LSTMs, one a task, as the authors compare with.

    Attributes:
        units: of each.
    """

    architecture: ClassVar[str] = "list_rnn"

    units: int = 128

    def __post_init__(self):
        super().__post_init__()
        self.at_least(1, "units")


@dataclasses.dataclass(frozen=True)
class DNNConfig(ListConfig):
    """A network that sees one item at a time."""

    architecture: ClassVar[str] = "dnn"


@dataclasses.dataclass(frozen=True)
class ESMMConfig(DNNConfig):
    """ESMM."""

    architecture: ClassVar[str] = "esmm"


@dataclasses.dataclass(frozen=True)
class ESMM2Config(ESMMConfig):
    """ESMM2."""

    architecture: ClassVar[str] = "esmm2"


@dataclasses.dataclass(frozen=True)
class MMoEConfig(ListConfig):
    """MMoE.

    Attributes:
        experts: shared by both tasks.
        expert_units: of each expert's one layer.
    """

    architecture: ClassVar[str] = "mmoe"

    experts: int = 4
    expert_units: int = 64

    def __post_init__(self):
        super().__post_init__()
        self.at_least(1, "experts", "expert_units")


LIST_MODELS: dict[str, type[ListConfig]] = {
    config.architecture: config
    for config in (
        HeroesConfig,
        ListRNNConfig,
        DNNConfig,
        ESMMConfig,
        ESMM2Config,
        MMoEConfig,
    )
}

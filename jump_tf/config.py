"""Named configurations: frozen dataclasses <-> YAML, checked at birth."""

import dataclasses
import importlib.resources
import math
import pathlib
import types
import typing
from collections.abc import Iterable
from typing import Any

import yaml

from jump_tf import schema

ROW_SPACINGS = ("seconds", "log")
DWELL_HEADS = ("item", "shared")
SCHEDULES = ("constant", "cosine")


@dataclasses.dataclass(frozen=True)
class SessionConfig:
    """What every session model shares: its losses.

    Attributes:
        negatives: how many negatives a batch shares in the click loss; 0 for
            the softmax over the whole catalogue.
        sampling_power: negatives are drawn by `count ** sampling_power`.
        dwell_weight: lambda, the weight of the dwell loss.
        end_weight: weight of the loss of the session's end. At 0, the last
            click enters the dwell loss as a censored one (JUMP, eq. 4);
            otherwise it does not, and the dwell is that of clicks that are
            followed by another.
        learned_start: whether the features before the first click are learned
            (then the first click is part of the click loss) or zero.
        seed: of negatives and hidden inputs.
    """

    negatives: int = 0
    sampling_power: float = 0.75
    dwell_weight: float = 1.0
    end_weight: float = 0.0
    learned_start: bool = False
    seed: int = 0

    def __post_init__(self):
        _check_types(self)
        _at_least(self, 0, "negatives", "dwell_weight", "end_weight", "seed")


@dataclasses.dataclass(frozen=True)
class JumpConfig(SessionConfig):
    """JUMP; the defaults are the paper's.

    Attributes:
        units: size d of everything.
        max_dwell_seconds: c1; training takes it from the data's manifest.
        micro_step_seconds: z, the dwell of one fast step; the paper does not
            give it.
        row_spacing: "seconds": a dwell row for each whole second, as printed;
            "log": rows evenly spaced in log(1 + seconds).
        use_bias: biases in the highway units.
        tie_inputs: whether the fast unit reads click and slow state through
            the same matrices, as printed.
        residual: adds h_k to the attention's v_k.
        click_scale: None scores by the inner product; a number by the cosine
            times it, which keeps popular items from winning by their length
            alone.
        item_bias: whether an item also has a score of its own, whatever the
            session; the paper has none.
        dropout: rate on the embedded clicks and on the features, in training.
        unknown_dwell_rate: share of input dwells that training hides, so that
            the model can answer while the visitor is still on the page.
        unknown_item_rate: share of input items that training replaces by the
            unknown item, so that its row means something.
        dwell_head: "item": one regressor for each item, as printed;
            "shared": regressors that share strength between items.
        dwell_history: whether the shared head reads the pace of the visitor
            directly, see `DwellHistory`.
        dwell_dropout: rate in the shared head, in training.
        dwell_scale: sigma, or None to learn it. With `dwell_weight` it is the
            switch between the paper's literal form (sigma = 10, weight 1) and
            one in which the scale and the trade-off are two numbers.
        initial_log_dwell: where mu starts; None for the mean log dwell of
            the training split.
    """

    units: int = 100
    max_dwell_seconds: float = schema.MAX_DWELL_SECONDS
    micro_step_seconds: float = 200.0
    row_spacing: str = "seconds"
    use_bias: bool = False
    tie_inputs: bool = True
    residual: bool = False
    click_scale: float | None = None
    item_bias: bool = False
    dropout: float = 0.0
    unknown_dwell_rate: float = 0.0
    unknown_item_rate: float = 0.0
    dwell_head: str = "item"
    dwell_history: bool = False
    dwell_dropout: float = 0.0
    dwell_scale: float | None = 10.0
    initial_log_dwell: float | None = None

    def __post_init__(self):
        super().__post_init__()
        _at_least(self, 1, "units")
        _above_zero(
            self,
            "max_dwell_seconds",
            "micro_step_seconds",
            "click_scale",
            "dwell_scale",
        )
        _one_of(self, "row_spacing", ROW_SPACINGS)
        _one_of(self, "dwell_head", DWELL_HEADS)
        _rate(self, "dropout", "dwell_dropout")
        _rate(self, "unknown_dwell_rate", "unknown_item_rate")
        if self.dwell_head != "shared":
            _unset(self, "end_weight", "dwell_history", "dwell_dropout")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    Attributes:
        epochs: passes over the training split, at most.
        learning_rate: of Adam, at its highest.
        schedule: "constant", or "cosine" down to a hundredth over `epochs`.
        clip_norm: bound of the gradient's global norm.
        batch_sessions: at most so many sessions a batch.
        batch_clicks: at most so many input steps a batch.
        patience: epochs without a better validation recall@20 before the
            training stops.
        seed: of the initial weights and the order of the data.
        checkpoint_seconds: time between two checkpoints within an epoch; 0
            for one after every step. Its end is always one.
    """

    epochs: int = 20
    learning_rate: float = 1e-3
    schedule: str = "constant"
    clip_norm: float = 5.0
    batch_sessions: int = 100
    batch_clicks: int = 4096
    patience: int = 3
    seed: int = 0
    checkpoint_seconds: float = 300.0

    def __post_init__(self):
        _check_types(self)
        _at_least(self, 1, "epochs", "batch_sessions", "batch_clicks")
        _at_least(self, 1, "patience")
        _at_least(self, 0, "seed", "checkpoint_seconds")
        _above_zero(self, "learning_rate", "clip_norm")
        _one_of(self, "schedule", SCHEDULES)


@dataclasses.dataclass(frozen=True)
class Config:
    """All there is to say about a run but its data."""

    model: JumpConfig = dataclasses.field(default_factory=JumpConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)

    def override(self, assignments: Iterable[str]) -> "Config":
        """A copy with `section.name=value` assignments, values in YAML.

        Raises:
            InputError: an assignment names nothing or its value is refused.
        """
        tree = dataclasses.asdict(self)
        for assignment in assignments:
            path, equals, value = assignment.partition("=")
            section, _, name = path.partition(".")
            if not equals or name not in tree.get(section, {}):
                raise schema.InputError(
                    "`--set` must be section.name=value with a name of "
                    f"{_known(tree)}. Received: {assignment}"
                )
            try:
                tree[section][name] = yaml.safe_load(value)
            except yaml.YAMLError as error:
                raise schema.InputError(
                    f"`--set` must give a value in YAML. Received: {assignment}"
                ) from error
        return from_dict(tree)

    def to_yaml(self) -> str:
        """The YAML that `load` reads back."""
        return yaml.safe_dump(dataclasses.asdict(self), sort_keys=False)


def from_dict(tree: dict[str, Any]) -> Config:
    """Builds and checks a configuration; what is left out has its default.

    Raises:
        InputError: a name is unknown or a value is refused.
    """
    sections = {"model": JumpConfig, "training": TrainingConfig}
    known = dataclasses.asdict(Config())
    for section, values in tree.items():
        unknown = set(values or {}) - set(known.get(section, {}))
        if section not in known or unknown:
            raise schema.InputError(
                f"A configuration must hold only {_known(known)}. Received: "
                f"{section}: {sorted(unknown) or values}"
            )
    return Config(
        **{
            section: sections[section](**(values or {}))
            for section, values in tree.items()
        }
    )


def load(path: str | pathlib.Path) -> Config:
    """Reads a configuration file.

    Raises:
        InputError: it is missing, no YAML mapping, or refused.
    """
    try:
        tree = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise schema.InputError(
            f"The configuration must be a YAML file. Received: {path} ({error})"
        ) from error
    if not isinstance(tree, dict):
        raise schema.InputError(
            "The configuration must be a mapping of sections. "
            f"Received: {path}, which holds a {type(tree).__name__}"
        )
    return from_dict(tree)


def preset(name: str) -> Config:
    """A configuration that ships with the package.

    Raises:
        InputError: there is none of that name.
    """
    folder = importlib.resources.files("jump_tf") / "presets"
    names = sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir()
    )
    if name not in names:
        raise schema.InputError(
            f"`--preset` must be one of {names}. Received: {name}"
        )
    with importlib.resources.as_file(folder / f"{name}.yaml") as path:
        return load(path)


def _known(tree) -> list[str]:
    return [f"{section}.{name}" for section in tree for name in tree[section]]


def _refuse(config, name: str, must: str) -> typing.NoReturn:
    raise schema.InputError(
        f"`{name}` must {must}. Received: {name}={getattr(config, name)!r}"
    )


def _check_types(config) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        allowed = (
            typing.get_args(field.type)
            if isinstance(field.type, types.UnionType)
            else (field.type,)
        )
        if float in allowed and _is_number(value):
            object.__setattr__(config, field.name, float(value))
        elif type(value) not in allowed:
            names = " or ".join(kind.__name__ for kind in allowed)
            _refuse(config, field.name, f"be of type {names}")


def _is_number(value) -> bool:
    """Whole numbers, and what YAML 1.1 takes for text, such as 1e-3."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return type(value) in (int, float)


def _at_least(config, bound, *names) -> None:
    for name in names:
        if not bound <= getattr(config, name) < math.inf:
            _refuse(config, name, f"be at least {bound}")


def _above_zero(config, *names) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            _refuse(config, name, "be positive and finite")


def _rate(config, *names) -> None:
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            _refuse(config, name, "be a rate in [0, 1)")


def _unset(config, *names) -> None:
    for name in names:
        if getattr(config, name):
            _refuse(config, name, "be off unless `dwell_head` is 'shared'")


def _one_of(config, name, allowed) -> None:
    if getattr(config, name) not in allowed:
        _refuse(config, name, f"be one of {allowed}")

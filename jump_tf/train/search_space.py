"""The values that a search tries: YAML -> checked dimensions.

training.learning_rate: {low: 0.0005, high: 0.01, log: true}
training.batch_sessions: {low: 64, high: 512, type: int}
model.dwell_head: {choices: [item, shared]}
"""

import dataclasses
import importlib.resources
import json
import pathlib
import typing
from collections.abc import Mapping
from typing import Any

import yaml

from jump_tf import schema
from jump_tf.config.run import Config

TYPES = ("int", "float")
_FOLDER = importlib.resources.files(__package__) / "spaces"


@dataclasses.dataclass(frozen=True)
class Choices:
    """One value of the configuration, out of some.

    Attributes:
        name: `section.name` of the configuration.
        choices: the values.
    """

    name: str
    choices: tuple[Any, ...]

    def __post_init__(self):
        different = set(map(repr, self.choices))
        if not self.choices or len(different) < len(self.choices):
            _refuse("have choices that differ", self)

    def suggest(self, trial) -> Any:
        """The value that an optuna trial shall have."""
        return trial.suggest_categorical(self.name, self.choices)

    def holds(self, value: Any) -> bool:
        """Whether the value is one of them."""
        return value in self.choices

    def extremes(self) -> tuple[Any, ...]:
        """The values that must be fit for all to be."""
        return self.choices


@dataclasses.dataclass(frozen=True)
class Range:
    """One value of the configuration, between two others.

    Attributes:
        name: `section.name` of the configuration.
        low: the least value.
        high: the largest.
        log: whether it is drawn by its logarithm.
        type: "int" or "float"; by default "int" where both ends are.
    """

    name: str
    low: float
    high: float
    log: bool = False
    type: str = ""

    def __post_init__(self):
        ends = (self.low, self.high)
        if not all(type(end) in (int, float) for end in ends):
            _refuse("have numbers `low` and `high`, or `choices`", self)
        if not self.type:
            whole = all(type(end) is int for end in ends)
            object.__setattr__(self, "type", "int" if whole else "float")
        if type(self.log) is not bool or self.type not in TYPES:
            _refuse(f"have `log` true or false and `type` one of {TYPES}", self)
        if self.type == "int" and any(end % 1 for end in ends):
            _refuse("have whole ends, being of type int", self)
        if not self.low < self.high or (self.log and self.low <= 0):
            _refuse("rise from `low` to `high`, above 0 if by `log`", self)
        kind = int if self.type == "int" else float
        object.__setattr__(self, "low", kind(self.low))
        object.__setattr__(self, "high", kind(self.high))

    def suggest(self, trial) -> Any:
        """The value that an optuna trial shall have."""
        suggest = (
            trial.suggest_int if self.type == "int" else trial.suggest_float
        )
        return suggest(self.name, self.low, self.high, log=self.log)

    def holds(self, value: Any) -> bool:
        """Whether the value lies between."""
        return value is not None and self.low <= value <= self.high

    def extremes(self) -> tuple[Any, ...]:
        """The values that must be fit for all to be."""
        return self.low, self.high


Dimension = Range | Choices


def load(space: str, config: Config) -> tuple[Dimension, ...]:
    """Reads the space of a YAML file, or one that ships with the package.

    Raises:
        InputError: it is missing, no mapping, or not fit for `config`.
    """
    shipped = _FOLDER / f"{space}.yaml"
    path = pathlib.Path(space)
    try:
        text = (shipped if shipped.is_file() else path).read_text("utf-8")
        tree = yaml.safe_load(text)
    except (OSError, yaml.YAMLError) as error:
        raise schema.InputError(
            "`--space` must be a YAML file or `default`. "
            f"Received: {space} ({error})"
        ) from error
    if not isinstance(tree, Mapping) or not tree:
        raise schema.InputError(
            "The space must be a mapping of names to ranges or choices. "
            f"Received: {space}, which holds a {type(tree).__name__}"
        )
    dimensions = tuple(_dimension(*entry) for entry in tree.items())
    for dimension in dimensions:
        for value in dimension.extremes():
            with_values(config, {dimension.name: value})
    return dimensions


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A configuration with other values, by `section.name`.

    Raises:
        InputError: a name is unknown or a value refused.
    """
    return config.override(
        f"{name}={json.dumps(value)}" for name, value in values.items()
    )


def _dimension(name, entry) -> Dimension:
    given = {"name": str(name), "entry": entry}
    if not isinstance(entry, Mapping):
        _refuse("be a mapping", given)
    if set(entry) == {"choices"} and isinstance(entry["choices"], list):
        return Choices(str(name), tuple(entry["choices"]))
    optional = {"log", "type"}
    if set(entry) - optional != {"low", "high"}:
        _refuse("have `low` and `high` (`log`, `type`), or `choices`", given)
    return Range(str(name), **entry)


def _refuse(must, given) -> typing.NoReturn:
    raise schema.InputError(
        f"A dimension of the space must {must}. Received: {given}"
    )

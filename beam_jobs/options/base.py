"""Options that all jobs share; needs neither Beam nor TensorFlow.

An option is declared once, as a field: its default, what `--help` says of it,
and which values it takes. A flag and a field share one name:
`--max-reject-share` is `max_reject_share`.
"""

import argparse
import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import Self

from jump_tf import schema

RANDOM = "random"
TEMPORAL = "temporal"
SPLITS = (RANDOM, TEMPORAL)
TIME_UNITS = ("s", "ms", "iso8601")
LOG_FLAGS = (
    *("format", "input", "output", "overwrite"),
    *("shards_per_split", "max_reject_share"),
)
SPLIT_FLAGS = ("split", "test_days", "validation_days")
CSV_FLAGS = ("delimiter", "time_unit")


def option(
    default: Any = dataclasses.MISSING, text: str = "", **declared: Any
) -> Any:
    """Declares a field of options, which is a flag, too.

    A subclass that declares the field again inherits what it leaves out.

    Args:
        default: of field and flag; without one they must be given.
        text: what `--help` says.
        declared: `choices`, `at_least` or `positive` restrict the values,
            None aside; `formats` names the log formats that the option is for;
            `metavar` and `type` are those of `argparse`.
    """
    metadata = {"help": text, **declared} if text else declared
    return dataclasses.field(default=default, metadata=metadata)


def _delimiter(text: str) -> str:
    return text.replace("\\t", "\t")


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """One request to turn a log into a data folder, checked at birth.

    Attributes:
        groups: title -> names of options, as `--help` shows them; all others
            are no flags.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str = option(text="layout of the log")
    # Local, or of any filesystem that Beam knows; or patterns.
    input: tuple[str, ...] = option(
        text="files of the log (.xz, .gz, .bz2 or plain)"
    )
    output: str = option(text="data folder to make", metavar="DIR")
    overwrite: bool = option(
        False, "replace the data folder that stands at --output"
    )
    split: str = option(RANDOM, choices=SPLITS)
    test_days: float = option(
        1.0,
        "with --split temporal: days of the test split",
        positive=True,
    )
    validation_days: float | None = option(
        None,
        "with --split temporal: days before those for validation (as many by "
        "default)",
        metavar="DAYS",
        positive=True,
    )
    max_reject_share: float = option(
        0.01, "fail when a larger share of the lines cannot be read"
    )
    shards_per_split: int = option(4, "files of each split", at_least=1)
    delimiter: str = option(",", "one character; \\t is a tab", type=_delimiter)
    time_unit: str = option(
        "ms", "how instants are written", choices=TIME_UNITS
    )

    groups: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __post_init__(self):
        for name, declared in _declared(type(self)).items():
            self._check(name, **declared)
        require = self._require
        require(len(self.input) > 0, "input", "name at least one file")
        unique = len(set(self.input)) == len(self.input)
        require(unique, "input", "name each file once")
        require(bool(self.output.strip("/")), "output", "name a folder")
        share = 0 <= self.max_reject_share <= 1
        require(share, "max_reject_share", "lie between 0 and 1")
        one = len(self.delimiter) == 1 and self.delimiter not in '"\r\n'
        ascii_ = one and self.delimiter.isascii()
        require(ascii_, "delimiter", "be one ASCII character, and no quote")

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Self:
        """Returns the options that parsed flags of `add_arguments` ask for."""
        given = vars(arguments)
        values: dict[str, Any] = {
            field.name: given[field.name]
            for field in dataclasses.fields(cls)
            if field.name in given
        }
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)

    def _check(
        self,
        name,
        default,
        choices=(),
        at_least=None,
        positive=False,
        formats=(),
        **_,
    ):
        value = getattr(self, name)
        if choices:
            self._require(value in choices, name, f"be one of {choices}")
        if at_least is not None:
            self._require(value >= at_least, name, f"be at least {at_least}")
        if positive and value is not None:
            finite = 0 < value < math.inf
            self._require(finite, name, "be positive and finite")
        if formats and self.format not in formats:
            must = f"be given with format={' or '.join(formats)} only"
            self._require(value == default, name, must)

    def _require(self, holds: bool, name: str, must: str) -> None:
        if not holds:
            raise schema.InputError(
                f"`{name}` must {must}. Received: {getattr(self, name)!r}"
            )


def add_arguments(
    parser: argparse.ArgumentParser, options: type[JobOptions]
) -> None:
    """Adds the flags of some options to a parser."""
    declared, kinds = _declared(options), typing.get_type_hints(options)
    for title, names in options.groups.items():
        group = parser.add_argument_group(title)
        for name in names:
            flag = f"--{name.replace('_', '-')}"
            group.add_argument(flag, **_settings(kinds[name], declared[name]))


def _declared(options: type[JobOptions]) -> dict[str, dict[str, Any]]:
    """Returns name -> what a class and its bases declare of the option."""
    found: dict[str, dict[str, Any]] = {}
    for each in reversed(options.__mro__[:-1]):  # But for `object`.
        for field in dataclasses.fields(each):
            declared = found.setdefault(field.name, {})
            declared.update(field.metadata, default=field.default)
    return found


def _settings(kind: Any, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a flag for `argparse`."""
    given = ("help", "choices", "metavar", "type")
    settings = {name: declared[name] for name in given if name in declared}
    if isinstance(kind, types.UnionType):
        kind, _ = typing.get_args(kind)  # The other is None.
    if typing.get_origin(kind) is tuple:
        kind, _ = typing.get_args(kind)
        settings["nargs"] = "+"
    if kind is bool:
        settings["action"] = "store_true"
    else:
        settings.setdefault("type", kind)
    default = declared["default"]
    if default is dataclasses.MISSING:
        return {**settings, "required": True}
    if shown := _shown(default):
        settings["help"] += f" (default: {shown})"
    return {**settings, "default": default}


def _shown(default: Any) -> str:
    if default is None or default is False or default == ():
        return ""
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return str(default)

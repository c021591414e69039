"""What every job can be asked for; needs neither Beam nor TensorFlow.

A flag and a field share one name: `--max-reject-share` is `max_reject_share`.
Defaults are set once, on the fields.
"""

import argparse
import dataclasses
import math
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import Self

from jump_tf import schema

RANDOM = "random"
TEMPORAL = "temporal"
SPLITS = (RANDOM, TEMPORAL)
TIME_UNITS = ("s", "ms", "iso8601")


@dataclasses.dataclass(frozen=True)
class JobOptions:
    """One request to turn a log into a data folder, checked at birth.

    Attributes:
        format: layout of the log, one of `formats`.
        input: paths of the log's files, local or of any filesystem that Beam
            knows, or patterns; `.xz`, `.gz` and `.bz2` are unpacked.
        output: the data folder to make.
        overwrite: replaces the data folder that stands at `output`.
        split: `random` or `temporal` (the last days).
        test_days: days of the test split, and again of the validation split.
        max_reject_share: share of unreadable lines above which the job fails.
        shards_per_split: files of each split.
        delimiter: one character.
        time_unit: one of `TIME_UNITS`.
        formats: all layouts that the job reads.

    Raises:
        schema.InputError: a value is out of its range.
    """

    format: str
    input: tuple[str, ...]
    output: str
    overwrite: bool = False
    split: str = RANDOM
    test_days: float = 1.0
    max_reject_share: float = 0.01
    shards_per_split: int = 4
    delimiter: str = ","
    time_unit: str = "ms"

    formats: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        require = self._require
        require(
            self.format in self.formats, "format", f"be one of {self.formats}"
        )
        require(self.split in SPLITS, "split", f"be one of {SPLITS}")
        require(len(self.input) > 0, "input", "name at least one file")
        unique = len(set(self.input)) == len(self.input)
        require(unique, "input", "name each file once")
        require(bool(self.output.strip("/")), "output", "name a folder")
        self._require_at_least(1, "shards_per_split")
        self._require_positive("test_days")
        share = 0 <= self.max_reject_share <= 1
        require(share, "max_reject_share", "lie between 0 and 1")
        one = len(self.delimiter) == 1 and self.delimiter not in '"\r\n'
        ascii_ = one and self.delimiter.isascii()
        require(ascii_, "delimiter", "be one ASCII character, and no quote")
        unit = self.time_unit in TIME_UNITS
        require(unit, "time_unit", f"be one of {TIME_UNITS}")

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> Self:
        """The options that an `Adder` defined, after parsing."""
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value = getattr(arguments, field.name)
            is_list = isinstance(value, list)
            values[field.name] = tuple(value) if is_list else value
        return cls(**values)

    def _require(self, holds: bool, name: str, must: str) -> None:
        if not holds:
            raise schema.InputError(
                f"`{name}` must {must}. Received: {getattr(self, name)!r}"
            )

    def _require_at_least(self, least: int, *names: str) -> None:
        for name in names:
            enough = getattr(self, name) >= least
            self._require(enough, name, f"be at least {least}")

    def _require_positive(self, *names: str) -> None:
        for name in names:
            positive = 0 < getattr(self, name) < math.inf
            self._require(positive, name, "be positive and finite")

    def _require_format(
        self, names: Sequence[str], formats: Sequence[str]
    ) -> None:
        """Fields of these names are for some log formats only."""
        if self.format in formats:
            return
        for name in names:
            default = self.__dataclass_fields__[name].default
            must = f"be given with format={' or '.join(formats)} only"
            self._require(getattr(self, name) == default, name, must)

    def _named(self, prefix: str) -> list[str]:
        """The fields whose names begin so."""
        fields = (field.name for field in dataclasses.fields(self))
        return [name for name in fields if name.startswith(prefix)]


class Adder:
    """Adds one flag for one field of some options, with its default."""

    def __init__(self, options: type[JobOptions], group):
        self.options = options
        self.group = group

    def __call__(self, name: str, text: str, **settings: Any):
        default = self.options.__dataclass_fields__[name].default
        if default is dataclasses.MISSING:
            settings["required"] = True
        else:
            settings["default"] = default
            if shown := _shown(default):
                text += f" (default: {shown})"
        flag = "--" + name.replace("_", "-")
        self.group.add_argument(flag, help=text, **settings)


def add_job_arguments(add: Adder) -> None:
    """Adds the flags of the log and of the data folder."""
    add("format", "layout of the log", choices=add.options.formats)
    add("input", "files of the log (.xz, .gz, .bz2 or plain)", nargs="+")
    add("output", "data folder to make", metavar="DIR")
    add(
        "overwrite",
        "replace the data folder that stands at --output",
        action="store_true",
    )
    add("shards_per_split", "files of each split", type=int)
    add(
        "max_reject_share",
        "fail when a larger share of the lines cannot be read",
        type=float,
    )


def add_split_arguments(add: Adder, whose: str) -> None:
    """Adds the flags of the splits of sessions or lists, which `whose` says."""
    add(
        "split",
        f"test on a random fifth of the {whose}, or on the last days",
        choices=SPLITS,
    )
    add(
        "test_days",
        "with --split temporal: days of the test split, and as many before "
        "for validation",
        type=float,
    )


def add_csv_arguments(add: Adder) -> None:
    """Adds the flags that all csv logs have."""
    add("delimiter", "one character; \\t is a tab", type=_delimiter)
    add("time_unit", "how instants are written", choices=TIME_UNITS)


def _shown(default: Any) -> str:
    if default is None or default is False or default == ():
        return ""
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return str(default)


def _delimiter(text: str) -> str:
    return text.replace("\\t", "\t")

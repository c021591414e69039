"""Checks of configurations, each with its error message."""

import dataclasses
import math
import types
import typing

from jump_tf import schema


@dataclasses.dataclass(frozen=True)
class Checked:
    """A configuration that checks its fields when it is made.

    Each check raises `InputError` for the first field that it refuses.
    """

    def refuse(self, name: str, must: str) -> typing.NoReturn:
        """Raises the InputError of a value that is not what it must be."""
        raise schema.InputError(
            f"`{name}` must {must}. Received: {name}={getattr(self, name)!r}"
        )

    def check_types(self) -> None:
        """Refuses values of other types than the fields'.

        Numbers become floats where the field is a float.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            allowed = (
                typing.get_args(field.type)
                if isinstance(field.type, types.UnionType)
                else (field.type,)
            )
            if float in allowed and _is_number(value):
                object.__setattr__(self, field.name, float(value))
            elif type(value) not in allowed:
                names = " or ".join(kind.__name__ for kind in allowed)
                self.refuse(field.name, f"be of type {names}")

    def at_least(self, bound, *names) -> None:
        """Refuses numbers below a bound, and infinite ones; None may stand."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not bound <= value < math.inf:
                self.refuse(name, f"be at least {bound}")

    def above_zero(self, *names) -> None:
        """Refuses numbers that are not positive and finite; None may stand."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                self.refuse(name, "be positive and finite")

    def rate(self, *names) -> None:
        """Refuses numbers outside of [0, 1); None may stand."""
        for name in names:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                self.refuse(name, "be a rate in [0, 1)")

    def share(self, *names) -> None:
        """Refuses numbers outside of [0, 1]."""
        for name in names:
            if not 0 <= getattr(self, name) <= 1:
                self.refuse(name, "be in [0, 1]")

    def one_of(self, name, allowed) -> None:
        """Refuses values that are not among the allowed."""
        if getattr(self, name) not in allowed:
            self.refuse(name, f"be one of {allowed}")


def _is_number(value) -> bool:
    """Whole numbers, and what YAML 1.1 takes for text, such as 1e-3."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return type(value) in (int, float)

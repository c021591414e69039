"""Checks of configurations, each with its error message."""

import dataclasses
import math
import types
import typing

from jump_tf import schema


def refuse(config, name: str, must: str) -> typing.NoReturn:
    """Raises the InputError of a value that is not what it must be."""
    raise schema.InputError(
        f"`{name}` must {must}. Received: {name}={getattr(config, name)!r}"
    )


def check_types(config) -> None:
    """Refuses values of other types than the fields'; numbers become floats."""
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
            refuse(config, field.name, f"be of type {names}")


def _is_number(value) -> bool:
    """Whole numbers, and what YAML 1.1 takes for text, such as 1e-3."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return type(value) in (int, float)


def at_least(config, bound, *names) -> None:
    """Refuses numbers below a bound, and infinite ones."""
    for name in names:
        if not bound <= getattr(config, name) < math.inf:
            refuse(config, name, f"be at least {bound}")


def above_zero(config, *names) -> None:
    """Refuses numbers that are not positive and finite; None may stand."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < math.inf:
            refuse(config, name, "be positive and finite")


def rate(config, *names) -> None:
    """Refuses numbers outside of [0, 1)."""
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            refuse(config, name, "be a rate in [0, 1)")


def unset(config, *names) -> None:
    """Refuses what only the shared dwell head has."""
    for name in names:
        if getattr(config, name):
            refuse(config, name, "be off unless `dwell_head` is 'shared'")


def one_of(config, name, allowed) -> None:
    """Refuses values that are not among the allowed."""
    if getattr(config, name) not in allowed:
        refuse(config, name, f"be one of {allowed}")

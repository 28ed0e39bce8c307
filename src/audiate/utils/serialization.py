"""Build frozen dataclasses from the plain values of JSON, whose types are checked."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

C = TypeVar("C")


def from_plain(cls: type[C], values: dict[str, Any]) -> C:
    """Build a dataclass, nested ones included, from plain JSON values.

    Fields that are missing keep their defaults.

    Raises:
        TypeError: A field is unknown, or is missing and has no default, or its value is of another
            type.
        InputError: The dataclass finds a value out of range.

    """
    hints = get_type_hints(cls)
    known = {each.name for each in fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise TypeError(f"{cls.__name__} has no {name}")
    return cls(**{name: _value(name, value, hints[name]) for name, value in values.items()})


def _value(name: str, value: Any, hint: Any) -> Any:
    """A value as its field's type hint has it; raises TypeError if it is of another type."""
    origin, options = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for option in options:
            try:
                return _value(name, value, option)
            except TypeError:
                continue
    elif origin is Literal:
        if any(value == option and type(value) is type(option) for option in options):
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):  # JSON knows lists alone
            return tuple(_value(name, item, options[0]) for item in value)
    elif is_dataclass(hint):
        if isinstance(value, dict):
            return from_plain(hint, value)  # type: ignore[arg-type]
    elif type(value) is (NoneType if hint is None else hint) or (hint, type(value)) == (float, int):
        return value
    raise TypeError(f"{name} cannot be {value!r}")

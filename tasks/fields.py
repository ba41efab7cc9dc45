"""Fields of a task: physical parameters with declared types and bounds, converted and checked at construction."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import reprlib
import types
import typing
from typing import Any

import numpy as np

# Powers of such numbers stay in double precision; whoever needs others has chosen the wrong unit.
_SMALLEST, _LARGEST = 1e-12, 1e12
_LONGEST = 1000


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Admissible interval of a parameter; None where it has no end."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False

    def __str__(self) -> str:
        left = "(" if self.open_low or self.low is None else "["
        return (
            f"{left}{'−∞' if self.low is None else f'{self.low:g}'}, {'∞)' if self.high is None else f'{self.high:g}]'}"
        )

    def admit(self, value: object) -> bool:
        """True where every number of the value lies inside."""
        each = np.asarray(value, dtype=float)
        low, high = -np.inf if self.low is None else self.low, np.inf if self.high is None else self.high
        above = each > low if self.open_low else each >= low
        return bool((np.isfinite(each) & above & (each <= high)).all())


def parameter(
    default: object, *, low: float | None = None, high: float | None = None, open_low: bool = False, doc: str = ""
) -> Any:
    """Declare a physical parameter as a dataclass field.

    Args:
        default: value of a parameter that is not given.
        low, high: ends of the admissible interval; None for no end.
        open_low: True excludes `low` itself.
        doc: meaning and unit, for the datasheet.
    Returns:
        The field.
    """
    return dataclasses.field(default=default, metadata={"bounds": Bounds(low, high, open_low), "doc": doc})


def bounds_of(field: dataclasses.Field[object]) -> Bounds:
    """Admissible interval of a field; (0, ∞) for the sampling interval."""
    return Bounds(0.0, None, True) if field.name == "dt" else field.metadata.get("bounds", Bounds())


@functools.lru_cache(maxsize=256)
def field_types(cls: type[Any]) -> dict[str, Any]:
    """Type of every parameter of a task class: as declared, or that of its default where no declaration says it."""
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError, AttributeError):
        # One that cannot be evaluated spoils them all; sampling is by a number in any case.
        hints = {"dt": float}
    fields = [field for field in dataclasses.fields(cls) if field.init]
    return {field.name: _or_of_default(hints.get(field.name, Any), field.default) for field in fields}


def _or_of_default(kind: object, default: object) -> Any:
    if kind is not Any:
        return kind
    return {float: float, int: int | float, str: str}.get(type(default), Any)


def convert_fields(task: Any, owner: str) -> None:
    """Give every parameter of a task its declared type, in place, and hold it to its bounds.

    Args:
        task: instance of a frozen dataclass.
        owner: name of the task in messages.
    Raises:
        ValueError: when a value has another type or leaves its bounds.
    """
    for field in dataclasses.fields(task):
        # A default may be what its type excludes: None where the class fills the field itself.
        if not field.init or getattr(task, field.name) is field.default:
            continue
        value = getattr(task, field.name)
        name, bounds = f"{owner}: {field.name}", bounds_of(field)
        try:
            value = _converted(value, field_types(task.__class__)[field.name])
        except TypeError as expected:
            several = isinstance(value, (list, tuple)) and "tuple" not in str(expected)
            hint = "; a run takes one value, a sweep takes several" if several else ""
            raise ValueError(f"{name} must be {expected}, got {reprlib.repr(value)}{hint}") from expected
        if isinstance(value, (float, int, np.ndarray)) and not isinstance(value, bool):
            size = np.abs(np.asarray(value, dtype=float))
            if not bounds.admit(value):
                raise ValueError(f"{name} must lie in {bounds}, got {reprlib.repr(value)}")
            if ((size > _LARGEST) | ((size < _SMALLEST) & (size > 0))).any():
                reach = f"0 or between {_SMALLEST:g} and {_LARGEST:g} in magnitude"
                raise ValueError(f"{name} must be {reach}, got {reprlib.repr(value)}; choose units that make it so")
        object.__setattr__(task, field.name, value)


def _converted(value: Any, kind: Any) -> Any:
    """The value in the type asked for; TypeError with what was expected where it has another."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if origin in (typing.Union, types.UnionType):
        expected = []
        for part in parts:
            try:
                return _converted(value, part)
            except TypeError as error:
                expected.append(str(error))
        raise TypeError(" or ".join(expected))
    if origin is tuple:
        return _converted_tuple(value, parts)
    if origin is typing.Literal and value not in parts:
        raise TypeError(f"one of {', '.join(map(repr, parts))}")
    if kind is float:
        # One number per trajectory: how a family hands its parameter to a member.
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            return value
        return _as_float(value) if real else _refuse("a number")
    if kind is int:
        return int(value) if real and _as_float(value).is_integer() else _refuse("an integer")
    if kind is str and not (isinstance(value, str) and len(value) <= _LONGEST):
        _refuse(f"a text of at most {_LONGEST} characters")
    for plain, expected_text in ((bool, "true or false"), (type(None), "None")):
        if kind is plain and not isinstance(value, plain):
            _refuse(expected_text)
    return value


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _converted_tuple(value: object, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    endless = len(parts) == 2 and parts[1] is Ellipsis
    what = {float: "numbers", int: "integers", str: "names"}.get(parts[0], "values")
    if endless and parts[0] is str and isinstance(value, str):
        value = tuple(name.strip() for name in value.split(","))
    if endless and parts[0] is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = (value,)
    kinds = parts[:1] * len(value) if endless and isinstance(value, (list, tuple)) else parts
    if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
        _refuse(f"a tuple of {what}" if endless else f"a tuple of {len(parts)} {what}")
    return tuple(_converted(item, kind) for item, kind in zip(value, kinds, strict=True))


def _refuse(expected: str) -> typing.NoReturn:
    raise TypeError(expected)

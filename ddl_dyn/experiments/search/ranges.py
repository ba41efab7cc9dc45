"""Ranges of settings as text: `log(1e-4,1e-1)`, `float(0,1)`, `int(1,4)`, `logint(8,256)`, `a|b|c`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ddl_dyn.config.numerals import real, whole_number
from ddl_dyn.config.parsing import Typed

Scale = Literal["log", "float", "int", "logint"]
_CALL = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_SCALES: dict[str, Callable[[str], float]] = {"log": real, "float": real, "int": whole_number, "logint": whole_number}
EXPECTED = "a range is log(LOW,HIGH), float(LOW,HIGH), int(LOW,HIGH) or logint(LOW,HIGH), or choices such as a|b"
# Significant digits of a proposed number: what is printed is what was run.
DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Between:
    """Numbers between two ends, both included; whole ones where the scale is of integers, by their logarithm if so."""

    scale: Scale
    low: float
    high: float

    @property
    def text(self) -> str:
        """As it is typed."""
        return f"{self.scale}({self.low:g},{self.high:g})"

    @property
    def probes(self) -> tuple[float, ...]:
        """Values that must be allowed if all are."""
        return self.low, self.high

    def rounded(self, value: float) -> float:
        """A number of the interval to `DIGITS` digits, but for whole ones."""
        if self.scale in ("int", "logint"):
            return int(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Values apart from one another, as they are typed."""

    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is typed."""
        return "|".join(self.names)

    @property
    def probes(self) -> tuple[Typed, ...]:
        """Values that must be allowed if all are."""
        return tuple(map(Typed, self.names))


Range = Between | Choices


def as_range(key: str, value: object) -> Range | None:
    """The range that a setting's value is; None where it is an ordinary value.

    Args:
        key: dotted, for the message.   value: `Typed` text, or from a file.
    Raises:
        ValueError: in one line, for a range that is none, empty or below what its scale has.
    """
    text = value.text if isinstance(value, Typed) else value
    if not isinstance(text, str):
        return None
    if "|" in text:
        names = tuple(part.strip() for part in text.split("|"))
        if "" in names or len(set(names)) < len(names):
            raise ValueError(f"{key}={text} has an empty choice or the same one twice; {EXPECTED}")
        return Choices(names=names)
    found = _CALL.fullmatch(text.strip())
    if found is None:
        return None
    scale, ends = found[1], [part.strip() for part in found[2].split(",")]
    if scale not in _SCALES or len(ends) != 2:
        raise ValueError(f"{key}={text}: {EXPECTED}")
    try:
        low, high = map(_SCALES[scale], ends)
    except ValueError as error:
        raise ValueError(f"{key}={text}: {error}; {EXPECTED}") from error
    if not low < high:
        raise ValueError(f"{key}={text}: the first end must be below the second")
    if scale.startswith("log") and low <= 0:
        raise ValueError(f"{key}={text}: a logarithmic range must begin above 0")
    return Between(scale=scale, low=low, high=high)  # type: ignore[arg-type]


def as_value(span: Range, proposed: object) -> Any:
    """A setting's value from what was proposed: a rounded number, or the choice as if it were typed."""
    return Typed(str(proposed)) if isinstance(span, Choices) else span.rounded(float(str(proposed)))


def typed_values(spans: Mapping[str, Range], proposed: Mapping[str, object]) -> dict[str, object]:
    """Proposed values as they are run, in the order of the ranges: numbers, and choices as they are typed."""
    values = {key: as_value(span, proposed[key]) for key, span in spans.items()}
    return {key: value.text if isinstance(value, Typed) else value for key, value in values.items()}


def typed_words(spans: Mapping[str, Range], proposed: Mapping[str, object]) -> list[str]:
    """Proposed values as `key=value` words of a command line, in the order of the ranges."""
    return [f"{key}={value}" for key, value in typed_values(spans, proposed).items()]

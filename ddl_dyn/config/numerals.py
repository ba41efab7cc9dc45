"""Numbers as text in plain decimal notation: no separators between digits, no digits of other scripts."""

from __future__ import annotations

import math
import re

_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def real(text: str) -> float:
    """The number that a text is.

    Raises:
        ValueError: when it is none, or none that is finite.
    """
    value = float(text) if _PLAIN.fullmatch(text.strip()) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number in plain digits, got {text!r}")
    return value


def whole_number(text: str) -> int:
    """The integer that a text is; `1e3` is one.

    Raises:
        ValueError: when it is none.
    """
    value = real(text)
    if not value.is_integer():
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(value)

"""Numbers and counts as text: one rule each for terminal, page, figures and files."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

# Between these magnitudes plain decimals read best.
PLAIN_FROM, PLAIN_TO = 1e-3, 1e6
DASH = "–"
# First characters that make a formula of a spreadsheet's cell, in their wide forms too.
_FORMULA = "=+-@＝＋－＠\t\r\n"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: object, digits: int = 3, *, missing: str = "", infinite: str = "failed") -> str:
    """A number in ASCII, trailing zeros dropped: for terminals and files.

    Args:
        value: a number, None or text.   digits: significant ones of a float.
        missing: stands for None and NaN.   infinite: stands for infinity.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return missing
    if isinstance(value, float) and math.isinf(value):
        return infinite if value > 0 else f"-{infinite}"
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def decimal(value: object, digits: int = 3) -> str:
    """A number as pages print it: trailing zeros kept, thousands apart, powers of ten raised.

    Args:
        value: a number, truth value, None or text.   digits: significant ones of a float.
    Returns:
        `failed` for infinity, a dash for None and NaN.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if math.isinf(value):
        return "failed"
    if value == 0:
        return "0"
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    exponent = int(power)
    if PLAIN_FROM <= abs(value) < PLAIN_TO:
        places = digits - 1 - exponent
        return f"{round(value, places):,.{max(places, 0)}f}"
    return f"{mantissa}\u00a0×\u00a010{str(exponent).translate(_SUPERSCRIPT)}"


def shortened(value: object, most: int = 80) -> str:
    """Text of a value for a message, its middle left out where it is long.

    Args:
        value: what came.   most: characters.
    """
    text = str(value)
    if len(text) <= most:
        return text
    kept = (most - 1) // 2
    return f"{text[:kept]}…{text[-kept:]}"


def cell(value: object) -> Any:
    """A value as a cell of a CSV file: text that a spreadsheet would take for a formula begins with an apostrophe.

    Args:
        value: numbers, and texts that are numbers, stay as they are.
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(tuple(_FORMULA)):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def percent(share: float, places: int = 0) -> str:
    """A share in per cent; one that is not quite nothing or everything is not rounded to it.

    Args:
        share: in [0, 1].   places: decimals.
    """
    value, least = 100 * share, 10.0**-places
    if 0 < value < least:
        return f"< {least:.{places}f} %"
    if 100 - least < value < 100:
        return f"> {100 - least:.{places}f} %"
    return f"{value:.{places}f} %"


def bracketed(estimate: float, low: float, high: float, digits: int = 3) -> str:
    """`estimate [low, high]` as pages print it; without bounds where there are none.

    Args:
        estimate: a number.   low, high: its bounds; NaN or infinitely low where there are none.
        digits: significant ones.
    """
    if math.isinf(low) or math.isnan(low) or math.isnan(high):
        return decimal(float(estimate), digits)
    return f"{decimal(float(estimate), digits)} [{decimal(low, digits)},\u00a0{decimal(high, digits)}]"


def joined(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(items)
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun in the right form.

    Args:
        n: how many.   noun: of one.   plural: of more, by default the noun with an s.
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"

"""What a report is made of, before it becomes HTML or Markdown: sections of text, tables and figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Between these magnitudes plain decimals read best.
PLAIN_FROM, PLAIN_TO = 1e-3, 1e6
DASH = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        text: what is shown.
        order: what the column is sorted by; None puts the row last. By default the text.
        strong: set off, as a winner is.
        shares: parts of 1, drawn as a stacked bar beside the text.
    """

    text: str
    order: float | str | None = None
    strong: bool = False
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Column:
    """Heading of a column; `numeric` aligns it right, `help` explains it where the pointer rests."""

    title: str
    numeric: bool = False
    help: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption above and its note below; `muted` holds the numbers of rows that step back (floors)."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    muted: frozenset[int] = frozenset()
    # What the parts of the stacked bars mean, in order.
    legend: tuple[str, ...] = ()


def without_constant(table: Table, title: str) -> Table:
    """The table without a column that says the same in every row; its note says it once instead."""
    places = [i for i, column in enumerate(table.columns) if column.title == title]
    if len(places) != 1 or len(table.rows) < 2:
        return table
    place = places[0]
    values = {row[place].text for row in table.rows}
    if len(values) != 1:
        return table
    once = f"{title[:1].upper()}{title[1:]} of every row: {values.pop()}."
    return dataclasses.replace(
        table,
        columns=table.columns[:place] + table.columns[place + 1 :],
        rows=tuple(row[:place] + row[place + 1 :] for row in table.rows),
        note=f"{once} {table.note}".strip(),
    )


@dataclass(frozen=True)
class Picture:
    """A figure as bytes, with the text that stands for it where it cannot be seen.

    Args:
        name: file name without suffix.
        suffix: `svg` or `png`.
    """

    name: str
    suffix: str
    data: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report. `details` are shown folded on the screen, each under its own title."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    # Preformatted text, e.g. a command line.
    code: str = ""
    parts: tuple[Section, ...] = ()
    details: tuple[Section, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing under the heading."""
        return not (self.text or self.points or self.tables or self.pictures or self.code or self.parts or self.details)


@dataclass(frozen=True)
class Report:
    """A whole report: title, one line under it, sections in order."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


def shown(value: Any) -> str:
    """A value as the report prints it: three significant digits, `failed` for infinity, a dash for nothing."""
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
    mantissa, power = f"{value:.2e}".split("e")
    exponent = int(power)
    if PLAIN_FROM <= abs(value) < PLAIN_TO:
        return f"{round(value, 2 - exponent):,.{max(2 - exponent, 0)}f}"
    return f"{mantissa}\u00a0×\u00a010{str(exponent).translate(_SUPERSCRIPT)}"


def percent(share: float) -> str:
    """A share in per cent; what is not quite nothing or everything does not become it by rounding."""
    value = 100 * share
    if 0 < value < 1:
        return "< 1 %"
    if 99 < value < 100:
        return "> 99 %"
    return f"{value:.0f} %"


def sort_value(value: float | None) -> float | None:
    """A number to sort by; failures come after every number, what is missing last of all."""
    return None if value is None or math.isnan(value) else float(value)


def joined(items: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    words = list(items)
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def counted(n: int, noun: str, plural: str = "") -> str:
    """A number with its noun in the right form."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {plural or noun + 's'}"

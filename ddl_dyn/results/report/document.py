"""Document model of a report, before it becomes HTML or Markdown: sections of text, tables and figures."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from ddl_dyn.config.formats import DASH


@dataclass(frozen=True)
class TableCell:
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
class TableColumn:
    """Heading of a column; `numeric` aligns it right, `help` explains it where the pointer rests."""

    title: str
    numeric: bool = False
    help: str = ""


@dataclass(frozen=True)
class ReportTable:
    """A table with its caption above and its note below; `muted` holds the numbers of rows that step back (floors)."""

    caption: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    note: str = ""
    muted: frozenset[int] = frozenset()
    # What the parts of the stacked bars mean, in order.
    legend: tuple[str, ...] = ()


def text_cells(*values: object) -> tuple[TableCell, ...]:
    """Cells of plain text; a dash for what is empty or None."""
    return tuple(TableCell(str(value or DASH)) for value in values)


def text_columns(*titles: str) -> tuple[TableColumn, ...]:
    """Columns of plain text."""
    return tuple(map(TableColumn, titles))


def without_constant(table: ReportTable, title: str) -> ReportTable:
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
class ReportFigure:
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
class ReportSection:
    """A part of the report. `details` are shown folded on the screen, each under its own title."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    pictures: tuple[ReportFigure, ...] = ()
    # Preformatted text, e.g. a command line.
    code: str = ""
    parts: tuple[ReportSection, ...] = ()
    details: tuple[ReportSection, ...] = ()

    @property
    def empty(self) -> bool:
        """True if there is nothing under the heading."""
        return not (self.text or self.points or self.tables or self.pictures or self.code or self.parts or self.details)


@dataclass(frozen=True)
class Report:
    """A whole report: title, one line under it, sections in order."""

    title: str
    subtitle: str
    sections: tuple[ReportSection, ...]


def sort_value(value: float | None) -> float | None:
    """A number to sort by; failures come after every number, what is missing last of all."""
    return None if value is None or math.isnan(value) else float(value)

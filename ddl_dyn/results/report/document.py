"""Document model of a report, before it becomes HTML or Markdown: sections of text, tables and figures."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from ddl_dyn.config.formats import DASH
from ddl_dyn.results.report.charts import LineChart
from ddl_dyn.results.report.plane import PhasePlane
from ddl_dyn.results.report.space import OrbitSpace


@dataclass(frozen=True)
class TableCell:
    """One cell of a table.

    Args:
        text: what is shown.
        order: what the column is sorted by; None puts the row last. By default the text.
        strong: set off, as a winner is.
        shares: parts of 1, drawn as a stacked bar beside the text.
        span: low end, middle and high end of an interval as shares of the column's axis, drawn above the text.
        verdict: of `OUTCOMES`, which colours the cell; its `mark` says the same in words.
        model: label of the model that the row is about, in its first cell; empty where there is none.
    """

    text: str
    order: float | str | None = None
    strong: bool = False
    shares: tuple[float, ...] = ()
    span: tuple[float, float, float] | None = None
    verdict: str = ""
    mark: str = ""
    model: str = ""


@dataclass(frozen=True)
class TableColumn:
    """Heading of a column; `numeric` aligns it right, `help` explains it where the pointer rests.

    Neighbours of one `group` stand under its name.
    """

    title: str
    numeric: bool = False
    help: str = ""
    group: str = ""

    @property
    def heading(self) -> str:
        """Group and title."""
        return f"{self.group}, {self.title}" if self.group else self.title


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


def without_constant(table: ReportTable, title: str, *, said: bool = True) -> ReportTable:
    """The table without a column that says the same in every row.

    Args:
        table: any.   title: of the column.   said: the note says it once instead.
    """
    places = [i for i, column in enumerate(table.columns) if column.title == title]
    if len(places) != 1 or len(table.rows) < 2:
        return table
    place = places[0]
    values = {row[place].text for row in table.rows}
    if len(values) != 1:
        return table
    once = f"{title[:1].upper()}{title[1:]} of every row: {values.pop()}." if said else ""
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
        suffix: `svg`, `png` or `webp`.
        caption: below it.   model: label of the one model that it shows; empty for the truth and for several.
        size: width and height on the page in CSS pixels.
        verdict: of `OUTCOMES`, which colours its caption; `mark` says the same in words.
    """

    name: str
    suffix: str
    data: bytes
    alt: str
    caption: str = ""
    model: str = ""
    size: tuple[int, int] | None = None
    verdict: str = ""
    mark: str = ""


@dataclass(frozen=True)
class OverviewRow:
    """One task at a glance.

    Args:
        title: the task and its protocol.   target: id of its section.   panels: truth and models, small.
        chart: error against horizon; None where there is none.
    """

    title: str
    target: str
    panels: tuple[ReportFigure, ...]
    chart: LineChart | None = None


@dataclass(frozen=True)
class ReportSection:
    """A part of the report. `details` are shown folded on the screen, each under its own title.

    Args:
        panels: small figures that stand side by side.   charts, plane, space, overview: on a page alone.
    """

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
    panels: tuple[ReportFigure, ...] = ()
    charts: tuple[LineChart, ...] = ()
    plane: PhasePlane | None = None
    space: OrbitSpace | None = None
    overview: tuple[OverviewRow, ...] = ()

    @property
    def empty(self) -> bool:
        """True if there is nothing under the heading."""
        held = (self.text, self.points, self.tables, self.pictures, self.code, self.parts, self.details)
        return not any((*held, self.panels, self.charts, self.plane, self.space, self.overview))


@dataclass(frozen=True)
class Answer:
    """The verdicts of one task in a sentence; `verdict` is the one that they share, empty where they differ."""

    task: str
    target: str
    text: str
    verdict: str = ""


@dataclass(frozen=True)
class Report:
    """A whole report.

    Args:
        title: models and tasks.   subtitle: one line on the runs.   sections: in order.
        question: the comparison as a question.   method: one line on training and test.   answers: one a task.
        models: label, printed name and colour of every model.
    """

    title: str
    subtitle: str
    sections: tuple[ReportSection, ...]
    question: str = ""
    method: str = ""
    answers: tuple[Answer, ...] = ()
    models: tuple[tuple[str, str, str], ...] = ()


def sort_value(value: float | None) -> float | None:
    """A number to sort by; failures come after every number, what is missing last of all."""
    return None if value is None or math.isnan(value) else float(value)

"""The report as Markdown for a paper's supplement, its figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

from ddl_dyn.config.files import inner_folder
from ddl_dyn.config.formats import percent
from ddl_dyn.results.report.document import Report, ReportFigure, ReportSection, ReportTable, TableCell
from ddl_dyn.runs.atomic_files import write_text, write_with

# What Markdown, or the HTML inside it, would read as markup.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def write_markdown(report: Report, target: Path) -> None:
    """Write the report and its figures (folder `<name>_figures`)."""
    folder = inner_folder(target.parent, f"{target.stem}_figures")
    lines = [f"# {escaped(report.title)}", "", escaped(report.subtitle), ""]
    lines += [text for part in (report.question, report.method) if part for text in (escaped(part), "")]
    if report.answers:
        lines += [*(f"- **{escaped(one.task)}**: {escaped(one.text)}" for one in report.answers), ""]
    names: dict[str, int] = {}
    for section in report.sections:
        lines += _section(section, 2, folder, names)
    write_text(target, "\n".join(lines).rstrip() + "\n")


def _section(section: ReportSection, level: int, folder: Path, names: dict[str, int]) -> Iterator[str]:
    yield from (f"{'#' * min(level, 6)} {escaped(section.title)}", "")
    for paragraph in section.text:
        yield from (escaped(paragraph), "")
    if section.points:
        yield from (*(f"- {escaped(point)}" for point in section.points), "")
    if section.code:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", section.code)), default=0))
        yield from (f"{fence}text", section.code, fence, "")
    for table in section.tables:
        yield from _table(table)
    for picture in section.pictures:
        yield from _picture(picture, folder, names)
    for part in (*section.parts, *section.details):
        yield from _section(part, level + 1, folder, names)


def _table(table: ReportTable) -> Iterator[str]:
    yield from (f"**{escaped(table.caption)}**", "")
    yield _line([escaped(column.heading) for column in table.columns])
    yield _line(["---:" if column.numeric else "---" for column in table.columns])
    for row in table.rows:
        yield _line([_cell(cell) for cell in row])
    yield ""
    if table.note:
        yield from (escaped(table.note), "")


def _cell(cell: TableCell) -> str:
    text = escaped(cell.text) or " / ".join(percent(share) for share in cell.shares)
    shown = f"**{text}**" if cell.strong and text else text
    return f"{shown}; {escaped(cell.mark)}" if cell.mark else shown


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _put(file: IO[bytes], data: bytes) -> None:
    file.write(data)


def _picture(picture: ReportFigure, folder: Path, names: dict[str, int]) -> Iterator[str]:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", picture.name) or "figure"
    names[stem] = names.get(stem, 0) + 1
    if names[stem] > 1:
        stem = f"{stem}_{names[stem]}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.{picture.suffix}"
    write_with(path, lambda file: _put(file, picture.data))
    yield from (f"![{escaped(picture.alt)}]({quote(folder.name)}/{quote(path.name)})", "")
    if picture.caption:
        yield from (escaped(picture.caption), "")

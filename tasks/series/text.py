"""Tables in text: separators, decimal commas, comments and header lines as the field's files have them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from ddl_dyn.config.files import TABLE_LIMIT, read_input
from ddl_dyn.config.numerals import real
from ddl_dyn.tasks.series.stamps import is_date
from ddl_dyn.tasks.series.table import MISSING, Table, counts_rows

_SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "blanks"}
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_DECIMAL_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")
_COMMENTS = ("#", "%")

_Row = tuple[int, list[str]]


def read_text_table(path: str, *, header: bool) -> Table:
    """Read a table from a text file.

    The separator is the one that the first two lines agree on: tab, semicolon, bar, comma or blanks. Beside another
    separator than the comma a comma may stand before decimals. Lines that begin with # or % are comments.

    Args:
        path: of the file.
        header: False where the first line is a sample already; the columns are then x0, x1, ….
    Raises:
        ValueError: for the first fault, naming file, line and column.
    """
    try:
        text = read_input(path, TABLE_LIMIT).decode("utf-8-sig")
        lines, comments = _without_comments(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        separator = _separator([line for line in lines if line][:2])
        rows = list(_rows(lines, separator))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: cannot be read as CSV text ({error}); save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV text ({error}); name an existing CSV file") from error
    if not rows:
        raise ValueError(f"{path}, line 1: the file is empty; expected a header line and one line per sample")
    names, rows = _header(path, rows, comments, separator, header)
    names, rows = _without_trailing(names, rows)
    _check_widths(path, names, rows)
    columns = [list(column) for column in zip(*(row for _, row in rows), strict=True)] or [[] for _ in names]
    notes = [] if separator == "," else [f"columns are separated by {_SEPARATORS[separator]}"]
    if separator != "," and _has_decimal_commas(columns):
        columns = [[_with_point(cell) for cell in column] for column in columns]
        notes.append("commas stand before decimals")
    return Table(
        source=path,
        names=tuple(names),
        columns=tuple(columns),
        rows=[line for line, _ in rows],
        row_word="line",
        notes=tuple(notes),
    )


def _without_comments(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines with those of comments empty, so that numbers of lines hold, and the comments before the first line."""
    comments: list[str] = []
    kept: list[str] = []
    for line in lines:
        comment = line.lstrip().startswith(_COMMENTS)
        if comment and not any(kept):
            comments.append(line.lstrip().lstrip("".join(_COMMENTS)))
        kept.append("" if comment else line.strip(" "))
    return kept, comments


def _separator(lines: list[str]) -> str:
    bare = [_QUOTED.sub("", line) for line in lines]
    counts = {mark: [_count(line, mark) for line in bare] for mark in _SEPARATORS}
    agreed = (mark for mark, found in counts.items() if found and min(found) == max(found) > 0)
    present = (mark for mark, found in counts.items() if found and found[0] > 0)
    return next(agreed, None) or next(present, ",")


def _count(line: str, mark: str) -> int:
    return len(line.split()) - 1 if mark == " " else line.count(mark)


def _rows(lines: list[str], separator: str) -> Iterator[_Row]:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, skipinitialspace=separator != "\t")
    for row in reader:
        if any(cell.strip() for cell in row):
            yield reader.line_num, [cell.strip() for cell in row]


def _header(
    path: str, rows: list[_Row], comments: list[str], separator: str, header: bool
) -> tuple[list[str], list[_Row]]:
    first = rows[0][1]
    if not header:
        return [f"x{i}" for i in range(len(first))], rows
    if not all(_is_value(cell) for cell in first):
        return first, rows[1:]
    said = [row for _, row in _rows(comments[-1:], separator)] if comments else []
    if said and len(said[0]) == len(first) and not any(_is_value(cell) for cell in said[0]):
        return said[0], rows
    raise ValueError(
        f"{path}, line {rows[0][0]}: no header line, every cell is a value; give header=false, which calls the columns "
        f"x0, x1, …, or write their names there"
    )


def _is_value(cell: str) -> bool:
    if cell.lower() in MISSING:
        return True
    try:
        real(cell)
    except ValueError:
        return is_date(cell) or bool(_DECIMAL_COMMA.fullmatch(cell))
    return True


def _without_trailing(names: list[str], rows: list[_Row]) -> tuple[list[str], list[_Row]]:
    """Rows without the empty cell that a separator at their ends makes; R's names of rows under a name."""
    widths = {len(row) for _, row in rows}
    if rows and len(widths) == 1 and all(not row[-1] for _, row in rows):
        width = widths.pop()
        if width == len(names) + 1:
            return names, [(line, row[:-1]) for line, row in rows]
        if width == len(names) > 1 and not names[-1]:
            return names[:-1], [(line, row[:-1]) for line, row in rows]
    elif widths == {len(names) + 1} and counts_rows([row[0] for _, row in rows]):
        return ["", *names], rows
    return names, rows


def _check_widths(path: str, names: list[str], rows: list[_Row]) -> None:
    for line, row in rows:
        if len(row) != len(names):
            column = names[min(len(row), len(names) - 1)]
            raise ValueError(
                f"{path}, line {line}, column {column!r}: expected {len(names)} cells as in the header, got {len(row)}"
            )


def _has_decimal_commas(columns: list[list[str]]) -> bool:
    commas = any(_DECIMAL_COMMA.fullmatch(cell) for column in columns for cell in column)
    return commas and not any(_DECIMAL_POINT.fullmatch(cell) for column in columns for cell in column)


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell

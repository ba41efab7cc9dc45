"""A table as it was read: named columns of text or numbers, and where each row stands. Axes: T rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddl_dyn.config.formats import shortened
from ddl_dyn.config.numerals import real
from ddl_dyn.metrics.arrays import Array

# Cells that say that a value is missing, in lower case.
MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "nat", "none", "null", "-nan"})
_SEPARATED = re.compile(r"\d[_,'\u00a0\u202f ]\d")


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Named columns of equal length.

    Args:
        source: the file or object it came from, for messages.
        names: of the columns, as they stand there.
        columns: texts or numbers, (T,) each.
        rows: number of each row, or of its line in a file.
        row_word: `line` or `row`.
        notes: on how it was read.
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[Sequence[Any], ...]
    rows: Sequence[int]
    row_word: str = "row"
    notes: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """The place of the names, for messages."""
        return f"{self.source}, line 1" if self.row_word == "line" else self.source

    def place(self, i: int, name: str) -> str:
        """Row and column of a cell, for messages."""
        return place_of(self.source, self.row_word, self.rows[i], name)

    def column(self, name: str) -> Sequence[Any]:
        """The cells of a column.

        Raises:
            ValueError: when there is none of that name, or more than one.
        """
        if self.names.count(name) != 1:
            fault = "missing" if name not in self.names else "there more than once"
            raise ValueError(f"{self.start}: column {name!r} is {fault}; the columns are {', '.join(self.names)}")
        return self.columns[self.names.index(name)]

    def numbers(self, name: str) -> Array:
        """A column as numbers, NaN where a value is missing, (T,).

        Raises:
            ValueError: for the first cell that is neither a finite number nor missing.
        """
        cells = self.column(name)
        if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
            found = cells.astype(np.float64)
        else:
            found = np.array([self._number(i, name, cell) for i, cell in enumerate(cells)], dtype=np.float64)
        infinite = np.isinf(found)
        if infinite.any():
            i = int(np.argmax(infinite))
            raise ValueError(f"{self.place(i, name)}: expected a finite number, got {cells[i]}")
        return found

    def _number(self, i: int, name: str, cell: Any) -> float:
        if isinstance(cell, (float, int)):
            return float(cell)
        text = str(cell)
        try:
            return real(text)
        except ValueError as error:
            if text.strip().lower() in MISSING:
                return np.nan
            advice = "leave the column out (value_columns), or list what stands for a missing value in missing_values"
            if _SEPARATED.search(text):
                advice = "write it without separators between digits, with a point before decimals"
            raise ValueError(
                f"{self.place(i, name)}: expected a finite number, got {shortened(text)!r}; {advice}"
            ) from error


def place_of(source: str, row_word: str, row: int, column: str) -> str:
    """Row and column of a cell, for messages.

    Args:
        source: the file or object.   row_word: `line` or `row`.   row: its number.   column: its name.
    """
    return f"{source}, {row_word} {row}, column {column!r}"


def counts_rows(cells: Sequence[Any]) -> bool:
    """True for a column that counts 0, 1, 2, … or 1, 2, 3, …, in text or in numbers."""
    try:
        found = np.array([real(str(cell).strip().strip('"')) for cell in cells])
    except ValueError:
        return False
    return bool(len(found) > 1 and found[0] in (0.0, 1.0) and (np.diff(found) == 1.0).all())

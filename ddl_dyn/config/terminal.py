"""Text for a terminal: what comes from a file or a name must not move the cursor, recolour, or reorder."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

# Controls but for tab and line feed (escape sequences begin with one), and those that reverse the order of letters.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def clean(value: object) -> str:
    """Text without control characters."""
    return CONTROL.sub("�", str(value))


def say(text: object, *, end: str = "\n", file: TextIO | None = None) -> None:
    """Print text, cleaned, and at once.

    Args:
        text: the text.   end: what follows it.   file: where to; by default standard output.
    """
    print(clean(text), end=end, file=file or sys.stdout, flush=True)


def print_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table as wide as the terminal, its cells cleaned; what is too long for its column goes on below.

    Args:
        header: of the columns.   lines: a cell for each column.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*(Text(clean(cell)) for cell in line))
    Console().print(table)

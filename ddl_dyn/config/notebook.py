"""Tables in HTML for a notebook; everything in them is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(title: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """A titled table.

    Args:
        title: stands above it, in bold.   rows: cells, shown as `str` has them.   head: of the columns.
    """
    columns = "".join(f'<th style="text-align:left">{html.escape(name)}</th>' for name in head)
    top = f"<tr>{columns}</tr>" if head else ""
    cell = '<td style="text-align:left">{}</td>'
    body = "".join(f"<tr>{''.join(cell.format(html.escape(str(item))) for item in row)}</tr>" for row in rows)
    return f"<div><p><b>{html.escape(title)}</b></p><table>{top}{body}</table></div>"

"""Progress bars in a notebook, drawn in HTML and renewed in place; no widgets are needed."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass
from typing import Any


def in_notebook() -> bool:
    """True in a process that a notebook talks to."""
    shell = sys.modules.get("IPython")
    return shell is not None and getattr(shell.get_ipython(), "kernel", None) is not None


@dataclass
class _Bar:
    title: str
    total: float
    text: str
    completed: float = 0.0


class NotebookBars:
    """Bars with the part of `rich.progress.Progress` that `progress.Bars` uses."""

    def __init__(self) -> None:
        self._bars: dict[int, _Bar] = {}
        self._next = 0
        self._shown: Any = None
        # Lines beside the bars stand below them.
        self.console, self._lines = self, list[str]()

    def __repr__(self) -> str:
        return "\n".join(f"{bar.title}: {bar.text}" for bar in self._bars.values())

    def _repr_html_(self) -> str:
        row = (
            '<tr><td style="text-align:left">{}</td><td><progress value="{:g}" max="{:g}"></progress></td>'
            '<td style="text-align:left">{}</td></tr>'
        )
        rows = (
            row.format(html.escape(b.title), b.completed, b.total, html.escape(b.text)) for b in self._bars.values()
        )
        lines = "".join(f"<div>{html.escape(line)}</div>" for line in self._lines)
        return f"<table>{''.join(rows)}</table>{lines}"

    def start(self) -> None:
        """Show the bars."""
        from IPython.display import display

        self._shown = display(self, display_id=True)

    def stop(self) -> None:
        """Show them for the last time."""
        self._renew()

    def add_task(self, title: str, *, total: float, text: str, start: bool = True) -> int:  # noqa: ARG002
        """A new bar; its number.

        Args:
            title, text: before and behind it.   total: where it is full.   start: unused, it has no clock.
        """
        self._next += 1
        self._bars[self._next] = _Bar(title, total, text)
        self._renew()
        return self._next

    def update(self, task: int, *, completed: float | None = None, total: float | None = None, text: str = "") -> None:
        """Move a bar.

        Args:
            task: its number.   completed, total: where it stands, where it is full.   text: behind it.
        """
        bar = self._bars[task]
        bar.completed = bar.completed if completed is None else completed
        bar.total = bar.total if total is None else total
        bar.text = text
        self._renew()

    def start_task(self, task: int) -> None:
        """Nothing: a bar has no clock."""

    def stop_task(self, task: int) -> None:
        """Nothing: a bar has no clock."""

    def remove_task(self, task: int) -> None:
        """Take a bar away."""
        del self._bars[task]
        self._renew()

    def print(self, text: str, **_: object) -> None:
        """A line below the bars."""
        self._lines.append(text)
        self._renew()

    def _renew(self) -> None:
        if self._shown is not None:
            self._shown.update(self)

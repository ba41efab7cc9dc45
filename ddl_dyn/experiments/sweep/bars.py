"""What a person sees while a sweep goes on: one bar for all of it and one for each cell under way."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ddl_dyn.experiments.progress import duration, sentence, terminal_bars


class CellBars:
    """Progress of many runs. On a terminal bars for what is under way; elsewhere a line for each cell that ends.

    Args:
        titles: one a cell, in the order of their numbers.
    """

    def __init__(self, titles: list[str]) -> None:
        # Not sys.stderr: Sacred captures that, and a bar's control codes have no place in what it stores.
        self._stream = sys.__stderr__
        # The present one, which stays when others are silenced.
        self._plain = sys.stderr
        self._titles = titles
        self._over = 0
        self._began = time.monotonic()
        self._bars: Any = None
        self._whole: Any = None
        self._tasks: dict[int, Any] = {}

    def __enter__(self) -> CellBars:
        if self._stream is None or not self._stream.isatty():
            return self
        self._bars = terminal_bars(self._stream)
        self._whole = self._bars.add_task("cells", total=max(len(self._titles), 1), text=f"0/{len(self._titles)}")
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, number: int, now: Mapping[str, Any]) -> None:
        """Move cell `number` to where its account says it is."""
        if self._bars is None:
            return
        if number not in self._tasks:
            from rich.markup import escape

            self._tasks[number] = self._bars.add_task(escape(self._titles[number]), total=1, text="")
        self._bars.update(
            self._tasks[number], completed=now["update"], total=max(now["updates"], 1), text=sentence(now)
        )

    def end(self, number: int, text: str) -> None:
        """Count cell `number` as over, with a last word."""
        self._over += 1
        spent = time.monotonic() - self._began
        left = duration(spent / self._over * (len(self._titles) - self._over))
        count = f"{self._over}/{len(self._titles)}"
        line = f"{count} {self._titles[number]}: {text}"
        if self._bars is None:
            self.say(f"{line}, {left} left" if self._over < len(self._titles) else line)
            return
        if number in self._tasks:
            self._bars.remove_task(self._tasks.pop(number))
        self._bars.update(self._whole, completed=self._over, text=f"{count}, {left} left")
        self.say(line)

    def say(self, text: str) -> None:
        """A line above the bars."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        elif self._plain is not None:
            print(text, file=self._plain, flush=True)

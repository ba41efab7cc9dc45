"""Progress of runs: bars on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypedDict

import numpy as np

from ddl_dyn.config.terminal import clean, say
from ddl_dyn.experiments.notebook_bars import NotebookBars, in_notebook

# Off a terminal: one line per so much of the way, so that a log of a long run stays short.
PLAIN_LINES = 4
# Columns from which a terminal has room for all that is said of a run.
WIDE = 120


class Validation(Protocol):
    """Report of training at each validation; arrays have one entry per replica."""

    @property
    def update(self) -> int: ...
    @property
    def updates(self) -> int: ...
    @property
    def loss(self) -> Any: ...
    @property
    def val(self) -> Any: ...
    @property
    def alive(self) -> Any: ...
    @property
    def horizon(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def trial(self) -> bool: ...


class Account(TypedDict):
    """Short account of a validation, in JSON's types."""

    update: int
    updates: int
    loss: float
    loss_low: float
    loss_high: float
    alive: int
    replicas: int
    seconds: float
    seconds_left: float | None
    trial: bool


def account(progress: Validation) -> Account:
    """A short account of a validation: update, updates, median and quartiles of the loss, replicas alive, seconds left.

    A replica that failed counts as an infinite loss; medians of none are None. During trials of learning rates nothing
    is known of the seconds left.
    """
    loss = np.where(np.isfinite(progress.loss), progress.loss, np.inf).ravel()
    low, median, high = (float(np.quantile(loss, q, method="inverted_cdf")) for q in (0.25, 0.5, 0.75))
    known = progress.update and not progress.trial
    left = progress.seconds / progress.update * (progress.updates - progress.update) if known else None
    return {
        "update": int(progress.update),
        "updates": int(progress.updates),
        "loss": median,
        "loss_low": low,
        "loss_high": high,
        "alive": int(np.sum(progress.alive)),
        "replicas": int(np.size(progress.alive)),
        "seconds": float(progress.seconds),
        "seconds_left": left,
        "trial": bool(progress.trial),
    }


def sentence(now: Account) -> str:
    """The account as one line of text."""
    trial = "trying learning rates: " if now.get("trial") else ""
    if now["update"] == 0:
        return f"{trial}{now['alive']}/{now['replicas']} replicas ready"
    left = "" if now["seconds_left"] is None else f", {duration(now['seconds_left'])} left"
    return (
        f"{trial}update {now['update']}/{now['updates']}, loss {now['loss']:.3g} "
        f"({now['loss_low']:.3g} to {now['loss_high']:.3g}), {now['alive']}/{now['replicas']} replicas alive{left}"
    )


def short_sentence(now: Account) -> str:
    """The account for a narrow terminal: the time left first, for the end may be cut off."""
    if now["update"] == 0 or now["seconds_left"] is None:
        return sentence(now)
    return f"{duration(now['seconds_left'])} left, update {now['update']}/{now['updates']}, loss {now['loss']:.3g}"


def duration(seconds: float) -> str:
    """Seconds as `48 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def terminal_bars(stream: Any) -> Any:
    """Empty bars of this suite's form on a terminal, not yet drawn; each has a field `text`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    console = Console(file=stream)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24 if console.width >= WIDE else 8),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
    )
    return Progress(*columns, console=console)


class Bars:
    """Progress of one or more runs: bars on a terminal and in a notebook, elsewhere a few lines on standard error.

    Args:
        titles: one a run, in the order of their numbers.
        whole: one bar for all runs and one for each under way, elsewhere a line for each that ends; otherwise one bar a
            run, elsewhere lines on its way.
    """

    def __init__(self, titles: list[str], *, whole: bool = False) -> None:
        # Not sys.stderr: Sacred captures that, and a bar's control codes have no place in what it stores.
        self._stream = sys.__stderr__
        # The present one, which stays when others are silenced.
        self._plain = sys.stderr if whole else None
        self._titles, self._is_whole = [clean(title) for title in titles], whole
        self._said = [0] * len(titles)
        self._over, self._began = 0, time.monotonic()
        self._bars: Any = None
        self._whole: Any = None
        self._tasks: dict[int, Any] = {}

    def __enter__(self) -> Bars:
        if in_notebook():
            self._bars = NotebookBars()
        elif self._stream is not None and self._stream.isatty():
            self._bars = terminal_bars(self._stream)
        else:
            return self
        if self._is_whole:
            count = len(self._titles)
            self._whole = self._bars.add_task("cells", total=max(count, 1), text=f"0/{count}")
        else:
            for number in range(len(self._titles)):
                self._add(number)
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def _add(self, number: int) -> None:
        from rich.markup import escape

        title = self._titles[number]
        title = title if isinstance(self._bars, NotebookBars) else escape(title)
        self._tasks[number] = self._bars.add_task(title, total=1, text="waiting", start=False)

    def show(self, number: int, now: Account) -> None:
        """Move run `number` to where its account says it is."""
        if self._bars is not None:
            if number not in self._tasks:
                self._add(number)
            task = self._tasks[number]
            self._bars.start_task(task)
            self._bars.update(task, completed=now["update"], total=max(now["updates"], 1), text=self._told(now))
            return
        share = 0 if now.get("trial") else int(PLAIN_LINES * now["update"] / max(now["updates"], 1))
        if share > self._said[number] and not self._is_whole:
            self._said[number] = share
            self.say(f"{self._titles[number]}: {sentence(now)}")

    def _told(self, now: Account) -> str:
        narrow = not isinstance(self._bars, NotebookBars) and self._bars.console.width < WIDE
        return short_sentence(now) if narrow else sentence(now)

    def end(self, number: int, text: str) -> None:
        """Close the bar of run `number` with a last word."""
        line = f"{self._titles[number]}: {text}"
        if self._is_whole:
            self._end(number, line)
        elif self._bars is not None:
            self._bars.start_task(self._tasks[number])
            self._bars.update(self._tasks[number], text=clean(text))
            self._bars.stop_task(self._tasks[number])
        else:
            self.say(line)

    def _end(self, number: int, line: str) -> None:
        self._over += 1
        count, more = f"{self._over}/{len(self._titles)}", len(self._titles) - self._over
        left = f", {duration((time.monotonic() - self._began) / self._over * more)} left"
        if self._bars is None:
            self.say(f"{count} {line}{left if more else ''}")
            return
        if number in self._tasks:
            self._bars.remove_task(self._tasks.pop(number))
        self._bars.update(self._whole, completed=self._over, text=count + left)
        self.say(f"{count} {line}")

    def say(self, text: str) -> None:
        """A line beside the bars."""
        stream = self._plain or sys.stderr
        if self._bars is not None:
            self._bars.console.print(clean(text), markup=False, highlight=False)
        elif stream is not None:
            say(text, file=stream)


def throttled(call: Callable[[Account], None], seconds: float = 0.2) -> Callable[[Account], None]:
    """`call`, at most once in so many seconds, but always for the last update."""
    last = [-float("inf")]

    def forward(now: Account) -> None:
        moment = time.monotonic()
        if moment - last[0] >= seconds or now["update"] >= now["updates"]:
            last[0] = moment
            call(now)

    return forward

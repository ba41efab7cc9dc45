"""`ddl-dyn watch`: what runs and what waits, in the terminal, renewed every second."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.config.terminal import clean
from ddl_dyn.experiments.progress import duration
from ddl_dyn.results.score_lines import result_lines
from ddl_dyn.runs import QUEUED, RUNNING, STATUSES, Run, find_run
from ddl_dyn.runs.live import FolderState, Follower, GridProgress, RunProgress

BARS, PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-:=+*#"
# Widths from which a terminal has room for the bar, and for the sparkline.
_WIDE, MIDDLE = 100, 66
SPARK, BAR = 20, 12
# Letters of a run's id where there is little room; `ddl-dyn list` has the whole.
ID = 10
# Letters below which a title says nothing, and between two columns.
LEAST, GAP = 6, 2
# Of those that wait only the next few; their number is said.
NEXT = 5


def watch(runs: Path, reference: str | None = None, *, once: bool = False, interval: float = 1.0) -> int:
    """Show a runs folder, or one run with what belongs to it, until Ctrl-C or until that run ends.

    Args:
        runs: the runs folder.
        reference: id or folder of a run, comparison or sweep.
        once: print the present state and return; so it is too where standard output is no terminal.
        interval: seconds between two looks.
    Returns:
        0; also after Ctrl-C, which is how one leaves.
    Raises:
        RunError: when there is no such run, or the folder is none.
        ValueError: for an interval that is no positive number.
    """
    from rich.console import Console
    from rich.live import Live

    from ddl_dyn.experiments.interrupts import Terminated

    if not (math.isfinite(interval) and interval > 0):
        raise ValueError(f"--interval must be a positive number of seconds, got {interval:g}")
    only = None if reference is None else find_run(reference, runs)
    follower = Follower(runs if only is None else only.path.parent)
    console = Console()
    if once or not console.is_terminal:
        # A pipe has no width: what is read there, by eye or by a program, is not broken at column 80.
        console.print(page(follower, only, console, whole=not console.is_terminal), end="", soft_wrap=True)
        return 0
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                # Before the look: what ended after it is looked at once more.
                ended = only is not None and Run(only.path).status not in (RUNNING, QUEUED)
                live.update(page(follower, only, console), refresh=True)
                if ended:
                    return 0
                time.sleep(interval)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt, Terminated):
            raise
        return 0


def page(follower: Follower, only: Run | None, console: Any, *, whole: bool = False) -> Any:
    """One look at the folder, or at one run, as something to print.

    Args:
        follower: of the folder.   only: the run, comparison or sweep that is asked for; None shows the folder.
        console: rich's, whose width and height the page fits.
        whole: paths in full, however wide the console is.
    """
    from rich.console import Group as Lines
    from rich.text import Text

    fresh = None if only is None else Run(only.path)
    picture = follower.look(fresh)
    fitted: dict[str, Any] = {"no_wrap": True, "overflow": "ignore" if whole else "ellipsis"}
    heads = _heads(follower, fresh, picture, None if whole else console.width)
    lines: list[Any] = [Text(line) for line in heads]
    tall = sum(math.ceil(len(line) / console.width) for line in heads)
    queued = [*picture.queued, *_waiting(picture.groups)]
    room = max(console.height - tall - min(len(queued), NEXT) - 4, 3)
    shown = picture.running[:room]
    if fresh is not None and fresh.kind == "run" and not shown:
        lines += [Text(f"  {clean(line)}", **fitted) for line in result_lines(fresh)]
    if shown:
        lines.append(_table(shown, console))
    if len(picture.running) > len(shown):
        lines.append(Text(f"… and {len(picture.running) - len(shown)} more that run", style="dim"))
    lines += [Text(f"waiting: {clean(course.title)}", style="dim", **fitted) for course in queued[:NEXT]]
    behind = sum(group.queued for group in picture.groups) + len(picture.queued)
    behind -= min(len(queued), NEXT)
    if behind > 0:
        lines.append(
            Text(f"waiting: {'… and ' if queued else ''}{behind} {'more' if queued else 'cells'}", style="dim")
        )
    return Lines(*lines)


def _waiting(groups: Sequence[GridProgress]) -> list[RunProgress]:
    return [RunProgress(id="", status=QUEUED, title=title) for group in groups for title in group.waiting]


def _heads(follower: Follower, only: Run | None, picture: FolderState, width: int | None) -> list[str]:
    """A line for the folder or the run, and one for each comparison and sweep; a path gives way to what is said."""
    if only is not None and only.kind == "run":
        return [_beside(f"run {only.id} {only.status}: ", clean(only.path), "", width)]
    out = []
    if only is None:
        counts = ", ".join(f"{picture.counts[name]} {name}" for name in STATUSES if picture.counts.get(name))
        out.append(_beside("", clean(follower.base), f": {counts or 'no runs yet'}", width))
    for group in picture.groups:
        counts = ", ".join(f"{group.counts[s]} {s.lower()}" for s in STATUSES if group.counts.get(s))
        name = group.id if group.id.startswith(group.kind) else f"{group.kind} {group.id}"
        parts = [f"{name} {group.status}", f"{group.cells} cells", counts or "none begun"]
        if group.queued:
            parts.append(f"{group.queued} waiting")
        if group.seconds_left is not None:
            parts.append(f"about {duration(group.seconds_left)} left")
        out.append(" · ".join(clean(part) for part in parts))
    return out


def _table(courses: Sequence[RunProgress], console: Any) -> Any:
    """One row a run. What a row says in numbers is never cut; the run's name and title give way first."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    width, bars = console.width, BARS if console.encoding.lower().startswith("utf") else PLAIN_BARS
    columns: dict[str, list[str]] = {"run": [clean(course.id) for course in courses]}
    if width < _WIDE:
        columns["run"] = [_cut(text, ID) for text in columns["run"]]
    columns["update"] = [f"{c.update}/{c.updates}" if c.updates else "–" for c in courses]
    columns["loss"] = [_number(course.loss) for course in courses]
    if width >= MIDDLE:
        columns["course"] = [sparkline(c.losses, SPARK if width >= _WIDE else SPARK // 2, bars) for c in courses]
        columns["alive"] = ["–" if c.alive is None else f"{c.alive}/{c.replicas}" for c in courses]
    columns["left"] = ["–" if c.seconds_left is None else duration(c.seconds_left) for c in courses]
    taken = sum(GAP + max(len(name), *map(len, cells)) for name, cells in columns.items()) + (BAR + GAP) * (
        width >= _WIDE
    )

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for name in columns:
        left = name in ("run", "course")
        table.add_column("" if name == "course" else name, no_wrap=True, justify="left" if left else "right")
        if name == "run" and width - taken >= LEAST:
            table.add_column("", no_wrap=True)
        if name == "run" and width >= _WIDE:
            table.add_column("", width=BAR)
    for course, (head, *rest) in zip(courses, zip(*columns.values(), strict=True), strict=True):
        row: list[Any] = [Text(head)]
        if width - taken >= LEAST:
            row.append(Text(_cut(clean(course.title), width - taken)))
        if width >= _WIDE:
            row.append(ProgressBar(total=max(course.updates, 1), completed=course.update, width=BAR))
        table.add_row(*row, *map(Text, rest))
    return table


def _beside(before: str, path: str, after: str, width: int | None) -> str:
    """A path between two texts on one line; of one too long its end is kept, which tells folders apart."""
    room = len(path) if width is None else max(width - len(before) - len(after), LEAST)
    return before + (path if len(path) <= room else "…" + path[len(path) - room + 1 :]) + after


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _number(value: float | None) -> str:
    return "–" if value is None else "failed" if math.isnan(value) else f"{value:.3g}"


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """A series in at most `width` characters, on a logarithmic scale where it is positive; a space for what failed.

    Args:
        values: (T,), oldest first.
        bars: the marks, lowest first.
    """
    seen = np.asarray(values, dtype=float)
    parts = np.array_split(seen, min(width, seen.size)) if seen.size else []
    points = np.array([np.median(part[np.isfinite(part)]) if np.isfinite(part).any() else np.nan for part in parts])
    known = points[np.isfinite(points)]
    if not known.size:
        return " " * len(points)
    if (known > 0).all():
        points, known = np.log(points), np.log(known)
    low, span = known.min(), known.max() - known.min()
    if span <= 0:
        return "".join(bars[0] if np.isfinite(point) else " " for point in points)
    return "".join(
        bars[min(int((point - low) / span * len(bars)), len(bars) - 1)] if np.isfinite(point) else " "
        for point in points
    )

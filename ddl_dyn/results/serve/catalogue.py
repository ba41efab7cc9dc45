"""The list of a runs folder as a page shows it, renewed by what has changed since the page last asked."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddl_dyn.config.terminal import clean
from ddl_dyn.plots.bands import spread
from ddl_dyn.results.serve.selection import Number, median_error
from ddl_dyn.runs import COMPLETED, UNREADABLE, Run, RunError
from ddl_dyn.runs.index import COLUMNS, list_line
from ddl_dyn.runs.live import FolderState, Follower, GridProgress, RunProgress
from ddl_dyn.runs.run import GRIDS, member_ids

# Looks at the folder are at least so far apart, however many pages ask; results read per look take at most so long.
_PAUSE_S, _READING_S = 0.5, 0.2
# Points of a course in the list.
_COURSE = 40

ListLine = dict[str, Any]


@dataclass(frozen=True)
class _Known:
    """A line as it was last made, what it was made of, and the version of the list since which it stands there."""

    line: ListLine
    entry: Mapping[str, Any]
    status: str
    group: str
    version: int


class RunsCatalogue:
    """Lines of all runs, comparisons and sweeps of a folder, with a version that grows with every change.

    Files that have not changed are not read again, and results of finished runs are read a few at a time, so that the
    first list of thousands of runs waits for none of them.

    Args:
        base: the runs folder, which need not exist yet.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self._follower = Follower(base)
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._gone: dict[str, int] = {}
        self._scores: dict[str, tuple[Mapping[str, Any], Number]] = {}
        self._version, self._looked, self._pending = 0, -math.inf, 0
        self._counts: Mapping[str, int] = {}

    def since(self, version: int) -> dict[str, Any]:
        """Changes that a page lacks which holds the list of some version.

        Args:
            version: 0 for a page that holds none.
        Returns:
            version, lines (changed or new), gone (ids), counts (status -> single runs), pending (results not yet read).
        Raises:
            RunError: when the folder cannot be listed.
        """
        with self._lock:
            self._look()
            return {
                "version": self._version,
                "lines": [known.line for known in self._known.values() if known.version > version],
                "gone": [name for name, when in self._gone.items() if 0 < version < when],
                "counts": dict(self._counts),
                "pending": self._pending,
            }

    def line(self, run_id: str) -> ListLine:
        """The line of one run.

        Raises:
            RunError: when there is no such run.
        """
        with self._lock:
            self._look()
            if run_id not in self._known:
                raise RunError(f"no run {clean(run_id)!r} in this folder; the list shows what there is")
            return self._known[run_id].line

    def runs(self, run_ids: Iterable[str]) -> list[Run]:
        """Runs of the folder to be read, each once; a comparison or sweep stands for those of its runs that are there.

        Raises:
            RunError: when there is none, or not one of those named.
        """
        with self._lock:
            self._look()
            found: dict[str, Run] = {}
            for name in dict.fromkeys(run_ids):
                if name not in self._known:
                    raise RunError(f"no run {clean(name)!r} in this folder; the list shows what there is")
                entry = self._known[name].entry
                for member in member_ids(entry) if entry.get("kind") in GRIDS else [name]:
                    if member in self._known:
                        found[member] = Run(self.base / member)
        if not found:
            raise RunError("no runs are selected; choose some in the list")
        return list(found.values())

    def _look(self) -> None:
        if time.monotonic() - self._looked < _PAUSE_S:
            return
        state = self._follower.look()
        courses = {one.id: one for one in (*state.running, *state.queued)}
        grids = {one.id: one for one in state.groups}
        owners = dict(_owners(state.entries))
        self._read_scores(state)
        self._version += 1
        before = len(self._known)
        for name, entry in state.entries.items():
            self._renew(name, entry, state, (courses.get(name), grids.get(name), owners.get(name, "")))
        for name in self._known.keys() - state.entries.keys():
            del self._known[name]
            self._scores.pop(name, None)
            self._gone[name] = self._version
        if before == len(self._known) and all(known.version < self._version for known in self._known.values()):
            self._version -= 1
        self._counts, self._looked = state.counts, time.monotonic()

    def _renew(
        self,
        name: str,
        entry: Mapping[str, Any],
        state: FolderState,
        parts: tuple[RunProgress | None, GridProgress | None, str],
    ) -> None:
        course, grid, group = parts
        status, known = state.statuses[name], self._known.get(name)
        settled = course is None and entry.get("kind") not in GRIDS and (known is None or "score" in known.line)
        if known and settled and known.entry is entry and (known.status, known.group) == (status, group):
            return
        line = _line(name, entry, status)
        if entry.get("kind") in GRIDS:
            line |= _grid(entry, state.statuses, grid)
        else:
            line |= _course(entry, status, course)
            stored = self._scores.get(name)
            if status != COMPLETED or (stored and stored[0] is entry):
                line["score"] = stored[1] if stored and stored[0] is entry else None
        line["group"] = group
        version = known.version if known and known.line == line else self._version
        self._known[name] = _Known(line, entry, status, group, version)
        self._gone.pop(name, None)

    def _read_scores(self, state: FolderState) -> None:
        wanted = [
            name
            for name, entry in state.entries.items()
            if state.statuses[name] == COMPLETED
            and entry.get("kind") not in GRIDS
            and self._scores.get(name, (None,))[0] is not entry
        ]
        end = time.monotonic() + _READING_S
        self._pending = len(wanted)
        for name in wanted:
            if time.monotonic() > end:
                break
            self._scores[name] = (state.entries[name], median_error(Run(self.base / name), "test", "short", digits=4))
            self._pending -= 1


def _owners(entries: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Member and the comparison or sweep that it belongs to."""
    for name, entry in entries.items():
        if entry.get("kind") in GRIDS:
            yield from ((member, name) for member in member_ids(entry))


def _line(name: str, entry: Mapping[str, Any], status: str) -> ListLine:
    try:
        line: ListLine = dict.fromkeys(COLUMNS, "") | list_line(name, entry, status)
    except (TypeError, ValueError):
        return dict.fromkeys(COLUMNS, "") | list_line(name, {}, UNREADABLE)
    if status != UNREADABLE:
        line["note"] = clean(entry.get("note") or entry.get("comment") or "")
        line["stopped"] = clean(str(entry.get("stop_time") or "")[:19].replace("T", " "))
    line.pop("hash", None)
    return line


def _grid(entry: Mapping[str, Any], statuses: Mapping[str, str], progress: GridProgress | None) -> ListLine:
    members = member_ids(entry)
    counts = Counter(statuses[member] for member in members if member in statuses)
    stored = entry.get("cells")
    cells = max(stored if isinstance(stored, int) else 0, len(members), progress.cells if progress else 0)
    left = progress.seconds_left if progress else None
    return {"cells": cells, "counts": dict(counts), "left": None if left is None else round(left)}


def _course(entry: Mapping[str, Any], status: str, course: RunProgress | None) -> ListLine:
    """Progress of a run: from the end of its records while it goes on, else as its run.json says."""
    if course is None:
        stored = entry.get("progress")
        known = stored if isinstance(stored, Mapping) and status != COMPLETED else {}
        found = {name: known.get(name) for name in ("update", "updates")}
        return {name: value for name, value in found.items() if isinstance(value, int)}
    line: ListLine = {"update": course.update, "updates": course.updates}
    # Before the first update there is no loss yet, and the records say 0.
    losses = [loss for i, loss in enumerate(course.losses) if i or loss]
    if losses:
        line["course"] = [_short(losses[i]) for i in spread(len(losses), _COURSE)]
        line["loss"] = _short(losses[-1])
    if course.alive is not None:
        line |= {"alive": course.alive, "replicas": course.replicas}
    if course.seconds_left is not None:
        line["left"] = round(course.seconds_left)
    return line


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None

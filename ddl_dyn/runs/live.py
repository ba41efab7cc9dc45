"""The live state of a runs folder, read again and again while runs write into it.

Nothing is written and nothing is locked. Every file here is replaced whole or only appended to, so a reader meets at
worst an unfinished last line; it is read when it is finished.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.config.files import open_member, read_member
from ddl_dyn.runs.reading import JSON_LIMIT, RECORDS_LIMIT, RunError, read_json
from ddl_dyn.runs.run import COMPLETED, QUEUED, RUNNING, Run, ids, member_ids, read_entry, status_of

# Points of a loss history that are kept for a sparkline.
HISTORY = 512
PLAIN = ("task", "model", "carry")


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """Progress of one run.

    Args:
        id, status: of the run.   title: task, model and carry.
        update, updates: done and to do.   loss: median over the replicas that are alive, None before the first.
        losses: of the last validations, NaN where none was finite.
        alive, replicas: how many there are.   seconds_left: estimated, None where nothing tells.
    """

    id: str
    status: str
    title: str
    update: int = 0
    updates: int = 0
    losses: tuple[float, ...] = ()
    alive: int | None = None
    replicas: int | None = None
    seconds_left: float | None = None

    @property
    def loss(self) -> float | None:
        """The last one."""
        return self.losses[-1] if self.losses else None


@dataclass(frozen=True, kw_only=True)
class GridProgress:
    """Progress of a comparison or a sweep.

    Args:
        counts: status -> number of its runs.   waiting: titles of cells that have no run yet, as far as they are known.
        cells: how many it will have.
    """

    id: str
    kind: str
    status: str
    cells: int
    counts: Mapping[str, int]
    waiting: tuple[str, ...] = ()
    seconds_left: float | None = None

    @property
    def queued(self) -> int:
        """Cells that have not been begun."""
        return max(self.cells - sum(self.counts.values()), 0) + self.counts.get(QUEUED, 0)


@dataclass(frozen=True, kw_only=True)
class FolderState:
    """A folder at one moment: what runs, what waits, how many there are of each status.

    Args:
        entries: contents of each run.json by id, the same object while the file is; empty where it cannot be read.
        statuses: id -> status.
    """

    running: tuple[RunProgress, ...]
    queued: tuple[RunProgress, ...]
    groups: tuple[GridProgress, ...]
    counts: Mapping[str, int]
    entries: Mapping[str, Mapping[str, Any]]
    statuses: Mapping[str, str]


@dataclass
class _Tail:
    """A growing file of records, of which only what is new is read."""

    path: Path
    place: int = 0
    losses: list[float] = field(default_factory=list)
    last: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> None:
        try:
            with open_member(self.path.parent, self.path.name, RECORDS_LIMIT) as file:
                size = os.fstat(file.fileno()).st_size
                if size < self.place:
                    self.place, self.losses = 0, []
                file.seek(self.place)
                data = file.read(size - self.place)
        except OSError:
            return
        whole = data.rpartition(b"\n")[0]
        self.place += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            self._take(line)
        del self.losses[:-HISTORY]

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            loss = [math.nan if value is None else float(value) for value in record["loss"]]
            alive = [bool(value) for value in record["alive"]]
            known = [value for value, lives in zip(loss, alive, strict=True) if lives and math.isfinite(value)]
            update, seconds = int(record["update"]), float(record["seconds"])
        except (KeyError, TypeError, ValueError, RecursionError):
            return
        # A resumed run repeats what it did after its last checkpoint; a sparkline may.
        self.losses.append(float(np.median(known)) if known else math.nan)
        self.last = {"update": update, "seconds": seconds, "alive": sum(alive), "replicas": len(alive)}


class Follower:
    """Reads a folder of runs; a file that has not changed since is not read again.

    Args:
        base: the runs folder.
    """

    def __init__(self, base: Path) -> None:
        self.base, self._folder = base, os.fspath(base)
        self._entries: dict[str, tuple[tuple[int, int], Mapping[str, object] | None]] = {}
        self._tails: dict[str, _Tail] = {}
        self._cells: dict[str, list[tuple[str, str]]] = {}

    def look(self, only: Run | None = None) -> FolderState:
        """The folder now.

        Args:
            only: this run, or this comparison or sweep with its runs.
        """
        names = ids(self.base) if only is None else [only.id, *only.members]
        entries = {name: entry for name in names if (entry := self._entry(name)) is not None}
        statuses = {name: status_of(entry) for name, entry in entries.items()}
        single = {name for name, entry in entries.items() if entry.get("kind", "run") == "run"}
        running = [name for name in entries if name in single and statuses[name] == RUNNING]
        courses = {name: self.course(name, entries[name], RUNNING) for name in running}
        queued = [self.course(n, entries[n], QUEUED) for n in entries if n in single and statuses[n] == QUEUED]
        groups = [
            self._group(name, entry, statuses, courses)
            for name, entry in entries.items()
            if name not in single and (statuses[name] == RUNNING or only is not None)
        ]
        counts = Counter(statuses[name] for name in entries if name in single)
        return FolderState(
            running=tuple(courses.values()),
            queued=tuple(queued),
            groups=tuple(groups),
            counts=counts,
            entries=entries,
            statuses=statuses,
        )

    def _entry(self, name: str) -> Mapping[str, Any] | None:
        """Contents of run.json, empty where it cannot be read; None where there is none."""
        try:
            # Joined as text: of thousands of runs at every look, paths as objects take most of the time.
            found = os.stat(f"{self._folder}/{name}/run.json")
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size)
        if name not in self._entries or self._entries[name][0] != stamp:
            try:
                self._entries[name] = (stamp, read_entry(self.base / name))
            except RunError:
                self._entries[name] = (stamp, {})
        return self._entries[name][1]

    def course(self, name: str, entry: Mapping[str, object], status: str) -> RunProgress:
        """Progress of one run, from its run.json and the end of its metrics.jsonl.

        Args:
            name: its folder.   entry: contents of its run.json.   status: what a reader makes of that.
        """
        tail = self._tails.setdefault(name, _Tail(self.base / name / "metrics.jsonl"))
        tail.read()
        progress = entry.get("progress")
        known = progress if isinstance(progress, Mapping) else {}
        updates = _count(known.get("updates")) or self._updates(name)
        update = _count(tail.last.get("update", known.get("update")))
        left = None
        if status == RUNNING and update and updates and "seconds" in tail.last:
            left = tail.last["seconds"] / update * (updates - update) - self._age(name)
        return RunProgress(
            id=name,
            status=status,
            title=_title(entry),
            update=update,
            updates=updates,
            losses=tuple(tail.losses),
            alive=tail.last.get("alive"),
            replicas=tail.last.get("replicas"),
            seconds_left=None if left is None else max(left, 0.0),
        )

    def _age(self, name: str) -> float:
        try:
            return max(time.time() - (self.base / name / "metrics.jsonl").stat().st_mtime, 0.0)
        except OSError:
            return 0.0

    def _updates(self, name: str) -> int:
        try:
            return _count(read_json(self.base / name / "config.json")["train"]["updates"])
        except (RunError, KeyError, TypeError):
            return 0

    def _group(
        self, name: str, entry: Mapping[str, Any], statuses: Mapping[str, str], courses: Mapping[str, RunProgress]
    ) -> GridProgress:
        members = member_ids(entry)
        begun = {member: statuses.get(member) or self._status(member) for member in members}
        counts = Counter(status for status in begun.values() if status is not None)
        cells = max(_count(entry.get("cells")) or _product(entry), len(members))
        waiting = [title for run_id, title in self._titles(name) if begun.get(run_id) is None]
        times = [self._seconds(member) for member, status in begun.items() if status == COMPLETED]
        known = [seconds for seconds in times if seconds is not None]
        lefts = [courses[member].seconds_left for member in begun if member in courses]
        left = None
        if known and lefts and None not in lefts:
            todo = sum(x for x in lefts if x is not None) + float(np.mean(known)) * (cells - counts.total())
            left = todo / len(lefts)
        return GridProgress(
            id=name,
            kind=str(entry.get("kind")),
            status=status_of(entry),
            cells=cells,
            counts=counts,
            waiting=tuple(waiting),
            seconds_left=left,
        )

    def _status(self, name: str) -> str | None:
        entry = self._entry(name)
        return None if entry is None else status_of(entry)

    def _seconds(self, name: str) -> float | None:
        entry = self._entry(name) or {}
        try:
            start, stop = (datetime.fromisoformat(str(entry.get(key))) for key in ("start_time", "stop_time"))
            return (stop - start).total_seconds()
        except (TypeError, ValueError):
            return None

    def _titles(self, name: str) -> list[tuple[str, str]]:
        """Run and title of each cell that a sweep has written down; they never change."""
        if name not in self._cells:
            try:
                text = read_member(self.base / name, "cells.csv", JSON_LIMIT).decode()
                head, *lines = csv.reader(io.StringIO(text, newline=""))
            except (OSError, ValueError, csv.Error):
                return []
            # Task, model and carry speak for themselves, the places on axes do not.
            axes = ["" if key in PLAIN else f"{key.rpartition('.')[2]}=" for key in head[1:]]
            self._cells[name] = [
                (line[0], " ".join(axis + value for axis, value in zip(axes, line[1:], strict=False) if value))
                for line in lines
                if line
            ]
        return self._cells[name]


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _product(entry: Mapping[str, object]) -> int:
    """Cells of a comparison that has not said how many it has; some of them may turn out the same."""
    lists = [entry.get(name) for name in ("tasks", "models", "carries")]
    return math.prod(len(names) if isinstance(names, list) else 0 for names in lists)


def _title(entry: Mapping[str, object]) -> str:
    return " ".join(str(entry[key]) for key in PLAIN if entry.get(key))

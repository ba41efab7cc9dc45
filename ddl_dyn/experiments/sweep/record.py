"""The record of a sweep's cells, and the cells that are left.

`cells.csv` in the sweep's folder has a line for each cell: the run that holds it, then task, model, carry and the
cell's place on each axis. Whether a cell is done is not written there: its run says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ddl_dyn.config.files import read_member
from ddl_dyn.experiments.sweep.grid import Cell
from ddl_dyn.runs import (
    COMPLETED,
    FAILED,
    INTERRUPTED,
    QUEUED,
    RUN_ID,
    RUNNING,
    UNREADABLE,
    Run,
    RunError,
    find_run,
    scan,
)
from ddl_dyn.runs.atomic_files import write_text
from ddl_dyn.runs.index import all_lines
from ddl_dyn.runs.reading import JSON_LIMIT
from ddl_dyn.runs.result import at
from ddl_dyn.runs.run import GRIDS

CELLS = "cells.csv"
NEVER = "NEVER STARTED"


def completed(runs: Path) -> dict[str, str]:
    """Runs of a folder that are complete: hash of the canonical configuration -> id, the first of equals."""
    found: dict[str, str] = {}
    for line in all_lines(runs):
        if line["status"] == COMPLETED and line.get("hash"):
            found.setdefault(line["hash"], line["id"])
    return found


def write_cells(folder: Path, cells: Sequence[Cell], run_ids: Sequence[str]) -> None:
    """Write cells.csv.

    Args:
        folder: the sweep's.
        cells, run_ids: the cells and the run that holds, or will hold, each.
    """
    names = list(dict.fromkeys(name for cell in cells for name in cell.values))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["run", *names])
    for cell, run_id in zip(cells, run_ids, strict=True):
        table.writerow([run_id, *(cell.values.get(name, "") for name in names)])
    write_text(folder / CELLS, text.getvalue())


def read_cells(sweep: Run) -> list[dict[str, str]]:
    """The lines of a sweep's cells.csv.

    Raises:
        RunError: when the file is missing or damaged, or names what is no run.
    """
    path = sweep.path / CELLS
    try:
        text = read_member(sweep.path, CELLS, JSON_LIMIT).decode()
        lines = list(csv.DictReader(io.StringIO(text, newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise RunError(f"{path} cannot be read: {error}; the sweep's own command writes it again") from error
    for line in lines:
        # A stored id becomes part of a path, so a folder from elsewhere must not be able to point outside.
        if (
            None in line
            or not all(isinstance(value, str) for value in line.values())
            or not RUN_ID.fullmatch(line["run"])
        ):
            raise RunError(f"{path} is damaged; the sweep's own command writes it again")
    return lines


@dataclass(frozen=True, kw_only=True)
class Left:
    """A cell that is not done.

    Args:
        run_id: the run that holds it, or will.
        title: what tells it from the other cells.
        state: NEVER STARTED or the status of its run.
        reason: why, in a few words.
    """

    run_id: str
    title: str
    state: str
    reason: str


def open_sweep(reference: str, runs: Path) -> Run:
    """A stored sweep or comparison by its id or folder, or `last` for the newest.

    Raises:
        RunError: when there is none.
    """
    if reference != "last":
        found = find_run(reference, runs)
        if found.kind not in GRIDS:
            raise RunError(f"{found.id} is no sweep but a {found.kind}; `ddl-dyn list --kind sweep` lists the sweeps")
        return found
    sweeps = [run for run in scan(runs) if run.status != UNREADABLE and run.kind in GRIDS]
    if not sweeps:
        raise RunError(f"no sweeps in {runs}; start one with `ddl-dyn sweep with tasks=… models=…`")
    return max(sweeps, key=lambda run: str(run.entry.get("start_time")))


def left_over(sweep: Run) -> tuple[list[Left], int]:
    """The cells of a sweep or comparison that are not complete, and how many cells it has.

    Raises:
        RunError: when the sweep cannot be read.
    """
    lines = read_cells(sweep)
    told = at(sweep.result, "failed")
    left = []
    for line in lines:
        run_id = line.pop("run")
        run = Run(sweep.path.parent / run_id)
        state = run.status if (run.path / "run.json").exists() else NEVER
        if state != COMPLETED:
            reason = told.get(run_id) if isinstance(told, Mapping) and state == NEVER else None
            left.append(Left(run_id=run_id, title=_title(line), state=state, reason=str(reason or _reason(run, state))))
    return left, len(lines)


def _title(line: Mapping[str, str]) -> str:
    plain = [line.get(name, "") for name in ("task", "model", "carry")]
    rest = [
        f"{name.rpartition('.')[2]}={value}"
        for name, value in line.items()
        if name not in ("task", "model", "carry") and value
    ]
    return " ".join([*plain, *rest])


def _reason(run: Run, state: str) -> str:
    if state == NEVER:
        return "the sweep has not come to it"
    if state == UNREADABLE:
        return "its run.json is damaged; move the folder away to start it anew"
    entry: Mapping[str, object] = run.entry
    progress = entry.get("progress")
    at = f"at update {progress.get('update')} of {progress.get('updates')}" if isinstance(progress, Mapping) else ""
    if state == FAILED:
        return str(entry.get("error") or "it does not say why")
    return {
        RUNNING: f"{at}, heartbeat {entry.get('heartbeat')}".removeprefix(", "),
        INTERRUPTED: f"stopped {at}".strip(),
        QUEUED: "waiting in a queue",
    }.get(state, f"its process is gone, {at}".removesuffix(", "))

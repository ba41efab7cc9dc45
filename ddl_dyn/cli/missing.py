"""`ddl-dyn missing`: the cells of sweeps and comparisons that are not complete."""

from __future__ import annotations

from pathlib import Path

from ddl_dyn.config.terminal import say
from ddl_dyn.experiments.sweep.record import left_over, open_sweep
from ddl_dyn.runs import UNREADABLE, scan
from ddl_dyn.runs.run import GRIDS


def print_missing(reference: str | None, runs: Path) -> int:
    """Print what is left of a sweep or comparison, or of all of a folder.

    Args:
        reference: id or folder of one, `last`, or None for all.
        runs: the runs folder.
    Returns:
        0.
    Raises:
        RunError: when there is no such sweep.
    """
    if reference is not None:
        chosen = [open_sweep(reference, runs)]
    else:
        chosen = [run for run in scan(runs) if run.status != UNREADABLE and run.kind in GRIDS]
        chosen = chosen or [open_sweep("last", runs)]
    for run in chosen:
        left, cells = left_over(run)
        if not left:
            say(f"{run.kind} {run.id}: all {cells} cells are complete")
            continue
        say(f"{run.kind} {run.id}: {len(left)} of {cells} cells are left")
        for item in left:
            say(f"  {item.run_id}  {item.state}  {item.title}\n      {item.reason}")
        same = f", and so does the same command: {run.entry.get('command_line')}" if run.kind == "sweep" else ""
        say(f"`ddl-dyn resume {run.id}` continues{same}")
    return 0

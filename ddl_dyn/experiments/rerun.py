"""Doing a stored run once more: `resume` continues an unfinished one, `replay` repeats a finished one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.config.parsing import flatten
from ddl_dyn.config.terminal import say
from ddl_dyn.experiments.cell import is_taken
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.own_series import stored_config
from ddl_dyn.experiments.progress import Bars, account
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.experiments.sweep.grid import resolve_compare, resolve_sweep
from ddl_dyn.experiments.sweep.record import left_over
from ddl_dyn.experiments.sweep.run_grid import Conclude, run_grid
from ddl_dyn.runs import COMPLETED, RUNNING, UNREADABLE, Run, RunError, find_run
from ddl_dyn.runs.run import GRIDS


def resume(reference: str, runs: Path, conclude: Conclude, *, store: str | None = None) -> Run:
    """Continue a run from its last checkpoint, or from its beginning where there is none yet.

    Of a comparison or a sweep the runs that are not complete are continued or begun.

    Args:
        reference: id or folder of a run, comparison or sweep that is not complete.
        runs: the runs folder.
        conclude: makes a comparison's table, see `run_grid`.
        store: URL of a database to copy the run to.
    Returns:
        The run as it is now.
    Raises:
        RunError: when there is nothing to continue.
    """
    stored = find_run(reference, runs)
    reason = _no_more(stored)
    if reason:
        raise RunError(f"run {stored.id} cannot be resumed: {reason}")
    options = {"--name": stored.entry.get("name"), "--comment": stored.entry.get("comment"), "--store": store}
    launch = Launch(base=stored.path.parent, run_id=stored.id, options=options)
    if stored.kind == "compare":
        run_grid(*resolve_compare(stored_config(stored)), launch, conclude)
    elif stored.kind == "sweep":
        run_grid(*resolve_sweep(stored_config(stored)), launch)
    else:
        config = resolve_run(stored_config(stored))
        with Bars([f"{config.model} on {config.task}"]) as bars:
            run(config, replace(launch, on_account=lambda now: bars.show(0, now), say=bars.say))
    return Run(stored.path)


def _no_more(stored: Run) -> str:
    """Reason not to continue a run; empty where there is none."""
    if stored.status == UNREADABLE:
        return "run.json is damaged"
    if stored.status == RUNNING and is_taken(stored):
        return "its process still runs"
    # A grid may have lost a run since.
    return (
        "it is complete" if stored.status == COMPLETED and not (stored.kind in GRIDS and left_over(stored)[0]) else ""
    )


def replay(reference: str, runs: Path, tolerance: float | None = None) -> int:
    """Run a stored configuration again, write nothing, print max |Δ| of its numbers and arrays.

    Args:
        reference: id or folder of a completed run.
        runs: the runs folder.
        tolerance: largest |Δ| that counts as the same.
    Returns:
        0, or 1 when the tolerance is exceeded.
    Raises:
        RunError: when the run is no single complete one, or must not be done again (`stored_config`).
    """
    stored = find_run(reference, runs)
    if stored.status != COMPLETED:
        raise RunError(f"run {stored.id} is {stored.status}; only a completed run can be compared with its replay")
    if stored.kind in GRIDS:
        raise RunError(f"{stored.id} is no single run; name one of its runs: {', '.join(stored.members)}")
    config = resolve_run(stored_config(stored))
    with Bars([f"replay of {stored.id}"]) as bars:
        pace = stored.entry.get("resolved", {}).get("pace")
        outcome = execute(
            make_setup(config), Callbacks(on_epoch=lambda progress: bars.show(0, account(progress)), pace=pace)
        )
    numbers = largest_difference(_numbers(stored.result), _numbers(outcome.numbers))
    arrays = largest_difference(_numeric(stored.arrays), _numeric(outcome.arrays))
    worst = 0.0
    for what, (name, delta, compared) in (("metrics", numbers), ("arrays", arrays)):
        where = f" at {name}" if name else ""
        say(f"{what}: max |Δ| = {delta:.3g}{where} ({compared} compared)")
        worst = max(worst, delta)
    if tolerance is not None and not worst <= tolerance:
        say(f"max |Δ| exceeds {tolerance:g}")
        return 1
    return 0


# What is measured of the machine differs from run to run and says nothing about the numbers.
CLOCKS = ("seconds", "milliseconds_per_update", "milliseconds_per_step", "peak_memory_bytes")


def _numbers(result: Mapping[str, object]) -> dict[str, Any]:
    found = {}
    for name, value in flatten(result):
        if name.rpartition(".")[2] in CLOCKS or value is None or isinstance(value, str):
            continue
        items = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, (int, float, type(None))) for item in items):
            found[name] = np.array([math.nan if item is None else float(item) for item in items])
    return found


def _numeric(arrays: Mapping[str, object]) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if np.asarray(array).dtype.kind in "biufc"}


def largest_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, float, int]:
    """Largest difference of two sets of named arrays.

    Returns:
        name, max |Δ| (infinite where one lacks a name or shapes or failures differ; 0 for equal infinities and for
        NaN on both sides), and how many numbers were compared.
    """
    worst, where, compared = 0.0, "", 0
    for name in dict.fromkeys([*first, *second]):
        if name not in first or name not in second or np.shape(first[name]) != np.shape(second[name]):
            return name, math.inf, compared
        wide = np.result_type(first[name], second[name], np.float64)
        x, y = np.asarray(first[name], dtype=wide), np.asarray(second[name], dtype=wide)
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        with np.errstate(invalid="ignore"):
            delta = np.where(same, 0.0, np.abs(x - y))
        largest = float(np.where(np.isnan(delta), math.inf, delta).max(initial=0.0))
        compared += x.size
        if largest > worst:
            worst, where = largest, name
    return where, worst, compared

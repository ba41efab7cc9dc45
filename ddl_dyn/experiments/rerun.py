"""Doing a stored run once more: `resume` continues an unfinished one, `replay` repeats a finished one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ddl_dyn.config.sections import RunConfig
from ddl_dyn.experiments.compare import Conclude, compare, resolve_compare
from ddl_dyn.experiments.execute import execute
from ddl_dyn.experiments.outcome import Callbacks
from ddl_dyn.experiments.progress import Bars, account
from ddl_dyn.experiments.resolve import resolve_run
from ddl_dyn.experiments.run import Launch, run
from ddl_dyn.experiments.setup import make_setup
from ddl_dyn.runs import COMPLETED, RUNNING, UNREADABLE, Run, RunError, flatten, open_run
from ddl_dyn.runs.trust import check_code


def stored_config(stored: Run) -> RunConfig:
    """The configuration of a stored run, checked like a typed one.

    Raises:
        RunError: for a comparison or a sweep, when the configuration was edited after the start, or when the run would
            execute code that the user has not named.
        ConfigError: when this version does not accept it.
    """
    if stored.kind != "run":
        raise RunError(f"{stored.id} is no single run; name one of its runs: {', '.join(stored.members)}")
    check_code(stored)
    stored.check_config()
    return resolve_run(stored.config)


def resume(reference: str, base: Path, conclude: Conclude, *, store: str | None = None) -> Run:
    """Continue a run from its last checkpoint, or from its beginning where there is none yet.

    Of a comparison the runs that are not complete are continued or begun, then its table is made.

    Args:
        reference: id or folder of a run or comparison that is INTERRUPTED, FAILED or DEAD.
        base: the runs folder.
        conclude: makes a comparison's table, see `compare`.
        store: URL of a database to copy the run to.
    Returns:
        The run as it is now; a comparison of which runs failed again has them in its result.
    Raises:
        RunError: when there is nothing to continue.
    """
    stored = open_run(reference, base)
    if stored.status in (COMPLETED, RUNNING, UNREADABLE):
        reason = {COMPLETED: "it is complete", RUNNING: "its process still runs", UNREADABLE: "run.json is damaged"}
        raise RunError(f"run {stored.id} cannot be resumed: {reason[stored.status]}")
    where = stored.path.parent
    options = {"--name": stored.entry.get("name"), "--comment": stored.entry.get("comment"), "--store": store}
    if stored.kind == "sweep":
        raise RunError(
            f"{stored.id} is a sweep; the command that started it continues it: `{stored.entry.get('command_line')}`"
        )
    if stored.kind == "compare":
        check_code(stored)
        stored.check_config()
        compare(resolve_compare(stored.config), Launch(base=where, run_id=stored.id, options=options), conclude)
        return Run(stored.path)
    config = stored_config(stored)
    with Bars([f"{config.model} on {config.task}"], config.train.updates) as bars:
        launch = Launch(
            base=where,
            run_id=stored.id,
            options=options,
            on_account=lambda now: bars.show(0, now),
            say=bars.say,
        )
        run(config, launch)
    return Run(stored.path)


def replay(reference: str, base: Path, tolerance: float | None = None) -> int:
    """Run a stored configuration again, write nothing, print max |Δ| of its numbers and arrays.

    Args:
        reference: id or folder of a completed run.
        base: the runs folder.
        tolerance: largest |Δ| that counts as the same.
    Returns:
        0, or 1 when the tolerance is exceeded.
    Raises:
        RunError: when the run is not complete.
    """
    stored = open_run(reference, base)
    if stored.status != COMPLETED:
        raise RunError(f"run {stored.id} is {stored.status}; only a completed run can be compared with its replay")
    config = stored_config(stored)
    with Bars([f"replay of {stored.id}"], config.train.updates) as bars:
        pace = stored.entry.get("resolved", {}).get("pace")
        outcome = execute(
            make_setup(config), Callbacks(on_epoch=lambda progress: bars.show(0, account(progress)), pace=pace)
        )
    numbers = largest_difference(_numbers(stored.result), _numbers(outcome.numbers))
    arrays = largest_difference(_numeric(stored.arrays), _numeric(outcome.arrays))
    worst = 0.0
    for what, (name, delta, compared) in (("metrics", numbers), ("arrays", arrays)):
        where = f" at {name}" if name else ""
        print(f"{what}: max |Δ| = {delta:.3g}{where} ({compared} compared)")
        worst = max(worst, delta)
    if tolerance is not None and not worst <= tolerance:
        print(f"max |Δ| exceeds {tolerance:g}")
        return 1
    return 0


# What is measured of the machine differs from run to run and says nothing about the numbers.
CLOCKS = ("seconds", "milliseconds_per_update", "milliseconds_per_step", "peak_memory_bytes")


def _numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in flatten(result):
        if name.rpartition(".")[2] in CLOCKS or value is None or isinstance(value, str):
            continue
        items = value if isinstance(value, list) else [value]
        if items and all(isinstance(item, (int, float, type(None))) for item in items):
            found[name] = np.array([math.nan if item is None else float(item) for item in items])
    return found


def _numeric(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in arrays.items() if np.asarray(array).dtype.kind in "biufc"}


def largest_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, float, int]:
    """Where two sets of named arrays differ most.

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

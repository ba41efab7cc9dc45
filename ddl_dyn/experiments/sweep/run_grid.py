"""A sweep or a comparison from its cells to the last word about it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.config.terminal import say
from ddl_dyn.engine.threads import cores
from ddl_dyn.experiments.cell import Job, do_cell
from ddl_dyn.experiments.memory import check_side_by_side
from ddl_dyn.experiments.progress import Bars
from ddl_dyn.experiments.run import Launch, make_store, start
from ddl_dyn.experiments.sweep.config import CompareConfig, GridConfig
from ddl_dyn.experiments.sweep.grid import Cell, sweep_id
from ddl_dyn.experiments.sweep.record import completed, write_cells
from ddl_dyn.experiments.tracking.sacred import make_experiment
from ddl_dyn.experiments.workers import Ended, default_jobs, run_all
from ddl_dyn.runs import COMPLETED, Run
from ddl_dyn.runs.observer import RunStore
from ddl_dyn.runs.stored_result import SweepResult
from ddl_dyn.runs.trust import digests

# Options that hold for each of the runs.
PASSED_ON = ("--beat-interval", "--comment", "--capture", "--store")


class Conclude(Protocol):
    """Conclusion from a comparison's finished runs: makes table, figure and page, returns what is printed in short."""

    def __call__(
        self, store: RunStore, run_ids: Sequence[str], failed: Sequence[str], *, jobs: int = 1
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Cells, the run that holds or will hold each, and the cells that are not done."""

    config: GridConfig
    cells: list[Cell]
    run_ids: list[str]
    todo: list[Cell]


Failed = list[tuple[Cell, str]]


@dataclass(frozen=True, kw_only=True)
class GridOutcome:
    """A grid that has been done.

    Args:
        run_id: of the grid's own run.   cells, done, failed: all cells, those done now, and the failed ones among them.
    """

    run_id: str
    cells: int
    done: int
    failed: int


def run_grid(config: GridConfig, cells: list[Cell], launch: Launch, conclude: Conclude | None = None) -> int:
    """Do the cells of a grid as `do_grid` does, and say what came of it.

    Args:
        config, cells, launch, conclude: as for `do_grid`.
    Returns:
        0, or 1 when a cell is not complete.
    """
    found = do_grid(config, cells, launch, conclude)
    if conclude is None or found.failed:
        counts = f"{found.done - found.failed} done, {found.cells - found.done} reused, {found.failed} failed"
        say(f"{config.word} {found.run_id}: {'1 cell' if found.cells == 1 else f'{found.cells} cells'}: {counts}")
        say(f"next: {_next(config, found.run_id, launch.base, bool(found.failed))}")
    return 1 if found.failed else 0


def do_grid(config: GridConfig, cells: list[Cell], launch: Launch, conclude: Conclude | None = None) -> GridOutcome:
    """Do the cells that are not done yet, and keep the grid as a run of its own.

    Args:
        config, cells: what `resolve_sweep` or `resolve_compare` returned.
        launch: where and how; with a run_id, that of the comparison to continue.
        conclude: makes a comparison's table, figure and page of its finished runs; None for a sweep.
    Raises:
        ConfigError: when the cells that run side by side do not fit into memory together.
        StoreError: when runs cannot be written, or another process does the same grid now.
    """
    if not launch.observed:
        raise ConfigError([f"{config.kind} needs its runs on disk to know which are done; leave --unobserved out"])
    if conclude is None:
        if launch.options.get("--id") is not None:
            raise ConfigError(["a sweep's id is made from its cells, so that the same sweep continues; leave --id out"])
        launch = replace(launch, run_id=sweep_id(cells))
    known = completed(launch.base)
    todo = [cell for cell in cells if cell.digest not in known]
    if config.address is None:
        check_side_by_side([cell.config for cell in todo], side_by_side(config, todo))
    if conclude is None and not todo and Run(launch.base / str(launch.run_id)).status == COMPLETED:
        where, failed = str(launch.run_id), Failed()
    else:
        run_ids = [known.get(cell.digest, cell.run_id) for cell in cells]
        if conclude is not None and len(todo) < len(cells):
            say(f"{len(cells) - len(todo)} of {len(cells)} runs are complete already", file=sys.stderr)
        where, failed = _keep(_Plan(config=config, cells=cells, run_ids=run_ids, todo=todo), launch, conclude)
    return GridOutcome(run_id=where, cells=len(cells), done=len(todo), failed=len(failed))


def _keep(plan: _Plan, launch: Launch, conclude: Conclude | None) -> tuple[str, Failed]:
    """Let Sacred run the grid's own run, and write down what came of the cells; its id and the cells that failed."""
    config, settings = plan.config, plan.config.model_dump(mode="json")
    failed: Failed = []
    store = make_store(launch, _entry(plan))
    assert store is not None

    def body(_run: object, _config: Mapping[str, object]) -> Any:
        write_cells(store.directory, plan.cells, plan.run_ids)
        store.update(members=plan.run_ids)
        ends = _do(plan, launch)
        failed.extend((plan.todo[end.number], end.error) for end in ends if end.error is not None)
        if failed:
            names = ", ".join(cell.title for cell, _ in failed[:3]) + (", …" if failed[3:] else "")
            store.fail(f"{len(failed)} of {len(plan.cells)} runs are not complete: {names}")
        if conclude is None:
            reused, errors = len(plan.cells) - len(plan.todo), {cell.run_id: error for cell, error in failed}
            tally: SweepResult = {"done": len(plan.todo) - len(failed), "reused": reused, "failed": errors}
            return store.save_json("result.json", tally)
        found = [name for name in plan.run_ids if (launch.base / name / "run.json").exists()]
        return conclude(store, found, [f"{cell.title}: {error}" for cell, error in failed], jobs=config.jobs or cores())

    try:
        start(make_experiment(config.kind, settings, body), launch, store)
    except KeyboardInterrupt:
        if store.path is not None:
            again = _again(config, store.path.name, launch.base)
            say(f"{config.word} {store.path.name}: stopped; {again} continues it", file=sys.stderr)
        raise
    return store.directory.name, failed


def _entry(plan: _Plan) -> dict[str, Any]:
    config = plan.config
    entry = config.model_dump(mode="json", include={"tasks", "models", "carries", "engine", "tags", "note"})
    entry |= {"seeds": config.seeds} if isinstance(config, CompareConfig) else {}
    return entry | {"kind": config.kind, "cells": len(plan.cells), "code": digests(config.model_dump())}


def _do(plan: _Plan, launch: Launch) -> list[Ended]:
    config, todo = plan.config, plan.todo
    if not todo:
        # All were done before: a comparison that ended between its last run and its conclusion.
        return []
    options = {key: value for key, value in launch.options.items() if key in PASSED_ON}
    cells = Launch(base=launch.base.absolute(), options=options)
    with Bars([cell.title for cell in todo], whole=config.kind == "sweep") as bars:

        def on_end(end: Ended) -> None:
            run_id = todo[end.number].run_id
            bars.end(end.number, f"run {run_id}" if end.error is None else f"failed: {end.error}")

        jobs = [Job(run_id=cell.run_id, config=cell.config.model_dump(mode="json")) for cell in todo]
        if config.engine == "ray":
            from ddl_dyn.experiments.sweep.ray import run_on_ray

            return run_on_ray(jobs, cells, config, on_account=bars.show, on_end=on_end)
        return run_all(jobs, cells, do_cell, jobs=side_by_side(config, todo), on_account=bars.show, on_end=on_end)


def side_by_side(config: GridConfig, todo: Sequence[Cell]) -> int:
    """Cells that run side by side on this machine."""
    device = "cpu" if all(cell.config.train.device == "cpu" for cell in todo) else "auto"
    return config.jobs or default_jobs(device)


def _again(config: GridConfig, where: str, base: Path) -> str:
    return "the same command" if config.kind == "sweep" else f"`{_command('resume', where, base=base)}`"


def _next(config: GridConfig, where: str, base: Path, failed: bool) -> str:
    if failed:
        missing = _command("missing", where, base=base)
        return f"`{missing}` says what is left and why; {_again(config, where, base)} tries it again"
    query = f"task={','.join(config.tasks)} model={','.join(config.models)}"
    return f"`{_command('report', '--query', query, base=base)}`"


def _command(*words: str, base: Path) -> str:
    return shlex.join(["ddl-dyn", *words, *([] if base == Path("runs") else ["--runs", str(base)])])

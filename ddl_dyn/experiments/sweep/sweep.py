"""A sweep from its cells to the last word about it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddl_dyn.config.parsing import ConfigError
from ddl_dyn.experiments.cell import do_cell, job
from ddl_dyn.experiments.run import Launch, make_store, start
from ddl_dyn.experiments.sweep.bars import CellBars
from ddl_dyn.experiments.sweep.grid import Cell, SweepConfig, sweep_id
from ddl_dyn.experiments.sweep.record import completed, write_cells
from ddl_dyn.experiments.tracking.sacred import make_experiment
from ddl_dyn.experiments.workers import Ended, default_jobs, run_all
from ddl_dyn.runs import COMPLETED, Run
from ddl_dyn.runs.observer import RunStore

# Options of the sweep that hold for each of its runs.
PASSED_ON = ("--beat-interval", "--comment", "--capture", "--store")


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many cells of a sweep were done by it, were done before, and failed (run id -> error)."""

    cells: int
    reused: int
    failed: Mapping[str, str]

    @property
    def done(self) -> int:
        """Number of cells that were run to their end."""
        return self.cells - self.reused - len(self.failed)


def sweep(config: SweepConfig, cells: Sequence[Cell], launch: Launch) -> int:
    """Do the cells that are not done yet, and keep the sweep as a run of kind `sweep`.

    Args:
        config, cells: what `resolve_sweep` returned.
        launch: where and how.
    Returns:
        0, or 1 when a cell failed.
    Raises:
        StoreError: when runs cannot be written, or another process does the same sweep now.
    """
    if not launch.observed:
        raise ConfigError(["sweep needs its runs on disk to know which are done; leave --unobserved out"])
    if launch.options.get("--id") is not None:
        raise ConfigError(["a sweep's id is made from its cells, so that the same sweep continues; leave --id out"])
    known = completed(launch.base)
    run_ids = [known.get(cell.digest, cell.run_id) for cell in cells]
    todo = [cell for cell in cells if cell.digest not in known]
    where = sweep_id(list(cells))
    before = Run(launch.base / where)
    if not todo and (before.path / "run.json").exists() and before.status == COMPLETED:
        tally = Tally(cells=len(cells), reused=len(cells), failed={})
    else:
        options = {key: value for key, value in launch.options.items() if key != "--store"}
        mine = Launch(base=launch.base, options=options, run_id=where)
        store = make_store(mine, _entry(config, cells))
        assert store is not None

        def work() -> Tally:
            write_cells(store.directory, cells, run_ids)
            store.update(members=run_ids)
            ends = _do(todo, config, launch)
            failed = {todo[end.number].run_id: end.error for end in ends if end.error is not None}
            return Tally(cells=len(cells), reused=len(cells) - len(todo), failed=failed)

        tally = _keep(config, mine, store, work)
    print("\n".join(closing(where, tally, config, launch.base)))
    return 1 if tally.failed else 0


def _keep(config: SweepConfig, launch: Launch, store: RunStore, work: Callable[[], Tally]) -> Tally:
    """Let Sacred run the sweep's own run, and write down what came of the cells."""
    tallies: list[Tally] = []

    def body(_run: Any, _config: Mapping[str, Any]) -> None:
        tally = work()
        store.save_json("result.json", {"done": tally.done, "reused": tally.reused, "failed": tally.failed})
        tallies.append(tally)

    settings = config.model_dump(mode="json")
    # Nothing for Sacred to check: the settings have become cells, and those are checked.
    experiment = make_experiment("sweep", settings, body, lambda _: None)
    try:
        start(experiment, launch, store, settings)
    except KeyboardInterrupt:
        print(f"sweep {launch.run_id}: stopped; the same command continues it", file=sys.stderr)
        raise
    return tallies[0]


def _entry(config: SweepConfig, cells: Sequence[Cell]) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": "sweep", "tasks": config.tasks, "models": config.models, "carries": config.carries}
    return entry | {"cells": len(cells), "engine": config.engine, "tags": config.tags, "note": config.note}


def _do(todo: Sequence[Cell], config: SweepConfig, launch: Launch) -> list[Ended]:
    options = {key: value for key, value in launch.options.items() if key in PASSED_ON}
    cells = Launch(base=launch.base.absolute(), options=options)
    with CellBars([cell.title for cell in todo]) as bars:

        def on_end(end: Ended) -> None:
            run_id = todo[end.number].run_id
            bars.end(end.number, f"run {run_id}" if end.error is None else f"failed: {end.error}")

        jobs = [job(cell.run_id, cell.config) for cell in todo]
        if config.engine == "ray":
            from ddl_dyn.experiments.sweep.ray import run_on_ray

            return run_on_ray(jobs, cells, config, on_account=bars.show, on_end=on_end)
        device = "cpu" if all(cell.config.train.device == "cpu" for cell in todo) else "auto"
        side_by_side = config.jobs or default_jobs(device)
        return run_all(
            jobs, cells.base, jobs=side_by_side, do=do_cell, options=options, on_account=bars.show, on_end=on_end
        )


def closing(where: str, tally: Tally, config: SweepConfig, base: Path) -> list[str]:
    """How a sweep ended and what to type next."""
    cells = "1 cell" if tally.cells == 1 else f"{tally.cells} cells"
    counts = f"sweep {where}: {cells}: {tally.done} done, {tally.reused} reused, {len(tally.failed)} failed"
    elsewhere = [] if base == Path("runs") else ["--runs", str(base)]
    if tally.failed:
        command = shlex.join(["ddl-dyn", "missing", where, *elsewhere])
        return [counts, f"next: `{command}` says what is left and why; the same sweep tries it again"]
    query = f"task={','.join(config.tasks)} model={','.join(config.models)}"
    return [counts, f"next: `{shlex.join(['ddl-dyn', 'report', '--query', query, *elsewhere])}`"]

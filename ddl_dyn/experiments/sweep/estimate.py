"""Cost of a sweep or comparison before anything of it is done: cells, time and disk.

Axes: R replicas, N trajectories, T steps, D observed state.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ddl_dyn.config.files import MEGABYTE
from ddl_dyn.config.formats import counted
from ddl_dyn.config.sections import RunConfig
from ddl_dyn.experiments.progress import duration
from ddl_dyn.experiments.setup import Setup, make_setup
from ddl_dyn.experiments.sweep.config import GridConfig
from ddl_dyn.experiments.sweep.grid import Cell
from ddl_dyn.experiments.sweep.record import completed
from ddl_dyn.experiments.sweep.run_grid import side_by_side
from ddl_dyn.training.timing import seconds_per_update

# Tuning costs at most twice what one learning rate does (`training.tuning`).
TUNED = 2.0
# Evaluation, figures' arrays and start of a run, beside its training.
BESIDE_SECONDS = 5.0


def estimate(cells: Sequence[Cell], config: GridConfig, runs: Path) -> list[str]:
    """Lines that say how many cells there are, how many are left, and about what these will cost.

    One cell of each task and model is timed on this machine for a few updates, the middle one where there are more.

    Args:
        cells: of the grid.   config: its workers.   runs: the folder in which some may be complete.
    """
    known = completed(runs)
    todo = [cell for cell in cells if cell.digest not in known]
    lines = [f"{counted(len(cells), 'cell')}: {len(cells) - len(todo)} complete already, {len(todo)} to do"]
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in todo:
        groups.setdefault((cell.config.task, cell.config.model), []).append(cell)
    total, disk = 0.0, 0
    for (task, model), members in groups.items():
        setup = make_setup(members[len(members) // 2].config)
        each = _seconds_per_update(setup)
        seconds = sum(_seconds(cell.config, each) for cell in members)
        size = sum(_bytes(cell.config, setup) for cell in members)
        total, disk = total + seconds, disk + size
        lines.append(f"  {model} on {task}: {counted(len(members), 'cell')}, about {duration(seconds)}, {_size(size)}")
    if todo:
        jobs = min(side_by_side(config, todo), len(todo))
        beside = f" with {jobs} side by side" if jobs > 1 else ""
        lines.append(f"about {duration(total / jobs)} in all{beside}, and {_size(disk)} of disk; nothing was begun")
    return lines


def _seconds_per_update(setup: Setup) -> float:
    if setup.replicas.template.closed_form:
        return 0.0
    return seconds_per_update(setup.replicas, setup.scaled("train"), setup.scaled("val"), setup.config.train)[0]


def _seconds(config: RunConfig, each: float) -> float:
    return BESIDE_SECONDS + each * config.train.updates * (TUNED if len(config.train.lr_grid) > 1 else 1.0)


def _bytes(config: RunConfig, setup: Setup) -> int:
    """Forecasts in float32, the truth beside them in float64, and the weights of both checkpoints."""
    data, dim = setup.data, setup.task.state_dim
    tested = [part for part in (data.test, data.ood) if part is not None]
    states = sum(len(part) * (part.steps + 1) * dim for part in tested)
    weights = sum(tensor.nbytes for tensor in setup.replicas.state_dict().values())
    return states * (4 * config.seeds + 8) + 2 * weights


def _size(count: int) -> str:
    return f"{max(count / MEGABYTE, 0.1):,.1f} MB"

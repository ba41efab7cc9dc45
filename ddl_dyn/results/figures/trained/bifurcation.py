"""Bifurcation diagrams of families: the parameter is an input of the model. Axes: K parameter values, M samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ddl_dyn import analysis, plots
from ddl_dyn.engine.rollout import rollout
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView

# Parameter values of a map's diagram and of a flow's, whose orbits are integrated.
MAPS, FLOWS = 300, 40
TRANSIENT, _KEPT = 300, 80
_STARTS = 6
# What the diagram marks; other points of a branch are not bifurcations of the attractor.
MARKED = ("flip", "fold", "neimark_sacker")


def _no_family(view: RunView) -> str:
    setup, task = view.setup, view.setup.task
    if not (hasattr(task, "at") and hasattr(task, "gap")):
        return "a bifurcation diagram needs a family whose parameter is an input, such as logistic_family"
    own = setup.obstacle or setup.learned.dim == task.state_dim
    return setup.obstacle if own else "a latent carry runs in a space of its own"


@figure("bifurcation", "orbit diagram of a family", unless=_no_family)
def _bifurcation(view: RunView) -> Drawing:
    setup = view.setup
    task: Any = setup.task
    flow = setup.is_flow
    values = np.linspace(*_range(task), FLOWS if flow else MAPS)
    x0 = setup.starts(_STARTS)
    steps = round(20 * setup.timescale / task.dt) if flow else TRANSIENT + _KEPT
    theirs, ours = (
        _ends(each, len(values), steps // 2 if flow else _KEPT) for each in _orbits(view, values, x0, steps)
    )
    if flow:
        theirs, ours = (_heights(each) for each in (theirs, ours))
    marks = {} if flow else _marks(view)
    low, high = task.train_range
    return plots.bifurcation_diagram(
        values,
        theirs.reshape(len(values), -1),
        {view.model: ours.reshape(len(values), -1)},
        marks_true=marks.get("", ()),
        marks_model={view.model: marks.get(view.model, ())},
        parameter_name=task.input_names[0],
        state_name=f"maxima of {view.names[0]}" if flow else view.names[0],
        title=view.title,
        note=f"Trained on {low:g}–{high:g} without {task.gap[0]:g}–{task.gap[1]:g}. {view.note}",
    )


def _orbits(view: RunView, values: Array, x0: Array, steps: int) -> tuple[Array, Array]:
    """True and learned orbits from x0 (S, D) at every parameter value, each (K·S, T+1, D), as one batch."""
    setup = view.setup
    starts = np.tile(x0, (len(values), 1))
    inputs = np.repeat(np.repeat(values, len(x0))[:, None, None], steps, axis=1)
    true = np.asarray(setup.task.simulate(starts, steps, inputs).states)
    model = setup.replicas.model(view.chosen)
    normalizer = setup.normalizer.of_replica(view.chosen)
    z = torch.as_tensor(normalizer.normalize(starts))
    drive = torch.as_tensor(inputs).to(setup.replicas.device, setup.replicas.dtype)
    states = rollout(model, z, steps, drive).states.double().cpu().numpy()
    return true, normalizer.denormalize(states)


def _ends(orbits: Array, values: int, keep: int) -> Array:
    """First component at the end of orbits (K·S, T+1, D), as (K, keep, S)."""
    return np.moveaxis(orbits[:, -keep:, 0].reshape(values, -1, keep), 1, 2)


def _range(task: Any) -> tuple[float, float]:
    ends = [*task.train_range, *task.ood_range]
    return min(ends), max(ends)


def _heights(orbits: Array) -> Array:
    """Local maxima along orbits (K, T, N), as (K, T−2, N) with NaN where there is none."""
    left, top, right = orbits[:, :-2], orbits[:, 1:-1], orbits[:, 2:]
    with np.errstate(invalid="ignore"):
        return np.where((top > left) & (top >= right), top, np.nan)


def _member(task: Any, value: float) -> analysis.DiscreteMap:
    """The true map at a parameter value; outside the admissible range one without images, where a search turns back."""
    try:
        return analysis.from_task(task.at(value))
    except ValueError:
        dim = task.state_dim
        return analysis.DiscreteMap(
            step=lambda x: x * torch.nan,
            joint=lambda x: (x * torch.nan, x.new_full((*x.shape, dim), torch.nan)),
            dim=dim,
            dt=task.dt,
        )


def _marks(view: RunView) -> dict[str, list[tuple[float, str]]]:
    """Bifurcations on the branches of fixed points and 2-cycles, each started in the middle of the held-out gap."""
    task: Any = view.setup.task
    setup = view.setup
    bounds = _range(task)
    middle = float(sum(task.gap) / 2)
    normalizer = setup.normalizer.of_replica(view.chosen)
    learned = analysis.learned_family(setup.replicas.model(view.chosen), normalizer=normalizer)
    found: dict[str, list[tuple[float, str]]] = {}
    families = {
        "": lambda p: _member(task, p),
        view.model: lambda p: learned([p]),
    }
    for name, family in families.items():
        points: set[tuple[float, str]] = set()
        for period in (1, 2):
            for cycle in analysis.cycles(family(middle), period, box=setup.box, count=32):
                for direction in (1, -1):
                    branch = analysis.continue_cycle(
                        family, cycle.points[0], middle, period=period, bounds=bounds, direction=direction
                    )
                    points |= {(round(b.parameter, 6), b.kind) for b in branch.bifurcations if b.kind in MARKED}
        found[name] = sorted(points)
    return found

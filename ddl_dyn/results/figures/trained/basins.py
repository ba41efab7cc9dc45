"""Basins of attraction, of the learned map beside the true one. Axes: P points, G points a side, D observed state."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import analysis, plots
from ddl_dyn.experiments.evaluation.phase_space import portrait_grid
from ddl_dyn.experiments.setup import Setup
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView

# Points a side, and the largest sample of an attractor.
BASIN, SAMPLE = 61, 6000
# Steps of the runs that settle on one: so many time scales, but no fewer and no more steps than these.
_SETTLE, FEWEST, MOST = 20, 400, 1200
# A state within this share of σ of an attractor's sample has reached it.
REACHED = 0.15


def _no_basins(view: RunView) -> str:
    if not view.setup.comparable:
        return "basins are those of maps of the observed state that can be held against the truth"
    if view.dim not in (2, 3):
        return f"basins are drawn in the plane or a slice of space; a slice of {view.dim} dimensions says little"
    return ""


def _chosen_map(view: RunView) -> analysis.DiscreteMap:
    """The map of the replica shown, alone: the others would cost as much each."""
    setup = view.setup
    if setup.replicas.size == 1:
        return setup.learned
    model, normalizer = setup.replicas.model(view.chosen), setup.normalizer.of_replica(view.chosen)
    return analysis.from_replicas(model, normalizer=normalizer, inputs=setup.held)


@figure("basins", "basins of attraction in the plane, or a slice", unless=_no_basins)
def _basins(view: RunView) -> Drawing:
    setup = view.setup
    steps = int(np.clip(round(_SETTLE * setup.timescale / setup.task.dt), FEWEST, MOST))
    attractors, names = _attractors(setup, steps)
    grid = portrait_grid(setup.data.train.states, BASIN)
    reach = REACHED * float(np.sqrt(np.mean(setup.sigma**2)))
    search: dict[str, Any] = {"steps": steps, "tolerance": reach}
    # A basin is told to within `reach`: more digits of a flow than these change nothing.
    exact = analysis.from_task(setup.member, rtol=1e-7, atol=1e-8) if setup.is_flow else setup.truth
    truth = analysis.basin_labels(exact, grid, attractors, **search)
    ours = analysis.basin_labels(_chosen_map(view), grid, attractors, **search)
    overlap = analysis.basin_overlap(ours, truth, len(attractors))
    shape = (BASIN, BASIN)
    return plots.basin_map(
        grid[:, :2].reshape(*shape, 2),
        # Both escape and indecision are "no attractor of the truth".
        np.maximum(truth, -1).reshape(shape),
        np.maximum(ours, -1).reshape(shape),
        model=view.model,
        attractors=[a[:: max(1, len(a) // 400), :2] for a in attractors],
        names=names,
        overlap={view.model: float(np.nanmean(overlap))},
        state_names=view.names[:2],
        title=view.title,
        note=f"{_slice(view, grid)}IoU: mean over attractors; white: reaches none within {steps} steps. {view.note}",
    )


def _slice(view: RunView, grid: Array) -> str:
    """Position of a grid's slice in state space, for the caption; empty in the plane."""
    return f"Slice at {view.names[2]} = {grid[0, 2]:.3g}; attractors are projected. " if grid.shape[1] > 2 else ""


def _attractors(setup: Setup, steps: int) -> tuple[list[Array], list[str]]:
    """The sinks of the truth, and a sample of what its other orbits end on."""
    search: dict[str, Any] = {"box": setup.box, "count": 128}
    sinks = [
        cycle
        for period in ((1,) if setup.is_flow else (1, 2, 3, 4))
        for cycle in (
            analysis.equilibria(setup.member, **search)
            if setup.is_flow
            else analysis.cycles(setup.truth, period, **search)
        )
        if cycle.stability == "sink" and cycle.isolated
    ]
    states = setup.member.simulate(setup.starts(16), 2 * steps).states[:, steps:]
    states = states.reshape(-1, states.shape[-1])
    reach = REACHED * float(np.sqrt(np.mean(setup.sigma**2)))
    for sink in sinks:
        gap = np.linalg.norm(states[:, None] - sink.points, axis=-1).min(axis=1)
        states = states[gap > reach]
    # The place tells attractors of one kind apart.
    names = [
        f"{'fixed point' if c.period == 1 else f'{c.period}-cycle'} at ({', '.join(f'{v:.2g}' for v in c.points[0])})"
        for c in sinks
    ]
    found = [c.points for c in sinks]
    if len(states):
        found.append(states[np.linspace(0, len(states) - 1, min(SAMPLE, len(states))).astype(int)])
        names.append("limit set" if setup.is_flow else "attractor")
    return found, names

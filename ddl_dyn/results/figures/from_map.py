"""Figures that need the trained map itself: directions, depth, basins, sections, spectra, bifurcations.

Axes: R replicas, N trajectories, T steps, G grid points a side, P points, D observed state, L layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ddl_dyn import plots
from ddl_dyn.experiments.evaluation.phase_space import portrait_grid
from ddl_dyn.results.figures.basins import basins
from ddl_dyn.results.figures.conservation import defects, drift, error, growth
from ddl_dyn.results.figures.families import bifurcation
from ddl_dyn.results.figures.stage import Stage
from ddl_dyn.results.inspection.constants import trace_at
from ddl_dyn.results.inspection.rebuild import CODES, Unsuitable

Array = NDArray[Any]
# Points a side: of a grid pushed through the layers, of a line field.
LATTICE, LINES = 15, 21
# What a recurrence plot shows: steps of a map, time scales of a flow.
MAP_RECURRENCE, TURNS = 200, 12


def directions(stage: Stage) -> Any:
    """Directions k over the phase plane, where they lie in it."""
    if stage.true.shape[-1] != 2:
        raise Unsuitable(f"a line field needs a plane, and the state has {stage.true.shape[-1]} components")
    grid = _lattice(stage, LINES)
    trace = trace_at(stage.subject, grid)
    if trace is None:
        raise Unsuitable("directions lie in the phase plane only in a DDL stack with lift=identity")
    stage.suited()
    # (L, P, r, d): each direction of a layer is a mirror of its own.
    k = np.moveaxis(trace["k"][stage.chosen], 2, 1)
    beta = np.moveaxis(trace["beta"][stage.chosen], 2, 1)
    # In model units components are scaled; a direction of the plane is scaled back with them.
    k = k.reshape(-1, *k.shape[2:]) * stage.subject.normalizer.of_replica(stage.chosen).scale
    return plots.direction_field(
        grid.reshape(LINES, LINES, 2),
        k.reshape(-1, LINES, LINES, 2),
        beta=beta.reshape(-1, LINES, LINES),
        state_names=stage.names,
        **stage.common,
    )


def depth(stage: Stage) -> Any:
    """A grid of states after each layer, read out."""
    model = stage.subject.replicas.model(stage.chosen)
    if stage.true.shape[-1] < 2 or not len(getattr(model, "layers", ())) or model.dynamics in ("floor", "oracle"):
        raise Unsuitable("a grid is pushed through the layers of a stack that acts on at least two components")
    if stage.subject.member is None:
        raise Unsuitable(stage.subject.obstacle)
    stage.suited()
    z = torch.as_tensor(stage.subject.normalizer.of_replica(stage.chosen).normalize(_lattice(stage, LATTICE)))
    z = z.to(stage.subject.replicas.device, stage.subject.replicas.dtype)
    u = torch.as_tensor(np.resize(stage.subject.held, (len(z), stage.subject.task.input_dim))).to(z)
    with torch.no_grad():
        states = [model.lift(z)]
        for layer in model.layers_at(0):
            states.append(layer(states[-1], u))
        seen = torch.stack([model.read(h) for h in states]).double().cpu().numpy()
    seen = stage.subject.normalizer.of_replica(stage.chosen).denormalize(seen)[..., :2].reshape(-1, LATTICE, LATTICE, 2)
    plain = model.config.lift == "identity"
    note = stage.note if plain else f"The latent state is read out after every layer. {stage.note}"
    return plots.state_through_depth(seen, state_names=stage.names[:2], model=stage.model, title=stage.title, note=note)


def poincare(stage: Stage) -> Any:
    """Crossings of the surface on which the last component has its mean, upwards."""
    if not stage.subject.is_flow or stage.true.shape[-1] < 3:
        raise Unsuitable("a Poincaré section is taken of a flow of at least three components")
    pred, true = stage.long_runs
    level = float(true[..., -1].mean())
    return plots.poincare_section(
        _crossings(true, level),
        {stage.model: _crossings(pred[0], level)},
        state_names=stage.names[:2],
        section=f"{stage.names[-1]} = {level:.3g}, upwards",
        **stage.common,
    )


def _crossings(states: Array, level: float) -> Array:
    """First two components (P, 2) where the last one rises through a level, interpolated linearly; runs (N, T+1, D)."""
    before, after = states[:, :-1], states[:, 1:]
    with np.errstate(invalid="ignore"):
        up = (before[..., -1] < level) & (after[..., -1] >= level)
    a, b = before[up], after[up]
    share = (level - a[:, -1:]) / (b[:, -1:] - a[:, -1:])
    return (a + share * (b - a))[:, :2]


def spectra(stage: Stage) -> Any:
    """Power spectra of the first component along long free runs."""
    pred, true = stage.long_runs
    dt = float(stage.subject.task.dt)
    frequencies = np.fft.rfftfreq(true.shape[1], dt)
    each = np.stack([_power(run[..., 0]) for run in pred])
    return plots.power_spectra(
        frequencies[1:],
        _power(true[..., 0])[1:],
        {stage.model: each[:, 1:]},
        frequency_unit=f"1/{stage.time_unit}",
        title=stage.title,
        note=f"{stage.names[0]}, {true.shape[1]} samples, mean over {len(true)} runs. {stage.note}",
    )


def _power(x: Array) -> Array:
    """Mean periodogram (F,) of runs (N, T), tapered by a Hann window; NaN where a run is not finite."""
    window = np.hanning(x.shape[-1])
    with np.errstate(invalid="ignore", over="ignore"):
        centred = (x - x.mean(axis=-1, keepdims=True)) * window
        return np.asarray((np.abs(np.fft.rfft(centred, axis=-1)) ** 2).mean(axis=0) / (window**2).sum())


def recurrence(stage: Stage) -> Any:
    """Pairs of times at which one run is in nearly the same state: a long run, or where there is none a stored one."""
    subject = stage.subject
    if stage.categorical:
        raise Unsuitable(CODES)
    try:
        pred, true = stage.long_runs
        steps = MAP_RECURRENCE if stage.kind == "map" else round(TURNS * subject.timescale / subject.task.dt)
    except Unsuitable:
        stage.suited()
        pred, true = stage.pred, stage.true
        steps = true.shape[1] - 1
    shown = slice(None, min(max(steps, 20), true.shape[1] - 1) + 1)
    return plots.recurrence_plot(
        true[0, shown],
        {stage.model: pred[0, 0, shown]},
        dt=float(subject.task.dt),
        time_unit=stage.time_unit,
        title=stage.title,
        note=stage.note,
    )


def returns(stage: Stage) -> Any:
    """Successive maxima of a flow's last component, or successive states of a map."""
    pred, true = stage.long_runs
    component = -1 if stage.true.shape[-1] == 3 else 0
    label = stage.names[component]
    a: Any
    b: Any
    if stage.kind == "map":
        a, b, what = true[..., component], pred[0][..., component], label
    else:
        a, b, what = _maxima(true[..., component]), _maxima(pred[0][..., component]), f"maximum of {label}"
    return plots.return_map(_separated(a), {stage.model: _separated(b)}, name=what, **stage.common)


def _maxima(x: Array) -> list[Array]:
    """Heights of the local maxima of each run (N, T), by a parabola through three samples."""
    found = []
    for row in x:
        left, top, right = row[:-2], row[1:-1], row[2:]
        with np.errstate(invalid="ignore"):
            peak = (top > left) & (top >= right)
        a, b, c = left[peak], top[peak], right[peak]
        found.append(b + (a - c) ** 2 / (8 * (2 * b - a - c)))
    return found


def _separated(runs: Any) -> Array:
    """Sequences one after another with NaN between them."""
    return np.concatenate([np.append(run, np.nan) for run in runs])


def _lattice(stage: Stage, side: int) -> Array:
    """(side², D) states over the portrait's plane, x varying slowest."""
    return portrait_grid(stage.subject.data.train.states, side)


REBUILT = {
    "error": error,
    "directions": directions,
    "depth": depth,
    "growth": growth,
    "defects": defects,
    "drift": drift,
    "basins": basins,
    "poincare": poincare,
    "spectra": spectra,
    "recurrence": recurrence,
    "return_map": returns,
    "bifurcation": bifurcation,
}

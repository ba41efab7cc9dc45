"""Figures of long free runs as signals: sections, spectra, recurrences, return maps.

Axes: R replicas, N trajectories, T steps, P points, D observed state, F frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddl_dyn import plots
from ddl_dyn.experiments.unsuitable import Unsuitable
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.style import Drawing
from ddl_dyn.results.figures.registry import figure
from ddl_dyn.results.figures.run_view import RunView
from ddl_dyn.results.inspection import climate

# What a recurrence plot shows: steps of a map, time scales of a flow.
MAP_RECURRENCE, TURNS = 200, 12


def _none(view: RunView) -> str:
    return climate.no_long_runs(view.setup)


def _no_attractor(view: RunView) -> str:
    return f"the state has {view.dim} components, not three" if view.dim != 3 else _none(view)


@figure("attractor", "the attractor of a long free run in three dimensions, at an angle", unless=_no_attractor)
def _attractor(view: RunView) -> Drawing:
    pred, true = view.long_runs
    return plots.attractor_3d(
        true[0],
        {view.model: pred[0, 0]},
        fixed_points_true=view.fixed_points("_true"),
        fixed_points_model={view.model: view.fixed_points()},
        state_names=view.names,
        kind=view.kind,
        title=view.title,
        note=view.space_note,
    )


def _no_section(view: RunView) -> str:
    if not view.setup.is_flow or view.dim < 3:
        return "a Poincaré section is taken of a flow of at least three components"
    return _none(view)


@figure("poincare", "Poincaré section of a flow", unless=_no_section)
def _poincare(view: RunView) -> Drawing:
    pred, true = view.long_runs
    level = float(true[..., -1].mean())
    return plots.poincare_section(
        _crossings(true, level),
        {view.model: _crossings(pred[0], level)},
        state_names=view.names[:2],
        section=f"{view.names[-1]} = {level:.3g}, upwards",
        **view.common,
    )


def _crossings(states: Array, level: float) -> Array:
    """First two components (P, 2) where the last one rises through a level, interpolated linearly; runs (N, T+1, D)."""
    before, after = states[:, :-1], states[:, 1:]
    with np.errstate(invalid="ignore"):
        up = (before[..., -1] < level) & (after[..., -1] >= level)
    a, b = before[up], after[up]
    share = (level - a[:, -1:]) / (b[:, -1:] - a[:, -1:])
    return (a + share * (b - a))[:, :2]


@figure("spectra", "power spectra of long runs", unless=_none)
def _spectra(view: RunView) -> Drawing:
    pred, true = view.long_runs
    dt = float(view.setup.task.dt)
    frequencies = np.fft.rfftfreq(true.shape[1], dt)
    each = np.stack([_power(run[..., 0]) for run in pred])
    return plots.power_spectra(
        frequencies[1:],
        _power(true[..., 0])[1:],
        {view.model: each[:, 1:]},
        frequency_unit=f"1/{view.time_unit}",
        title=view.title,
        note=f"{view.names[0]}, {true.shape[1]} samples, mean over {len(true)} runs. {view.note}",
    )


def _power(x: Array) -> Array:
    """Mean periodogram (F,) of runs (N, T), tapered by a Hann window; NaN where a run is not finite."""
    window = np.hanning(x.shape[-1])
    with np.errstate(invalid="ignore", over="ignore"):
        centred = (x - x.mean(axis=-1, keepdims=True)) * window
        return np.asarray((np.abs(np.fft.rfft(centred, axis=-1)) ** 2).mean(axis=0) / (window**2).sum())


@figure("recurrence", "recurrence plot of one run", unless=lambda view: view.codes)
def _recurrence(view: RunView) -> Drawing:
    setup = view.setup
    try:
        pred, true = view.long_runs
        steps = MAP_RECURRENCE if view.kind == "map" else round(TURNS * setup.timescale / setup.task.dt)
    except Unsuitable:
        # One stored run where there is no long one.
        pred, true = view.pred, view.true
        steps = true.shape[1] - 1
    shown = slice(None, min(max(steps, 20), true.shape[1] - 1) + 1)
    return plots.recurrence_plot(
        true[0, shown],
        {view.model: pred[0, 0, shown]},
        dt=float(setup.task.dt),
        time_unit=view.time_unit,
        title=view.title,
        note=view.note,
    )


@figure("return_map", "successive maxima, or successive states of a map", unless=_none)
def _return_map(view: RunView) -> Drawing:
    pred, true = view.long_runs
    component = -1 if view.true.shape[-1] == 3 else 0
    label = view.names[component]
    a: object
    b: object
    if view.kind == "map":
        a, b, what = true[..., component], pred[0][..., component], label
    else:
        a, b, what = _maxima(true[..., component]), _maxima(pred[0][..., component]), f"maximum of {label}"
    return plots.return_map(_separated(a), {view.model: _separated(b)}, name=what, **view.common)


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

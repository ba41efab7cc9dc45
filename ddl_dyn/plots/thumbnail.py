"""One small picture of a task, for catalogues: drawn from true trajectories alone.

Axes: N trajectories, T steps, D state components.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits, spread
from ddl_dyn.plots.portrait import Kind
from ddl_dyn.plots.portrait3d import draw_depth
from ddl_dyn.plots.style import TRUE_COLOUR, caption_of, new_figure, styled

_INK = ("#1f3a5f", "#0072B2", "#56B4E9", "#009E73", "#D55E00", "#CC79A7")


@styled
def task_portrait(
    times: ArrayLike,
    states: ArrayLike,
    *,
    kind: Kind = "flow",
    state_names: Sequence[str] = (),
    state_kind: str = "continuous",
    time_unit: str = "time",
    title: str = "",
    note: str = "",
) -> Figure:
    """A task at a glance: time course (D = 1), phase plane (2), projection with a depth cue (3), space–time map (more).

    Args:
        times: (T+1,).
        states: (N, T+1, D) true trajectories; at most six are drawn.
        kind: "flow" draws lines, "map" points.
        state_kind: "categorical" draws the one-hot state of one trajectory as a space–time map.
    """
    t, x = np.asarray(times, dtype=np.float64), finite(states)
    if x.ndim != 3 or t.shape != x.shape[1:2]:
        raise ValueError(f"states must have shape (N, T+1, D) with T+1 = {t.size} times, got {x.shape}")
    dim = x.shape[2]
    names = list(state_names) or [rf"$x_{{{i + 1}}}$" for i in range(dim)]
    figure = new_figure(2.9, 2.5 + 0.2 * bool(note), title=title, caption=caption_of(note))
    ax: Axes = figure.subplots()
    time_label = f"t [{time_unit}]" if time_unit != "time" else "time"
    if state_kind == "categorical" or dim > 3:
        _space_time(figure, ax, t, x[0], state_kind)
        ax.set(xlabel=time_label, ylabel="component")
        return figure
    chosen = x[spread(len(x), 6)]
    if dim == 1:
        _time_course(ax, t, chosen[..., 0], kind)
        ax.set(xlabel=time_label, ylabel=names[0], xlim=(t[0], t[-1]), ylim=limits([chosen]))
    elif dim == 2:
        _plane(ax, chosen, kind)
        ax.set(xlabel=names[0], ylabel=names[1], xlim=limits([chosen[..., 0]]), ylim=limits([chosen[..., 1]]))
    else:
        _tilted(ax, chosen[:3], kind)
        ax.set_axis_off()
        ax.text(0.0, 0.0, ", ".join(names), transform=ax.transAxes, fontsize=6.5, color="#666666")
    return figure


def _time_course(ax: Axes, t: Array, values: Array, kind: Kind) -> None:
    for curve, ink in zip(values[:3], _INK, strict=False):
        ax.plot(t, curve, color=ink, linewidth=0.9 if kind == "flow" else 0.4)
        if kind == "map":
            ax.plot(t, curve, color=ink, ls="none", marker="o", ms=2.0, mew=0)


def _plane(ax: Axes, states: Array, kind: Kind) -> None:
    many = states.shape[0] * states.shape[1] > 1500
    for orbit, ink in zip(states, _INK, strict=False):
        if kind == "flow":
            ax.plot(*orbit.T, color=ink, linewidth=0.9)
        else:
            ax.plot(*orbit.T, color=ink, ls="none", marker="o", ms=1.0 if many else 2.4, mew=0)
        ax.plot(*orbit[0], marker="s", ms=3.2, mfc="white", mec=ink, mew=0.8, ls="none", gid="start")


def _tilted(ax: Axes, states: Array, kind: Kind) -> None:
    """An orthographic view from above one corner, nearer strokes darker."""
    known = states.reshape(-1, 3)[np.isfinite(states).all(axis=-1).ravel()]
    centre, spreads = (known.mean(axis=0), known.std(axis=0)) if len(known) else (np.zeros(3), np.ones(3))
    z = (states - centre) / np.where(spreads > 0, spreads, 1.0)
    turn, lift = np.deg2rad(-55.0), np.deg2rad(20.0)
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    toward = np.array([np.sin(turn) * np.cos(lift), -np.cos(turn) * np.cos(lift), np.sin(lift)])
    up = np.cross(toward, right) * np.sign(np.cross(toward, right)[2])
    depth = z @ toward
    low, high = limits([depth], pad=0.0)
    near = np.nan_to_num((depth - low) / (high - low), nan=0.5)
    page = np.stack([z @ right, z @ up], axis=-1)
    draw_depth(ax, page, near, kind, TRUE_COLOUR if kind == "map" else _INK[0])
    ax.set(xlim=limits([page[..., 0]]), ylim=limits([page[..., 1]]))


def _space_time(figure: Figure, ax: Axes, t: Array, states: Array, state_kind: str) -> None:
    index = np.arange(1, states.shape[1] + 1)
    colours = "Greys" if state_kind == "categorical" else colormaps["cividis"]
    image = ax.pcolormesh(t, index, states.T, cmap=colours, shading="nearest", rasterized=True)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if state_kind != "categorical":
        figure.colorbar(image, ax=ax, shrink=0.85, aspect=25)

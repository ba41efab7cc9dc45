"""Single panels of a comparison: the truth alone or one model over it, so that a page can set them in rows.

Axes: R replicas, N trajectories, T steps, D state components, G grid points per side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.plots.bands import band, finite, limits, spread
from ddl_dyn.plots.fields import Limits, Marked, draw_arrows, draw_marked, step_scale
from ddl_dyn.plots.portrait import FIELD_LEARNED, FIELD_UNDER, Kind, draw_learned, draw_orbits, plane_limits
from ddl_dyn.plots.style import FIELD_TRUE, TRUE_COLOUR, model_style, new_figure, styled

# Sides in inches: of a panel with axes, and of one in a row of many, of which the shape alone is read.
_SIDE, _SMALL = 2.35, 1.5


@styled
def plane_panel(
    true: ArrayLike,
    free_runs: ArrayLike | None = None,
    *,
    model: str = "",
    grid: ArrayLike | None = None,
    step_true: ArrayLike | None = None,
    step_model: ArrayLike | None = None,
    fixed_points: Sequence[Marked] = (),
    state_names: Sequence[str] = ("x", "y"),
    kind: Kind = "flow",
    isotropic: bool = False,
    runs: int = 8,
    small: bool = False,
) -> Figure:
    """One panel of a phase portrait: true orbits, or one model's free runs over them.

    Args:
        true: (N, T+1, 2) true trajectories.
        free_runs: (R, N, T+1, 2) free runs of `model`, the replica shown strong first; None draws the truth alone.
        grid: (G, G, 2) points of the step fields; its extent sets the limits of a panel that is not small.
        step_true, step_model: (G, G, 2), steps Φ(x) − x of the truth and of one replica.
        fixed_points: (location (2,), stability type) pairs of what is drawn.
        state_names: of both axes.   kind: "flow" joins the samples by lines, "map" shows points.
        isotropic: equal scales on both axes.   runs: number of initial states drawn.
        small: without axes, step fields and fixed points.
    """
    truth = finite(true)
    # Of the shape alone as much as there is; arrows and fixed points want the whole plane.
    box = plane_limits(truth, None if small else grid)
    colour = model_style(model).colour if free_runs is not None else TRUE_COLOUR
    figure, ax = _panel(small)
    if not small:
        _steps(ax, box, grid, step_true, step_model, alone=free_runs is None)
        draw_marked(ax, fixed_points, colour)
        ax.set(xlabel=state_names[0], ylabel=state_names[1])
    if free_runs is None:
        draw_orbits(ax, truth[spread(len(truth), runs)], kind, TRUE_COLOUR)
    else:
        draw_learned(ax, truth, finite(free_runs), kind, colour, runs)
    ax.set(xlim=box[0], ylim=box[1])
    if isotropic:
        ax.set_aspect("equal")
    return figure


@styled
def course_panel(
    times: ArrayLike,
    true: ArrayLike,
    free_runs: ArrayLike | None = None,
    *,
    model: str = "",
    level: float = 0.8,
    small: bool = False,
) -> Figure:
    """One component against time: the truth, or one model's median over replicas with its band over the truth.

    Args:
        times: (T+1,).   true: (T+1,).   free_runs: (R, T+1) of `model`; None draws the truth alone.
        level: share of the replicas inside the band.   small: without axes.
    """
    t, truth = np.asarray(times, dtype=np.float64), finite(true)
    box = limits([truth], pad=0.2)
    figure, ax = _panel(small)
    ax.plot(t, truth, color=TRUE_COLOUR if free_runs is None else FIELD_TRUE, linewidth=1.6)
    if free_runs is not None:
        look = model_style(model)
        far = box[0] - 10 * (box[1] - box[0]), box[1] + 10 * (box[1] - box[0])
        median, low, high = (np.clip(curve, *far) for curve in band(free_runs, level, failed="missing"))
        ax.fill_between(t, low, high, color=look.colour, alpha=0.22, linewidth=0)
        ax.plot(t, median, color=look.colour, linewidth=1.1)
    if not small:
        ax.set_xlabel("time")
    ax.set(xlim=(t[0], t[-1]), ylim=box)
    return figure


def _panel(small: bool) -> tuple[Figure, Axes]:
    side = _SMALL if small else _SIDE
    figure = new_figure(side, 0.92 * side)
    ax: Axes = figure.subplots()
    if small:
        # Nothing stands around it that would have to be made room for.
        figure.set_layout_engine("none")
        ax.set_position((0.01, 0.01, 0.98, 0.98))
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set_visible(True)
            spine.set_color("#c4c4c4")
    return figure, ax


def _steps(
    ax: Axes, box: Limits, grid: ArrayLike | None, truth: ArrayLike | None, learned: ArrayLike | None, *, alone: bool
) -> None:
    """Step fields: the true one alone, or the learned one over it."""
    reference = truth if truth is not None else learned
    if grid is None or reference is None:
        return
    scale = step_scale(reference, box)

    def arrows(steps: ArrayLike | None, colour: str, width: float) -> None:
        if steps is not None:
            draw_arrows(ax, grid, steps, limits=box, scale=scale, colour=colour, width=width, zorder=1.2)

    if alone:
        arrows(truth, FIELD_TRUE, 0.0034)
    elif learned is not None:
        arrows(truth, FIELD_UNDER, 0.0052)
        arrows(learned, FIELD_LEARNED, 0.0034)

"""Phase portraits: the truth beside what a trained stack does with the same initial states.

Axes: R replicas, N trajectories, T steps, D state components, G grid points per side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits, spread
from ddl_dyn.plots.fields import (
    Limits,
    Marked,
    by_model,
    draw_arrows,
    draw_marked,
    draw_streamlines,
    stability_handles,
    step_scale,
)
from ddl_dyn.plots.style import (
    FIELD_TRUE,
    PAGE_WIDTH,
    TRUE_COLOUR,
    UNDERLAY,
    caption_of,
    legend,
    model_style,
    new_figure,
    styled,
)

Kind = Literal["flow", "map"]
FIELD_UNDER, FIELD_LEARNED = "#d0d0d0", "#565656"
Field = Literal["arrows", "streamlines"]


@styled
def phase_portrait(
    true: ArrayLike,
    free_runs: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    grid: ArrayLike | None = None,
    step_true: ArrayLike | None = None,
    step_model: Mapping[str, ArrayLike] | ArrayLike | None = None,
    fixed_points_true: Sequence[Marked] = (),
    fixed_points_model: Mapping[str, Sequence[Marked]] | Sequence[Marked] = (),
    state_names: Sequence[str] = ("x", "y"),
    kind: Kind = "flow",
    field: Field = "arrows",
    isotropic: bool = False,
    runs: int = 8,
    title: str = "",
    note: str = "",
) -> Figure:
    """Phase portrait in two dimensions: truth in the first panel, one panel per model, all with the same limits.

    Args:
        true: (N, T+1, 2) true trajectories.
        free_runs: (R, N, T+1, 2) free runs of `model` from the same initial states, or one such array per model; the
            first replica is drawn strong, so put first the one whose step field and fixed points are shown.
        grid: (G, G, 2) points at which the step fields are known; its extent sets the limits.
        step_true: (G, G, 2) true step Φ(x) − x.
        step_model: (G, G, 2) learned step of one replica, or one such array per model; drawn over the true one.
        fixed_points_true, fixed_points_model: (location (2,) or cycle (P, 2), stability type) pairs.
        kind: "flow" joins the samples by lines; "map" shows points, since a map jumps.
        field: "arrows" (steps, length compressed) or "streamlines".
        isotropic: equal scales on both axes.
        runs: number of initial states drawn.
    Returns:
        a Figure; non-finite samples are gaps.
    """
    truth = _states(true, 3, "true")
    runs_of = {k: _states(v, 4, "free_runs") for k, v in by_model(free_runs, model).items()}
    steps_of = by_model(step_model, model) if step_model is not None else {}
    marked_of = by_model(fixed_points_model, model)
    box = plane_limits(truth, grid)
    caption = portrait_caption(runs_of, field if grid is not None and steps_of else None, note)
    figure, axes = plane_panels(1 + len(runs_of), box, isotropic, state_names, title, caption)
    reference = step_true if step_true is not None else next(iter(steps_of.values()), np.ones((1, 1, 2)))
    plane = _Plane(grid, step_true, box, step_scale(reference, box), field)
    plane.draw(axes[0], step_true, FIELD_TRUE)
    draw_orbits(axes[0], truth[spread(len(truth), runs)], kind, TRUE_COLOUR)
    draw_marked(axes[0], fixed_points_true, TRUE_COLOUR)
    axes[0].set_title("true")
    for ax, (name, states) in zip(axes[1:], runs_of.items(), strict=True):
        look = model_style(name)
        plane.draw_over_truth(ax, steps_of.get(name))
        draw_learned(ax, truth, states, kind, look.colour, runs)
        draw_marked(ax, marked_of.get(name, ()), look.colour)
        ax.set_title(look.label, color=look.colour)
    legend(figure, handles=[*_handles(kind), *stability_handles(fixed_points_true, *marked_of.values())])
    return figure


@dataclass(frozen=True)
class _Plane:
    """The step fields of a portrait, drawn alike in every panel."""

    grid: ArrayLike | None
    truth: ArrayLike | None
    box: Limits
    scale: float
    field: Field

    def draw(self, ax: Axes, steps: ArrayLike | None, colour: str, *, width: float = 0.0034) -> None:
        if self.grid is None or steps is None:
            return
        if self.field == "streamlines":
            draw_streamlines(ax, self.grid, steps, colour=colour, zorder=1.2)
        else:
            draw_arrows(ax, self.grid, steps, limits=self.box, scale=self.scale, colour=colour, width=width, zorder=1.2)

    def draw_over_truth(self, ax: Axes, steps: ArrayLike | None) -> None:
        if steps is None:
            return
        if self.field == "streamlines":
            self.draw(ax, steps, FIELD_TRUE)
        else:
            self.draw(ax, self.truth, FIELD_UNDER, width=0.0052)
            self.draw(ax, steps, FIELD_LEARNED)


def plane_panels(
    count: int, box: Limits, isotropic: bool, state_names: Sequence[str], title: str, caption: str
) -> tuple[Figure, list[Axes]]:
    """Panels of one phase plane with the same limits, at most four in a row.

    Args:
        count: number of panels.   box: limits of both axes.   isotropic: one unit on both axes.
        state_names: labels of both axes.   title, caption: of the figure; empty for none.
    """
    ncols = count if count <= 4 else 3
    nrows = -(-count // ncols)
    side = min(PAGE_WIDTH / ncols, 3.3)
    height = side * _aspect(box, isotropic) * nrows + 0.85 + 0.25 * bool(title)
    figure = new_figure(side * ncols, height, title=title, caption=caption)
    axes = list(figure.subplots(nrows, ncols, sharex=True, sharey=True, squeeze=False).ravel())
    for spare in axes[count:]:
        spare.remove()
    for i, ax in enumerate(axes[:count]):
        ax.set(xlim=box[0], ylim=box[1])
        if isotropic:
            ax.set_aspect("equal")
        if i % ncols == 0:
            ax.set_ylabel(state_names[1])
        if i + ncols >= count:
            ax.set_xlabel(state_names[0])
            ax.tick_params(labelbottom=True)
    return figure, axes[:count]


def _states(values: ArrayLike, axes: int, name: str) -> Array:
    """Finite states with the number of axes checked; overflow becomes a gap."""
    x = finite(values)
    if x.ndim != axes or x.shape[-1] != 2:
        want = "(N, T+1, 2)" if axes == 3 else "(R, N, T+1, 2)"
        raise ValueError(f"{name} must have shape {want}, got {x.shape}: choose two components to draw")
    return x


def plane_limits(truth: Array, grid: ArrayLike | None) -> Limits:
    """Limits of a phase plane: the grid with half a cell around it, or else the true trajectories with a margin."""
    if grid is not None:
        g = np.asarray(grid, dtype=np.float64).reshape(-1, 2)
        low, high = g.min(axis=0), g.max(axis=0)
        half = 0.5 * (high - low) / max(np.shape(grid)[0] - 1, 1)
        low, high = low - half, high + half
        return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
    return limits([truth[..., 0]]), limits([truth[..., 1]])


def _aspect(box: Limits, isotropic: bool) -> float:
    """Height of a panel over its width."""
    ratio = (box[1][1] - box[1][0]) / (box[0][1] - box[0][0])
    return float(np.clip(ratio, 0.45, 1.6)) if isotropic else 0.92


def draw_orbits(ax: Axes, states: Array, kind: Kind, colour: str, *, alpha: float = 1.0) -> None:
    """Draw orbits: lines for a flow, points for a map, each start an open square.

    Args:
        ax: gets the orbits.   states: (N, T+1, 2).   kind: of the system.   colour: of all orbits.
        alpha: opacity, in [0, 1].
    """
    if kind == "flow":
        ax.plot(states[..., 0].T, states[..., 1].T, color=colour, linewidth=0.9, alpha=alpha, zorder=3)
    else:
        many = states.shape[0] * states.shape[1] > 2000
        size = 1.2 if many else 3.2
        ax.plot(
            states[..., 0].ravel(),
            states[..., 1].ravel(),
            linestyle="none",
            marker="o",
            markersize=size,
            markeredgewidth=0,
            color=colour,
            alpha=alpha * (0.6 if many else 0.75),
            rasterized=many,
            zorder=3,
        )
    ax.plot(
        *states[:, 0].T,
        linestyle="none",
        marker="s",
        markersize=3.2,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=0.8,
        alpha=max(alpha, 0.6),
        zorder=4,
        gid="start",
    )


def draw_learned(ax: Axes, truth: Array, states: Array, kind: Kind, colour: str, runs: int) -> None:
    """Draw free runs of all replicas over the true orbits: the first replica strong, the others faint.

    Args:
        ax: gets the orbits.   truth: (N, T+1, 2).   states: (R, N, T+1, 2).   kind: of the system.
        colour: of the free runs.   runs: most orbits drawn of each replica, spread evenly over N.
    """
    chosen = spread(states.shape[1], runs)
    under = truth[spread(len(truth), runs)]
    if kind == "flow":
        ax.plot(under[..., 0].T, under[..., 1].T, color=UNDERLAY, linewidth=2.2, zorder=2)
    else:
        size = 2.6 if under.shape[0] * under.shape[1] > 2000 else 5.0
        ax.plot(
            under[..., 0].ravel(), under[..., 1].ravel(), ls="none", marker="o", ms=size, mew=0, c=UNDERLAY, zorder=2
        )
    for replica in states[:0:-1]:
        picked = replica[chosen]
        if kind == "flow":
            ax.plot(picked[..., 0].T, picked[..., 1].T, color=colour, linewidth=0.5, alpha=0.25, zorder=2.5)
        else:
            ax.plot(
                picked[..., 0].ravel(), picked[..., 1].ravel(), ls="none", marker="o", ms=1.6, mew=0, c=colour,
                alpha=0.18, zorder=2.5, rasterized=states.size > 10_000,
            )  # fmt: skip
    if len(states):
        draw_orbits(ax, states[0, chosen], kind, colour)


def _handles(kind: Kind) -> list[Line2D]:
    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.5}
    look: dict[str, Any] = {} if kind == "flow" else point
    return [
        Line2D([], [], color=TRUE_COLOUR, label="true", **look),
        Line2D([], [], color="#7f7f7f", label="free run", **look),
        Line2D([], [], ls="none", marker="s", ms=3.6, mfc="white", mec="#555555", label="initial state"),
    ]


def portrait_caption(runs_of: Mapping[str, Array], field: Field | None, note: str) -> str:
    """Caption of a portrait: replicas, steps, field.

    Args:
        runs_of: model -> free runs (R, N, T+1, D).   field: drawn behind them; None for none.   note: last sentence.
    """
    seeds, _, samples, _ = next(iter(runs_of.values())).shape
    others = f"one of {seeds} seeds strong, the others faint" if seeds > 1 else "one seed"
    fields = {
        None: "",
        "arrows": "Arrows: the step Φ(x) − x, longer where it is; learned (dark) over true (light): where "
        "both are seen the learned field is wrong",
        "streamlines": "Streamlines: the step Φ(x) − x",
    }
    return caption_of(
        f"Free runs of {counted(samples - 1, 'step')} from unseen initial states over the true orbits (light grey); "
        f"{others}",
        fields[field],
        note,
    )

"""Phase portraits in three dimensions: the three projections, lighter with distance.

Axes: R replicas, N trajectories, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ddl_dyn.config.formats import counted
from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits, spread
from ddl_dyn.plots.fields import Marked, by_model, draw_marked, stability_handles
from ddl_dyn.plots.portrait import Kind
from ddl_dyn.plots.style import PAGE_WIDTH, TRUE_COLOUR, caption_of, legend, model_style, new_figure, styled

# (abscissa, ordinate, depth): what points out of the page is drawn darker.
_VIEWS = ((0, 2, 1), (0, 1, 2), (1, 2, 0))


@styled
def phase_portrait_3d(
    true: ArrayLike,
    free_runs: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    fixed_points_true: Sequence[Marked] = (),
    fixed_points_model: Mapping[str, Sequence[Marked]] | Sequence[Marked] = (),
    state_names: Sequence[str] = ("x", "y", "z"),
    kind: Kind = "flow",
    runs: int = 3,
    title: str = "",
    note: str = "",
) -> Figure:
    """Projections of a three-dimensional portrait on the coordinate planes, with a depth cue: truth on top.

    Args:
        true: (N, T+1, 3) true trajectories.
        free_runs: (R, N, T+1, 3) free runs of `model`, or one such array per model; the first replica is drawn.
        fixed_points_true, fixed_points_model: (location (3,) or cycle (P, 3), stability type) pairs.
        kind: "flow" joins the samples by lines; "map" shows points.
        runs: number of initial states drawn.
    """
    truth = finite(true)
    learned = {k: finite(v) for k, v in by_model(free_runs, model).items()}
    for name, states in {"true": truth[None], **learned}.items():
        if states.ndim != 4 or states.shape[-1] != 3:
            raise ValueError(f"{name}: expected three state components, got shape {states.shape}: choose three to draw")
    marks = by_model(fixed_points_model, model)
    first = next(iter(learned.values()))
    starts = counted(min(runs, len(truth)), "unseen initial state")
    caption = caption_of(
        f"Orbits of {counted(first.shape[2] - 1, 'step')} from {starts}",
        f"One of {counted(first.shape[0], 'seed')}; darker is nearer along the axis not shown",
        note,
    )
    rows = 1 + len(learned)
    figure = new_figure(PAGE_WIDTH, 2.15 * rows + 0.5 + 0.25 * bool(title), title=title, caption=caption)
    axes: Any = figure.subplots(rows, 3, sharex="col", sharey="col", squeeze=False)
    box = [limits([truth[..., d]], pad=0.06) for d in range(3)]
    _row(axes[0], truth[spread(len(truth), runs)], kind, TRUE_COLOUR, box, fixed_points_true)
    axes[0, 0].set_title("true")
    for row, (name, states) in zip(axes[1:], learned.items(), strict=True):
        look = model_style(name)
        _row(row, states[0, spread(states.shape[1], runs)], kind, look.colour, box, marks.get(name, ()))
        row[0].set_title(look.label, color=look.colour)
    for column, (a, b, _) in enumerate(_VIEWS):
        axes[-1, column].set_xlabel(state_names[a])
        for row in axes:
            row[column].set_ylabel(state_names[b])
    legend(figure, handles=stability_handles(fixed_points_true, *marks.values()))
    return figure


def _row(
    axes: Sequence[Axes], states: Array, kind: Kind, colour: str, box: Sequence[tuple[float, float]],
    marked: Sequence[Marked],
) -> None:  # fmt: skip
    for ax, (a, b, depth) in zip(axes, _VIEWS, strict=True):
        draw_depth(ax, states[..., [a, b]], _near(states[..., depth], box[depth]), kind, colour)
        draw_marked(ax, [(np.atleast_2d(np.asarray(p))[:, [a, b]], s) for p, s in marked], colour)
        ax.set(xlim=box[a], ylim=box[b])


def _near(depth: Array, box: tuple[float, float]) -> Array:
    """Nearness in [0, 1] along the axis that a projection hides; 0.5 where it is not known."""
    return np.nan_to_num(np.clip((depth - box[0]) / (box[1] - box[0]), 0.0, 1.0), nan=0.5)


def draw_depth(ax: Axes, states: Array, near: Array, kind: Kind, colour: str) -> None:
    """Draw orbits whose colour fades with distance: far ones first, so that near ones lie on top.

    Args:
        ax: gets the orbits.   states: (N, T+1, 2), projected.   near: (N, T+1), nearness to the viewer.
        kind: of the system.   colour: of the nearest.
    """
    base = np.array(to_rgb(colour))
    if kind == "map":
        order = np.argsort(near.ravel())
        shade = _shade(base, near.ravel()[order])
        points = states.reshape(-1, 2)[order]
        ax.scatter(points[:, 0], points[:, 1], s=3.0, c=shade, linewidths=0, rasterized=len(points) > 1500)
        return
    segments = np.stack([states[:, :-1], states[:, 1:]], axis=2).reshape(-1, 2, 2)
    middle = 0.5 * (near[:, :-1] + near[:, 1:]).ravel()
    keep = np.isfinite(segments).all(axis=(1, 2))
    segments, middle = segments[keep], middle[keep]
    order = np.argsort(middle)
    ax.add_collection(
        LineCollection(
            list(segments[order]),
            colors=_shade(base, middle[order]),
            linewidths=0.4 + 0.6 * middle[order],
            capstyle="round",
            rasterized=len(segments) > 1500,
        )
    )


def _shade(base: Array, near: Array) -> Array:
    """Mix with white by distance, never past readability."""
    weight = (0.28 + 0.72 * near)[:, None]
    return weight * base + (1.0 - weight)

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


# Azimuth and elevation of the eye, in degrees: what textbooks draw the Lorenz attractor from.
_EYE = (-55.0, 18.0)
# The edges of the box that stand clear of its inside, as seen from there: the two other components at their ends.
_NAMED = ((0, 0), (1, 0), (0, 0))


@styled
def attractor_3d(
    true: ArrayLike,
    free_runs: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    fixed_points_true: Sequence[Marked] = (),
    fixed_points_model: Mapping[str, Sequence[Marked]] | Sequence[Marked] = (),
    state_names: Sequence[str] = ("x", "y", "z"),
    kind: Kind = "flow",
    title: str = "",
    note: str = "",
) -> Figure:
    """Attractors in three dimensions seen at an angle, the truth beside each model's, in one box.

    Args:
        true: (T+1, 3) one long true run.
        free_runs: (T+1, 3) a long free run of `model`, or one such array per model.
        fixed_points_true, fixed_points_model: (location (3,), stability type) pairs.
        kind: "flow" joins the samples by lines; "map" shows points.
    Raises:
        ValueError: when a shape is another.
    """
    truth = finite(true)
    learned = {k: finite(v) for k, v in by_model(free_runs, model).items()}
    for name, states in {"true": truth, **learned}.items():
        if states.ndim != 2 or states.shape[1] != 3:
            raise ValueError(f"{name} must have shape (T+1, 3), one run of three components, got {states.shape}")
    marks = by_model(fixed_points_model, model)
    box = [limits([truth[:, d]], pad=0.06) for d in range(3)]
    lost = [model_style(k).label for k, v in learned.items() if not np.isfinite(v).all()]
    caption = caption_of(
        f"One long run of {counted(len(truth) - 1, 'step')} each, past its transient; darker is nearer",
        "What leaves the box of the truth is not drawn",
        f"No longer finite before its end: {', '.join(lost)}" if lost else "",
        note,
    )
    columns = 1 + len(learned)
    side = min(PAGE_WIDTH / columns, 3.6)
    figure = new_figure(side * columns, 0.86 * side + 0.7 + 0.25 * bool(title), title=title, caption=caption)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    runs: dict[str, Array] = {"": truth, **learned}
    for ax, (name, states) in zip(axes, runs.items(), strict=True):
        look = model_style(name) if name else None
        colour = look.colour if look else TRUE_COLOUR
        seen = _seen(_inside(states, box), box)
        _frame(ax, box, state_names)
        draw_depth(ax, seen[None, :, :2], np.nan_to_num(seen[None, :, 2], nan=0.5), kind, colour)
        marked = fixed_points_true if look is None else marks.get(name, ())
        draw_marked(ax, [(_seen(np.atleast_2d(np.asarray(p)), box)[:, :2], s) for p, s in marked], colour)
        ax.set_title(look.label if look else "true", color=colour)
    legend(figure, handles=stability_handles(fixed_points_true, *marks.values()))
    return figure


def _inside(states: Array, box: Sequence[tuple[float, float]]) -> Array:
    """States with a gap where one is more than a tenth of the box outside it."""
    low, high = np.array(box).T
    room = 0.1 * (high - low)
    known = ((states >= low - room) & (states <= high + room)).all(axis=-1, keepdims=True)
    return np.where(known, states, np.nan)


def _seen(states: Array, box: Sequence[tuple[float, float]]) -> Array:
    """Places on the page and nearness in [0, 1] of states (P, 3), the box made a cube."""
    low, high = np.array(box).T
    x, y, z = ((states - low) / (high - low) - 0.5).T
    azimuth, elevation = np.deg2rad(_EYE)
    along = x * np.cos(azimuth) + y * np.sin(azimuth)
    right = -x * np.sin(azimuth) + y * np.cos(azimuth)
    up = z * np.cos(elevation) - along * np.sin(elevation)
    near = along * np.cos(elevation) + z * np.sin(elevation)
    return np.stack([right, up, np.clip(near / np.sqrt(3.0) + 0.5, 0.0, 1.0)], axis=-1)


def _frame(ax: Axes, box: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """The box's edges, and at the end of three of them the component's name and range."""
    ends = np.array(box)
    for d in range(3):
        for others in ((0, 0), (0, 1), (1, 0), (1, 1)):
            at = np.insert(np.array(others), d, 0)
            edge = np.stack([at, at])
            edge[1, d] = 1
            places = _seen(np.take_along_axis(ends.T, edge, axis=0), box)
            ax.plot(places[:, 0], places[:, 1], color="#d4d4d4", linewidth=0.6, zorder=0, gid="box")
            if others == _NAMED[d]:
                middle = places[:, :2].mean(axis=0) * 1.16
                text = f"{names[d]}  {ends[d, 0]:.3g} … {ends[d, 1]:.3g}"
                turn = float(np.rad2deg(np.arctan2(*(places[1] - places[0])[1::-1])))
                turn = turn - 180 if turn > 90 else turn + 180 if turn < -90 else turn
                ax.text(
                    float(middle[0]),
                    float(middle[1]),
                    text,
                    rotation=turn,
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color="#555555",
                )
    ax.set(xlim=(-0.85, 0.85), ylim=(-0.85, 0.85), aspect="equal")
    ax.set_axis_off()


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

"""Parts of the phase plane: nullclines, basins, sections, and the mirrors of a Delta stack.

Axes: G grid points per side, L layers, P points, R replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, limits
from ddl_dyn.plots.fields import (
    Limits,
    Marked,
    by_model,
    draw_arrows,
    draw_marked,
    on_axes,
    regular_grid,
    stability_handles,
    step_scale,
)
from ddl_dyn.plots.gates import gate_bar, gate_look, layer_panels
from ddl_dyn.plots.portrait import FIELD_UNDER, plane_limits, plane_panels
from ddl_dyn.plots.style import TRUE_COLOUR, UNDERLAY, caption_of, legend, model_style, styled

# Pale and of different lightness, so that orbits and marks stay readable on top, in grey print too.
BASIN_COLOURS = ("#cfe3f2", "#f3c9a5", "#b9dcc8", "#e8d6ea", "#f4ecc2", "#9fb4c7", "#d8a7a0", "#8fb8a8")
DIVERGED_COLOUR = "#ffffff"


@styled
def nullclines(
    grid: ArrayLike,
    step_true: ArrayLike,
    step_model: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    fixed_points_true: Sequence[Marked] = (),
    fixed_points_model: Mapping[str, Sequence[Marked]] | Sequence[Marked] = (),
    state_names: Sequence[str] = ("x", "y"),
    title: str = "",
    note: str = "",
) -> Figure:
    """Nullclines of the step: where each component stays put, Φᵢ(x) = xᵢ; they cross at the fixed points.

    Args:
        grid, step_true: (G, G, 2).
        step_model: (G, G, 2) learned step of one replica of `model`, or one such array per model.
        fixed_points_true, fixed_points_model: (location, stability type) pairs.
    """
    steps_of = by_model(step_model, model)
    marked_of = by_model(fixed_points_model, model)
    box = plane_limits(np.empty((0, 0, 2)), grid)
    caption = caption_of(
        f"Solid: {state_names[0]} stays put; dashed: {state_names[1]} stays put; light grey: the true nullclines", note
    )
    figure, axes = plane_panels(1 + len(steps_of), box, False, state_names, title, caption)
    scale = step_scale(step_true, box)
    for ax, steps, name in zip(axes, [step_true, *steps_of.values()], [None, *steps_of], strict=True):
        colour = TRUE_COLOUR if name is None else model_style(name).colour
        draw_arrows(ax, grid, steps, limits=box, scale=scale, colour=FIELD_UNDER, width=0.003, zorder=1)
        if name is not None:
            _zero_lines(ax, grid, step_true, UNDERLAY, 3.0, 2.0)
        _zero_lines(ax, grid, steps, colour, 1.3, 3.0)
        draw_marked(ax, fixed_points_true if name is None else marked_of.get(name, ()), colour)
        ax.set_title("true" if name is None else model_style(name).label, color=colour)
    handles = [
        Line2D([], [], color="#555555", linestyle="-", label=f"{state_names[0]}-nullcline"),
        Line2D([], [], color="#555555", linestyle="--", label=f"{state_names[1]}-nullcline"),
    ]
    legend(figure, handles=[*handles, *stability_handles(fixed_points_true, *marked_of.values())])
    return figure


def _zero_lines(ax: Axes, grid: ArrayLike, steps: ArrayLike, colour: str, width: float, zorder: float) -> None:
    x, y, first_is_x = regular_grid(grid)
    s = np.ma.masked_invalid(on_axes(steps, first_is_x))
    for d, line in enumerate(("-", "--")):
        component = s[..., d]
        # matplotlib warns of a level outside the data.
        if component.count() and component.min() < 0 < component.max():
            drawn = ax.contour(x, y, component, [0.0], colors=colour, linestyles=line, linewidths=width, zorder=zorder)
            drawn.set_gid(f"nullcline-{d}")


@styled
def basin_map(
    grid: ArrayLike,
    labels_true: ArrayLike,
    labels_model: Mapping[str, ArrayLike] | ArrayLike,
    *,
    model: str = "ddl",
    attractors: Sequence[ArrayLike] = (),
    names: Sequence[str] = (),
    overlap: Mapping[str, float] | None = None,
    state_names: Sequence[str] = ("x", "y"),
    title: str = "",
    note: str = "",
) -> Figure:
    """Basins of attraction, the truth beside each model; places where the model errs are hatched.

    Args:
        grid: (G, G, 2).
        labels_true: (G, G) index of the attractor reached, −1 where none is.
        labels_model: (G, G) with the same numbering, of one replica of `model`, or one such array per model.
        attractors: points (P, 2) of each attractor, drawn in every panel.
        names: what each attractor is, for the legend.
        overlap: model → intersection over union with the truth, printed in the panel's title.
    """
    truth = np.asarray(labels_true)
    labels_of = {k: np.asarray(v) for k, v in by_model(labels_model, model).items()}
    x, y, first_is_x = regular_grid(grid)
    for key, labels in {"labels_true": truth, **labels_of}.items():
        if labels.shape != np.shape(grid)[:2]:
            raise ValueError(f"{key} must have shape {np.shape(grid)[:2]} to match grid, got {labels.shape}")
    box = plane_limits(np.empty((0, 0, 2)), grid)
    count = int(max(a.max() for a in (truth, *labels_of.values()))) + 1
    wrong = any((labels != truth).any() for labels in labels_of.values())
    caption = caption_of(
        "Colour: the attractor reached from each initial state", "Hatched: not the true one" if wrong else "", note
    )
    figure, axes = plane_panels(1 + len(labels_of), box, False, state_names, title, caption)
    colours = ListedColormap([DIVERGED_COLOUR, *(BASIN_COLOURS[i % len(BASIN_COLOURS)] for i in range(count))])
    norm = BoundaryNorm(np.arange(-1.5, count + 0.5), count + 1)
    for ax, labels, name in zip(axes, [truth, *labels_of.values()], [None, *labels_of], strict=True):
        shown = labels.T if first_is_x else labels
        ax.pcolormesh(x, y, shown, cmap=colours, norm=norm, shading="nearest", rasterized=True)
        if name is not None and (labels != truth).any():
            _hatch(ax, x, y, (labels != truth).T if first_is_x else labels != truth)
        for points in attractors:
            ax.plot(*np.atleast_2d(finite(points)).T, ls="none", marker="o", ms=2.5, color=TRUE_COLOUR, gid="attractor")
        score = f", IoU {overlap[name]:.3g}" if name is not None and overlap and name in overlap else ""
        ax.set_title("true" if name is None else model_style(name).label + score)
    legend(figure, handles=_basin_handles(count, names, any((a < 0).any() for a in (truth, *labels_of.values()))))
    return figure


def _hatch(ax: Axes, x: Array, y: Array, wrong: Any) -> None:
    hatched = ax.contourf(x, y, wrong.astype(float), levels=[0.5, 1.5], colors="none", hatches=["//////"])
    hatched.set_edgecolor("#555555")
    hatched.set_linewidth(0.0)
    hatched.set_gid("wrong-basin")


def _basin_handles(count: int, names: Sequence[str], diverging: bool) -> list[Patch]:
    titles = [*names, *(f"attractor {i + 1}" for i in range(len(names), count))]
    handles = [
        Patch(facecolor=BASIN_COLOURS[i % len(BASIN_COLOURS)], edgecolor="#888888", label=titles[i])
        for i in range(count)
    ]
    return [*handles, *([Patch(facecolor="white", edgecolor="#888888", label="none reached")] if diverging else [])]


@styled
def poincare_section(
    true: ArrayLike,
    models: Mapping[str, ArrayLike],
    *,
    state_names: Sequence[str] = ("x", "y"),
    section: str = "",
    title: str = "",
    note: str = "",
) -> Figure:
    """Poincaré section: the points at which orbits cross a surface, truth beside each model, with the same limits.

    Args:
        true: (P, 2) crossings of the true orbits, in the two coordinates of the section.
        models: model → (P', 2) crossings of its free runs.
        section: what the surface is, for example "z = 27, upwards".
    """
    truth = finite(true).reshape(-1, 2)
    box: Limits = (limits([truth[:, 0]]), limits([truth[:, 1]]))
    counts = ", ".join(f"{model_style(k).label} {len(np.asarray(v))}" for k, v in models.items())
    caption = caption_of(
        f"Section {section}" if section else "", f"Crossings: truth {len(truth)}, {counts}; light grey: truth", note
    )
    figure, axes = plane_panels(1 + len(models), box, False, state_names, title, caption)
    axes[0].plot(*truth.T, ls="none", marker="o", ms=1.8, mew=0, color=TRUE_COLOUR)
    axes[0].set_title("true")
    for ax, (name, points) in zip(axes[1:], models.items(), strict=True):
        look = model_style(name)
        ax.plot(*truth.T, ls="none", marker="o", ms=3.4, mew=0, color=UNDERLAY)
        ax.plot(*finite(points).reshape(-1, 2).T, ls="none", marker="o", ms=1.8, mew=0, color=look.colour)
        ax.set_title(look.label, color=look.colour)
    legend(figure)
    return figure


@styled
def direction_field(
    grid: ArrayLike,
    directions: ArrayLike,
    *,
    beta: ArrayLike | None = None,
    state_names: Sequence[str] = ("x", "y"),
    title: str = "",
    note: str = "",
) -> Figure:
    """Directions k over the phase plane as a headless line field: k and −k are the same mirror.

    Args:
        grid: (G, G, 2).
        directions: (L, G, G, 2); normalised before drawing, zero vectors leave a gap.
        beta: (L, G, G) gate, coloured behind the lines.
    """
    k = finite(directions)
    k = k[None] if k.ndim == 3 else k
    if k.shape[1:] != np.shape(grid):
        raise ValueError(f"directions must have shape (L, {', '.join(map(str, np.shape(grid)))}), got {k.shape}")
    x, y, first_is_x = regular_grid(grid)
    gates = None if beta is None else finite(beta).reshape(k.shape[:3])
    caption = caption_of("Lines: direction k of one replica, without heads since ±k is one mirror", note)
    cols, figure, axes = layer_panels(len(k), title, caption)
    box = plane_limits(np.empty((0, 0, 2)), grid)
    image: object = None
    for l, ax in enumerate(axes):
        if gates is not None:
            image = ax.pcolormesh(
                x, y, on_axes(gates[l], first_is_x), shading="nearest", rasterized=True, **gate_look(gates)
            )  # fmt: skip
        _lines(ax, np.asarray(grid, dtype=np.float64), k[l], box)
        ax.set(xlim=box[0], ylim=box[1], title=f"layer {l + 1}")
        ax.set_xlabel(state_names[0] if l + cols >= len(k) else "")
        ax.set_ylabel(state_names[1] if l % cols == 0 else "")
    if image is not None:
        gate_bar(figure, image, axes)
    return figure


def _lines(ax: Axes, grid: Array, k: Array, box: Limits) -> None:
    """Short strokes of equal length on the page through the grid points."""
    points, vectors = grid.reshape(-1, 2), k.reshape(-1, 2)
    sides = np.array([box[0][1] - box[0][0], box[1][1] - box[1][0]])
    length = np.linalg.norm(vectors / sides, axis=1)
    keep = np.isfinite(length) & (length > 0)
    half = 0.38 / grid.shape[0] * vectors[keep] / length[keep, None]
    ends = np.stack([points[keep] - half, points[keep] + half], axis=1)
    broken = np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2)
    ax.plot(*broken.T, color="#1a1a1a", linewidth=0.9, gid="directions")

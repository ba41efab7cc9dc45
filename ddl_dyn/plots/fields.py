"""Contents of a phase plane: step arrows, streamlines, fixed points and cycles by stability.

Axes: G grid points per side, P points of a cycle.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from ddl_dyn.metrics.arrays import Array
from ddl_dyn.plots.bands import finite, spread

# Arrows a side: more hide the field they show.
_ARROWS = 16
Limits = tuple[tuple[float, float], tuple[float, float]]
# A fixed point (2,) or the points of a cycle (P, 2), with its stability type.
Marked = tuple[ArrayLike, str]

_FILL: dict[str, str] = {
    **dict.fromkeys(("stable", "stable node", "stable focus", "stable flip", "sink", "attracting"), "full"),
    **dict.fromkeys(("unstable", "unstable node", "unstable focus", "unstable flip", "source", "repelling"), "none"),
    **dict.fromkeys(("saddle", "flip saddle", "saddle focus"), "bottom"),
    **dict.fromkeys(("centre", "center", "neutral", "marginal", "nonhyperbolic", "nonhyperbolic"), "dot"),
}
_FILL_LABEL = {"full": "stable", "none": "unstable", "bottom": "saddle", "dot": "neutral"}


def stability_fill(stability: str) -> str:
    """Fill of a marker by stability: full (stable), none (unstable), bottom (saddle), dot (neutral).

    Raises:
        ValueError: when the type is unknown; the message lists the valid ones.
    """
    key = stability.replace("_", " ").strip().lower()
    if key not in _FILL:
        near = difflib.get_close_matches(key, _FILL, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown stability type {stability!r}{hint} Valid: {', '.join(sorted(_FILL))}")
    return _FILL[key]


def draw_marked(ax: Axes, marked: Sequence[Marked], colour: str) -> None:
    """Draw fixed points as circles and the points of a cycle as diamonds: filled, open or half-filled by stability.

    Args:
        ax: gets the marks.   marked: points (2,) or (n, 2) with their stability.   colour: of the marks.
    """
    for location, stability in marked:
        points = np.atleast_2d(np.asarray(location, dtype=np.float64))
        fill = stability_fill(stability)
        shape = "o" if len(points) == 1 else "D"
        size = 7.0 if len(points) == 1 else 5.0
        common: dict[str, Any] = {"linestyle": "none", "marker": shape, "zorder": 6, "clip_on": True}
        # A white ring keeps the mark apart from the lines it lies on.
        ax.plot(*points.T, markersize=size + 2.0, color="white", gid="halo", **common)
        ax.plot(
            *points.T,
            markersize=size,
            color=colour,
            fillstyle="none" if fill == "dot" else fill,
            markerfacecoloralt="white",
            markeredgewidth=1.2,
            gid=f"marked-{_FILL_LABEL[fill]}",
            **common,
        )
        if fill == "dot":
            ax.plot(*points.T, markersize=2.0, color=colour, **common)


def stability_handles(*groups: Sequence[Marked]) -> list[Line2D]:
    """Legend entries for the kinds of fixed points and cycles that occur."""
    seen: dict[str, Line2D] = {}
    for location, stability in (m for group in groups for m in group):
        fill = stability_fill(stability)
        points = len(np.atleast_2d(np.asarray(location)))
        label = f"{_FILL_LABEL[fill]} {'fixed point' if points == 1 else 'cycle'}"
        look: dict[str, Any] = {"fillstyle": "none" if fill == "dot" else fill}
        seen.setdefault(
            label,
            Line2D(
                [],
                [],
                linestyle="none",
                marker="o" if points == 1 else "D",
                markersize=6 if points == 1 else 4.5,
                color="#333333",
                markerfacecoloralt="white",
                label=label,
                **look,
            ),
        )
    return [seen[k] for k in sorted(seen)]


def regular_grid(grid: ArrayLike) -> tuple[Array, Array, bool]:
    """Axes of a rectangular grid (G, G, 2) and whether its first index runs along x.

    Raises:
        ValueError: when the points do not lie on a rectangle's rows and columns.
    """
    g = np.asarray(grid, dtype=np.float64)
    if g.ndim != 3 or g.shape[2] != 2 or min(g.shape[:2]) < 2:
        raise ValueError(f"grid must have shape (G, G, 2) with G ≥ 2, got {g.shape}: build it with numpy.meshgrid")
    first_is_x = not np.isclose(g[0, 0, 0], g[1, 0, 0])
    x, y = (g[:, 0, 0], g[0, :, 1]) if first_is_x else (g[0, :, 0], g[:, 0, 1])
    rebuilt = np.stack(np.meshgrid(x, y, indexing="ij" if first_is_x else "xy"), axis=-1)
    if not np.allclose(rebuilt, g, rtol=1e-6, atol=1e-9 * (np.abs(g).max() + 1.0)):
        raise ValueError("grid must be rectangular: every row and column of it at one coordinate")
    return x, y, first_is_x


def on_axes(values: ArrayLike, first_is_x: bool) -> Array:
    """Values on a grid (G, G, …) with rows along y, as matplotlib's images and contours want them."""
    v = finite(values)
    return np.swapaxes(v, 0, 1) if first_is_x else v


def step_scale(steps: ArrayLike, limits: Limits) -> float:
    """Reference length of a step field: its 95 % quantile in units of the panel's sides."""
    length = np.linalg.norm(_in_panel(finite(steps), limits), axis=-1)
    length = length[np.isfinite(length)]
    return float(np.quantile(length, 0.95)) if length.size and length.max() > 0 else 1.0


def _in_panel(steps: Array, limits: Limits) -> Array:
    scaled: Array = steps / np.array([limits[0][1] - limits[0][0], limits[1][1] - limits[1][0]])
    return scaled


def draw_arrows(
    ax: Axes,
    grid: ArrayLike,
    steps: ArrayLike,
    *,
    limits: Limits,
    scale: float,
    colour: str,
    width: float,
    zorder: float,
) -> None:
    """Step arrows Φ(x)−x on at most 16 × 16 points of the grid, longer where the step is.

    Args:
        grid, steps: (G, G, 2); non-finite steps leave a gap.
        scale: the step, in panel units, drawn at full length (see `step_scale`).
    """
    rows, columns = (spread(n, _ARROWS) for n in np.shape(grid)[:2])
    g = np.asarray(grid, dtype=np.float64)[np.ix_(rows, columns)].reshape(-1, 2)
    s = finite(steps)[np.ix_(rows, columns)].reshape(-1, 2)
    keep = np.isfinite(s).all(axis=1)
    g, s = g[keep], s[keep]
    if not len(g):
        return
    shown = _in_panel(s, limits)
    length = np.linalg.norm(shown, axis=1, keepdims=True)
    direction = np.divide(shown, length, out=np.zeros_like(shown), where=length > 0)
    cell = 0.95 / max(len(rows) - 1, 1)
    sides = np.array([limits[0][1] - limits[0][0], limits[1][1] - limits[1][0]])
    drawn = direction * sides * cell * np.clip(length / scale, 0.02, 1.0) ** 0.5
    arrows = ax.quiver(
        *g.T,
        *drawn.T,
        angles="xy",
        scale_units="xy",
        scale=1.0,
        pivot="mid",
        color=colour,
        width=width,
        headwidth=3.8,
        headlength=4.2,
        headaxislength=3.8,
        zorder=zorder,
    )
    arrows.set_gid("step-field")


def draw_streamlines(ax: Axes, grid: ArrayLike, steps: ArrayLike, *, colour: str, zorder: float) -> None:
    """Draw streamlines of the step field, as of the flow whose small step it would be.

    Args:
        ax: gets the lines.
        grid: (G, 2), the points of a regular grid.   steps: (G, 2), Φ(x) − x there; non-finite ones leave a gap.
        colour: of the lines.   zorder: matplotlib's drawing order.
    """
    x, y, first_is_x = regular_grid(grid)
    s = on_axes(steps, first_is_x)
    if not np.isfinite(s).all(axis=-1).any():
        return
    masked = np.ma.masked_invalid(s)
    ax.streamplot(
        x, y, masked[..., 0], masked[..., 1], color=colour, linewidth=0.55, density=1.25, arrowsize=0.65, zorder=zorder
    )


def by_model(values: Mapping[str, object] | object, model: str) -> dict[str, Any]:
    """One entry per model, in the order given; a bare value belongs to `model`."""
    return dict(values) if isinstance(values, Mapping) else {model: values}
